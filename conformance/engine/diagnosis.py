"""Diagnose a failure: find the mutants that give the same values as the implementation."""

from __future__ import annotations

import functools

import numpy as np

from conformance.engine.check import Case, Check, run_check
from conformance.engine.comparison import Comparison, margins_of
from conformance.engine.mutation import Mutant, mutants_of, subject_of
from conformance.engine.selection import is_thorough

MOST_SHOWN = 3
"""So many mutants are named. The rest are counted: a failure that resembles many has no likeliest reason."""


def resembling(system: str, check: Check, case: Case, dtype: str, comparisons: list[Comparison]) -> str:
    """``name: sentence`` of the mutants that this failure resembles, joined by ``; or ``; "" if none.

    A mutant resembles the implementation where it fails the same check and no quantity of the two differs by more than
    twice the bound: each may be off by one bound from the same wrong answer.
    """
    found = []
    for mutant in mutants_of(system):
        if mutant.honest or mutant.equivalent or (is_thorough(case) and not mutant.thorough):
            continue  # a case that takes long is run only on the mutants that were made for such cases
        theirs = _comparisons(mutant, check, case, dtype)
        if theirs is not None and any(not c.passed for c in theirs) and _alike(comparisons, theirs):
            found.append(f"{mutant.name}: {mutant.sentence}")
    shown = "; or ".join(found[:MOST_SHOWN])
    return shown + (f"; or {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else "")


@functools.lru_cache(maxsize=4096)
def _comparisons(mutant: Mutant, check: Check, case: Case, dtype: str) -> list[Comparison] | None:
    try:
        return run_check(check, subject_of(mutant), case, dtype)
    except Exception:
        return None  # it cannot run this case, so it explains nothing here


def _alike(ours: list[Comparison], theirs: list[Comparison]) -> bool:
    by_quantity = {comparison.quantity: comparison for comparison in theirs}
    return all(c.quantity in by_quantity and _same(c, by_quantity[c.quantity]) for c in ours)


def _same(own: Comparison, other: Comparison) -> bool:
    if not isinstance(own.got_values, np.ndarray) or not isinstance(other.got_values, np.ndarray):
        return type(own.got_values) is type(other.got_values) and bool(own.got_values == other.got_values)
    if own.got_values.shape != other.got_values.shape:
        return False
    bound = own.bound_values if own.bound_values is not None else other.bound_values
    if bound is None:
        return bool(np.array_equal(own.got_values, other.got_values, equal_nan=True))
    return bool(np.all(margins_of(own.got_values, other.got_values, 2 * bound) <= 1))
