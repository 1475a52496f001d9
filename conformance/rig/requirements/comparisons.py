"""The registry of the requirements of RIG, and what several of their checks share."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.engine.requirement import Requirements
from conformance.rig.cases import Found
from conformance.rig.harness.subject import RigSubject
from impls.implementation import Unsupported
from reference import rig

REQUIREMENTS = Requirements(
    "RIG",
    {
        "Documents": "1-6 30-33",
        "Strings": "7-12 18 19",
        "Markup": "13-17",
        "Characters": "20-24 43",
        "Nesting": "25-29",
        "Spans": "34-39",
        "Sizes, calls": "40-42 44 74-76",
        "Streaming": "45-49 77",
        "Writing": "50-56 78",
        "Lenient reading": "57-60 79",
        "Decoding": "61-65",
        "Resolving": "66-73 80-82",
    },
)


def refuse_other_profiles(subject: RigSubject) -> None:
    """Unsupported for the official profile, which has no writer, no well-formedness and no decoder."""
    if subject.profile is not rig.STRICT:
        raise Unsupported(f"a rule of the strict profile; this parser declares {subject.profile.name}")


def pairs(found: Iterable[Found]) -> list[tuple[str, str]]:
    """The queries and values alone: requirements on them do not fail because of wrong offsets."""
    return [(query, value) for query, value, _, _ in found]
