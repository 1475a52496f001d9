"""The first screen: who conforms, who does not and by which rule, and which of the conforming ones is fastest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from conformance.records.schema import JUDGED, Verdict
from reports.anchors import finding, link
from reports.markup import code, fold, plain, table
from reports.merging import Evidence, Source, System
from reports.numbers import count, listing, margin, percent, ratio
from reports.ranking import (
    MainWorkload,
    RankingRow,
    Status,
    fastest,
    main_workload,
    ranking,
    ranking_dtype,
    requirement_named,
)
from reports.sections.claims import tally

SHOWN_IDS = 3
"""So many failed rules, and so many in which it crashes, are named on the first screen beside the first one."""
SHOWN_REQUIREMENTS = 12
"""So many failed rules are spelled out per implementation; the findings hold the rest."""


def summary(evidence: Evidence) -> str:
    """A table with one row per system, then a few lines on each."""
    if not evidence.systems:
        return "The records name no system, so there is nothing to sum up."
    parts = [verdict(evidence), _overview(evidence)]
    parts += [_system(evidence, system) for system in evidence.systems if evidence.implementations_of(system.name)]
    return "\n\n".join(parts)


def verdict(evidence: Evidence) -> str:
    """One sentence over all systems, bold."""
    return f"**{verdict_words(evidence)}**"


def verdict_words(evidence: Evidence) -> str:
    """How many conform, and how many do not."""
    rows = [row for system in evidence.systems for row in ranking(evidence, system.name)]
    number = {status: sum(row.status is status for row in rows) for status in Status}
    judged = len(rows) - number[Status.NOT_JUDGED]
    if not judged:
        return "No implementation was judged in these runs."
    rest = []
    if number[Status.FAILS]:
        rest.append(f"{number[Status.FAILS]} {'does' if number[Status.FAILS] == 1 else 'do'} not")
    if number[Status.CRASHES]:
        rest.append(f"{number[Status.CRASHES]} {'crashes' if number[Status.CRASHES] == 1 else 'crash'}")
    conform = "conforms" if number[Status.CONFORMS] == 1 else "conform"
    said = f"{number[Status.CONFORMS]} of {count(judged, 'judged implementation')} {conform}"
    return f"{'; '.join([said, *([listing(rest)] if rest else [])])}."


def _overview(evidence: Evidence) -> str:
    rows = []
    for system in evidence.systems:
        rows_of_system = ranking(evidence, system.name)
        number = {status: sum(row.status is status for row in rows_of_system) for status in Status}
        judged = len(rows_of_system) - number[Status.NOT_JUDGED]
        others = (Status.FAILS, Status.CRASHES, Status.NOT_JUDGED)
        rows.append(
            [
                f"**{plain(system.title)}**",
                f"{number[Status.CONFORMS]} of {judged}" if judged else "-",
                _fastest_short(evidence, system, rows_of_system),
                *(str(number[status] or "-") for status in others),
            ]
        )
    headers = ["System", "Conform", "Fastest that conforms", "Do not conform", "Crash", "Not judged"]
    return table(headers, rows, "lrlrrr")


def _fastest_short(evidence: Evidence, system: System, rows: Sequence[RankingRow]) -> str:
    main = main_workload(evidence, system.name)
    first, _ = fastest(rows, main)
    if first is None or first.speed is None:
        return "not measured"
    name = code(_slug(first.implementation))
    if first.is_baseline:
        return f"{name} (the baseline)"
    return f"{name}, {ratio(first.speed)} {code(_slug(first.baseline))}"


def _system(evidence: Evidence, system: System) -> str:
    rows = ranking(evidence, system.name)
    paper = f" ({plain(system.paper)})" if system.paper else ""
    lines = [f"### {plain(system.title)}{paper}", ""]
    conforming = [row for row in rows if row.status is Status.CONFORMS]
    judged = [row for row in rows if row.status is not Status.NOT_JUDGED]
    if conforming:
        lines.append(_conform(conforming, ranking_dtype(evidence, system.name)))
    elif judged:
        lines.append(f"- **Conform:** none of the {len(judged)} judged.")
    why = []
    for status, words in ((Status.FAILS, "Do not conform"), (Status.CRASHES, "Crash")):
        found = [row for row in rows if row.status is status]
        if found:
            lines.append(f"- **{words}:**")
            lines += [f"  - {_name(row)}: {_broken(evidence, row)}." for row in found]
            why += [f"- {_name(row)}: {_why(evidence, row)}" for row in found if len(_in_order(row)) > 1]
    absent = [row for row in rows if row.status is Status.NOT_JUDGED]
    if absent:
        lines.append(f"- **Not judged:** {listing(_name(row) for row in absent)}; the league table says why.")
    lines.append(f"- **Fastest that conforms:** {_fastest_long(evidence, system, rows)}")
    told = tally(evidence, system.name)
    if told:
        lines.append(f"- **Paper claims:** {told}.")
    text = "\n".join(lines)
    return f"{text}\n\n{fold('Which rules, in words', chr(10).join(why))}" if why else text


def _conform(rows: Sequence[RankingRow], dtype: str) -> str:
    """Everybody with the worst margin, unless all of them are exact."""
    exact = all(row.ranked_margin == 0 for row in rows)
    where = f" in {plain(dtype)}" if dtype else ""
    words = "Conform exactly" if exact else f"Conform (worst margin{where}; up to 1 passes)"
    found = []
    for row in rows:
        noted = [] if exact else [margin(row.ranked_margin)]
        noted += [f"{percent(row.judged_cases / row.all_cases)} judged"] if row.judged_cases < row.all_cases else []
        found.append(f"{_name(row)} ({', '.join(noted)})" if noted else _name(row))
    return f"- **{words}:** {listing(found)}."


def _broken(evidence: Evidence, row: RankingRow) -> str:
    """The first rule that it breaks in words, with the margin where it has one; the others by name.

    The first by its number, since rules stand in the order of the algorithm: what is at its heart comes before its edges.
    """
    ids = _in_order(row)
    if row.counts[Verdict.PASS] == row.counts[Verdict.FAIL] == 0:
        return f"in every judged case, of {count(len(ids), 'requirement')}"
    first, *others = ids
    failed = [j for j in evidence.judgements_of(row.implementation.name) if j.verdict is Verdict.FAIL]
    margins = [j.margin for j in failed if j.requirement == first and j.margin is not None]
    by = f" by a margin of {margin(max(margins))}" if margins and math.isfinite(max(margins)) else ""
    parts = [f"{_link(row, first)}{by}, {_statement(evidence, row, first)}"]
    failing, crashing = [id_ for id_ in others if id_ in row.failing], [id_ for id_ in others if id_ not in row.failing]
    parts += [f"also {_few(row, failing)}"] if failing else []
    parts += [f"{'crashes in' if row.failing else 'also'} {_few(row, crashing)}"] if crashing else []
    return "; ".join(parts)


def _few(row: RankingRow, ids: Sequence[str]) -> str:
    rest = len(ids) - SHOWN_IDS
    return listing([_link(row, id_) for id_ in ids[:SHOWN_IDS]] + ([f"{rest} more"] if rest > 0 else []))


def _link(row: RankingRow, id_: str) -> str:
    return link(plain(id_), finding(row.implementation.name, id_))


def _statement(evidence: Evidence, row: RankingRow, id_: str) -> str:
    statement = plain(requirement_named(evidence, row.implementation.system, id_).statement).rstrip(".")
    return f"“{statement}”"


def _in_order(row: RankingRow) -> list[str]:
    # Failures first: they are wrong values, and a crash at least does not go unnoticed.
    return [*row.failing, *(id_ for id_ in row.crashing if id_ not in row.failing)]


def _name(row: RankingRow) -> str:
    version = f" {plain(row.implementation.version)}" if row.implementation.version else ""
    return f"{code(row.implementation.slug)}{version}"


def _why(evidence: Evidence, row: RankingRow) -> str:
    ids = _in_order(row)
    if row.counts[Verdict.PASS] == row.counts[Verdict.FAIL] == 0:
        return f"in every judged case, of {count(len(ids), 'requirement')}."
    words = []
    for id_ in ids[:SHOWN_REQUIREMENTS]:
        crash = " (crashes)" if row.failing and id_ not in row.failing else ""
        words.append(f"{_link(row, id_)}{crash}, {_statement(evidence, row, id_)}")
    rest = len(ids) - SHOWN_REQUIREMENTS
    more = f"; and {count(rest, 'requirement')} more" if rest > 0 else ""
    return f"{'; '.join(words)}{more}."


def _fastest_long(evidence: Evidence, system: System, rows: Sequence[RankingRow]) -> str:
    main = main_workload(evidence, system.name)
    if main is None:
        return "no speed was measured in these runs."
    first, level = fastest(rows, main)
    if first is None or first.speed is None:
        return f"no conforming implementation was measured on {code(main.workload)}."
    where = f"on {code(main.workload)} ({_place(main)})"
    name = code(_slug(first.implementation))
    if first.is_baseline:
        text = f"{name}, the baseline itself, {where}"
    else:
        shown = ratio(first.speed, first.ratio_low, first.ratio_high)
        text = f"{name}, {shown} the speed of {code(_slug(main.baseline))} {where}"
    if level:
        text += f"; {listing(code(_slug(other.implementation)) for other in level)} cannot be told apart from it"
    if main.again is not None and main.again.noisy and main.again.ratio is not None:
        text += f"; the run was noisy, the baseline beside itself {ratio(main.again.ratio)}"
    return text + "."


def _place(main: MainWorkload) -> str:
    cache = f"{plain(main.cache)} cache" if main.cache else ""
    return ", ".join(part for part in (plain(main.device), plain(main.dtype), cache, f"run {main.run}") if part)


def _slug(name: str) -> str:
    return name.partition("/")[2] or name


def headline(evidence: Evidence) -> str:
    """The lines under the title: how much was judged, when, and on what."""
    verdicts = sum(j.verdict in JUDGED for j in evidence.results)
    unusable = sum(len(source.header.get("plug_failures") or []) for source in evidence.sources)
    plugs = f" {count(unusable, 'plug')} could not be used: see the environment of its run." if unusable else ""
    return (
        f"Suite {plain(evidence.suite)}: {count(verdicts, 'verdict')} on {count(len(evidence.requirements), 'requirement')} "
        f"for {count(len(evidence.implementations), 'implementation')} of {count(len(evidence.systems), 'system')}, "
        f"from {count(len(evidence.sources), 'run')}{period(evidence)}. {machines(evidence)}{plugs}"
    )


def period(evidence: Evidence) -> str:
    """`` of 2026-11-23``, or from the first day to the last."""
    found = days(evidence)
    if len(found) == 1:
        return f" of {plain(found[0])}"
    return f" from {plain(found[0])} to {plain(found[-1])}" if found else ""


def days(evidence: Evidence) -> list[str]:
    """The days on which runs began, in order."""
    return sorted({str(source.header.get("started", ""))[:10] for source in evidence.sources} - {""})


def machines(evidence: Evidence) -> str:
    """On what it ran, and whether a GPU was there: the first thing that a reader of speeds must know."""
    found = machine_names(evidence)
    where = f"Machine{'s' * (len(found) != 1)}: {'; '.join(found)}."
    return where if any(_on_gpu(source) for source in evidence.sources) else f"{where} **Nothing here ran on a GPU.**"


def machine_names(evidence: Evidence) -> list[str]:
    """Each machine once, in the order of the runs; with its GPU where that was run on."""
    return list(dict.fromkeys(_machine(source) for source in evidence.sources))


def _machine(source: Source) -> str:
    environment = source.header.get("environment")
    environment = environment if isinstance(environment, Mapping) else {}
    cores = f", {environment['cores']} cores" if environment.get("cores") else ""
    text = f"{plain(str(environment.get('cpu') or 'a CPU of unknown make'))}{plain(cores)}"
    gpu = environment.get("gpu")
    if _on_gpu(source) and isinstance(gpu, Mapping):
        text += f" with {plain(str(gpu.get('name') or 'a GPU of unknown make'))}"
    return text


def _on_gpu(source: Source) -> bool:
    """Whether a GPU was asked for, and there."""
    environment = source.header.get("environment")
    return "cuda" in devices(source) and isinstance(environment, Mapping) and isinstance(environment.get("gpu"), Mapping)


def devices(source: Source) -> list[str]:
    """The devices that a run was asked to be on."""
    options = source.header.get("options")
    found = options.get("device") if isinstance(options, Mapping) else None
    return [str(device) for device in found] if isinstance(found, list) and found else ["cpu"]
