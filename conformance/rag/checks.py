"""How each requirement of RAG is put to a reader.

A rule about which queries are returned is not failed by their order, which has a requirement of its own; the official
profile has no order at all, and may return any 25 of more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from conformance.engine.check import Checks
from conformance.engine.comparison import Comparison, equal
from conformance.engine.text_comparison import Plain, equal_lists, shown
from conformance.rag.cases import GENERATED, ORDER, VECTORS, Case, Generated, generated
from conformance.rig.harness.text import TimeLimitExceeded
from reference import rag

CHECKS = Checks()


def held_against(subject: Any, text: str, expected: Sequence[str] | frozenset[str]) -> Iterator[Comparison]:
    """The queries as a multiset against those that must be returned, or of which any 25 must be."""
    found = sorted(subject.parse(text))
    if subject.profile.name == "official" and len(expected) > rag.MAX_QUERIES:
        outside = [query for query in found if query not in expected]
        yield equal_lists("queries that are not in the answer", outside, [], text)
        yield equal("number of distinct queries", len(set(found)), rag.MAX_QUERIES, shown(text))
        yield equal("number of queries", len(found), rag.MAX_QUERIES, shown(text))
    else:
        yield equal_lists("queries, sorted", found, sorted(expected), text)


def queries_are_found(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """The queries of a hand-written answer."""
    yield from held_against(subject, case.text, case.expected(subject.profile.name))


for _requirement, _cases in VECTORS.items():
    CHECKS.add(_requirement, _cases)(queries_are_found)


@CHECKS.add("RAG-07", ORDER)
def order_is_kept(subject: Any, case: Case, dtype: str) -> Iterator[Comparison]:
    """The queries of a hand-written answer, in order."""
    yield equal_lists("queries", subject.parse(case.text), list(case.expected(subject.profile.name)), case.text)


@CHECKS.add("RAG-18", [Plain("again", quick=True), Plain("repeated-elsewhere"), Plain("own-list")])
def nothing_is_remembered(subject: Any, case: Plain, dtype: str) -> Iterator[Comparison]:
    """The same answer twice, with another between."""
    text = "a?\nb?\n"
    between = {"again": "c?", "repeated-elsewhere": "b?\na?\n" * 20, "own-list": "a?"}[case.id]
    first = subject.parse(text)
    kept = list(first)
    subject.parse(between)
    yield equal("queries of the second reading", sorted(subject.parse(text)), sorted(kept))
    yield equal("the first answer, afterwards", first, kept)
    yield equal("queries", sorted(first), ["a?", "b?"])


@CHECKS.add("RAG-19", [Plain("line", quick=True), Plain("lines"), Plain("spaces"), Plain("blank-lines")])
def nothing_is_too_long(subject: Any, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Answers of 200 000 characters, some of which make a backtracking trim hang."""
    length = 200_000
    text, expected = {
        "line": ("ab c" * (length // 4), ("ab c" * (length // 4),)),
        "lines": ("a?\nb?\n" * (length // 6), ("a?", "b?")),
        "spaces": ("a?" + " " * length + "b?\nc?", ("a?" + " " * length + "b?", "c?")),
        "blank-lines": ("a?" + " \n" * (length // 2) + "b?", ("a?", "b?")),
    }[case.id]
    try:
        found = subject.parse(text)
    except TimeLimitExceeded as limit:
        yield equal("an answer", str(limit), f"an answer on {len(text)} characters")
        return
    yield equal_lists("queries, sorted", sorted(found), sorted(expected), text)


@CHECKS.add("RAG-20", [Plain("high", quick=True), Plain("low"), Plain("reversed-pair")])
def lone_surrogates_are_no_text(subject: Any, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Refusing the answer is right, and so is returning no query of its only line; the official profile takes them."""
    lone = {"high": "\ud800", "low": "\udfff", "reversed-pair": "\udc00\ud800"}[case.id]
    try:
        found = subject.parse(f"a{lone}?\n")
    except ValueError:
        found = []
    expected = [] if subject.profile.name == "strict" else [f"a{lone}?"]
    yield equal("queries with a lone surrogate", found, expected)


@CHECKS.add("RAG-21", GENERATED)
def generated_answers_agree_with_the_law(subject: Any, case: Generated, dtype: str) -> Iterator[Comparison]:
    """Answers that nobody thought of."""
    for text in generated(case):
        strict = subject.profile.name == "strict"
        yield from held_against(subject, text, rag.parse(text).queries if strict else rag.official.candidates(text))
