"""The linter of query lists names each bad line, and its repair is what a strict reader takes whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.rag.lint import LINTER, fix, lint
from conformance.rig.harness.text import time_limit
from reference import rag

POPULATION, AGE = "What is the population of Paris?", "How has the median age changed over time in Paris?"


def found(text: str) -> list[tuple[str, str]]:
    return [(" ".join(f.codes), text[f.start : f.end]) for f in lint(text).findings]


@pytest.mark.parametrize(("text", "expected"), [
    (rag.EXAMPLE, []),
    ("", []),
    (f"- {POPULATION}\n2. {AGE}\n", [("list-marker", f"- {POPULATION}"), ("list-marker", f"2. {AGE}")]),
    (f"{POPULATION}\n\n {POPULATION}", [("blank-line", ""), ("duplicate", f" {POPULATION}")]),
    (f"{POPULATION}\n {AGE}", [("surrounding-space", f" {AGE}")]),
    (f"a\tb?\n{AGE}", [("control-character", "a\tb?")]),
    ("\n".join(f"q{n}?" for n in range(27)), [("too-many", "q25?"), ("too-many", "q26?")]),
    (f"Here are some questions:\n{AGE}\n", [("not-a-question", "Here are some questions:")]),
    (f"{POPULATION}\nWhat is the perc", [("truncated", "What is the perc")]),
    (f"{POPULATION}\nWhat is the perc\n", [("not-a-question", "What is the perc")]),
    ("Nothing to ask", [("not-a-question", "Nothing to ask")]),
    (f"{POPULATION}\n{POPULATION.upper()}\n", [("near-duplicate", POPULATION.upper())]),
    ("سكان مصر؟\n", []),
    ("a\ud800?\n", [("lone-surrogate", "\ud800")]),
])  # fmt: skip
def test_each_bad_line_is_named(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


def test_forms_are_counted() -> None:
    figures = LINTER.ratios(lint(f"{POPULATION}\n{AGE}\nWhich?\nWhich one?\n- x?").counts)
    assert figures["form WHAT_OF: What is M of P?"] == 1 / 4
    assert figures["form HOW_CHANGED_IN: How has M changed over time in P?"] == 1 / 4
    assert figures["form OTHER: other"] == 2 / 4
    assert figures["well-formed documents"] == 0
    assert figures["queries per document"] == 4


pieces = st.sampled_from([
    "a?", "b?", "What is x in y?", "\n", "\r\n", "\r", " ", "\t", "- ", "* ", "1. ", "(2) ", "\x00", "\u2028", "A?", "c",
    "\ud800",
])  # fmt: skip
answers = st.lists(pieces, max_size=60).map("".join)


@given(answers)
@settings(max_examples=300, deadline=None)
def test_every_query_and_every_violation_is_counted(text: str) -> None:
    result = lint(text)
    read = rag.parse(text.replace("\ud800", "\ufffd"))
    assert result.counts["queries"] == len(read.queries)
    assert sum(result.counts[f"template {t.name}"] for t in rag.Template) == len(read.queries)
    for defect in rag.RagDefect:
        expected = sum(v.defect is defect for v in read.violations)
        assert result.counts[defect.value] == sum(f.codes == (defect.value,) for f in result.findings) == expected
    asking = result.counts["queries asking"] + result.counts["not a question"] + result.counts["truncated"]
    assert asking == len(read.queries)


@given(answers)
@settings(max_examples=300, deadline=None)
def test_a_repair_is_final_and_a_strict_reader_takes_it_whole(text: str) -> None:
    fixed = fix(text)
    assert fix(fixed) == fixed
    if "\ud800" in text:
        assert fixed == text
        return
    left = {v.defect for v in rag.parse(fixed).violations}
    assert left <= {rag.RagDefect.CONTROL_CHARACTER}
    assert left == set() or "\x00" in text
    queries = rag.parse(text).queries
    assert set(queries[: rag.MAX_QUERIES]) >= set(queries) & set(rag.parse(fixed).queries)
    if rag.parse(text).well_formed:
        assert fixed == text


@pytest.mark.parametrize(("text", "fixed"), [
    (rag.EXAMPLE, rag.EXAMPLE),
    (POPULATION, POPULATION),
    (f"\n\n1. {POPULATION}\n2.\t{AGE}  \r\n- {POPULATION}", f"{POPULATION}\n{AGE}\n"),
    ("- 1. a?\nb\t\tc?", "a?\nb c?\n"),
    ("a\x00?\n\nb?", "a\x00?\nb?\n"),
    ("\n".join(f"{n}. q{n}?" for n in range(30)), "".join(f"q{n}?\n" for n in range(25))),
    ("-\n*\n", ""),
    # A line that no strict reader returns takes no place among the 25.
    ("a\x00?\n* b?\n" + "".join(f"q{n}?\n" for n in range(30)), "a\x00?\nb?\n" + "".join(f"q{n}?\n" for n in range(24))),
])  # fmt: skip
def test_queries_keep_their_words(text: str, fixed: str) -> None:
    assert fix(text) == fixed


@pytest.mark.parametrize("family", ["- ", "a?\n", " ", "\n", "1. ", "- a?\n", "a\t", "\r"])
def test_hostile_answers_are_linted(family: str) -> None:
    text = family * (100_000 // len(family))
    with time_limit(30):
        lint(text)
        fix(text)
