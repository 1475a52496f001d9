"""Requirements on documents in which every two values of the factors meet that readers, writers and resolvers branch on."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.engine.comparison import Comparison, equal
from conformance.engine.interactions import Combination
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import Plain, equal_lists, in_chunks, shown
from conformance.rig import defects
from conformance.rig.harness.subject import RigSubject
from conformance.rig.interactions import (
    CONTENTS,
    READABLE,
    READINGS,
    SHORT,
    UNREADABLE,
    MixedDocument,
    MixedDocuments,
    all_in_one,
    cases,
    chunks,
    document,
    number_in,
    pieces,
    segments,
    shortened,
)
from conformance.rig.requirements.comparisons import REQUIREMENTS, pairs, refuse_other_profiles
from conformance.rig.requirements.resolution import Answer, ReadBack, answer, read_back
from conformance.rig.requirements.streams import Item, in_order
from reference import rig
from reference.rig.resolved import tags


def _is_open(combination: Combination) -> bool:
    return bool(combination["special"] in READINGS)


def _is_short(combination: Combination) -> bool:
    return bool(combination["long"] == "nothing" and max(combination["annotations"], combination["failed"]) <= 100)


def _is_held_back_in_part(combination: Combination) -> bool:
    """Whether a reader in chunks need not hold back more than `SHORT` characters of one string."""
    return combination["long"].startswith("text") or number_in(combination["long"]) <= SHORT


_is_well_formed = functools.cache(rig.is_well_formed)

RowCheck = Callable[[RigSubject, MixedDocument], Iterator[Comparison]]


def for_each(check: RowCheck) -> Callable[[RigSubject, MixedDocuments, str], Iterator[Comparison]]:
    """A check of one document as a check of several; where one fails, its combination is named."""

    @functools.wraps(check)
    def of_all(subject: RigSubject, case: MixedDocuments, dtype: str) -> Iterator[Comparison]:
        for one in case.documents:
            for comparison in check(subject, one):
                named = f"{comparison.worst} ({one.combination})"
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


@REQUIREMENTS.check("RIG-56", cases(needs="well_formed"))
@for_each
def well_formedness_of_mixed_documents_is_told(subject: RigSubject, case: MixedDocument) -> Iterator[Comparison]:
    """As the reference does, of the documents without their long parts."""
    refuse_other_profiles(subject)
    if case.combination["annotations"] < 12:
        text = document(shortened(case.combination))
        yield equal("well_formed", subject.well_formed(text), _is_well_formed(text), shown(text))


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
_BESIDE_A_STRING = 64
"""As much as may stand in an annotation beside its long string, at the most."""


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
    """Texts and annotations in their order, with their spans; another reader's, too.

    A reading is compared with itself, and so is what a reader gives up that bounds what it holds back.
    """
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
    known = [] if case.is_reading else _items(case.text, rig.PROFILES[profile], case.read(profile))
    compared = list(_compared("", items, case.text, known))
    length = number_in(combination["long"])
    if case.is_reading or (length and not all(each.passed for each in compared) and _is_bounded(subject, length)):
        compared = list(_compared("", items, case.text, _streamed(subject, [case.text])))
    yield from compared


def _streamed(subject: RigSubject, given: Iterable[str]) -> list[Item]:
    """What a fresh reader hands out of these chunks."""
    reader = subject.stream()
    return [item for chunk in given for item in reader.feed(chunk)] + reader.close()


def _is_bounded(subject: RigSubject, length: int) -> bool:
    """Whether a reader takes an annotation with a string of that length for text, whatever its chunks, as it may."""
    text = f"{rig.OPEN}q?{rig.ARROW}{'a' * (length + _BESIDE_A_STRING)}{rig.CLOSE}"
    return all(in_order(_streamed(subject, in_chunks(text, size))) == [text] for size in (len(text), 64, 7))


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


_REFUSED = ('"', "\x00", "\t", "\n", "\r", "\x1f", "\x7f", "\ud800")
"""What no string holds."""
_BESIDE = ("", '"', "[", "]", "\\", "(", '("', rig.OPEN[:-1], rig.ARROW, rig.CLOSE, "\n", "\U0001f600")
"""What stands before and behind an annotation."""


def _pairs_to_write() -> Iterator[tuple[str, str, bool]]:
    """Queries and values of all contents, and whether they can be written."""
    contents = list(CONTENTS.values())
    for query, value in itertools.product(contents, contents):
        yield query, value, not rig.WHITE_SPACE.issuperset(query)
    for blank, value in zip(sorted(rig.WHITE_SPACE), itertools.cycle(contents), strict=False):
        yield from ((query, value, False) for query in (blank, blank + " ", "\u3000" + blank))
    for content, refused in itertools.product(contents, _REFUSED):
        for wrong in (refused + content, content + refused, f"a{content[:1]}{refused}{content[1:]}"):
            yield wrong, content, False
            yield "q?" + content, wrong, False


@REQUIREMENTS.check("RIG-78", [Plain("contents", quick=True, needs=frozenset({"serialise"}))])
def contents_are_written_or_refused(subject: RigSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Every two contents as query and value, and with each what no string holds at its beginning, inside and at its end."""
    refuse_other_profiles(subject)
    beside = itertools.cycle(itertools.product(_BESIDE, _BESIDE))
    for (query, value, can), (before, behind) in zip(_pairs_to_write(), beside, strict=False):
        written = f"{before}{rig.OPEN}{query}{rig.ARROW}{value}{rig.CLOSE}{behind}"
        try:
            document: str | None = subject.serialise([before, (query, value), behind])
        except ValueError:
            document = None
        expected = written if can and pairs(_annotations(written)) == [(query, value)] else None
        yield equal("document (None: refused)", document, expected, shown(written))


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
    yield equal_lists("annotations", subject.recover(case.text), defects.recovered(case.text), case.text)


@REQUIREMENTS.check("RIG-79", defects.defective("recover"))
def defective_documents_agree_with_the_reference(
    subject: RigSubject, case: defects.DefectiveDocuments, dtype: str
) -> Iterator[Comparison]:
    """Every two departures from the grammar in one document."""
    refuse_other_profiles(subject)
    for each in case.combinations:
        text = defects.document(each)
        yield equal_lists("annotations", subject.recover(text), defects.recovered(text), f"{text} ({each})")


@REQUIREMENTS.check("RIG-59", defects.defective("recover_stream"))
def chunks_of_defective_documents_change_nothing(
    subject: RigSubject, case: defects.DefectiveDocuments, dtype: str
) -> Iterator[Comparison]:
    """The same from chunks, and all text between."""
    refuse_other_profiles(subject)
    for each in case.combinations:
        text, reader = defects.document(each), subject.recover_stream()
        items = [item for chunk in defects.chunks(each) for item in reader.feed(chunk)] + reader.close()
        found = [item for item in items if not isinstance(item, str)]
        whole = "".join(item if isinstance(item, str) else text[item[2] : item[3]] for item in items)
        yield equal_lists("annotations", found, defects.recovered(text), f"{text} ({each})")
        yield equal("the text", whole, text, str(each))


def _served(kind: str, missing: str, number: int) -> Answer | None:
    """What is served for the query of that number, counted from 1; the field that is missing is empty."""
    if kind == "tenth fails" and number >= 10:
        raise ConnectionError("no such host")
    if kind == "nothing" and number % 2:
        return None
    plain = answer(str(number), "%")
    changed: dict[str, Mapping[str, Any]] = {
        "number": {"value": number},
        "zero": {"value": 0},
        "same": {"value": "1"},
        "no unit": {"unit": None},
        "more fields": {"confidence": 0.9},
        "markup": {"value": f"{number})] [__DC__#9(|| 9)]", "date": "\n[7] - Per x, value was 1. See more at y"},
        "halves": {"value": f"{number})", "unit": "]|", "source": "x, value was 1", "date": "y [__DC__#8(7)"},
    }
    return {**plain, **changed.get(kind, {}), **({} if missing == "nothing" else {missing: ""})}


@dataclass(frozen=True)
class Resolved:
    """A document, its annotations, the queries that were fetched in their order, and what the resolver made of it."""

    text: str
    found: list[tuple[str, str, int, int]]
    fetched: list[str]
    written: str
    read: ReadBack


def _resolved(subject: RigSubject, case: MixedDocument) -> Resolved:
    """Resolve the case's document, with special pieces that can be read."""
    special = case.combination["special"] if case.combination["special"] in READABLE else "annotation"
    text = "".join(pieces(case.combination, special, "nothing" if case.combination["end"] == "unfinished" else ""))
    fetched: list[str] = []

    def fetch(query: str) -> Answer | None:
        fetched.append(query)
        number = list(dict.fromkeys(fetched)).index(query) + 1
        return _served(case.combination["served"], case.combination["missing"], number)

    written = subject.resolve(text, fetch)
    return Resolved(text, _annotations(text), fetched, written, read_back(written))


def _is_plain(value: str) -> bool:
    """Whether a value stands in a tag as it is: nothing in it may be taken for a part of the tag, or trimmed."""
    return value == value.strip() and not any(part in value for part in ("|", ")]", "[__DC__")) and "--" not in value


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
    done = _resolved(subject, case)
    read, kind, written = done.read, case.combination["served"], done.written
    queries = [query for query, *_ in done.found]
    # Queries may be fetched in any order.
    asked = list(dict.fromkeys(done.fetched))
    numbers = [asked.index(query) + 1 if query in asked else 0 for query in queries]
    yield equal("tags", len(read.tags), len(queries), shown(done.text))
    yield equal(
        "served", [tag.served is not None for tag in read.tags], [_is_answered(kind, n) for n in numbers], shown(written)
    )
    if kind not in ("markup", "halves"):
        values = [{"zero": "0", "same": "1"}.get(kind, str(n)) for n in numbers if _is_answered(kind, n)]
        own = [tag.served.removesuffix("%").strip() for tag in read.tags if tag.served is not None]
        yield equal("values served, without their units", own, values, shown(written))
    models = [(tag.model or "", value) for tag, (_, value, *_) in zip(read.tags, done.found, strict=False) if _is_plain(value)]
    yield equal("values of the model", [got for got, _ in models], [value for _, value in models], shown(written))
    yield equal("tags, with those in footnotes", len(tags(written)), len(queries), shown(written))
    yield equal("lines of footnotes beyond one for each tag", read.notes[len(queries) :], (), shown(written))
    yield equal("None, nan or an opener in it", [w for w in ("None", "nan", rig.OPEN) if w in written], [], shown(written))
    if case.combination["text"] not in UNREADABLE:
        around = tuple(item for item in _items(done.text, rig.STRICT, done.found) if isinstance(item, str))
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
    done = _resolved(subject, case)
    read, kind, queries = done.read, case.combination["served"], [query for query, *_ in done.found]
    asked = list(dict.fromkeys(done.fetched))
    yield equal("queries fetched, sorted", sorted(done.fetched), sorted(set(queries)), shown(done.text))
    yield equal("numbers of tags", [tag.number for tag in read.tags], list(range(1, len(queries) + 1)), shown(done.written))
    cited = [q for q in dict.fromkeys(queries) if q in asked and _is_answered(kind, asked.index(q) + 1)]
    listed = [number for number, _ in read.notes]
    yield equal("numbers of footnotes", listed, list(range(1, len(cited) + 1)), shown(done.written))
    footnotes = [cited.index(query) + 1 if query in cited else None for query in queries]
    yield equal("footnotes cited", [tag.footnote for tag in read.tags], footnotes, shown(done.written))
