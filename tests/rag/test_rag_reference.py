"""The reference of RAG: what a strict reader returns and reports, what the official one may return, and the question forms."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import rag
from reference.rag import RagDefect, Template, Violation, official, template_of

PIECES = [
    "a", "b", "What is x in y?", "\n", "\r\n", "\r", " ", "\t", "- ", "* ", "1. ", "(2) ", "12) ", "\x00", "\u2028", "\x1c",
]  # fmt: skip
answers = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


def test_the_example_has_three_queries() -> None:
    assert rag.parse(rag.EXAMPLE) == rag.QueryList(
        (
            "What is the population of Sunnyvale, CA?",
            "What is the percentage of females in Sunnyvale, CA?",
            "How has the median age changed over time in Sunnyvale, CA?",
        ),
        (),
    )
    assert official.candidates(rag.EXAMPLE) == set(rag.parse(rag.EXAMPLE).queries)


@pytest.mark.parametrize(("text", "queries", "violations"), [
    ("", [], []),
    ("\n", [], [(1, RagDefect.BLANK_LINE)]),
    ("a", ["a"], []),
    ("a\n", ["a"], []),
    ("a\r\nb\r\n", ["a", "b"], []),
    ("a\rb\n", [], [(1, RagDefect.CONTROL_CHARACTER)]),
    ("a\r", ["a"], [(1, RagDefect.SURROUNDING_SPACE)]),
    ("\n\na\n\nb\n\n", ["a", "b"], [(n, RagDefect.BLANK_LINE) for n in (1, 2, 4, 6)]),
    (" a\t\nb", ["a", "b"], [(1, RagDefect.SURROUNDING_SPACE)]),
    ("\ta\u00a0", ["a"], [(1, RagDefect.SURROUNDING_SPACE)]),
    ("- a\n* b\n+ c\n\u2022 d\n1. e\n12) f\n(3) g", [], [(n, RagDefect.LIST_MARKER) for n in range(1, 8)]),
    ("-\n1.", [], [(1, RagDefect.LIST_MARKER), (2, RagDefect.LIST_MARKER)]),
    ("-a\n1.5 b\n100. c\n5 d\n(a) e", ["-a", "1.5 b", "100. c", "5 d", "(a) e"], []),
    ("a\nb\na\nA", ["a", "b", "A"], [(3, RagDefect.DUPLICATE)]),
    ("a\u2028b\x85c", ["a\u2028b\x85c"], []),
    ("a\x0bb\na\tb\n\x7fa", [], [(n, RagDefect.CONTROL_CHARACTER) for n in (1, 2, 3)]),
])  # fmt: skip
def test_what_a_strict_reader_returns_and_reports(
    text: str, queries: list[str], violations: list[tuple[int, RagDefect]]
) -> None:
    found = rag.parse(text)
    assert list(found.queries) == queries
    assert [(v.line, v.defect) for v in found.violations] == violations
    assert found.well_formed == (not violations)


def test_what_is_left_out_does_not_count_towards_the_25() -> None:
    lines = [f"q{n}" for n in range(30)]
    text = "\n".join(["- bullet", "q0", "", "q0", *lines])
    found = rag.parse(text)
    assert list(found.queries) == lines[:25]
    assert [v for v in found.violations if v.defect is RagDefect.TOO_MANY] == [
        Violation(n + 5, RagDefect.TOO_MANY, f"q{n}") for n in range(25, 30)
    ]


@given(answers)
@settings(max_examples=400, deadline=None)
def test_strict_queries_read_again_give_themselves(text: str) -> None:
    found = rag.parse(text)
    again = rag.parse("\n".join(found.queries))
    assert again == rag.QueryList(found.queries, ())
    assert len(found.queries) <= rag.MAX_QUERIES


@given(answers)
@settings(max_examples=400, deadline=None)
def test_every_line_is_returned_or_reported(text: str) -> None:
    found = rag.parse(text)
    kept = {RagDefect.SURROUNDING_SPACE}
    ruled_out = [v for v in found.violations if v.defect not in kept]
    lines = text.split("\n")
    assert len(found.queries) + len(ruled_out) == len(lines) - (lines[-1] == "")


@given(answers)
@settings(max_examples=400, deadline=None)
def test_strict_queries_are_official_candidates(text: str) -> None:
    # The information separators U+001C to U+001F are stripped by Python and are control characters in strict.
    assert set(rag.parse(text).queries) <= official.candidates(text)


@given(answers, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_the_official_reader_is_accepted_whatever_the_hash_seed(text: str, random_: random.Random) -> None:
    queries = [q.strip() for q in text.split("\n") if q.strip()]
    shuffled = list(dict.fromkeys(queries))
    random_.shuffle(shuffled)
    assert official.accepts(text, shuffled[:25])
    if shuffled:
        assert not official.accepts(text, [*shuffled[:25][:-1], "never in it"])
        assert not official.accepts(text, shuffled[:25][:-1])
        assert not official.accepts(text, [*shuffled[:25], shuffled[0]])


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="lone surrogate"):
        rag.parse("a\ud800")


@pytest.mark.parametrize(("query", "template"), [
    ("What is the median income in California?", Template.WHAT_IN),
    ("What are the largest crops in US states?", Template.WHAT_IN),
    ("How has the median age changed over time in California counties?", Template.HOW_CHANGED_IN),
    ("How have wages changed over time in California?", Template.HOW_CHANGED_IN),
    ("How has the number of immigrants in US states changed over time?", Template.HOW_IN_CHANGED),
    ("What is the median income among California counties?", Template.WHAT_AMONG),
    ("What is the population of Sunnyvale?", Template.WHAT_OF),
    ("what is the median income in California?", Template.OTHER),
    ("What is the median income in California", Template.OTHER),
    ("- What is the median income in California?", Template.OTHER),
    ("What is the highest?", Template.OTHER),
    ("", Template.OTHER),
])  # fmt: skip
def test_the_form_of_a_question_is_its_surface(query: str, template: Template) -> None:
    assert template_of(query) is template
