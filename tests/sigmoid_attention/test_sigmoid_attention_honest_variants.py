"""Functions of attention that are right, put together by chance: none is accused of anything."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch

from conformance.engine.discovery import plug
from conformance.engine.runner import list_test_cases, run_test_case
from conformance.engine.selection import Options
from conformance.records.schema import RED, Verdict
from tests.sigmoid_attention.honest_attention import CHOICES, HonestAttention, made

SEEDS = range(12)
SAMPLED = 8
"""Test cases for each. More: ``python -m tests.sigmoid_attention.test_sigmoid_attention_honest_variants FIRST LAST``."""

UNDECIDED = ("SIG-55",)
"""What hidden NaN does: the paper is silent, no verdict depends on it, and a mask by multiplication hands them on."""


def accused(seed: int, sampled: int) -> tuple[list[str], Counter[Verdict]]:
    """What the function of that seed is accused of in so many test cases by chance, and the verdicts that there were."""
    plugged = plug(f"tests.sigmoid_attention.honest_attention:honest{seed}")
    cases = [
        each for each in list_test_cases("sigmoid_attention", [plugged], Options()) if each.check.requirement not in UNDECIDED
    ]
    found, counts = [], Counter[Verdict]()
    for test_case in random.Random(seed).sample(cases, min(sampled, len(cases))):
        record = run_test_case(test_case)
        counts[record.verdict] += 1
        if record.verdict in RED:
            found.append(f"{test_case.id}: {record.quantity} {record.margin} {record.message} by {made(seed)[1]}")
    return found, counts


@pytest.mark.parametrize("first", SEEDS[::6])
def test_no_right_function_is_accused(first: int) -> None:
    total: Counter[Verdict] = Counter()
    for seed in range(first, first + 6):
        found, counts = accused(seed, SAMPLED)
        assert found == []
        total += counts
    assert total[Verdict.PASS] > total[Verdict.UNSUPPORTED] > 0


def test_a_sum_beyond_float16_is_no_fault_where_scores_are_stored_in_it() -> None:
    """An infinite bound proves nothing: the verdict says so. In float32 the same case is judged."""
    plugged = plug("tests.sigmoid_attention.honest_attention:honest270")
    found = {
        each.dtype: run_test_case(each).verdict
        for each in list_test_cases("sigmoid_attention", [plugged], Options())
        if (each.check.requirement, each.case.id) == ("SIG-37", "two-rows-three-blocks")
    }
    assert found == {"float32": Verdict.PASS, "float16": Verdict.INCONCLUSIVE, "bfloat16": Verdict.PASS}


def test_a_wrong_one_of_them_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would prove nothing."""
    right = HonestAttention.weights
    monkeypatch.setattr(HonestAttention, "weights", lambda self, *given: right(self, *given).roll(1, -1))
    assert sum(bool(accused(seed, SAMPLED)[0]) for seed in range(4)) == 4


def test_every_choice_is_taken() -> None:
    taken = [made(seed)[1] for seed in range(200)]
    for name, values in CHOICES.items():
        assert {choices[name] for choices in taken} == set(values), name


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)  # tensors are small
    accusations = 0
    first, last, *several = map(int, sys.argv[1:])
    for number in range(first, last):
        sentences, tally = accused(number, *(several or [50]))
        accusations += len(sentences)
        print(number, {verdict.value: count for verdict, count in tally.items()}, *sentences, flush=True)
    print(f"{accusations} accusations")
