"""Test every selected implementation on every requirement of sigmoid attention, and the suite itself on every mutant."""

from __future__ import annotations

from collections.abc import Callable

from conformance.engine.mutation import Mutant
from conformance.engine.runner import RuledOut, TestCase

SYSTEM = "sigmoid_attention"


def test_conforms(test_case: TestCase | RuledOut, judge: Callable[[TestCase | RuledOut], None]) -> None:
    judge(test_case)


def test_mutant(mutant: Mutant, judge_mutant: Callable[[Mutant], None]) -> None:
    judge_mutant(mutant)
