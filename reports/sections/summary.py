"""The first screen: who conforms, who does not and by which requirement, and which of the conforming ones is fastest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from conformance.records.schema import JUDGED, SystemRecord, Verdict
from reports.anchors import finding
from reports.document import (
    Block,
    BulletList,
    Code,
    Details,
    Inline,
    Link,
    Number,
    Section,
    Strong,
    Table,
    inline,
    joined,
    series,
)
from reports.evidence import Evidence, Source, is_noisy
from reports.numbers import count, listing, margin, percent, ratio
from reports.ranking import RankingRow, Status, fastest, main_workload, ranking, ranking_dtype, requirement_named, short_name
from reports.sections.claims import tally

SHOWN_IDS = 3
"""Beside the first one, so many requirements that fail, and so many that crash, are named on the first screen."""
SHOWN_REQUIREMENTS = 12
"""So many failed requirements are spelled out per implementation; the findings hold the rest."""


def summary(evidence: Evidence) -> list[Block]:
    """A table with one row per system, then a few lines on each."""
    if not evidence.systems:
        return ["The records name no system, so there is nothing to sum up."]
    listed = [system for system in evidence.systems if evidence.implementations_of(system.name)]
    return [Strong(verdict(evidence)), _overview(evidence), *(_system(evidence, system) for system in listed)]


def verdict(evidence: Evidence) -> str:
    """How many conform, and how many do not, in one sentence over all systems."""
    number = Counter(row.status for system in evidence.systems for row in ranking(evidence, system.name))
    judged = number.total() - number[Status.NOT_JUDGED]
    if not judged:
        return "No implementation was judged in these runs."
    conform, fail, crash = number[Status.CONFORMS], number[Status.FAILS], number[Status.CRASHES]
    rest = [f"{fail} {'does' if fail == 1 else 'do'} not"] if fail else []
    rest += [f"{crash} {'crashes' if crash == 1 else 'crash'}"] if crash else []
    said = f"{conform} of {count(judged, 'judged implementation')} {'conforms' if conform == 1 else 'conform'}"
    return "; ".join([said, *([listing(rest)] if rest else [])]) + "."


def _overview(evidence: Evidence) -> Table:
    body: list[list[Inline]] = []
    for system in evidence.systems:
        rows = ranking(evidence, system.name)
        number = Counter(row.status for row in rows)
        judged = len(rows) - number[Status.NOT_JUDGED]
        body.append(
            [
                Strong(system.title),
                f"{number[Status.CONFORMS]} of {judged}" if judged else "-",
                _fastest_short(evidence, system, rows),
                *(str(number[status] or "-") for status in (Status.FAILS, Status.CRASHES, Status.NOT_JUDGED)),
            ]
        )
    return Table(["System", "Conform", "Fastest that conforms", "Do not conform", "Crash", "Not judged"], body, "lrlrrr")


def _fastest_short(evidence: Evidence, system: SystemRecord, rows: Sequence[RankingRow]) -> Inline:
    first, _ = fastest(rows, main_workload(evidence, system.name))
    if first is None or first.speed is None:
        return "not measured"
    name = Code(short_name(first.implementation))
    if first.is_baseline:
        return name, " (the baseline)"
    return name, f", {ratio(first.speed)} ", Code(short_name(first.baseline))


def _system(evidence: Evidence, system: SystemRecord) -> Section:
    rows = ranking(evidence, system.name)
    by_status = {status: [row for row in rows if row.status is status] for status in Status}
    lines: list[Inline | BulletList] = []
    if by_status[Status.CONFORMS]:
        lines.append(_conform(by_status[Status.CONFORMS], ranking_dtype(evidence, system.name)))
    elif len(by_status[Status.NOT_JUDGED]) < len(rows):
        lines.append((Strong("Conform:"), f" none of the {len(rows) - len(by_status[Status.NOT_JUDGED])} judged."))
    why: list[Inline] = []
    for status, words in ((Status.FAILS, "Do not conform:"), (Status.CRASHES, "Crash:")):
        found = by_status[status]
        if found:
            lines += [Strong(words), BulletList([inline("{}: {}.", _name(row), _broken(evidence, row)) for row in found])]
            why += [inline("{}: {}", _name(row), _why(evidence, row)) for row in found if _is_longer(row)]
    if by_status[Status.NOT_JUDGED]:
        absent = series(map(_name, by_status[Status.NOT_JUDGED]))
        lines.append(inline("{} {}; the ranking says why.", Strong("Not judged:"), absent))
    lines.append((Strong("Fastest that conforms:"), " ", _fastest_long(evidence, system, rows)))
    told = tally(evidence, system.name)
    lines += [(Strong("Paper claims:"), f" {told}.")] if told else []
    title = system.title + (f" ({system.paper})" if system.paper else "")
    folded = [Details("Which requirements, in words", [BulletList(why)])] if why else []
    return Section(title, [BulletList(lines), *folded])


def _conform(rows: Sequence[RankingRow], dtype: str) -> Inline:
    """Everybody with the worst margin, unless all of them are exact."""
    exact = all(row.ranked_margin == 0 for row in rows)
    where = f" in {dtype}" if dtype else ""
    words = "Conform exactly:" if exact else f"Conform (worst margin{where}; up to 1 passes):"
    found: list[Inline] = []
    for row in rows:
        noted = [] if exact else [margin(row.ranked_margin)]
        noted += [f"{percent(row.judged_cases / row.all_cases)} judged"] if row.judged_cases < row.all_cases else []
        found.append((_name(row), f" ({', '.join(noted)})" if noted else ""))
    return Strong(words), " ", series(found), "."


def _broken(evidence: Evidence, row: RankingRow) -> Inline:
    """The first broken requirement in words, with its margin if it has one; the others by id. The first by number:
    requirements follow the algorithm, whose core comes before its edge cases.
    """
    if _always_crashes(row):
        return f"in every judged case, of {count(len(_in_order(row)), 'requirement')}"
    first, *others = _in_order(row)
    failed = [each for each in evidence.judgements_of(row.implementation.name) if each.verdict is Verdict.FAIL]
    margins = [each.margin for each in failed if each.requirement == first and each.margin is not None]
    by = f" by a margin of {margin(max(margins))}" if margins and math.isfinite(max(margins)) else ""
    parts: list[Inline] = [(_link(row, first), f"{by}, {_statement(evidence, row, first)}")]
    failing, crashing = [id_ for id_ in others if id_ in row.failing], [id_ for id_ in others if id_ not in row.failing]
    parts += [("also ", _few(row, failing))] if failing else []
    parts += [("crashes in " if row.failing else "also ", _few(row, crashing))] if crashing else []
    return joined("; ", parts)


def _always_crashes(row: RankingRow) -> bool:
    return row.counts[Verdict.PASS] == row.counts[Verdict.FAIL] == 0


def _is_longer(row: RankingRow) -> bool:
    """Whether there are more requirements to name than the first."""
    return len(_in_order(row)) > 1 and not _always_crashes(row)


def _few(row: RankingRow, ids: Sequence[str]) -> Inline:
    rest = len(ids) - SHOWN_IDS
    return series([*(_link(row, id_) for id_ in ids[:SHOWN_IDS]), *([f"{rest} more"] if rest > 0 else [])])


def _link(row: RankingRow, id_: str) -> Link:
    return Link(id_, f"#{finding(row.implementation.name, id_)}")


def _statement(evidence: Evidence, row: RankingRow, id_: str) -> str:
    return f"“{requirement_named(evidence, row.implementation.system, id_).statement.rstrip('.')}”"


def _in_order(row: RankingRow) -> list[str]:
    # Failures first: they are wrong values, and a crash at least does not go unnoticed.
    return [*row.failing, *(id_ for id_ in row.crashing if id_ not in row.failing)]


def _name(row: RankingRow) -> Inline:
    return Code(row.implementation.slug), f" {row.implementation.version}" if row.implementation.version else ""


def _why(evidence: Evidence, row: RankingRow) -> Inline:
    ids = _in_order(row)
    words: list[Inline] = []
    for id_ in ids[:SHOWN_REQUIREMENTS]:
        crash = " (crashes)" if row.failing and id_ not in row.failing else ""
        words.append((_link(row, id_), f"{crash}, {_statement(evidence, row, id_)}"))
    rest = len(ids) - SHOWN_REQUIREMENTS
    return joined("; ", words), f"; and {count(rest, 'requirement')} more." if rest > 0 else "."


def _fastest_long(evidence: Evidence, system: SystemRecord, rows: Sequence[RankingRow]) -> Inline:
    main = main_workload(evidence, system.name)
    if main is None:
        return "no speed was measured in these runs."
    first, level = fastest(rows, main)
    if first is None or first.speed is None:
        return inline("no conforming implementation was measured on {}.", Code(main.workload))
    where = inline(" on {} ({})", Code(main.workload), main.place)
    parts: list[Inline] = [Code(short_name(first.implementation))]
    if first.is_baseline:
        parts += [", the baseline itself,", where]
    else:
        shown = Number(ratio(first.speed, first.ratio_low, first.ratio_high))
        parts += [inline(", {} the speed of {}", shown, Code(short_name(main.baseline))), where]
    if level:
        others = series(Code(short_name(other.implementation)) for other in level)
        parts.append(inline("; {} cannot be told apart from it", others))
    if main.again is not None and is_noisy(main.again) and main.again.ratio is not None:
        parts.append(f"; the run was noisy, the baseline beside itself {ratio(main.again.ratio)}")
    return (*parts, ".")


def headline(evidence: Evidence) -> Inline:
    """The lines under the title: how much was judged, when, and on what."""
    verdicts = sum(each.verdict in JUDGED for each in evidence.results)
    unusable = sum(len(source.header.plug_failures) for source in evidence.sources)
    plugs = f" {count(unusable, 'plug')} could not be used: see the environment of its run." if unusable else ""
    said = (
        f"Suite {evidence.suite}: {count(verdicts, 'verdict')} on {count(len(evidence.requirements), 'requirement')} "
        f"for {count(len(evidence.implementations), 'implementation')} of {count(len(evidence.systems), 'system')}, "
        f"from {count(len(evidence.sources), 'run')}{period(evidence)}. "
    )
    return said, machines(evidence), plugs


def period(evidence: Evidence) -> str:
    """`` of 2026-11-23``, or from the first day to the last."""
    found = days(evidence)
    if len(found) == 1:
        return f" of {found[0]}"
    return f" from {found[0]} to {found[-1]}" if found else ""


def days(evidence: Evidence) -> list[str]:
    """The days on which runs began, in order."""
    return sorted({source.header.started[:10] for source in evidence.sources} - {""})


def machines(evidence: Evidence) -> Inline:
    """On what it ran, and whether a GPU was there: the first thing that a reader of speeds must know."""
    found = machine_names(evidence)
    where = f"Machine{'s' * (len(found) != 1)}: {'; '.join(found)}."
    on_gpu = any(_on_gpu(source) for source in evidence.sources)
    return where if on_gpu else (where, " ", Strong("Nothing here ran on a GPU."))


def machine_names(evidence: Evidence) -> list[str]:
    """Each machine once, in the order of the runs; with its GPU where that was run on."""
    return list(dict.fromkeys(_machine(source) for source in evidence.sources))


def _machine(source: Source) -> str:
    environment = source.header.environment
    cores = f", {environment.cores} cores" if environment.cores else ""
    gpu = f" with {environment.gpu.name or 'a GPU of unknown make'}" if environment.gpu and _on_gpu(source) else ""
    return f"{environment.cpu or 'a CPU of unknown make'}{cores}{gpu}"


def _on_gpu(source: Source) -> bool:
    """Whether a GPU was asked for, and there."""
    return "cuda" in devices(source) and source.header.environment.gpu is not None


def devices(source: Source) -> list[str]:
    """The devices that a run was asked to be on."""
    return list(source.header.options.device) or ["cpu"]
