"""Where several releases of one package were judged: what was fixed in which, and what broke."""

from __future__ import annotations

import itertools
from collections import Counter

from conformance.records.schema import JUDGED, RED, ImplementationRecord, SystemRecord, Verdict, VerdictRecord
from reports.document import Block, BulletList, Code, Section, inline
from reports.evidence import Evidence
from reports.ranking import latest_of, of_requirement, ranking, release_order
from reports.sections.matrix import signs

_Key = tuple[str, str, str, str]

INTRODUCTION = "Each release of a package is compared with the next, by the cases that both were tested on."


def releases(evidence: Evidence) -> list[Section]:
    """For each system the history of every package of which several releases were judged, and the matrix of all of them."""
    return [section for system in evidence.systems for section in _system(evidence, system)] or [
        Section("One release of each", ["No package was judged in several releases."])
    ]


def _system(evidence: Evidence, system: SystemRecord) -> list[Section]:
    found = {each.name: history(evidence, each) for each in evidence.implementations_of(system.name)}
    told = [block for name, body in found.items() if body and name in _latest(evidence, system) for block in body]
    if not told:
        return []
    several = {each.name for name in found for each in family(evidence, name) if len(family(evidence, name)) > 1}
    rows = [row for row in ranking(evidence, system.name) if row.implementation.name in several]
    rows.sort(key=lambda row: (family(evidence, row.implementation.name)[-1].name, release_order(row.implementation)))
    return [Section(system.title, [*told, *signs(evidence, system, rows)])]


def _latest(evidence: Evidence, system: SystemRecord) -> list[str]:
    return [each.name for each in evidence.implementations_of(system.name) if latest_of(evidence, each) is None]


def family(evidence: Evidence, name: str) -> list[ImplementationRecord]:
    """The judged releases of one implementation, the earliest first; itself alone where there is no other."""
    own = next(each for each in evidence.implementations if each.name == name)
    latest = latest_of(evidence, own) or own
    listed = [
        each for each in evidence.implementations_of(own.system) if each == latest or latest_of(evidence, each) == latest
    ]
    judged = [each for each in listed if any(r.verdict in JUDGED for r in evidence.judgements_of(each.name))]
    return sorted(judged, key=release_order)


def history(evidence: Evidence, implementation: ImplementationRecord) -> list[Block]:
    """What each release of it fixed and broke; nothing where only one was judged."""
    judged = family(evidence, implementation.name)
    if len(judged) < 2:
        return []
    latest = latest_of(evidence, implementation) or implementation
    versions = ", ".join(each.version or "" for each in judged)
    lines = [line for earlier, later in itertools.pairwise(judged) for line in _changes(evidence, earlier, later)]
    said = inline("{}: {} were judged.", Code(latest.slug), versions)
    return [said, BulletList(lines or ["Nothing that is judged here differs between them."])]


def fixed_in(evidence: Evidence, implementation: ImplementationRecord, id_: str) -> str:
    """The version of the first later release that meets a requirement; "" where none of those judged does."""
    later = itertools.dropwhile(lambda each: each != implementation, family(evidence, implementation.name))
    for each in itertools.islice(later, 1, None):
        verdicts = {result.verdict for result in of_requirement(evidence.judgements_of(each.name), id_)}
        if Verdict.PASS in verdicts and not verdicts.intersection(RED):
            return each.version or ""
    return ""


def _of(evidence: Evidence, implementation: ImplementationRecord) -> dict[_Key, VerdictRecord]:
    return {(r.requirement, r.case, r.dtype, r.device): r for r in evidence.judgements_of(implementation.name)}


def _changes(evidence: Evidence, earlier: ImplementationRecord, later: ImplementationRecord) -> list[str]:
    before, after = _of(evidence, earlier), _of(evidence, later)
    both = [key for key in before if key in after]
    wrong = [key for key in both if before[key].verdict in RED]
    fixed = [key for key in wrong if after[key].verdict is Verdict.PASS]
    broken = [key for key in both if before[key].verdict is Verdict.PASS and after[key].verdict in RED]
    old, new = earlier.version, later.version
    lines = [f"Fixed in {new}, wrong in {old}: {_counted(fixed, wrong)}."] if fixed else []
    return lines + ([f"Wrong since {new}, right in {old}: {_counted(broken, broken)}."] if broken else [])


def _counted(keys: list[_Key], of: list[_Key]) -> str:
    """The requirements, each with its number of cases where that is not all of those that were wrong."""
    found, all_of = Counter(key[0] for key in keys), Counter(key[0] for key in of)
    return ", ".join(
        id_ + (f" ({found[id_]} of {all_of[id_]} cases)" if found[id_] < all_of[id_] else "") for id_ in sorted(found)
    )
