"""Every deviation, with the requirement, its source, the worst case and the command that shows it again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from conformance.records.schema import JUDGED, ImplementationRecord, Verdict, VerdictRecord
from reports.anchors import finding
from reports.document import Block, BulletList, Code, CodeBlock, Details, Inline, Link, Section, Strong, Table, inline, joined
from reports.evidence import Evidence
from reports.numbers import count, margin
from reports.ranking import of_requirement, ranking, requirement_named, worst_first
from reports.report_index import WriteUp
from reports.sections.releases import releases

_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+", re.IGNORECASE)

INTRODUCTION = (
    "What follows states where an implementation differs from a requirement as this suite reads it; each entry names the "
    "requirement's source and the command that shows the difference again. A difference can be deliberate: the entry says "
    "what differs, not why."
)


def findings(evidence: Evidence, written: Sequence[WriteUp] = ()) -> list[Block]:
    """Grouped by implementation, in the order of the ranking; ``written`` are texts that say more."""
    parts = [
        _implementation(evidence, row.implementation, sorted({*row.failing, *row.crashing}))
        for system in evidence.systems
        for row in ranking(evidence, system.name)
        if row.failing or row.crashing
    ]
    if not parts:
        judged = any(result.verdict in JUDGED for result in evidence.results)
        return ["No deviation was found." if judged else "No case was judged in these runs, so there can be no finding."]
    texts: list[Block] = [BulletList([Link(text.title, text.path) for text in written])] if written else []
    return [INTRODUCTION, *(["Written up at length:", *texts] if texts else []), *parts, *releases(evidence)]


def _implementation(evidence: Evidence, implementation: ImplementationRecord, ids: list[str]) -> Section:
    facts = [f"Described as: {implementation.summary.rstrip('.')}."] if implementation.summary else []
    if implementation.numerical_class:
        facts.append(f"Judged by the bounds of the class {implementation.numerical_class}.")
    by_id = {id_: of_requirement(evidence.judgements_of(implementation.name), id_) for id_ in ids}
    entries = [
        _finding(evidence, implementation, together[0], by_id[together[0]])
        if len(together) == 1
        else _crashes(implementation.name, together, [result for id_ in together for result in by_id[id_]])
        for together in _same_crash(by_id)
    ]
    title = (Code(implementation.name), f" {implementation.version or ''}")
    return Section(title, [*([" ".join(facts)] if facts else []), *entries])


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


def _finding(evidence: Evidence, implementation: ImplementationRecord, id_: str, results: list[VerdictRecord]) -> Section:
    requirement = requirement_named(evidence, implementation.system, id_)
    judged = [result for result in results if result.verdict in JUDGED]
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    crashed = [result for result in results if result.verdict is Verdict.ERROR]
    worst = min(failed or crashed, key=worst_first)
    numbers = [f"{len(found)} {word}" for found, word in ((failed, "fail"), (crashed, "crash")) if found]
    said: list[Inline] = [f"Of {count(len(judged), 'judged case')}, {' and '.join(numbers)}."]
    if failed and worst.margin is not None:
        said.append(inline("Worst margin {}.", Strong(margin(worst.margin))))
    if worst.resembles:
        sentence = worst.resembles.partition(": ")[2] or worst.resembles
        said.append(f"It looks like this mistake: “{sentence.rstrip('.')}”.")
    if not failed and worst.message:
        said.append(inline("It raises {}.", Code(worst.message)))
    said += [f"Source: {requirement.source}."] if requirement.source else []
    also: list[Block] = []
    if failed and crashed:
        first = min(crashed, key=worst_first)
        also.append(inline("It also crashed in {}: {}", _codes(*_case(first)), Code(first.message)))
    body = _worst(worst, "Worst case" if failed else "First case", _codes(*_case(worst)), requirement.catches, also)
    return _framed(f"{id_}: {requirement.statement}", implementation.name, [id_], [joined(" ", said), *body])


def _framed(title: str, implementation: str, ids: Sequence[str], body: Sequence[Block]) -> Section:
    return Section(title, body, [finding(implementation, id_) for id_ in ids], framed=True)


def _worst(result: VerdictRecord, kind: str, place: Inline, catches: str = "", also: Sequence[Block] = ()) -> list[Block]:
    """The command that shows it again, and below it, folded, what it shows."""
    facts = _facts(result) + ([["The requirement catches", catches]] if catches else [])
    command: list[Block] = [CodeBlock(result.reproduce)] if result.reproduce else []
    return [*command, Details(f"The {kind.lower()} in numbers", [Table([kind, place], facts), *also])]


def _case(result: VerdictRecord) -> tuple[str, str, str]:
    return result.case, result.dtype, result.device


def _codes(*words: str) -> Inline:
    return joined(", ", [Code(word) for word in words if word]) or "-"


def _facts(worst: VerdictRecord) -> list[list[Inline]]:
    values = worst.got or worst.expected
    name, colon, sentence = worst.resembles.partition(": ")
    facts: list[tuple[object, str, Inline]] = [
        (worst.quantity, "Quantity", (Code(worst.quantity), (" at ", Code(worst.worst)) if worst.worst else "")),
        (values, "Got", Code(worst.got)),
        (values, "Expected", Code(worst.expected)),
        (worst.bound, "Allowed error", Code(worst.bound)),
        (worst.margin is not None, "Margin", Strong(margin(worst.margin))),
        (worst.message, "Message", Code(worst.message)),
        (worst.resembles, "Resembles", (Code(name), f"{colon}{sentence}")),
    ]
    return [[title, shown] for there, title, shown in facts if there] or [["Verdict", worst.verdict.value]]
