"""Requirements on a reader in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.engine.comparison import Comparison, equal
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import in_chunks, shown
from conformance.rig.cases import PROSE, STREAMS, UNFINISHED, Found, RigCase, marks
from conformance.rig.harness.subject import RigSubject
from conformance.rig.requirements.comparisons import REQUIREMENTS, pairs
from reference import rig

Item = str | Found

CHUNKS = (1, 2, 3, 7)


def streamed(subject: RigSubject, text: str, size: int) -> list[Item]:
    """Everything that a reader hands out when it is fed ``size`` code points at a time, with an empty chunk between."""
    reader = subject.stream()
    items: list[Item] = []
    for chunk in in_chunks(text, size):
        items += reader.feed(chunk)
        items += reader.feed("")
    return items + reader.close()


def in_order(items: Iterable[Item]) -> list[str | tuple[str, str]]:
    """Texts and annotations as they follow each other: a text may come in any number of pieces, and spans do not matter."""
    merged: list[str | tuple[str, str]] = []
    for item in items:
        piece = item if isinstance(item, str) else item[:2]
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif piece:
            merged.append(piece)
    return merged


@REQUIREMENTS.add(
    "RIG-45",
    Level.INTERFACE,
    "A streaming reader finds the same annotations in chunks of any size.",
    source="grammar; streaming",
    catches="matching inside each chunk alone",
    cases=STREAMS,
)
def chunks_change_no_annotation(subject: RigSubject, case: RigCase, dtype: str) -> Iterator[Comparison]:
    """The same annotations in chunks of any size."""
    expected = pairs(marks(case.segments(subject.profile.name)))
    for size in (*CHUNKS, len(case.text) or 1):
        found = [item for item in streamed(subject, case.text, size) if not isinstance(item, str)]
        yield equal("annotations", pairs(found), expected, f"chunks of {size}")


@REQUIREMENTS.add(
    "RIG-46",
    Level.INTERFACE,
    "A streaming reader hands out all text, once and in order.",
    source="grammar; streaming",
    catches="text lost where a chunk ends or a candidate fails",
    cases=STREAMS,
)
def chunks_lose_no_text(subject: RigSubject, case: RigCase, dtype: str) -> Iterator[Comparison]:
    """The texts joined are the document without its annotations, and texts and annotations come in its order."""
    segments = case.segments(subject.profile.name)
    texts = "".join(segment for segment in segments if isinstance(segment, str))
    order = in_order(part if isinstance(part, str) else (part.query, part.value, 0, 0) for part in segments)
    for size in (*CHUNKS, len(case.text) or 1):
        items = streamed(subject, case.text, size)
        handed_out = "".join(item for item in items if isinstance(item, str))
        yield equal("text outside annotations", handed_out, texts, f"chunks of {size}")
        yield equal("texts and annotations", in_order(items), order, f"chunks of {size}")


@REQUIREMENTS.add(
    "RIG-47",
    Level.INTERFACE,
    "A streaming reader holds back a live candidate only.",
    source="grammar; streaming",
    catches="waiting for the end of the line, or of the document",
    cases=PROSE,
)
def only_a_live_candidate_is_held_back(subject: RigSubject, case: RigCase, dtype: str) -> Iterator[Comparison]:
    """After each code point, as much has been handed out as is certain to be text."""
    reader = subject.stream()
    expected = rig.CharacterParser(subject.profile, max_candidate=None)
    given, late = 0, []
    for index, character in enumerate(case.text):
        given += sum(len(item) if isinstance(item, str) else item[3] - item[2] for item in reader.feed(character))
        expected.feed(character)
        certain = index + 1 - expected.held_back
        if given < certain:
            late.append((index + 1, certain - given))
    yield equal("(code points read, code points held back that are certain)", late[:3], [], shown(case.text))


@REQUIREMENTS.add(
    "RIG-48",
    Level.INTERFACE,
    "At the end a streaming reader hands out what is unfinished as text.",
    source="grammar; streaming",
    catches="dropping a truncated annotation",
    cases=UNFINISHED,
)
def closing_gives_the_rest(subject: RigSubject, case: RigCase, dtype: str) -> Iterator[Comparison]:
    """What is unfinished at the end is handed out as text."""
    segments = case.segments(subject.profile.name)
    items = streamed(subject, case.text, len(case.text) or 1)
    expected = "".join(segment for segment in segments if isinstance(segment, str))
    yield equal("text outside annotations", "".join(item for item in items if isinstance(item, str)), expected)
    found = [item for item in items if not isinstance(item, str)]
    yield equal("annotations", pairs(found), pairs(marks(segments)))


@REQUIREMENTS.add(
    "RIG-49",
    Level.INTERFACE,
    "A streaming reader's spans count from the beginning of the document.",
    source="grammar; streaming",
    catches="spans in the chunk",
    cases=STREAMS,
)
def streamed_spans_count_from_the_beginning(subject: RigSubject, case: RigCase, dtype: str) -> Iterator[Comparison]:
    """Spans count from the beginning of the document, in chunks of any size."""
    expected = [found[2:] for found in marks(case.segments(subject.profile.name))]
    for size in CHUNKS:
        spans = [item[2:] for item in streamed(subject, case.text, size) if not isinstance(item, str)]
        yield equal("spans", spans, expected, f"chunks of {size}")
