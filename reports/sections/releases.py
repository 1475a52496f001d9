"""Where several releases of one package were judged: what was fixed in which, and what broke."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping

from conformance.records.schema import JUDGED, RED, Verdict, VerdictRecord
from reports.markup import code, plain
from reports.merging import Evidence, Implementation

_Key = tuple[str, str, str, str]

INTRODUCTION = "Releases of the same package, in their order, by the cases that were put to both of two neighbours."


def releases(evidence: Evidence) -> str:
    """A list for each package of which several releases were judged; "" where there is none."""
    told = [text for system in evidence.systems for text in _families(evidence, system.name)]
    return "\n\n".join(["### Fixed in later releases", INTRODUCTION, *told]) if told else ""


def _families(evidence: Evidence, system: str) -> list[str]:
    listed = evidence.implementations_of(system)
    texts = []
    for latest in listed:
        # An earlier release is listed under the name of the latest one, followed by its version.
        family = [each for each in listed if each is latest or _is_release_of(each, latest)]
        judged = [each for each in family if any(j.verdict in JUDGED for j in _of(evidence, each).values())]
        if latest.version and len(judged) > 1:
            texts.append(_family(evidence, latest, sorted(judged, key=lambda each: _order(each.version or ""))))
    return texts


def _is_release_of(each: Implementation, latest: Implementation) -> bool:
    return bool(each.version) and each.name == f"{latest.name}-{each.version}" and each.distribution == latest.distribution


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _of(evidence: Evidence, implementation: Implementation) -> Mapping[_Key, VerdictRecord]:
    return {(j.requirement, j.case, j.dtype, j.device): j for j in evidence.judgements_of(implementation.name)}


def _family(evidence: Evidence, latest: Implementation, judged: list[Implementation]) -> str:
    versions = ", ".join(plain(each.version or "") for each in judged)
    lines = []
    for earlier, later in itertools.pairwise(judged):
        before, after = _of(evidence, earlier), _of(evidence, later)
        both = [key for key in before if key in after]
        fixed = [key for key in both if before[key].verdict in RED and after[key].verdict is Verdict.PASS]
        broken = [key for key in both if before[key].verdict is Verdict.PASS and after[key].verdict in RED]
        wrong = [key for key in both if before[key].verdict in RED]
        old, new = plain(earlier.version or ""), plain(later.version or "")
        if fixed:
            lines.append(f"- Fixed in {new}, wrong in {old}: {_counted(fixed, wrong)}.")
        if broken:
            lines.append(f"- Wrong since {new}, right in {old}: {_counted(broken, broken)}.")
    same = "- Nothing that is judged here differs between them."
    return "\n".join([f"{code(latest.slug)}: {versions} were judged.", "", *(lines or [same])])


def _counted(keys: list[_Key], of: list[_Key]) -> str:
    """The requirements, with numbers of cases where not all that had been wrong are meant."""
    found, all_of = Counter(key[0] for key in keys), Counter(key[0] for key in of)
    named = (
        plain(id_) + (f" ({found[id_]} of {all_of[id_]} cases)" if found[id_] < all_of[id_] else "") for id_ in sorted(found)
    )
    return ", ".join(named)
