"""Mixed answers are what their combinations say, and readings are kept apart from what the paper defines."""

from __future__ import annotations

from types import SimpleNamespace

from conformance.engine.check import run_check
from conformance.engine.interactions import covered
from conformance.engine.selection import checks_of
from conformance.rag.harness.subject import RagSubject
from conformance.rag.interactions import ALL, CONTENTS, answer
from impls.rag import parse
from reference import rag

MIXED = [(check, case) for check in checks_of("rag") if check.requirement in ("RAG-22", "RAG-23") for case in check.cases]


def test_every_pair_of_values_is_in_a_case() -> None:
    possible = frozenset().union(*(each.pairs for each in ALL))
    assert covered(case for _, case in MIXED) == possible
    assert len(possible) > 1500


def test_answers_hold_what_their_combination_says() -> None:
    for each in ALL:
        text = answer(each)
        assert CONTENTS[each["query"]] in text
        part, _, length = each["long"].partition(" ")
        if part == "before":
            assert text.index("\n") + 1 == int(length)
        assert text.endswith("\n") is (each["end"] != "unended")
        assert list(rag.parse(text).queries) == parse(text)


def test_a_reader_of_the_official_profile_differs_in_readings_alone() -> None:
    """It is undeclared, so that it is held to the strict profile."""
    reader = RagSubject(SimpleNamespace(parse=lambda text: sorted(rag.official.candidates(text))[:25]))
    failed = {check.requirement for check, case in MIXED for each in run_check(check, reader, case, "") if not each.passed}
    assert failed == {"RAG-23"}
