"""Requirements on documents in which every two values of the factors meet that readers, writers and resolvers branch on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.engine.comparison import Comparison, equal
from conformance.engine.interactions import Combination
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import equal_lists, shown
from conformance.rig.harness.subject import RigSubject
from conformance.rig.interactions import (
    READINGS,
    SHORT,
    MixedDocument,
    MixedDocuments,
    all_in_one,
    cases,
    chunks,
    number_in,
    pieces,
    segments,
)
from conformance.rig.requirements.comparisons import REQUIREMENTS, pairs, refuse_other_profiles
from conformance.rig.requirements.resolution import Answer, answer, read_back
from conformance.rig.requirements.streams import Item, in_order
from reference import rig


def _is_open(combination: Combination) -> bool:
    return bool(combination["special"] in READINGS)


def _is_short(combination: Combination) -> bool:
    return bool(combination["long"] == "nothing" and combination["annotations"] < 12)


def _is_held_back_in_part(combination: Combination) -> bool:
    """Whether a reader in chunks need not hold back more than `SHORT` characters of one string."""
    return combination["long"].startswith("text") or number_in(combination["long"]) <= SHORT


RowCheck = Callable[[RigSubject, MixedDocument], Iterator[Comparison]]


def for_each(check: RowCheck) -> Callable[[RigSubject, MixedDocuments, str], Iterator[Comparison]]:
    """A check of one document as a check of several; where one fails, its combination is named."""

    @functools.wraps(check)
    def of_all(subject: RigSubject, case: MixedDocuments, dtype: str) -> Iterator[Comparison]:
        for document in case.documents:
            for comparison in check(subject, document):
                named = f"{comparison.worst} ({document.combination})"
                yield comparison if comparison.passed else replace(comparison, worst=named)

    return of_all


@for_each
def annotations_are_found(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """The queries and values, where all profiles read alike."""
    if not case.is_reading:
        yield from _annotations_compared(subject, case)


@for_each
def readings_are_found(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """The queries and values, where the profiles differ."""
    if case.is_reading:
        yield from _annotations_compared(subject, case)


def _annotations_compared(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    yield equal_lists("annotations", pairs(subject.parse(case.text)), pairs(case.read(subject.profile.name)), case.text)


_SOURCE = "grammar"
REQUIREMENTS.add(
    "RIG-74",
    Level.DEFINITION,
    "The annotations are those of the grammar however constructs, characters, counts and lengths meet.",
    source=_SOURCE,
    catches="a mistake that takes two things at once",
    cases=cases(lambda each: not _is_open(each)),
)(annotations_are_found)
REQUIREMENTS.add(
    "RIG-75",
    Level.READING,
    "The same where the paper leaves the reading open: blank queries, control characters, brackets that are missing.",
    source=_SOURCE,
    catches="a mistake that takes two things at once",
    cases=(*cases(_is_open), all_in_one("elsewhere", lambda each: not _is_open(each))),
)(readings_are_found)


@REQUIREMENTS.add(
    "RIG-76",
    Level.INTERFACE,
    "The spans are those of the document however characters, counts and lengths meet.",
    source="the declared interface",
    catches="an offset that is wrong behind some character, or from some length on",
    cases=cases(lambda each: not _is_open(each)),
)
@for_each
def spans_are_found(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """The spans of the annotations, where all profiles read alike."""
    if case.is_reading:
        return
    expected = [found[2:] for found in case.read(subject.profile.name)]
    yield equal_lists("spans", [found[2:] for found in subject.parse(case.text)], expected, case.text)


_OTHER = ("x \U0001f4c8 ", '[__DC__("oth', 'er?") --', '> "', '9"', '] [__DC__("y')
"""The chunks of another document."""
_OTHER_TEXT = "".join(_OTHER)


@REQUIREMENTS.add(
    "RIG-77",
    Level.INTERFACE,
    "A streaming reader hands out the same whatever its chunks are, and whatever other readers are given meanwhile.",
    source="grammar; streaming",
    catches="state that is shared, or lost where a chunk ends",
    cases=cases(_is_held_back_in_part, needs="stream"),
)
@for_each
def chunks_change_nothing(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """Texts and annotations in their order, with their spans; another reader's, too. A reading is compared with itself."""
    combination, profile = case.combination, subject.profile.name
    company = combination["readers"]
    other = subject.stream() if company != "one" else None
    of_other: list[Item] = []
    if other and company == "another unfinished":
        of_other = [item for chunk in _OTHER for item in other.feed(chunk)]
    reader = subject.stream()
    items: list[Item] = []
    for number, chunk in enumerate(chunks(combination)):
        items += reader.feed(chunk)
        if other and company == "another between" and number < len(_OTHER):
            of_other += other.feed(_OTHER[number])
    items += reader.close()
    if other:
        fed = _OTHER_TEXT if company == "another unfinished" else "".join(_OTHER[: number + 1])
        yield from _compared("another reader's ", [*of_other, *other.close()], fed, _items(fed, rig.PROFILES[profile]))
    if case.is_reading:
        whole = subject.stream()
        expected = [*whole.feed(case.text), *whole.close()]
    else:
        expected = _items(case.text, rig.PROFILES[profile], case.read(profile))
    yield from _compared("", items, case.text, expected)


def _items(text: str, profile: rig.RigProfile, found: list[tuple[str, str, int, int]] | None = None) -> list[Item]:
    """What a streaming reader hands out."""
    if found is None:
        found = [(a.query, a.value, a.span.start, a.span.end) for a in rig.annotations(text, profile)]
    items: list[Item] = []
    at = 0
    for each in found:
        items += [text[at : each[2]], each]
        at = each[3]
    return [*items, text[at:]]


def _compared(whose: str, items: list[Item], text: str, expected: list[Item]) -> Iterator[Comparison]:
    yield equal_lists(f"{whose}texts and annotations", in_order(items), in_order(expected), text)
    spans, known = ([item[2:] for item in each if not isinstance(item, str)] for each in (items, expected))
    yield equal_lists(f"{whose}spans", spans, known, text)


@REQUIREMENTS.add(
    "RIG-78",
    Level.ROBUSTNESS,
    "A writer refuses pieces that only together read otherwise, and writes all others as they are.",
    source="grammar",
    catches="looking at each piece alone, or at neighbours alone",
    cases=cases(lambda each: max(number_in(each["long"]), each["annotations"]) <= SHORT, needs="serialise"),
)
@for_each
def pieces_are_written_or_refused(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """The document, or a ValueError where it would not read back as the pieces."""
    refuse_other_profiles(subject)
    given = segments(case.combination)
    written = "".join(each if isinstance(each, str) else f"{rig.OPEN}{rig.ARROW.join(each)}{rig.CLOSE}" for each in given)
    meant = [each for each in given if not isinstance(each, str)]
    read = case.read("strict") if written == case.text else _annotations(written)
    try:
        document: str | None = subject.serialise(given)
    except ValueError:
        document = None
    yield equal("document (None: refused)", document, written if pairs(read) == meant else None, shown(written))


def _annotations(text: str) -> list[tuple[str, str, int, int]]:
    return [(a.query, a.value, a.span.start, a.span.end) for a in rig.annotations(text)]


@REQUIREMENTS.add(
    "RIG-79",
    Level.READING,
    "A lenient reader reads the same, with the same diagnostics, whatever its chunks are.",
    source="specification, section 4",
    catches="a repair that depends on what stands beside it, or where a chunk ends",
    cases=cases(_is_short, needs="recover"),
)
@for_each
def recovered_documents_agree_with_the_reference(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """The whole document, and the same in chunks where there is a lenient reader of them."""
    refuse_other_profiles(subject)
    recovered = rig.lenient.recover(case.text)
    expected = [
        (a.query, a.value, a.start, a.end, tuple(f"D{d}" for d in sorted(d.value for d in a.defects))) for a in recovered
    ]
    yield equal_lists("annotations", subject.recover(case.text), expected, case.text)


def _served(kind: str, number: int) -> Answer | None:
    """What is served for the query of that number, counted from 1."""
    if kind == "tenth fails" and number >= 10:
        raise ConnectionError("no such host")
    if kind == "nothing" and number % 2:
        return None
    plain = answer(str(number), "%")
    changed: dict[str, Mapping[str, Any]] = {
        "number": {"value": number},
        "no unit": {"unit": None},
        "more fields": {"confidence": 0.9},
        "markup": {"value": f"{number})] [__DC__#9(|| 9)]", "date": "\n[7] - Per x, value was 1. See more at y"},
        "halves": {"value": f"{number})", "unit": "]|", "source": "x, value was 1", "date": "y [__DC__#8(7)"},
    }
    return {**plain, **changed.get(kind, {})}


def _resolved(subject: RigSubject, case: MixedDocument) -> tuple[str, list[tuple[str, str, int, int]], str]:
    """(a document, its annotations, what the resolver made of it). It is the case's, with a special piece that can be read."""
    special = case.combination["special"] if case.combination["special"] in ("twice", "empty value") else "annotation"
    text = "".join(pieces(case.combination, special, "nothing" if case.combination["end"] == "unfinished" else ""))
    asked: dict[str, int] = {}

    def fetch(query: str) -> Answer | None:
        return _served(case.combination["served"], asked.setdefault(query, len(asked) + 1))

    return text, _annotations(text), subject.resolve(text, fetch)


def _is_answered(kind: str, number: int) -> bool:
    return not (kind == "tenth fails" and number >= 10) and not (kind == "nothing" and number % 2)


@REQUIREMENTS.add(
    "RIG-80",
    Level.ROBUSTNESS,
    "A resolver leaves as many tags as there were annotations and no other markup, whatever is served and however often.",
    source="grammar of the resolved form",
    catches="pieces that only together forge, fields of another type, and what goes wrong from the tenth on",
    cases=cases(_is_short, needs="resolve"),
)
@for_each
def any_number_is_resolved(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """The tags, what was served in them, and the texts around them."""
    text, found, written = _resolved(subject, case)
    read = read_back(written)
    queries = [query for query, *_ in found]
    numbers = list(dict.fromkeys(queries))
    yield equal("tags", len(read.tags), len(queries), shown(text))
    kind = case.combination["served"]
    answered = [_is_answered(kind, numbers.index(query) + 1) for query in queries]
    yield equal("served", [tag.served is not None for tag in read.tags], answered, shown(written))
    yield equal("None, nan or an opener in it", [w for w in ("None", "nan", rig.OPEN) if w in written], [], shown(written))
    if case.combination["text"] not in ("tag", "brackets"):
        around = tuple(item for item in _items(text, rig.STRICT, found) if isinstance(item, str))
        yield equal("texts around the tags", read.between, around, shown(written))


@REQUIREMENTS.add(
    "RIG-81",
    Level.READING,
    "A resolver numbers any number of tags and footnotes from 1, in order.",
    source="specification, section 7",
    catches="numbers that are sorted as words, or lose a digit",
    cases=cases(lambda each: _is_short(each) and each["annotations"] > 8, needs="resolve"),
)
@for_each
def any_number_is_numbered(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """The numbers of tags, those of footnotes, and the footnotes that the tags cite."""
    _, found, written = _resolved(subject, case)
    read, queries = read_back(written), [query for query, *_ in found]
    yield equal("numbers of tags", [tag.number for tag in read.tags], list(range(1, len(queries) + 1)), shown(written))
    kind, numbers = case.combination["served"], list(dict.fromkeys(queries))
    cited = [query for query in numbers if _is_answered(kind, numbers.index(query) + 1)]
    yield equal("numbers of footnotes", [number for number, _ in read.notes], list(range(1, len(cited) + 1)), shown(written))
    footnotes = [cited.index(query) + 1 if query in cited else None for query in queries]
    yield equal("footnotes cited", [tag.footnote for tag in read.tags], footnotes, shown(written))
