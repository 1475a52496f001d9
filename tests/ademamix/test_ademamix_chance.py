"""What is said about chance holds by exact counting, and what comes of it is the same at every run."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from conformance.ademamix.mutants import MUTANTS
from conformance.ademamix.requirements import stochastic_rounding
from impls.implementation import Unsupported
from reference.rounding import BFLOAT16


def _outside(count: int, probability: Fraction, low: float, high: float) -> Fraction:
    """The exact probability that a share is outside: a sum over the binomial distribution."""
    inside = (
        math.comb(count, k) * probability**k * (1 - probability) ** (count - k)
        for k in range(count + 1)
        if low <= k / count <= high
    )
    return 1 - sum(inside, Fraction(0))


@pytest.mark.parametrize("probability", [Fraction(1, 2), Fraction(3, 4), Fraction(3, 64), Fraction(0), Fraction(1)])
@pytest.mark.parametrize("alarm", [2.0**-10, 2.0**-40])
def test_an_honest_share_is_outside_its_limits_no_more_often_than_stated(probability: Fraction, alarm: float) -> None:
    low, high = stochastic_rounding.limits(200, float(probability), alarm)
    assert low <= probability <= high
    assert _outside(200, probability, low, high) <= Fraction(alarm)


def test_limits_are_no_wider_than_the_entropy_makes_them() -> None:
    low, high = stochastic_rounding.limits(10_000, 0.5)
    # By Pinsker's inequality the distance is at most sqrt(ln(2 / alarm) / 2n); it comes near that at one half.
    widest = math.sqrt(math.log(2 / stochastic_rounding.FALSE_ALARM) / 20_000)
    assert widest * (1 - 1 / 64) < high - 0.5 <= widest
    assert abs((0.5 - low) - (high - 0.5)) <= 2.0**-50  # bisection stops there
    assert stochastic_rounding.limits(10, 0.001)[0] == 0.0


def test_a_sure_event_that_does_not_happen_and_an_impossible_one_that_does_are_outside() -> None:
    assert stochastic_rounding.limits(5, 0.0) == (0.0, 0.0)
    assert stochastic_rounding.limits(5, 1.0) == (1.0, 1.0)
    assert not stochastic_rounding._share("never", np.array([False, True]), 0.0, 0.0).passed
    assert stochastic_rounding._share("known to within a half", np.array([False, True]), 0.0, 0.5).passed


def test_what_is_rounded_to_the_nearest_is_not_judged_by_chance() -> None:
    subject = next(m for m in MUTANTS if m.name == "lerp").subject()
    for function, (case, *_) in (
        (stochastic_rounding.keeps_the_mean, stochastic_rounding.MEANS),
        (stochastic_rounding.draws_anew, stochastic_rounding.DRAWS),
    ):
        with pytest.raises(Unsupported, match="not rounded by chance"):
            list(function(subject, case, "bfloat16"))


def test_every_share_of_the_ladder_is_met_and_counted() -> None:
    subject = next(m for m in MUTANTS if m.name == "by-chance").subject()
    counted = list(stochastic_rounding.keeps_the_mean(subject, stochastic_rounding.MEANS[0], "bfloat16"))
    assert len(counted) == 1 + 4 * stochastic_rounding.SHARES
    shares = [float(c.expected) for c in counted[1:]]
    assert min(shares) < 2.0**-9
    assert max(shares) > 1 - 2.0**-9
    assert sum(1 / 4 < share < 3 / 4 for share in shares) >= 4
    assert all(c.passed for c in counted)
    again = list(stochastic_rounding.keeps_the_mean(subject, stochastic_rounding.MEANS[0], "bfloat16"))
    assert [c.margin for c in counted] == [c.margin for c in again]


def test_the_ladder_stays_in_its_binades() -> None:
    values = stochastic_rounding._ladder()
    unit = 2.0 * BFLOAT16.unit_roundoff
    for moved in (values + unit, values - unit):
        assert np.array_equal(np.frexp(moved)[1], np.frexp(values)[1])
