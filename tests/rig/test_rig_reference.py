"""Properties of the reference of RIG: tiling, chunk invariance, leftmost matches, inverse of serialising, linear work."""

from __future__ import annotations

import itertools
import re
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impls.rig.adapters import re as by_regular_expression
from reference import rig
from reference.rig import AnnotationEvent, CharacterParser, IncompleteEvent, TextEvent
from reference.rig import AnnotationPart as Part

PIECES = [
    rig.OPEN, rig.ARROW, rig.CLOSE, '"', "[", "]", "(", ")", "_", "[__DC__(", '__DC__("', ") --> ", " ", "a", "\\", "\n",
    "\t", "\x7f", "\x00", "\x85", "\u2028", "\u00a0", "\u200b", "é", "e\u0301", "\U0001f600", "٣", "[__DC__#1(5)]",
]  # fmt: skip
"""What documents near the format are made of; single characters alone would hardly ever reach an annotation."""

strings = st.lists(st.sampled_from(["q", "5%", " ", "[__DC__(", ") --> ", "\n", "\u00a0", "\U0001f600"]), max_size=3).map(
    "".join
)
annotations = st.tuples(
    st.sampled_from([rig.OPEN, rig.OPEN, rig.OPEN, "[__DC__("]),
    strings,
    st.sampled_from([rig.ARROW, rig.ARROW, rig.ARROW, '"', '") --> ']),
    strings,
    st.sampled_from([rig.CLOSE, rig.CLOSE, '"', ""]),
).map("".join)
"""Annotations, whole or broken in one of the ways that matter."""

documents = st.lists(
    st.one_of(annotations, annotations, st.sampled_from(PIECES), st.characters(exclude_categories=["Cs"])), max_size=8
).map("".join)
profiles = st.sampled_from([rig.STRICT, rig.OFFICIAL])
ORACLES = {"strict": re.compile(by_regular_expression.PATTERN), "official": re.compile(rig.official.PATTERN)}

WORK_PER_CHARACTER = 4
"""A character is examined once in a candidate, once more as text, and in each of the two where a literal fails on it."""


def chunked(text: str, cuts: list[int], profile: rig.RigProfile, max_candidate: int | None = None) -> list[rig.Event]:
    parser = CharacterParser(profile, max_candidate)
    events: list[rig.Event] = []
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for start, end in itertools.pairwise(edges):
        events += parser.feed(text[start:end])
    return rig.coalesce(events + parser.close())


def test_the_example_holds_one_annotation() -> None:
    (found,) = rig.annotations(rig.EXAMPLE)
    assert found.query == "what was the percentage of females in Sunnyvale, CA in 2020?"
    assert found.value == "51.6%"
    assert found.raw == '[__DC__("what was the percentage of females in Sunnyvale, CA in 2020?") --> "51.6%"]'
    assert rig.EXAMPLE[: found.span.start] + found.raw + " majority" == rig.EXAMPLE


@given(documents, profiles)
@settings(max_examples=200, deadline=None)
def test_events_tile_the_document(text: str, profile: rig.RigProfile) -> None:
    events = rig.parse(text, profile)
    assert "".join(event.raw for event in events) == text
    at = (0, 0, 0)
    for event in events:
        span = event.span
        assert (span.code_points[0], span.utf8[0], span.utf16[0]) == at
        assert text[span.start : span.end] == event.raw
        assert text.encode()[slice(*span.utf8)].decode() == event.raw
        units = text.encode("utf-16-le")
        assert units[2 * span.utf16[0] : 2 * span.utf16[1]].decode("utf-16-le") == event.raw
        at = (span.code_points[1], span.utf8[1], span.utf16[1])


@given(documents, profiles)
@settings(max_examples=200, deadline=None)
def test_texts_are_maximal_and_only_the_end_is_incomplete(text: str, profile: rig.RigProfile) -> None:
    events = rig.parse(text, profile)
    kinds = [type(event) for event in events]
    assert all(event.raw for event in events)
    assert (TextEvent, TextEvent) not in list(itertools.pairwise(kinds))
    assert IncompleteEvent not in kinds[:-1]


@given(documents, profiles)
@settings(max_examples=400, deadline=None)
def test_annotations_are_the_leftmost_matches_of_the_regular_expression(text: str, profile: rig.RigProfile) -> None:
    expected = [(m[1], m[2], m.start(), m.end()) for m in ORACLES[profile.name].finditer(text)]
    assert [(a.query, a.value, a.span.start, a.span.end) for a in rig.annotations(text, profile)] == expected


@pytest.mark.parametrize("profile", [rig.STRICT, rig.OFFICIAL], ids=lambda p: p.name)
def test_every_short_sequence_of_pieces_is_read_as_the_regular_expression_reads_it(profile: rig.RigProfile) -> None:
    pieces = [rig.OPEN, rig.ARROW, rig.CLOSE, '"', "[__DC__(", ") --> ", "q", "\n"]
    oracle = ORACLES[profile.name]
    for length in range(6):
        for sequence in itertools.product(pieces, repeat=length):
            text = "".join(sequence)
            found = [(a.query, a.value, a.span.start, a.span.end) for a in rig.annotations(text, profile)]
            assert found == [(m[1], m[2], m.start(), m.end()) for m in oracle.finditer(text)], text


@given(documents, st.lists(st.integers(0, 10**6), max_size=8), profiles)
@settings(max_examples=200, deadline=None)
def test_chunking_changes_nothing(text: str, cuts: list[int], profile: rig.RigProfile) -> None:
    assert chunked(text, cuts, profile) == rig.parse(text, profile)
    assert chunked(text, list(range(len(text))), profile) == rig.parse(text, profile)


@given(documents, st.lists(st.integers(0, 10**6), max_size=8), profiles, st.integers(20, 40))
@settings(max_examples=200, deadline=None)
def test_chunking_changes_nothing_where_hold_back_is_bounded(
    text: str, cuts: list[int], profile: rig.RigProfile, bound: int
) -> None:
    whole = rig.parse(text, profile, max_candidate=bound)
    assert chunked(text, cuts, profile, bound) == whole
    for event in whole:
        if isinstance(event, AnnotationEvent):
            optional = "" if profile.close_required else "]"
            assert len(event.raw.removesuffix(optional)) <= bound


@given(documents, st.integers(20, 40))
@settings(max_examples=75, deadline=None)
def test_only_the_live_candidate_is_held_back(text: str, bound: int) -> None:
    parser, unbounded = CharacterParser(max_candidate=bound), CharacterParser(max_candidate=None)
    for index, character in enumerate(text):
        parser.feed(character)
        unbounded.feed(character)
        assert parser.held_back < bound
        # What is held back could still become an annotation: some continuation makes one that begins exactly there.
        start = index + 1 - unbounded.held_back
        endings = [(rig.OPEN + "q" + rig.ARROW + rig.CLOSE)[n:] for n in range(len(rig.OPEN))]
        endings += ["q" + rig.ARROW + rig.CLOSE, *(rig.ARROW[n:] + rig.CLOSE for n in range(len(rig.ARROW))), rig.CLOSE, "]"]
        if unbounded.held_back:
            heads = [text[: index + 1] + ending for ending in endings]
            assert any(a.span.start == start for head in heads for a in rig.annotations(head))


def test_the_hold_back_bound_is_exact() -> None:
    shortest = rig.OPEN + "q" + rig.ARROW + rig.CLOSE
    assert [e.raw for e in rig.parse("x" + shortest, max_candidate=len(shortest))] == ["x", shortest]
    longer = rig.OPEN + "qq" + rig.ARROW + rig.CLOSE
    (only,) = rig.parse(longer, max_candidate=len(shortest))
    assert isinstance(only, TextEvent)
    parser = CharacterParser(max_candidate=len(shortest))
    parser.feed(longer)
    assert parser.overflows == 1
    with pytest.raises(ValueError, match="shorter than the shortest annotation"):
        CharacterParser(max_candidate=len(shortest) - 1)


@pytest.mark.parametrize("family", [
    "[", "[__DC__(", '[__DC__("', '[__DC__("a', '[__DC__(""', '[__DC__("a") --> "', '[__DC__("a") --> "b"',
    '[__DC__("a[__DC__(', '[__DC__("a[__DC__(") --> "b[__DC__(', '[__DC__("a[__DC__(") --> ) -->',
    '[__DC__("a[__DC__(") --> ") --> "', '[__DC__("a") --> "b[__DC__("', '[__DC__(" ', '"', '[__DC__("[[[[',
    rig.OPEN + "a" * 1000, rig.OPEN + "a" + rig.ARROW + "b" * 1000, rig.OPEN + "[" * 1000,
])  # fmt: skip
@pytest.mark.parametrize("profile", [rig.STRICT, rig.OFFICIAL], ids=lambda p: p.name)
def test_work_is_linear_on_adversarial_families(family: str, profile: rig.RigProfile) -> None:
    text = family * (30_000 // len(family))
    parser = CharacterParser(profile, max_candidate=None)
    parser.feed(text)
    parser.close()
    assert parser.work <= WORK_PER_CHARACTER * len(text)


@given(documents, profiles, st.one_of(st.none(), st.integers(20, 40)))
@settings(max_examples=200, deadline=None)
def test_work_is_linear(text: str, profile: rig.RigProfile, bound: int | None) -> None:
    parser = CharacterParser(profile, bound)
    parser.feed(text)
    parser.close()
    assert parser.work <= WORK_PER_CHARACTER * len(text)


@pytest.mark.parametrize("text", [
    "[" * 10**6,
    rig.OPEN + "q" * 10**6,
    rig.OPEN + "q" + rig.ARROW + "5" * 10**6 + rig.CLOSE,
    (rig.OPEN + "a[__DC__(" + rig.ARROW) * (10**6 // 25),
], ids=["brackets", "query", "value", "nested"])  # fmt: skip
def test_a_million_characters_need_no_recursion(text: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        events = rig.parse(text)
    finally:
        sys.setrecursionlimit(limit)
    expected = [m.span() for m in ORACLES["strict"].finditer(text)]
    assert [e.span.code_points for e in events if isinstance(e, AnnotationEvent)] == expected


def test_every_truncation_is_named() -> None:
    whole = '[__DC__("q1") --> "5%"]'
    states = []
    for cut in range(1, len(whole)):
        (event,) = rig.parse(whole[:cut])
        assert isinstance(event, IncompleteEvent)
        assert event.raw == whole[:cut]
        states.append((event.state, event.query, event.value))
    opened, arrow = [(Part.OPEN, None, None)] * 8, [(Part.ARROW, "q1", None)] * 7
    query = [(Part.QUERY, "", None), (Part.QUERY, "q", None), (Part.QUERY, "q1", None)]
    value = [
        (Part.VALUE, "q1", ""),
        (Part.VALUE, "q1", "5"),
        (Part.VALUE, "q1", "5%"),
        (Part.CLOSE, "q1", "5%"),
    ]
    assert states == opened + query + arrow + value


@pytest.mark.parametrize(("text", "well_formed"), [
    ("", True), ("plain [text] (here)", True), (rig.EXAMPLE, True), ("[__DC__", True), ("x [__DC__(", True),
    ('[__DC__("', False), ('[__DC__("q', False), ('x [__DC__("q") --> "5" y', False), ('[__DC__("") --> "5"]', False),
    ('[__DC__("a[__DC__(") --> "5"]', True), ('[__DC__("a") --> "[__DC__("q") --> "5"]', False),
])  # fmt: skip
def test_well_formedness(text: str, well_formed: bool) -> None:
    assert rig.is_well_formed(text) is well_formed


def _well_formed_pattern() -> re.Pattern[str]:
    """Well-formedness as one regular expression, derived from the opener's prefixes and independent of the parser."""
    body, last = rig.OPEN[1:-1], rig.OPEN[-1]
    prefixes = "|".join(re.escape(body[:n]) for n in range(len(body), -1, -1))
    again = rf"\[(?:(?:{prefixes})\[)*"
    broken = "|".join(re.escape(body[:n]) + rf"[^\[{re.escape(body[n])}]" for n in range(len(body)))
    annotation = by_regular_expression.PATTERN.removeprefix(r"\[")
    return re.compile(
        rf"(?:[^\[]|{again}(?:{broken}|{re.escape(body)}[^\[{last}])|{again}{annotation})*(?:{again}(?:{prefixes}))?"
    )


WELL_FORMED = _well_formed_pattern()


@given(documents)
@settings(max_examples=300, deadline=None)
def test_well_formedness_is_the_regular_language(text: str) -> None:
    assert rig.is_well_formed(text) == bool(WELL_FORMED.fullmatch(text))


def test_white_space_is_the_unicode_property() -> None:
    # Python's isspace is White_Space and the four information separators, whose bidirectional class is B or S.
    python = {chr(c) for c in range(sys.maxunicode + 1) if chr(c).isspace()}
    assert python - rig.WHITE_SPACE == {"\x1c", "\x1d", "\x1e", "\x1f"}
    assert python >= rig.WHITE_SPACE
    assert "\u200b" not in rig.WHITE_SPACE
    assert unicodedata.category("\u200b") == "Cf"


def test_lone_surrogates_are_refused_by_strict_and_taken_by_official() -> None:
    text = '[__DC__("q\ud800") --> "5"]'
    with pytest.raises(ValueError, match=r"lone surrogate U\+D800 at 10"):
        rig.parse(text)
    assert [a.query for a in rig.annotations(text, rig.OFFICIAL)] == ["q\ud800"]


def test_a_parser_is_used_once() -> None:
    parser = CharacterParser()
    parser.feed("a")
    assert parser.close() == []
    with pytest.raises(ValueError, match="fed after close"):
        parser.feed("b")
    with pytest.raises(ValueError, match="closed twice"):
        parser.close()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(rig.UNITS))
@settings(deadline=None)
def test_offsets_convert_back(text: str, unit: str) -> None:
    offsets = [rig.length_in(unit, text[:n]) for n in range(len(text) + 1)]
    assert rig.to_code_points(text, offsets, unit) == list(range(len(text) + 1))


def test_offsets_inside_a_character_are_refused() -> None:
    with pytest.raises(ValueError, match="inside a character"):
        rig.to_code_points("é", [1], "utf8")
    with pytest.raises(ValueError, match="outside the text"):
        rig.to_code_points("é", [3], "utf8")
    with pytest.raises(ValueError, match="expected one of"):
        rig.length_in("bytes", "a")
