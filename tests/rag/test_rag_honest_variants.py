"""Readers of RAG answers that are right, put together by chance: none is accused of anything."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from conformance.engine.discovery import plug
from conformance.engine.runner import list_test_cases, run_test_case
from conformance.engine.selection import Options
from conformance.records.schema import RED, Verdict
from tests.rag import honest_readers
from tests.rag.honest_readers import CHOICES, HonestReader, made

SEEDS = range(12)
SAMPLED = 8
"""Test cases for each. ``python -m tests.rag.test_rag_honest_variants FIRST LAST [CASES]`` takes more."""


def accused(seed: int, sampled: int) -> tuple[list[str], Counter[Verdict]]:
    """What the plug of that seed is accused of in so many test cases by chance, and the verdicts that there were."""
    plugged = plug(f"rag={honest_readers.__name__}:honest{seed}")
    cases = list(list_test_cases("rag", [plugged], Options()))
    found, counts = [], Counter[Verdict]()
    for test_case in random.Random(seed).sample(cases, min(sampled, len(cases))):
        record = run_test_case(test_case)
        counts[record.verdict] += 1
        if record.verdict in RED:
            told = f"{record.quantity} {record.worst} {record.got} {record.expected} {record.message}"
            found.append(f"{test_case.id}: {told} by {made(seed)[1]}")
    return found, counts


@pytest.mark.parametrize("first", SEEDS[::6])
def test_no_right_reader_is_accused(first: int) -> None:
    total: Counter[Verdict] = Counter()
    for seed in range(first, first + 6):
        found, counts = accused(seed, SAMPLED)
        assert found == []
        total += counts
    assert total[Verdict.PASS] + total[Verdict.UNSUPPORTED] == 6 * SAMPLED  # who declares the other profile has no order


def test_a_wrong_one_of_them_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would prove nothing."""
    right = HonestReader._trimmed
    monkeypatch.setattr(HonestReader, "_trimmed", lambda self, line: right(self, line)[:-1])
    assert sum(bool(accused(seed, SAMPLED)[0]) for seed in range(2)) == 2


def test_every_choice_is_taken() -> None:
    taken = [made(seed)[1] for seed in range(200)]
    for name, values in CHOICES.items():
        assert {choices[name] for choices in taken} == set(values), name


if __name__ == "__main__":
    import sys

    accusations = 0
    first, last, *several = map(int, sys.argv[1:])
    for number in range(first, last):
        sentences, tally = accused(number, *(several or [100]))
        accusations += len(sentences)
        print(number, {verdict.value: count for verdict, count in tally.items()}, *sentences, flush=True)
    print(f"{accusations} accusations")
