"""Optimizers that are right, put together by chance: none is accused of anything."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from conformance.ademamix.harness.run_loop import OptimizerPlug
from conformance.ademamix.harness.subject import Connected
from conformance.ademamix.harness.torch_backend import TorchBackend
from conformance.engine.check import run_check, worst_of
from conformance.engine.selection import Options, selected_cases
from impls.implementation import NotRun, Unsupported
from tests.ademamix.honest_optimizers import CHOICES, HonestOptimizer, made

SEEDS = range(20)
SAMPLED = 10
"""Test cases for each optimizer; ``python -m tests.ademamix.test_ademamix_honest_variants FIRST LAST`` takes more."""


def accused(seed: int, sampled: int) -> tuple[list[str], Counter[str]]:
    """What the optimizer of that seed is accused of on so many cases by chance, and how many were judged."""
    optimizer, choices = made(seed)
    dtypes = ("float32", "float64") if seed % 3 else ("float32", "bfloat16", "float16")
    subject = Connected(optimizer.__name__, dtypes, None, choices["class"], TorchBackend, OptimizerPlug(optimizer))
    cases = [each for each in selected_cases("ademamix", Options(dtypes=dtypes)) if each[0].requirement not in BY_CHANCE]
    found, counts = [], Counter[str]()
    for check, case, dtype in random.Random(seed).sample(cases, sampled):
        name = f"{check.requirement} {case.id} {dtype}"
        try:
            worst = worst_of(run_check(check, subject, case, dtype))
        except (Unsupported, NotRun):
            counts["left out"] += 1
        except Exception as error:
            found.append(f"{name}: {error!r} by {choices}")
        else:
            counts["judged"] += 1
            if not worst.passed:
                found.append(f"{name}: margin {worst.margin} by {choices}")
    return found, counts


BY_CHANCE = ("ADM-64", "ADM-65")
"""Statistics of stochastic rounding, which these have not."""


@pytest.mark.parametrize("first", SEEDS[::10])
def test_no_right_optimizer_is_accused(first: int) -> None:
    total: Counter[str] = Counter()
    for seed in range(first, first + 10):
        found, counts = accused(seed, SAMPLED)
        assert found == []
        total += counts
    assert total["judged"] > total["left out"] > 0


def test_a_wrong_one_of_them_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would prove nothing."""
    right = HonestOptimizer._correction
    monkeypatch.setattr(HonestOptimizer, "_correction", lambda self, beta, t: right(self, beta, t + 1))
    assert sum(bool(accused(seed, SAMPLED)[0]) for seed in range(4)) == 4


def test_every_choice_is_taken() -> None:
    taken = [made(seed)[1] for seed in range(200)]
    for name, values in CHOICES.items():
        assert {choices[name] for choices in taken} == set(values), name


if __name__ == "__main__":
    import sys

    accusations = 0
    for number in range(*map(int, sys.argv[1:3])):
        sentences, tally = accused(number, 100)
        accusations += len(sentences)
        print(number, dict(tally), *sentences, flush=True)
    print(f"{accusations} accusations")
