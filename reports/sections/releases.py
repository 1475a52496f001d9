"""Where several releases of one package were judged: what was fixed in which, and what broke."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from conformance.records.schema import JUDGED, RED, ImplementationRecord, Verdict, VerdictRecord
from reports.document import Block, BulletList, Code, Section, inline
from reports.evidence import Evidence

_Key = tuple[str, str, str, str]

INTRODUCTION = "Each release of a package is compared with the next, by the cases that both were tested on."


def releases(evidence: Evidence) -> list[Section]:
    """A list for each package of which several releases were judged; nothing where there is none."""
    told = [block for system in evidence.systems for block in _families(evidence, system.name)]
    return [Section("Fixed in later releases", [INTRODUCTION, *told])] if told else []


def _families(evidence: Evidence, system: str) -> list[Block]:
    listed = evidence.implementations_of(system)
    parts: list[Block] = []
    for latest in listed:
        # An earlier release is listed under the name of the latest one, followed by its version.
        family = [each for each in listed if each is latest or _is_release_of(each, latest)]
        judged = [each for each in family if any(r.verdict in JUDGED for r in evidence.judgements_of(each.name))]
        judged.sort(key=lambda each: [int(number) for number in re.findall(r"\d+", each.version or "")])
        if latest.version and len(judged) > 1:
            versions = ", ".join(each.version or "" for each in judged)
            lines = [line for earlier, later in itertools.pairwise(judged) for line in _changes(evidence, earlier, later)]
            parts.append(inline("{}: {} were judged.", Code(latest.slug), versions))
            parts.append(BulletList(lines or ["Nothing that is judged here differs between them."]))
    return parts


def _is_release_of(each: ImplementationRecord, latest: ImplementationRecord) -> bool:
    return (
        bool(each.version)
        and each.name == f"{latest.name}-{each.version}"
        and each.origin.distribution == latest.origin.distribution
    )


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
