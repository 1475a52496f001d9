"""Every deviation: the list of all, and one entry with the worst case and the command that shows it again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from conformance.engine.interactions import rows_of, shared_by
from conformance.records.level_verdicts import is_as_authors
from conformance.records.schema import JUDGED, RED, Level, SystemRecord, Verdict, VerdictRecord
from reports.anchors import finding, implementation_page
from reports.document import (
    Block,
    Code,
    CodeBlock,
    Details,
    Inline,
    Link,
    Section,
    Strong,
    Table,
    inline,
    joined,
    page,
)
from reports.evidence import Evidence
from reports.numbers import count, listing, margin
from reports.ranking import RankingRow, of_requirement, ranking, requirement_named, worst_first
from reports.report_index import WriteUp, lines_of
from reports.sections.releases import fixed_in

_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+", re.IGNORECASE)

INTRODUCTION = (
    "Where an implementation differs from a requirement as this suite reads it. Each entry leads to the requirement's source "
    "and the command that shows the difference again. A difference can be deliberate: the entry says what differs, not why."
)
HEADERS = ["Requirement", "Level", "Implementation", "Version", "Status", "Written up"]


def findings(evidence: Evidence, written: Sequence[WriteUp]) -> list[Section]:
    """What is written up, ready to be sent; then, for each system, every requirement that an implementation does not meet."""
    sections = []
    if written:
        headers = ["Level", "Package", "Version", "What was found", "Status"]
        sections.append(Section("Written up, ready to be sent", [Table(headers, lines_of(written))]))
    for system in evidence.systems:
        rows = [line for row in ranking(evidence, system.name) for line in _lines(evidence, system, row, written)]
        if rows:
            rows.sort(key=lambda line: line[0])
            sections.append(Section(system.title, [Table(HEADERS, [cells for _, cells in rows])]))
    if not any(row.broken for system in evidence.systems for row in ranking(evidence, system.name)):
        judged = any(result.verdict in JUDGED for result in evidence.results)
        nothing = "No deviation was found." if judged else "No case was judged in these runs, so there can be no finding."
        sections.append(Section("None", [nothing]))
    return sections


Line = tuple[tuple[int, str, str], list[Inline]]


def _lines(evidence: Evidence, system: SystemRecord, row: RankingRow, written: Sequence[WriteUp]) -> list[Line]:
    each = row.implementation
    found: list[Line] = []
    for verdict in row.levels:
        for id_ in verdict.broken:
            fixed = fixed_in(evidence, each, id_)
            status = f"fixed in {fixed}" if fixed else f"found in {each.version}" if each.version else "found"
            red = [r for r in of_requirement(evidence.judgements_of(each.name), id_) if r.verdict in RED]
            status += ", known" if all(result.known for result in red) else ""
            texts = [text for text in written if text.tells(each.slug, id_)]
            told = joined(", ", [Link(text.short, text.path) for text in texts])
            link = Link(id_, page(implementation_page(each.name), finding(each.name, id_)))
            cells = [link, verdict.level.value, Code(each.slug), each.version or "-", (status, *_reported(texts)), told or "-"]
            found.append(((list(Level).index(verdict.level), id_, each.name), cells))
    return found


def _reported(texts: Sequence[WriteUp]) -> list[str]:
    reported = [text.reported for text in texts if text.reported]
    return [f", reported: {reported[0]}"] if reported else [", not reported yet"] if texts else []


def entries(evidence: Evidence, row: RankingRow, written: Sequence[WriteUp]) -> list[Section]:
    """Each deviation of one implementation, the definition's first; requirements with one kind of crash share an entry."""
    name = row.implementation.name
    by_id = {id_: of_requirement(evidence.judgements_of(name), id_) for id_ in row.broken}
    return [
        _finding(evidence, row, together[0], by_id[together[0]], written)
        if len(together) == 1
        else _crashes(name, together, [result for id_ in together for result in by_id[id_]])
        for together in _same_crash(by_id)
    ]


def _same_crash(by_id: Mapping[str, list[VerdictRecord]]) -> list[list[str]]:
    """Group the requirements on which nothing but one kind of crash was seen; every other one is by itself.

    Messages that differ in their numbers alone (shapes, sizes, addresses) are of one kind.
    """
    groups: dict[str, list[str]] = {}
    for id_, results in by_id.items():
        messages = {_NUMBER.sub("0", result.message) for result in results if result.verdict is Verdict.ERROR}
        failed = any(result.verdict is Verdict.FAIL for result in results)
        groups.setdefault(f"alone: {id_}" if failed or len(messages) != 1 else f"crash: {min(messages)}", []).append(id_)
    return list(groups.values())


def _crashes(implementation: str, ids: list[str], results: list[VerdictRecord]) -> Section:
    crashed = [result for result in results if result.verdict is Verdict.ERROR]
    judged = [result for result in results if result.verdict in JUDGED]
    first = min(crashed, key=lambda result: (result.requirement, worst_first(result)))
    said: list[Inline] = [f"Requirements: {', '.join(ids)}."]
    said.append(f"Of {count(len(judged), 'judged case')}, {len(crashed)} crash.")
    said += [inline("The first raises {}.", Code(first.message))] if first.message else []
    body = _worst(first, "First case", _codes(first.requirement, *_case(first)))
    return _framed(f"{count(len(ids), 'requirement')}, one kind of crash", implementation, ids, [joined(" ", said), *body])


def _finding(
    evidence: Evidence, row: RankingRow, id_: str, results: list[VerdictRecord], written: Sequence[WriteUp]
) -> Section:
    implementation = row.implementation
    requirement = requirement_named(evidence, implementation.system, id_)
    judged = [result for result in results if result.verdict in JUDGED]
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    crashed = [result for result in results if result.verdict is Verdict.ERROR]
    worst = min(failed or crashed, key=worst_first)
    numbers = [f"{len(found)} {word}" for found, word in ((failed, "fail"), (crashed, "crash")) if found]
    said: list[Inline] = [f"Level: {requirement.level.value}."] if requirement.level else []
    said.append(f"Of {count(len(judged), 'judged case')}, {' and '.join(numbers)}.")
    alike = [result for result in failed or crashed if result.message == worst.message]
    if shared := shared_by(alike, results):
        said.append(f"Those that {'fail' if failed else 'crash like the first'} all have {shared}; none that passes has.")
    if failed and worst.margin is not None:
        said.append(inline("Worst margin {}.", Strong(margin(worst.margin))))
    known = {result.known for result in (*failed, *crashed)}
    if "" not in known:
        said.append(f"Known: {'; '.join(sorted(known)).rstrip('.')}.")
    if failed and all(map(is_as_authors, failed)):
        said.append("The code published with the paper does the same.")
    if worst.resembles:
        found = [f"“{sentence.rstrip('.')}”" for _, sentence in mistakes(worst)]
        said.append(f"It looks like {'this mistake' if len(found) == 1 else 'one of these mistakes'}: {listing(found, 'or')}.")
    if not failed and worst.message:
        said.append(inline("It raises {}.", Code(worst.message)))
    said += [f"Source: {requirement.source}."] if requirement.source else []
    also: list[Block] = []
    if failed and crashed:
        first = min(crashed, key=worst_first)
        also.append(inline("It also crashed in {}: {}", _codes(*_case(first)), Code(first.message)))
    texts = [Link(text.sentence, text.path) for text in written if text.tells(row.implementation.slug, id_)]
    said += [("Written up: ", joined("; ", texts), ".")] if texts else []
    body = _worst(worst, "Worst case" if failed else "First case", _codes(*_case(worst)), requirement.catches, also)
    return _framed(f"{id_}: {requirement.statement}", implementation.name, [id_], [joined(" ", said), *body])


def _framed(title: str, implementation: str, ids: Sequence[str], body: Sequence[Block]) -> Section:
    return Section(title, body, [finding(implementation, id_) for id_ in ids], framed=True)


def _worst(result: VerdictRecord, kind: str, place: Inline, catches: str = "", also: Sequence[Block] = ()) -> list[Block]:
    """The command that shows it again, and below it, folded, what it shows."""
    facts = _facts(result) + ([["The requirement catches", catches]] if catches else [])
    command: list[Block] = [CodeBlock(result.reproduce)] if result.reproduce else []
    return [*command, Details(f"The {kind.lower()} in numbers", [Table([kind, place], facts), *also])]


def mistakes(result: VerdictRecord) -> list[tuple[str, str]]:
    """The mutants, with their sentences, that a failure resembles."""
    parts = (part.partition(": ") for part in result.resembles.split("; or "))
    return [(name, sentence or name) for name, colon, sentence in parts if colon or not result.candidates]


def _case(result: VerdictRecord) -> tuple[str, str, str]:
    return result.case, result.dtype, result.device


def _codes(*words: str) -> Inline:
    return joined(", ", [Code(word) for word in words if word]) or "-"


def _facts(worst: VerdictRecord) -> list[list[Inline]]:
    values = worst.got or worst.expected
    combination = rows_of(worst.system).get(worst.case)
    facts: list[tuple[object, str, Inline]] = [
        (combination, "Values of the case", str(combination)),
        (worst.quantity, "Quantity", (Code(worst.quantity), (" at ", Code(worst.worst)) if worst.worst else "")),
        (values, "Got", Code(worst.got)),
        (values, "Expected", Code(worst.expected)),
        (worst.bound, "Allowed error", Code(worst.bound)),
        (worst.margin is not None, "Margin", Strong(margin(worst.margin))),
        (worst.message, "Message", Code(worst.message)),
        (worst.resembles, "Resembles", joined("; or ", [(Code(name), f": {sentence}") for name, sentence in mistakes(worst)])),
    ]
    return [[title, shown] for there, title, shown in facts if there] or [["Verdict", worst.verdict.value]]
