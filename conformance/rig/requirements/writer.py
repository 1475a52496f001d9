"""Requirements on a writer of documents, and on what is well formed."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.engine.comparison import Comparison, equal
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import Plain, shown
from conformance.rig.cases import SERIALISING, VECTORS, WELL_FORMED, SegmentsToWrite, WellFormednessCase
from conformance.rig.harness.subject import RigSubject
from conformance.rig.requirements.comparisons import REQUIREMENTS, refuse_other_profiles


def segments_are_written_or_refused(subject: RigSubject, case: SegmentsToWrite, dtype: str) -> Iterator[Comparison]:
    """A document, or a ValueError."""
    refuse_other_profiles(subject)
    try:
        document: str | None = subject.serialise(case.segments)
    except ValueError:
        document = None
    yield equal("document (None: refused)", document, case.document, repr(case.segments))


_WRITING = (
    ("RIG-50", Level.DEFINITION, "A writer writes the exact literal, escaping nothing.",
     "rig.py:149", "escaping, normalising or trimming what is written"),
    ("RIG-52", Level.ROBUSTNESS, "A writer refuses U+0022 in a query or a value.",
     "grammar: no escape", "writing a backslash before it, which the official reader cuts"),
    ("RIG-53", Level.ROBUSTNESS, "A writer refuses a blank query.", "grammar: qblack", "writing what no reader reads"),
    ("RIG-54", Level.ROBUSTNESS, "A writer refuses control characters in a query or a value.",
     "grammar: qchar", "writing what no reader reads"),
    ("RIG-55", Level.ROBUSTNESS, "A writer refuses text that would read as an annotation, alone or with its neighbours.",
     "grammar", "statistics forged by quoted text"),)  # fmt: skip
"""Id, level, statement, source and the bug to catch; the cases stand under the id in `conformance.rig.cases`."""

for _id, _level, _statement, _source, _catches in _WRITING:
    REQUIREMENTS.add(_id, _level, _statement, source=_source, catches=_catches, cases=SERIALISING[_id])(
        segments_are_written_or_refused
    )
REQUIREMENTS.check("RIG-43", SERIALISING["RIG-43"])(segments_are_written_or_refused)


@REQUIREMENTS.add(
    "RIG-51",
    Level.INTERFACE,
    "Writing what was read gives the document back.",
    source="grammar",
    catches="refusing or changing text that only resembles an annotation",
    cases=[Plain("vectors", quick=True, needs=frozenset({"serialise"}))],
)
def writing_what_was_read_gives_the_document(subject: RigSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Over every hand-written document of the strict profile."""
    for group in VECTORS.values():
        for vector in group:
            segments = vector.segments(subject.profile.name)
            parts = [part if isinstance(part, str) else (part.query, part.value) for part in segments]
            if subject.profile.name == "strict":
                yield equal("document", subject.serialise(parts), vector.text, vector.id)
    if subject.profile.name != "strict":
        refuse_other_profiles(subject)


@REQUIREMENTS.add(
    "RIG-56",
    Level.INTERFACE,
    "A document is well formed if and only if every opener in it opens an annotation or stands in one.",
    source="grammar",
    catches="calling everything well formed that can be read",
    cases=WELL_FORMED,
)
def well_formedness_is_told(subject: RigSubject, case: WellFormednessCase, dtype: str) -> Iterator[Comparison]:
    """Well-formed documents and others."""
    refuse_other_profiles(subject)
    for document in case.documents:
        yield equal("well_formed", subject.well_formed(document), case.well_formed, shown(document))
