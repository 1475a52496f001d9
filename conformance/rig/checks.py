"""How each requirement of RIG is put to a parser."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from conformance.engine.check import Checks
from conformance.engine.comparison import Comparison, equal
from conformance.engine.text_comparison import Plain, equal_lists, shown
from conformance.rig import resolution, vectors
from conformance.rig.cases import (
    GENERATED,
    HOSTILE,
    PROSE,
    SERIALISING,
    SPANS,
    STREAMS,
    UNFINISHED,
    VECTORS,
    WELL_FORMED,
    Case,
    Found,
    Generated,
    Hostile,
    Mark,
    Q,
    R,
    Serialising,
    Verdicts,
    generated,
    law,
    marks,
)
from conformance.rig.constrained_decoding import (
    BAD,
    GOOD,
    WALKS,
    annotations_stay_reachable,
    every_well_formed_document_can_be_written,
    long_tokens_are_admitted_as_their_bytes_are,
    the_end_is_admitted_where_the_text_is_well_formed,
    what_is_not_well_formed_cannot_be_written,
    what_is_written_at_random_is_well_formed,
)
from conformance.rig.harness.text import TimeLimitExceeded
from impls.implementation import Unsupported
from reference import rig

CHECKS = Checks()

Item = str | Found


def refuse_other_profiles(subject: Any) -> None:
    """For rules about what the strict grammar can say: the official profile has no writer and no well-formedness."""
    if subject.profile is not rig.STRICT:
        raise Unsupported(f"a rule of the strict profile; this parser declares {subject.profile.name}")


def pairs(found: Iterable[Found]) -> list[tuple[str, str]]:
    """The queries and values alone: rules about them are not failed by wrong offsets."""
    return [(query, value) for query, value, _, _ in found]


def annotations_are_found(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """The queries and values of a hand-written document."""
    expected = pairs(marks(case.segments(subject.profile.name)))
    yield equal_lists("annotations", pairs(subject.parse(case.text)), expected, case.text)


def spans_are_found(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """The spans of a hand-written document."""
    expected = [found[2:] for found in marks(case.segments(subject.profile.name))]
    yield equal_lists("spans", [found[2:] for found in subject.parse(case.text)], expected, case.text)


for _requirement, _cases in VECTORS.items():
    CHECKS.add(_requirement, _cases)(annotations_are_found)
for _requirement, _cases in SPANS.items():
    CHECKS.add(_requirement, _cases)(spans_are_found)


@CHECKS.add("RIG-40", [Plain("again", quick=True), Plain("after-a-cut"), Plain("own-list")])
def nothing_is_remembered(subject: Any, case: Plain, dtype: str) -> Iterator[Comparison]:
    """The same document twice, with another between."""
    text = f"x {Q.text} y {R.text}"
    between = {"again": R.text, "after-a-cut": 'a [__DC__("q', "own-list": Q.text}[case.id]
    first = subject.parse(text)
    kept = list(first)
    subject.parse(between)
    yield equal("annotations of the second reading", subject.parse(text), kept)
    yield equal("the first answer, afterwards", first, kept)
    yield equal("annotations", pairs(first), [("q1?", "5"), ("q2?", "6")])


@CHECKS.add("RIG-41", [Plain("value", quick=True), Plain("query"), Plain("text"), Plain("annotations")])
def nothing_is_too_long(subject: Any, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Strings and documents of hundreds of thousands of characters."""
    long = "ab c" * 50_000
    expected = {
        "value": [Mark("q1?", long)],
        "query": [Mark(long, "5")],
        "text": [Q, R],
        "annotations": [Mark(f"q{n}?", str(n)) for n in range(4_000)],
    }[case.id]
    separator = long if case.id == "text" else " "
    text = separator.join(mark.text for mark in expected)
    yield equal_lists("annotations", pairs(subject.parse(text)), [(mark.query, mark.value) for mark in expected])


@CHECKS.add("RIG-42", HOSTILE)
def hostile_documents_are_finished(subject: Any, case: Hostile, dtype: str) -> Iterator[Comparison]:
    """Documents that make a backtracking parser hang. There is no assertion on time but the limit of any answer."""
    try:
        found = subject.parse(case.text)
    except TimeLimitExceeded as limit:
        yield equal("an answer", str(limit), f"an answer on {len(case.text)} characters")
        return
    yield equal_lists("annotations", pairs(found), law(case.text, subject.profile.name), case.text)


@CHECKS.add("RIG-43", [Plain("high", quick=True), Plain("low"), Plain("reversed-pair"), Plain("in-value")])
def lone_surrogates_are_no_text(subject: Any, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Refusing the document is right, and so is finding no annotation in it; the official profile takes them."""
    lone = {"high": "\ud800", "low": "\udfff", "reversed-pair": "\udc00\ud800", "in-value": "\udabc"}[case.id]
    mark = Mark("q1?", lone) if case.id == "in-value" else Mark(f"q{lone}", "5")
    try:
        found = pairs(subject.parse(mark.text))
    except ValueError:
        found = []
    expected = [] if subject.profile.name == "strict" else [(mark.query, mark.value)]
    yield equal("annotations with a lone surrogate", found, expected)


@CHECKS.add("RIG-44", GENERATED)
def generated_documents_agree_with_the_law(subject: Any, case: Generated, dtype: str) -> Iterator[Comparison]:
    """Documents that nobody thought of."""
    for text in generated(case):
        yield equal_lists("annotations", pairs(subject.parse(text)), law(text, subject.profile.name), text)


CHUNKS = (1, 2, 3, 7)


def streamed(subject: Any, text: str, size: int) -> list[Item]:
    """Everything that a reader hands out when it is fed ``size`` code points at a time, with an empty chunk between."""
    reader = subject.stream()
    items: list[Item] = []
    for start in range(0, len(text), size):
        items += reader.feed(text[start : start + size])
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


@CHECKS.add("RIG-45", STREAMS)
def chunks_change_no_annotation(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """The same annotations in chunks of any size."""
    expected = pairs(marks(case.segments(subject.profile.name)))
    for size in (*CHUNKS, len(case.text) or 1):
        found = [item for item in streamed(subject, case.text, size) if not isinstance(item, str)]
        yield equal("annotations", pairs(found), expected, f"chunks of {size}")


@CHECKS.add("RIG-46", STREAMS)
def chunks_lose_no_text(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """The texts joined are the document without its annotations, and stand between them as they do in it."""
    segments = case.segments(subject.profile.name)
    texts = "".join(segment for segment in segments if isinstance(segment, str))
    order = in_order(part if isinstance(part, str) else (part.query, part.value, 0, 0) for part in segments)
    for size in (*CHUNKS, len(case.text) or 1):
        items = streamed(subject, case.text, size)
        handed_out = "".join(item for item in items if isinstance(item, str))
        yield equal("text outside annotations", handed_out, texts, f"chunks of {size}")
        yield equal("texts and annotations", in_order(items), order, f"chunks of {size}")


@CHECKS.add("RIG-47", PROSE)
def only_a_live_candidate_is_held_back(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """After each code point, as much has been handed out as is certain to be text."""
    reader = subject.stream()
    lawful = rig.CharacterParser(subject.profile, max_candidate=None)
    given, late = 0, []
    for index, character in enumerate(case.text):
        given += sum(len(item) if isinstance(item, str) else item[3] - item[2] for item in reader.feed(character))
        lawful.feed(character)
        certain = index + 1 - lawful.held_back
        if given < certain:
            late.append((index + 1, certain - given))
    yield equal("(code points read, code points held back that are certain)", late[:3], [], shown(case.text))


@CHECKS.add("RIG-48", UNFINISHED)
def closing_gives_the_rest(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """What is unfinished at the end is handed out as text."""
    segments = case.segments(subject.profile.name)
    items = streamed(subject, case.text, len(case.text) or 1)
    expected = "".join(segment for segment in segments if isinstance(segment, str))
    yield equal("text outside annotations", "".join(item for item in items if isinstance(item, str)), expected)
    found = [item for item in items if not isinstance(item, str)]
    yield equal("annotations", pairs(found), pairs(marks(segments)))


@CHECKS.add("RIG-49", STREAMS)
def streamed_spans_count_from_the_beginning(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """Spans in the document, whatever the chunk."""
    expected = [found[2:] for found in marks(case.segments(subject.profile.name))]
    for size in CHUNKS:
        spans = [item[2:] for item in streamed(subject, case.text, size) if not isinstance(item, str)]
        yield equal("spans", spans, expected, f"chunks of {size}")


def segments_are_written_or_refused(subject: Any, case: Serialising, dtype: str) -> Iterator[Comparison]:
    """A document, or a ValueError."""
    refuse_other_profiles(subject)
    try:
        document: str | None = subject.serialise(case.segments)
    except ValueError:
        document = None
    yield equal("document (None: refused)", document, case.document, repr(case.segments))


for _requirement, _serialising in SERIALISING.items():
    CHECKS.add(_requirement, _serialising)(segments_are_written_or_refused)


@CHECKS.add("RIG-51", [Plain("vectors", quick=True, needs=frozenset({"serialise"}))])
def writing_what_was_read_gives_the_document(subject: Any, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Over every hand-written document of the strict profile."""
    for group in VECTORS.values():
        for vector in group:
            segments = vector.segments(subject.profile.name)
            parts = [part if isinstance(part, str) else (part.query, part.value) for part in segments]
            if subject.profile.name == "strict":
                yield equal("document", subject.serialise(parts), vector.text, vector.id)
    if subject.profile.name != "strict":
        refuse_other_profiles(subject)


@CHECKS.add("RIG-56", WELL_FORMED)
def well_formedness_is_told(subject: Any, case: Verdicts, dtype: str) -> Iterator[Comparison]:
    """Well-formed documents and others."""
    refuse_other_profiles(subject)
    for document in case.documents:
        yield equal("well_formed", subject.well_formed(document), case.well_formed, shown(document))


CHECKS.add("RIG-61", BAD)(what_is_not_well_formed_cannot_be_written)
CHECKS.add("RIG-61", WALKS)(what_is_written_at_random_is_well_formed)
CHECKS.add("RIG-62", GOOD)(every_well_formed_document_can_be_written)
CHECKS.add("RIG-63", GOOD)(the_end_is_admitted_where_the_text_is_well_formed)
CHECKS.add("RIG-64", GOOD)(long_tokens_are_admitted_as_their_bytes_are)
CHECKS.add("RIG-65", GOOD[:5])(annotations_stay_reachable)
for _requirement, _cases_of_rule, _check in resolution.CHECKED:
    CHECKS.add(_requirement, _cases_of_rule)(_check)


@dataclass(frozen=True)
class OfRule:
    """All vectors of one rule that need the same of a parser."""

    rule: str
    id: str = "all-vectors"
    quick: bool = False
    needs: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = ()


@functools.cache
def vectors_of(case: OfRule) -> tuple[vectors.Vector, ...]:
    """The vectors of a case."""
    return tuple(vector for vector in vectors.load() if vector.rule == case.rule)


def vectors_hold(subject: Any, case: OfRule, dtype: str) -> Iterator[Comparison]:
    """Each vector of the rule; the first that fails is the one that is named."""
    of_strict = bool(case.needs)
    if of_strict:
        refuse_other_profiles(subject)
    wrong = 0
    for vector in vectors_of(case):
        got, expected = vectors.put(subject, vector, subject.profile.name)
        if got != expected:
            wrong += 1
            yield equal(f"vector {vector.id}", got, expected, vector.bug)
    yield equal("vectors that fail", wrong, 0)


def _rules() -> dict[str, str]:
    """The feature that the vectors of each rule need."""
    return {vector.rule: vectors.FEATURE_OF.get(vector.kind, "") for vector in vectors.load() if vector.kind != "recover"}


for _rule, _feature in _rules().items():
    _needs = frozenset({_feature} - {""})
    CHECKS.add(_rule, [OfRule(_rule, quick=_rule == "RIG-60", needs=_needs)])(vectors_hold)


RECOVER = frozenset({"recover"})


@CHECKS.add("RIG-57", [OfRule("RIG-57", quick=True, needs=RECOVER)])
def what_was_meant_is_recovered(subject: Any, case: OfRule, dtype: str) -> Iterator[Comparison]:
    """Query, value and span of every vector; diagnostics apart."""
    refuse_other_profiles(subject)
    for vector in vectors_of(case):
        found, wanted = vectors.put(subject, vector, subject.profile.name)
        got, expected = ([item[:4] for item in items] for items in (found, wanted))
        if got != expected or vector is vectors_of(case)[-1]:
            yield equal(f"vector {vector.id}", got, expected, vector.bug)


@CHECKS.add("RIG-58", [OfRule("RIG-57", quick=True, needs=RECOVER)])
def what_was_wrong_is_named(subject: Any, case: OfRule, dtype: str) -> Iterator[Comparison]:
    """The diagnostics of every annotation that was found where the vector has one."""
    refuse_other_profiles(subject)
    for vector in vectors_of(case):
        found, wanted = vectors.put(subject, vector, subject.profile.name)
        codes = {item[2:4]: item[4] for item in wanted}
        got = [item[4] for item in found if item[2:4] in codes]
        expected = [codes[item[2:4]] for item in found if item[2:4] in codes]
        if got != expected or vector is vectors_of(case)[-1]:
            yield equal(f"diagnostics of vector {vector.id}", got, expected, vector.text)


@CHECKS.add("RIG-59", [OfRule("RIG-57", quick=True, needs=frozenset({"recover_stream"}))])
def chunks_change_nothing_that_is_recovered(subject: Any, case: OfRule, dtype: str) -> Iterator[Comparison]:
    """Every vector in chunks of 1 and 7 code points: the same annotations, and all text between them."""
    refuse_other_profiles(subject)
    for vector in vectors_of(case):
        text = vector.text
        wanted = [(i["query"], i["value"], *i["code_points"], tuple(i["diagnostics"])) for i in vector.data["lenient"]]
        # Four thousand characters one at a time would say no more than forty do.
        for size in (1, 7) if len(text) < 200 else (64,):
            reader = subject.recover_stream()
            items = [i for at in range(0, len(text), size) for i in reader.feed(text[at : at + size])] + reader.close()
            found = [i for i in items if not isinstance(i, str)]
            whole = "".join(item if isinstance(item, str) else text[item[2] : item[3]] for item in items)
            if (found, whole) != (wanted, text) or vector is vectors_of(case)[-1]:
                yield equal(f"vector {vector.id}", found, wanted, f"chunks of {size}")
                yield equal("the text", whole, text, f"chunks of {size}")
