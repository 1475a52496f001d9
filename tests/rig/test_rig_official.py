"""The official profile is the published pattern, and its rewriting has the surprises that the published code has."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reference.rig import OFFICIAL, annotations, official


def mark(number: int, query: str, value: str) -> str:
    return f"<{number}:{query}={value}>"


def test_the_closing_bracket_is_optional_to_extract_and_required_to_rewrite() -> None:
    text = 'x [__DC__("q1") --> "5" y [__DC__("q2") --> "6"]'
    assert official.extract(text) == [("q1", "5"), ("q2", "6")]
    assert official.rewrite(text, mark) == 'x [__DC__("q1") --> "5" y <2:q2=6>'


def test_numbers_follow_queries_not_the_text() -> None:
    text = '[__DC__("a") --> "1"] [__DC__("b") --> "2"] [__DC__("a") --> "3"]'
    assert official.calls(text) == {"a": ["1", "3"], "b": ["2"]}
    assert official.rewrite(text, mark) == "<1:a=1> <3:b=2> <2:a=3>"


def test_identical_annotations_are_replaced_one_by_one() -> None:
    text = '[__DC__("a") --> "1"] [__DC__("a") --> "1"]'
    assert official.rewrite(text, mark) == "<1:a=1> <2:a=1>"


def test_a_missing_quote_joins_two_annotations() -> None:
    text = '[__DC__("q1") --> "5] and [__DC__("q2") --> "6"]'
    assert official.extract(text) == [("q1", "5] and [__DC__(")]


@given(st.lists(st.sampled_from(['[__DC__("', '") --> "', '"]', '"', "[", "]", "a", "\n", "[__DC__(", "\ud800"])).map("".join))
@settings(deadline=None)
def test_the_profile_of_the_parser_extracts_the_same(text: str) -> None:
    assert [(a.query, a.value) for a in annotations(text, OFFICIAL)] == official.extract(text)
