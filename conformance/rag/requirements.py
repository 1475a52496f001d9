"""The requirements of RAG, each declared on its check.

Sources: the paper (page 9, appendix B), the official code (llm-tools df971f8), and decisions of the grammar. "grammar" in a
source is `reference.rag.grammar`. Where the official profile differs from the strict one, the statement says both.

A requirement on which queries are returned does not fail because of their order, which has a requirement of its own. The
official profile has no order at all, and may return any 25 of more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from conformance.engine.comparison import Comparison, equal
from conformance.engine.requirement import Level, Requirements
from conformance.engine.text_comparison import GeneratedTexts, Plain, equal_lists, generated, shown
from conformance.rag.cases import GENERATED, ORDER, VECTORS, RagCase
from conformance.rag.harness.subject import RagSubject
from conformance.rag.interactions import MixedAnswers, answer, is_reading, read
from conformance.rag.interactions import cases as mixed_answers
from conformance.rig.harness.text import TimeLimitExceeded
from impls.implementation import Unsupported
from reference import rag

REQUIREMENTS = Requirements(
    "RAG",
    {
        "Lines": "1-4 15",
        "Blanks": "5 6",
        "Order, repeats": "7-9",
        "Limit": "10 11",
        "List markers": "12-14",
        "Characters": "16 17 20",
        "Sizes, calls": "18 19 21-23",
    },
)


def queries_compared(subject: RagSubject, text: str, expected: Sequence[str] | frozenset[str]) -> Iterator[Comparison]:
    """The queries as a multiset, compared with those that must be returned, or of which any 25 must be."""
    found = sorted(subject.parse(text))
    if subject.profile.name == "official" and len(expected) > rag.MAX_QUERIES:
        outside = [query for query in found if query not in expected]
        yield equal_lists("queries that are not in the answer", outside, [], text)
        yield equal("number of distinct queries", len(set(found)), rag.MAX_QUERIES, shown(text))
        yield equal("number of queries", len(found), rag.MAX_QUERIES, shown(text))
    else:
        yield equal_lists("queries, sorted", found, sorted(expected), text)


def queries_are_found(subject: RagSubject, case: RagCase, dtype: str) -> Iterator[Comparison]:
    """The queries of a hand-written answer."""
    yield from queries_compared(subject, case.text, case.expected(subject.profile.name))


_QUERIES = (
    ("RAG-01", Level.DEFINITION, "Each line of an answer is a query.",
     "p. 9: one per line", "a reader that does not read lines"),
    ("RAG-02", Level.DEFINITION, "An empty answer has no query.", "App. B: an empty response", "returning one empty query"),
    ("RAG-03", Level.DEFINITION, "Lines may end in CR LF.", "grammar: eol; rag.py:79 (strip)", "leaving the CR on the query"),
    ("RAG-04", Level.DEFINITION, "The last line needs no end.", "rag.py:79", "dropping what no line feed ends"),
    ("RAG-05", Level.DEFINITION, "Blank lines are no queries.", "rag.py:79 (if q.strip())", "returning empty queries"),
    ("RAG-06", Level.DEFINITION, "White space around a query is not part of it.",
     "rag.py:79 (strip)", "trimming nothing, ASCII alone, or invisible characters that are no white space"),
    ("RAG-08", Level.DEFINITION, "A query is returned once.", "rag.py:80 (set)", "asking the same question twice"),
    ("RAG-09", Level.DEFINITION, "Queries that differ in any character are different.",
     "rag.py:80 (set)", "folding case, white space or composition when looking for repeats"),
    ("RAG-10", Level.DEFINITION, "At most 25 queries are returned: the first ones; in the official profile any.",
     "App. B; rag.py:80", "no limit, or another one"),
    ("RAG-11", Level.READING, "What is left out does not count towards the 25.", "grammar: list", "cutting to 25 lines first"),
    ("RAG-12", Level.READING, "A line with a bullet is no query; the official profile returns it with its bullet.",
     "p. 9: without any numbering or bullet", "returning bullets, or mending what was asked for without them"),
    ("RAG-13", Level.READING, "A numbered line is no query; the official profile returns it with its number.",
     "p. 9: without any numbering or bullet", "returning numbers, or mending what was asked for without them"),
    ("RAG-14", Level.DEFINITION, "A number or sign that belongs to the question is no list marker.",
     "grammar: list-marker", "taking '2.5 million' or '-5' for a marker"),
    ("RAG-15", Level.DEFINITION, "U+0085, U+2028 and U+2029 end no line.",
     "grammar: eol; rag.py:79", "splitting lines as Unicode does"),
    ("RAG-16", Level.READING,
     "A line with a control character inside is no query; the official profile returns it. None ends a line.",
     "grammar: query", "splitting at, or passing on, tabs, carriage returns and form feeds"),
    ("RAG-17", Level.DEFINITION, "A query is given as it came.",
     "rag.py:79", "mending case, quotes, markup or the question mark"),)  # fmt: skip
"""Id, level, statement, source and the bug to catch; the cases stand under the id in `conformance.rag.cases`."""

for _id, _level, _statement, _source, _catches in _QUERIES:
    REQUIREMENTS.add(_id, _level, _statement, source=_source, catches=_catches, cases=VECTORS[_id])(queries_are_found)


@REQUIREMENTS.add(
    "RAG-07",
    Level.READING,
    "A strict reader keeps the order.",
    source="grammar: list",
    catches="the official reader's set, whose order is random",
    cases=ORDER,
)
def order_is_kept(subject: RagSubject, case: RagCase, dtype: str) -> Iterator[Comparison]:
    """The queries of a hand-written answer, in order."""
    yield equal_lists("queries", subject.parse(case.text), list(case.expected(subject.profile.name)), case.text)


@REQUIREMENTS.check("RAG-07", mixed_answers(lambda each: True))
def order_is_kept_in_mixed_answers(subject: RagSubject, case: MixedAnswers, dtype: str) -> Iterator[Comparison]:
    """The order of those queries that are rightly returned, in each answer."""
    if subject.profile.name != "strict":
        raise Unsupported(f"a rule of the strict profile; this reader declares {subject.profile.name}")
    for combination in case.combinations:
        text = answer(combination)
        found, expected = subject.parse(text), list(read(combination, "strict"))
        in_both = set(found) & set(expected)
        found, expected = ([query for query in each if query in in_both] for each in (found, expected))
        yield equal_lists("queries", list(dict.fromkeys(found)), expected, text)


@REQUIREMENTS.add(
    "RAG-18",
    Level.ROBUSTNESS,
    "A reader remembers nothing between two answers.",
    source="the declared interface",
    catches="results that are kept",
    cases=[Plain("again", quick=True), Plain("repeated-elsewhere"), Plain("own-list"), Plain("two-at-once", quick=True)],
)
def nothing_is_remembered(subject: RagSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """The same answer twice, with another between."""
    text = "a?\nb?\n"
    if case.id == "two-at-once":
        begun, meanwhile = subject.begin_and_parse(text, "c?")
        yield equal("queries of the first, of which one was taken before", sorted(begun), ["a?", "b?"])
        yield equal("queries of the second", meanwhile, ["c?"])
        return
    between = {"again": "c?", "repeated-elsewhere": "b?\na?\n" * 20, "own-list": "a?"}[case.id]
    first = subject.parse(text)
    kept = list(first)
    subject.parse(between)
    yield equal("queries of the second reading", sorted(subject.parse(text)), sorted(kept))
    yield equal("the first answer, afterwards", first, kept)
    yield equal("queries", sorted(first), ["a?", "b?"])


@REQUIREMENTS.add(
    "RAG-19",
    Level.ROBUSTNESS,
    "Nothing is too long.",
    source="grammar is regular",
    catches="trims that backtrack, and limits on lines",
    cases=[Plain("line", quick=True), Plain("lines"), Plain("spaces"), Plain("blank-lines")],
)
def nothing_is_too_long(subject: RagSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
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


@REQUIREMENTS.add(
    "RAG-20",
    Level.READING,
    "No query holds a lone surrogate; the official profile takes it.",
    source="grammar: Unicode scalar values",
    catches="passing on what no UTF-8 can carry",
    cases=[Plain("high", quick=True), Plain("low"), Plain("reversed-pair")],
)
def lone_surrogates_are_no_text(subject: RagSubject, case: Plain, dtype: str) -> Iterator[Comparison]:
    """Refusing the answer is right, and so is returning no query of its only line; the official profile takes them."""
    lone = {"high": "\ud800", "low": "\udfff", "reversed-pair": "\udc00\ud800"}[case.id]
    try:
        found = subject.parse(f"a{lone}?\n")
    except ValueError:
        found = []
    expected = [] if subject.profile.name == "strict" else [f"a{lone}?"]
    yield equal("queries with a lone surrogate", found, expected)


# A reading, because generated answers depend on every decision of the grammar, readings too.
@REQUIREMENTS.add(
    "RAG-21",
    Level.READING,
    "On generated answers the queries are those of the grammar.",
    source="grammar",
    catches="a mistake that nobody thought of",
    cases=GENERATED,
)
def generated_answers_agree_with_the_reference(subject: RagSubject, case: GeneratedTexts, dtype: str) -> Iterator[Comparison]:
    """Compare with the reference on generated answers."""
    for text in generated(case):
        strict = subject.profile.name == "strict"
        yield from queries_compared(subject, text, rag.parse(text).queries if strict else rag.official.candidates(text))


_BEFORE: dict[str, Callable[[str], str | None]] = {
    "nothing": lambda text: None,
    "itself": lambda text: text,
    "another": lambda text: f"{text[:1]}\nWhat is q1?\nWhat is",
    # As many as there may be, the last of which comes first in the next answer.
    "25 queries": lambda text: "".join(f"What is before{number}?\n" for number in range(24)) + text.lstrip().split("\n")[0],
}
"""What a reader is given before an answer."""


def queries_of_mixed_answers(subject: RagSubject, case: MixedAnswers, dtype: str) -> Iterator[Comparison]:
    """The queries of each answer; before it the reader may have been given another, or the same."""
    for combination in case.combinations:
        text = answer(combination)
        before = _BEFORE[combination["read before"]](text)
        if before is not None:
            subject.parse(before)
        for comparison in queries_compared(subject, text, read(combination, subject.profile.name)):
            yield comparison if comparison.passed else replace(comparison, worst=f"{comparison.worst} ({combination})")


for _id, _level, _statement, _cases in (
    ("RAG-22", Level.DEFINITION, "The queries are those of the grammar however characters, repeats and lengths meet.",
     mixed_answers(lambda each: not is_reading(each))),
    ("RAG-23", Level.READING, "The same where the paper leaves the reading open: markers, control characters, the limit.",
     mixed_answers(is_reading)),
):  # fmt: skip
    REQUIREMENTS.add(
        _id, _level, _statement, source="grammar", catches="a mistake that takes two things at once", cases=_cases
    )(queries_of_mixed_answers)
