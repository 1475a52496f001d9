"""Serialising after parsing is the identity, parsing after serialising too, and what cannot be said is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reference import rig

pieces = st.sampled_from([rig.OPEN, rig.ARROW, rig.CLOSE, '"', "[", "[__DC__(", ") --> ", "a", " ", "\n", "\U0001f600"])
documents = st.lists(pieces, max_size=20).map("".join)
sayable = st.one_of(
    st.text(st.sampled_from(" a\u00a0\u2028[]()_->\\'\U0001f600"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"'), max_size=8),
)
queries = sayable.filter(lambda query: not rig.WHITE_SPACE.issuperset(query))


@given(documents)
@settings(max_examples=400, deadline=None)
def test_serialising_what_was_parsed_gives_the_document(text: str) -> None:
    assert rig.serialise(rig.segments_of(rig.parse(text))) == text


@given(queries, sayable)
@example(query="a[__DC__(", value="b[__DC__(")
@settings(deadline=None)
def test_parsing_an_annotation_that_was_written_gives_it_back(query: str, value: str) -> None:
    (found,) = rig.parse(rig.serialise_annotation(query, value))
    assert isinstance(found, rig.AnnotationEvent)
    assert (found.query, found.value) == (query, value)


@given(st.lists(st.one_of(documents, st.tuples(queries, sayable)), max_size=6))
@settings(max_examples=400, deadline=None)
def test_what_is_written_reads_as_what_was_meant_or_is_refused(segments: list[rig.Segment]) -> None:
    meant = [segment for segment in segments if isinstance(segment, tuple)]
    try:
        document = rig.serialise(segments)
    except rig.NotRepresentable:
        joined = "".join(s if isinstance(s, str) else rig.serialise_annotation(*s) for s in segments)
        assert [(a.query, a.value) for a in rig.annotations(joined)] != meant or any(
            rig.annotations(segment) for segment in segments if isinstance(segment, str)
        )
    else:
        assert [(a.query, a.value) for a in rig.annotations(document)] == meant


@pytest.mark.parametrize(("query", "value", "message"), [
    ('say "q"', "5", r"U\+0022 in the query"), ("q", '5 "approx"', r"U\+0022 in the value"),
    ("", "5", "not White_Space"), (" \u00a0\u3000", "5", "not White_Space"),
    ("q\n", "5", r"U\+000A in the query"), ("q", "\x7f", r"U\+007F in the value"), ("q\ud800", "5", r"query: .*U\+D800"),
])  # fmt: skip
def test_what_an_annotation_cannot_say_is_refused(query: str, value: str, message: str) -> None:
    with pytest.raises(rig.NotRepresentable, match=message):
        rig.serialise_annotation(query, value)


@pytest.mark.parametrize("segments", [
    ["[__DC__", '("q") --> "5"]'],
    ['[__DC__("q") --> "5"]'],
    ['[__DC__("q") --> "5', '"]'],
], ids=["split", "whole", "closed later"])  # fmt: skip
def test_texts_that_would_read_as_an_annotation_are_refused(segments: list[rig.Segment]) -> None:
    with pytest.raises(rig.NotRepresentable, match="forged"):
        rig.serialise(segments)


def test_a_surrogate_in_a_text_is_refused() -> None:
    with pytest.raises(rig.NotRepresentable, match="lone surrogate"):
        rig.serialise(["\udc00"])


def test_a_text_that_swallows_an_annotation_is_refused() -> None:
    # The text opens an annotation whose query ends where the opener of the one that was meant ends.
    segments: list[rig.Segment] = ['[__DC__("x', (") --> ", "]5")]
    joined = "".join(s if isinstance(s, str) else rig.serialise_annotation(*s) for s in segments)
    assert [(a.query, a.value) for a in rig.annotations(joined)] == [("x[__DC__(", ") --> ")]
    with pytest.raises(rig.NotRepresentable, match=r"lost|forged"):
        rig.serialise(segments)
