"""Every deviation, with the rule, its source, the worst case and the command that shows it again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from conformance.records.schema import JUDGED, Verdict, VerdictRecord
from reports.anchors import finding, mark
from reports.markup import block, code, fold, plain, table
from reports.merging import Evidence, Implementation
from reports.numbers import count, margin
from reports.ranking import of_requirement, ranking, requirement_named, worst_first
from reports.report_index import WriteUp
from reports.sections.releases import releases

_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+", re.IGNORECASE)

INTRODUCTION = (
    "What follows states where an implementation differs from the rule as this suite reads it; each entry names the rule's "
    "source and the command that shows the difference again. A difference can be deliberate: the entry says what "
    "differs, not why."
)


def findings(evidence: Evidence, written: Sequence[WriteUp] = ()) -> str:
    """Grouped by implementation, in the order of the ranking; ``written`` are texts that say more."""
    parts = []
    for system in evidence.systems:
        for row in ranking(evidence, system.name):
            ids = sorted({*row.failing, *row.crashing})
            if ids:
                parts.append(_implementation(evidence, row.implementation, ids))
    if not parts:
        judged = any(j.verdict in JUDGED for j in evidence.results)
        return "No deviation was found." if judged else "No case was judged in these runs, so there can be no finding."
    texts = [f"- [{plain(text.title)}]({text.path})" for text in written]
    more = ["Written up at length:\n\n" + "\n".join(texts)] if texts else []
    between = releases(evidence)
    return "\n\n".join([INTRODUCTION, *more, *parts, *([between] if between else [])])


def _implementation(evidence: Evidence, implementation: Implementation, ids: list[str]) -> str:
    version = f" {plain(implementation.version)}" if implementation.version else ""
    parts = [f"### {code(implementation.name)}{version}"]
    facts = []
    if implementation.summary:
        facts.append(f"Described as: {plain(implementation.summary).rstrip('.')}.")
    if implementation.numerical_class:
        facts.append(f"Judged by the bounds of the class {plain(implementation.numerical_class)}.")
    if facts:
        parts.append(" ".join(facts))
    by_id = {id_: of_requirement(evidence.judgements_of(implementation.name), id_) for id_ in ids}
    for together in _same_crash(by_id):
        if len(together) == 1:
            parts.append(_finding(evidence, implementation, together[0], by_id[together[0]]))
        else:
            parts.append(_crashes(implementation.name, together, [result for id_ in together for result in by_id[id_]]))
    return "\n\n".join(parts)


def _same_crash(by_id: Mapping[str, list[VerdictRecord]]) -> list[list[str]]:
    """Requirements on which nothing but one kind of crash was seen stand together; every other one by itself.

    Messages that differ in their numbers alone (shapes, sizes, addresses) are of one kind.
    """
    groups: dict[str, list[str]] = {}
    for id_, results in by_id.items():
        messages = {_NUMBER.sub("0", result.message) for result in results if result.verdict is Verdict.ERROR}
        failed = any(result.verdict is Verdict.FAIL for result in results)
        groups.setdefault(f"alone: {id_}" if failed or len(messages) != 1 else f"crash: {min(messages)}", []).append(id_)
    return list(groups.values())


def _crashes(implementation: str, ids: list[str], results: list[VerdictRecord]) -> str:
    crashed = [result for result in results if result.verdict is Verdict.ERROR]
    judged = [result for result in results if result.verdict in JUDGED]
    first = min(crashed, key=lambda result: (result.requirement, worst_first(result)))
    places = "".join(mark(finding(implementation, id_)) for id_ in ids)
    parts = [
        f"#### {count(len(ids), 'requirement')}, one kind of crash {places}",
        f"Requirements: {', '.join(plain(id_) for id_ in ids)}. Of {count(len(judged), 'judged case')}, {len(crashed)} crash.",
    ]
    parts[-1] += f" The first raises {code(first.message)}." if first.message else ""
    return "\n\n".join([*parts, *_worst(first, "First case", code_list(first.requirement, *_case(first)), "")])


def _finding(evidence: Evidence, implementation: Implementation, id_: str, results: list[VerdictRecord]) -> str:
    requirement = requirement_named(evidence, implementation.system, id_)
    judged = [j for j in results if j.verdict in JUDGED]
    failed = [j for j in results if j.verdict is Verdict.FAIL]
    crashed = [j for j in results if j.verdict is Verdict.ERROR]
    worst = min(failed or crashed, key=worst_first)
    numbers = []
    if failed:
        numbers.append(f"{len(failed)} fail")
    if crashed:
        numbers.append(f"{len(crashed)} crash")
    said = [f"Of {count(len(judged), 'judged case')}, {' and '.join(numbers)}."]
    if worst.margin is not None and failed:
        said.append(f"Worst margin **{margin(worst.margin)}**.")
    if worst.resembles:
        _, _, sentence = worst.resembles.partition(": ")
        said.append(f"It looks like this mistake: “{plain(sentence or worst.resembles).rstrip('.')}”.")
    if not failed and worst.message:
        said.append(f"It raises {code(worst.message)}.")
    if requirement.source:
        said.append(f"Source: {plain(requirement.source)}.")
    parts = [
        f"#### {plain(id_)}: {plain(requirement.statement)} {mark(finding(implementation.name, id_))}",
        " ".join(said),
    ]
    also = ""
    if failed and crashed:
        first = min(crashed, key=worst_first)
        also = f"It also crashed in {code_list(*_case(first))}: {code(first.message)}"
    kind = "Worst case" if failed else "First case"
    return "\n\n".join([*parts, *_worst(worst, kind, code_list(*_case(worst)), also, requirement.catches)])


def _worst(result: VerdictRecord, kind: str, place: str, also: str, catches: str = "") -> list[str]:
    """The command that shows it again in sight; what it will show folded beneath."""
    facts = _facts(result) + ([["The rule catches", plain(catches)]] if catches else [])
    parts = [block(result.reproduce, "sh")] if result.reproduce else []
    told = table([kind, place], facts)
    return [*parts, fold(f"The {kind.lower()} in numbers", f"{told}\n\n{also}".strip())]


def _case(result: VerdictRecord) -> tuple[str, str, str]:
    return result.case, result.dtype, result.device


def code_list(*words: str) -> str:
    return ", ".join(code(word) for word in words if word) or "-"


def _facts(worst: VerdictRecord) -> list[list[str]]:
    rows = []
    if worst.quantity:
        place = f" at {code(worst.worst)}" if worst.worst else ""
        rows.append(["Quantity", code(worst.quantity) + place])
    if worst.got or worst.expected:
        rows += [["Got", code(worst.got)], ["Expected", code(worst.expected)]]
    if worst.bound:
        rows.append(["Allowed error", code(worst.bound)])
    if worst.margin is not None:
        rows.append(["Margin", f"**{margin(worst.margin)}**"])
    if worst.message:
        rows.append(["Message", code(worst.message)])
    if worst.resembles:
        name, colon, sentence = worst.resembles.partition(": ")
        rows.append(["Resembles", f"{code(name)}: {plain(sentence)}" if colon else code(name)])
    return rows or [["Verdict", worst.verdict.value]]
