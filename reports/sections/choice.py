"""The first screen of a system: what to use and how to get it, what is wrong elsewhere, what is fastest among the right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from conformance.engine.diagnosis import ranked
from conformance.records.level_verdicts import AS_THE_AUTHORS, LevelVerdict
from conformance.records.schema import RED, Level, MeasurementRecord, SystemRecord, Verdict, VerdictRecord
from reports.anchors import finding, implementation_page, system_page
from reports.document import (
    Block,
    BulletList,
    Code,
    CodeBlock,
    Inline,
    Link,
    Number,
    Section,
    Strong,
    inline,
    joined,
    page,
    readable,
    series,
)
from reports.evidence import Evidence, is_noisy
from reports.numbers import count, listing, margin, ratio, si
from reports.ranking import (
    RIGHT,
    MainWorkload,
    RankingRow,
    Status,
    current,
    fastest,
    latest_of,
    main_workload,
    ranking,
    release_order,
    requirement_named,
    short_name,
)
from reports.report_index import WriteUp
from reports.sections.findings import mistakes
from reports.sections.matrix import signs

NOTHING = "The records name no implementation, so there is nothing to choose from."
SHOWN_IDS, SHOWN_MISTAKES = 3, 2
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
"""What may stand in a command: a record's name of a distribution that is anything else is left out."""


def choice(evidence: Evidence, system: SystemRecord, written: Sequence[WriteUp] = ()) -> Section:
    """What somebody who needs an implementation of this system must know, and the matrix below it."""
    rows = current(ranking(evidence, system.name), evidence)
    others, ours = [row for row in rows if not row.is_ours], [row for row in rows if row.is_ours]
    parts: list[Block] = [*_others(evidence, others), *_ours(system, ours)]
    lines: list[Inline | BulletList] = []
    for title, status, levels in (
        ("Differ from the paper:", Status.WRONG, (Level.DEFINITION,)),
        ("Crash:", Status.CRASHES, (Level.DEFINITION,)),
        ("Compute the paper, but:", Status.BESIDE, (Level.INTERFACE, Level.ROBUSTNESS)),
    ):
        found = [row for row in rows if row.status is status]
        lines += [Strong(title), _told(evidence, written, found, *levels)] if found else []
    aside = [row for row in rows if row.is_aside]
    right, wrong = [row for row in aside if not row.broken], [row for row in aside if row.broken]
    lines += (
        [(Strong("Meet the interface, the definition not being theirs:"), " ", series(map(_name, right)), ".")]
        if right
        else []
    )
    lines += [Strong("Break their interface:"), _told(evidence, written, wrong, *Level)] if wrong else []
    lines.append((Strong("Fastest right ones here:"), " ", _fastest(evidence, system, rows)))
    for status, words in ((Status.PARTLY, "Too little judged to say:"), (Status.NOT_JUDGED, "Not judged here:")):
        found = [row for row in rows if row.status is status and not row.is_aside]
        lines += [(Strong(words), " ", series(map(_name, found)), ".")] if found else []
    more = Link("Ranking, margins and speeds", page(system_page(system.name)))
    return Section(system.title, [*parts, BulletList(lines), *signs(evidence, system, rows), more])


def _others(evidence: Evidence, rows: Sequence[RankingRow]) -> list[Block]:
    """The best of other people's, with the lines that get it; and the others that are right."""
    right = sorted((row for row in rows if row.is_ranked), key=_trouble)
    if not right:
        some = "none was judged"
        if any(row.status < Status.PARTLY for row in rows):
            some = "none of those judged here computes the paper"
        if any(row.status in RIGHT for row in rows):
            some = "none was judged enough to say"
        return [(Strong("Of other people's, use:"), f" {some}.")]
    first = next((row for row in right if row.implementation.usage), None)
    others = [row for row in right if row is not first]
    if first is None:
        return [(Strong("Of other people's these are right:"), " ", series(map(_name, others)), ".")]
    parts: list[Block] = [
        (
            inline(
                "{} {}: {}. {} {}",
                Strong("Of other people's, use"),
                _name(first),
                _why(first),
                _since(evidence, first),
                _summary(first),
            ),
        )
    ]
    parts += _commands(first)
    parts += [(Strong("Also right:"), " ", series(map(_name, others)), ".")] if others else []
    return parts


def _trouble(row: RankingRow) -> tuple[int, float, str]:
    broken = sum(len(verdict.broken) for verdict in row.levels if verdict.decides)
    return broken, row.margin or 0.0, row.implementation.name


def _why(row: RankingRow) -> str:
    """``it meets all 30 requirements of the definition, worst margin 0.282 of 1 in float32``."""
    met = row.at(Level.DEFINITION).requirements
    exact = "exactly" if row.margin == 0 else f"worst margin {margin(row.margin)} of 1"
    where = f" in {row.dtype}" if row.dtype and row.margin else ""
    return f"it meets all {count(met, 'requirement')} of the definition that were judged, {exact}{where}"


def _since(evidence: Evidence, row: RankingRow) -> str:
    """From which release on it is right, as far as earlier ones were judged."""
    each = row.implementation
    releases = [
        other
        for other in ranking(evidence, each.system)
        if other.implementation.name == each.name or latest_of(evidence, other.implementation) == each
    ]
    releases.sort(key=lambda other: release_order(other.implementation), reverse=True)
    right = next((n for n, other in enumerate(releases) if other.status not in RIGHT), len(releases))
    if len(releases) < 2 or not each.version:
        return "No other release was judged." if each.version else ""
    return f"Right from {releases[right - 1].implementation.version} on."


def _summary(row: RankingRow) -> str:
    return f"{row.implementation.summary.rstrip('.')}." if row.implementation.summary else ""


def _commands(row: RankingRow) -> list[CodeBlock]:
    """How to install it, and how to import it, each to be copied alone; none where the records do not know them."""
    each = row.implementation
    distribution, version = each.origin.distribution or "", each.version or ""
    if not _PLAIN.fullmatch(distribution) or not _PLAIN.fullmatch(version):
        return []
    installed = CodeBlock(f'pip install "{distribution}>={version}"')
    return [installed, CodeBlock(each.usage, "python")] if each.usage else [installed]


def _ours(system: SystemRecord, rows: Sequence[RankingRow]) -> list[Block]:
    judged = [row for row in rows if row.status < Status.PARTLY]
    right = [row for row in judged if row.status in RIGHT]
    if not right:
        return []
    said = f"{len(right)} of {count(len(judged), 'implementation')} of ours that were judged compute the paper."
    return [(Strong("Ours:"), f" {said}"), *([CodeBlock(system.usage, "python")] if system.usage else [])]


def _told(evidence: Evidence, written: Sequence[WriteUp], rows: Iterable[RankingRow], *levels: Level) -> BulletList:
    """What is wrong with each at these levels; those of which the same is said share a line."""
    groups: dict[str, list[tuple[RankingRow, Inline]]] = {}
    for row in rows:
        said = joined("; ", [clause(evidence, written, row, row.at(level)) for level in levels if row.at(level).red])
        groups.setdefault(readable(said), []).append((row, said))
    return BulletList([(series([_name(row) for row, _ in own]), ": ", own[0][1], ".") for own in groups.values()])


def clause(evidence: Evidence, written: Sequence[WriteUp], row: RankingRow, verdict: LevelVerdict) -> Inline:
    """What is wrong at one level, in one clause.

    What is written up, else the mistakes that failures resemble, else the first requirement that is not met.
    """
    slug, broken = row.implementation.slug, verdict.broken
    if verdict.counts.get(Verdict.PASS, 0) + verdict.counts.get(Verdict.FAIL, 0) == 0:
        return "it crashes in every case that was judged (", _links(row, broken), ")"
    results = evidence.judgements_of(row.implementation.name)
    dtypes = {result.dtype for result in results if result.requirement in broken and result.verdict in RED}
    where = "" if row.dtype in dtypes else f" (in {listing(sorted(dtypes))} alone)"
    texts = [text for text in written if any(text.tells(slug, id_, first=True) for id_ in broken)]
    causes: list[tuple[Inline, list[str]]] = [
        (Link(text.sentence, text.path), [id_ for id_ in broken if text.tells(slug, id_)]) for text in texts
    ]
    looks = "" if causes else "it looks like "
    causes = causes or [(f"“{sentence}”", ids) for sentence, ids in likeliest(results, broken)]
    if not causes:
        statement = requirement_named(evidence, row.implementation.system, broken[0]).statement.rstrip(".")
        verb = "not met:" if verdict.counts.get(Verdict.FAIL) else "it crashes where"
        return f"{verb} “{statement}” (", _links(row, broken), f"){where}"
    rest = len(set(broken).difference(*(ids for _, ids in causes)))
    told = joined(" and " if looks else "; ", [(sentence, " (", _links(row, ids), ")") for sentence, ids in causes])
    shared = f", {AS_THE_AUTHORS}" if verdict.only_as_authors else ""
    return looks, told, shared, f"; {count(rest, 'requirement')} more" if rest else "", where


def likeliest(results: Sequence[VerdictRecord], broken: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The mistakes that explain most failures of these requirements, each with those that it explains.

    What the authors' code does as well comes last. Records of before candidates name one mistake for each failure.
    """
    failed = [result for result in results if result.verdict is Verdict.FAIL and result.requirement in broken]
    causes = {cause.mutant: cause.sentence.rstrip(".") for cause in ranked(results)}
    groups: dict[str, list[str]] = {}
    for result in failed:
        told = [causes[name] for name in result.candidates if name in causes]
        told += [] if result.candidates else [sentence.rstrip(".") for _, sentence in mistakes(result)][:1]
        for sentence in filter(None, told):
            groups.setdefault(sentence, []).append(result.requirement)
    ordered = sorted(groups.items(), key=lambda item: (AS_THE_AUTHORS in item[0], -len(item[1]), item[0]))
    return [(sentence, sorted(set(ids))) for sentence, ids in ordered[:SHOWN_MISTAKES]]


def _links(row: RankingRow, ids: Sequence[str]) -> Inline:
    name = row.implementation.name
    shown: list[Inline] = [Link(id_, page(implementation_page(name), finding(name, id_))) for id_ in ids[:SHOWN_IDS]]
    rest = len(ids) - SHOWN_IDS
    return series([*shown, *([f"{rest} more"] if rest > 0 else [])])


def _name(row: RankingRow) -> Inline:
    each = row.implementation
    link = Link(Code(each.slug), page(implementation_page(each.name)))
    return link, f" {each.version}" if each.version else "", " (ours)" if row.is_ours else ""


def _fastest(evidence: Evidence, system: SystemRecord, rows: Sequence[RankingRow]) -> Inline:
    main = main_workload(evidence, system.name)
    first, level = fastest(rows, main)
    if main is None or first is None:
        return "no speed of a right one was measured in these runs."
    parts: list[Inline] = [Code(short_name(first.implementation)), speed_words(first, main)]
    if level:
        parts.append(inline("; {} cannot be told apart from it", series(Code(short_name(m.implementation)) for m in level)))
    others, _ = fastest([row for row in rows if not row.is_ours], main)
    if others is not None and others not in (first, *level):
        parts.append(inline("; of other people's {}{}", Code(short_name(others.implementation)), speed_words(others, main)))
    if main.again is not None and is_noisy(main.again) and main.again.ratio is not None:
        parts.append(f"; the run was noisy, the baseline beside itself {ratio(main.again.ratio)}")
    return (*parts, inline("; on {} ({}).", Code(main.workload), main.place))


def speed_words(m: MeasurementRecord, main: MainWorkload) -> Inline:
    """``, 6.19x the speed of torch-eager``, or a rate where there is no ratio."""
    if m.speed is None:
        return f", {si(m.per_second, f'{m.unit}/s')}" if m.per_second else ""
    if m.is_baseline:
        return ", which the others are compared with"
    return inline(", {} the speed of {}", Number(ratio(m.speed, m.ratio_low, m.ratio_high)), Code(short_name(main.baseline)))
