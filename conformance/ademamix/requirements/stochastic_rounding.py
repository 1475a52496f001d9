"""Stochastic rounding goes up as often as it must: counted over many elements, and compared with the binomial distribution.

A count of n independent events of probability p is off by more than x from n p with a probability of at most
``exp(-n D)``, where D is the relative entropy of the share that was found to p (Chernoff's bound, in the form of Hoeffding,
J. Amer. Statist. Assoc. 58, 1963, theorem 1). Turned around, it gives the shares that an honest implementation stays within
except with the probability `FALSE_ALARM`: no tolerance is tuned, and with a fixed seed a verdict never changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.ademamix.harness.problem import Array, GroupProblem, OptimizerProblem, TensorProblem
from conformance.ademamix.harness.subject import OptimizerSubject
from conformance.ademamix.requirements.base import REQUIREMENTS
from conformance.engine.comparison import Comparison, compare
from conformance.engine.requirement import Level
from impls.implementation import Unsupported
from reference.ademamix import Hyperparameters, bounded_trajectory, numerical_class
from reference.rounding import FLOAT32, Format, format_of

FALSE_ALARM = 2.0**-40
"""Probability that one honest count is called wrong: one in a million million."""
SHARES = 10
"""Values lie 3/4 of a unit above a neighbour, 3/8, and so on, down to ``0.75 * 2**(1 - SHARES)``."""
EACH = 2**16
"""Elements for each share: enough to miss what happens once in a thousand times."""

# No memory of gradients: a step moves by the learning rate in the direction of the gradient, which is 1 or -1.
_NO_MEMORY = Hyperparameters(beta1=0.0, beta2=0.0, beta3=0.0, alpha=0.0, eps=2.0**-60)


@dataclass(frozen=True)
class ChanceCase:
    """``kind``: ``parameter`` and ``moment`` ask for the mean of what is stored, ``draws`` for what draws have in common."""

    id: str
    kind: str
    dtypes: tuple[str, ...]
    quick: bool = True
    needs: frozenset[str] = frozenset({"beta1-zero"})


MEANS = (ChanceCase("parameters", "parameter", ("bfloat16", "float16")), ChanceCase("slow-average", "moment", ("float32",)))
DRAWS = (ChanceCase("parameters", "draws", ("bfloat16", "float16")),)


@REQUIREMENTS.add(
    "ADM-64",
    Level.INTERFACE,
    "Stochastic rounding goes up with the probability that keeps the mean.",
    source="the definition of stochastic rounding (Connolly, Higham and Mary, SIAM J. Sci. Comput. 43, 2021)",
    catches="always up; to the nearest; too few random bits, with which small shares are never or too often rounded up",
    cases=MEANS,
)
def keeps_the_mean(subject: OptimizerSubject, case: ChanceCase, dtype: str) -> Iterator[Comparison]:
    """The share of elements that went up, for each distance from the neighbour below."""
    fmt = _stored_by_chance(subject, case, dtype)
    yield from _slow_average(subject, dtype, fmt) if case.kind == "moment" else _parameters(subject, dtype, fmt)


@REQUIREMENTS.add(
    "ADM-65",
    Level.INTERFACE,
    "Stochastic rounding draws anew for every element, tensor and step.",
    source="the definition of stochastic rounding, whose errors are independent in the mean",
    catches="one draw for a tensor, a block, all tensors of a shape or all steps: errors that add up instead of averaging out",
    cases=DRAWS,
)
def draws_anew(subject: OptimizerSubject, case: ChanceCase, dtype: str) -> Iterator[Comparison]:
    """How often two elements, tensors or steps go the same way where each goes up or down with the probability 1/2."""
    fmt = _stored_by_chance(subject, case, dtype)
    unit = 2.0 * fmt.unit_roundoff  # between neighbours of 1 to 2
    # downwards, half a unit: the element goes down a whole one, or stays; it never leaves [1, 2)
    start, steps = np.full(EACH, 1.75), 3
    tensors = tuple(TensorProblem(start, (np.ones(EACH),) * steps) for _ in range(2))
    outcome = subject.run(OptimizerProblem(dtype, (GroupProblem(tensors, _NO_MEMORY, (unit / 2,) * steps),)))
    stayed = []  # of each tensor at each step
    for tensor in outcome.parameters:
        values = np.stack([start, *tensor])
        moved = (values[:-1] - values[1:]) / unit
        yield compare("units moved", np.abs(moved - 0.5), np.full(moved.shape, 0.5), 0.0)
        stayed.append(moved < 0.5)
    first, second = stayed
    for apart in (1, 2, 3, 32, 128, 256, 1024, 4096):
        pairs = first[0][: EACH // (2 * apart) * 2 * apart].reshape(-1, 2, apart)  # no element is in two of them
        yield _share(f"elements {apart} apart that went the same way", pairs[:, 0] == pairs[:, 1], 0.5, 0.0)
    yield _share("elements of two tensors that went the same way", first[0] == second[0], 0.5, 0.0)
    for later in (1, 2):
        yield _share(f"elements that went the same way {later} steps later", first[0] == first[later], 0.5, 0.0)


def _stored_by_chance(subject: OptimizerSubject, case: ChanceCase, dtype: str) -> Format:
    numerical = numerical_class(subject.numerical_class)
    fmt = format_of("bfloat16" if numerical.states == "bfloat16" else dtype) if case.kind == "moment" else format_of(dtype)
    if numerical.storing != "stochastic" or fmt is FLOAT32:
        raise Unsupported(f"declares that this is not rounded by chance ({numerical.name})")
    return fmt


def _ladder() -> Array:
    """Positive values of ever larger binades, in the middle of each, so that a small step never leaves it."""
    return np.asarray(1.5 * 2.0 ** np.arange(SHARES))


def _parameters(subject: OptimizerSubject, dtype: str, fmt: Format) -> Iterator[Comparison]:
    """One step of a size that is 3/4 of a unit of the smallest parameter, 3/8 of one of the next, ..., up and down."""
    rate = 0.75 * 2.0 * fmt.unit_roundoff
    small = np.concatenate([sign * _ladder() for sign in (1.0, -1.0) for _ in range(2)])
    gradient = np.tile(np.repeat([1.0, -1.0], SHARES), 2)
    places = np.arange(4 * SHARES * EACH // 4) % (4 * SHARES)
    problem = OptimizerProblem.of_one(TensorProblem(small[places], (gradient[places],)), _NO_MEMORY, (rate,), dtype)
    ((got,),) = subject.run(problem).parameters
    (expected,) = bounded_trajectory(small, [gradient], [rate], _NO_MEMORY, "float32")
    yield from _counted("parameters", got, places, expected.theta, expected.theta_bound, fmt)


def _slow_average(subject: OptimizerSubject, dtype: str, fmt: Format) -> Iterator[Comparison]:
    """A slow EMA that takes in half of one gradient, is stored, and then shows in a step without a gradient, halved.

    Halving is exact, and what is divided by is eps alone, so that the parameter, which was zero, is the stored value.
    """
    hyper = Hyperparameters(beta1=0.0, beta2=0.0, beta3=0.5, alpha=1.0, eps=1.0)
    unit = 2.0 * fmt.unit_roundoff
    small = np.concatenate([sign * _ladder() + unit * 0.75 for sign in (1.0, -1.0)])
    places = np.arange(2 * SHARES * EACH // 2) % (2 * SHARES)
    gradients = (2.0 * small[places], np.zeros(places.size))
    tensor = TensorProblem(np.zeros(places.size), gradients)
    (got,) = subject.run(OptimizerProblem.of_one(tensor, hyper, (0.0, 2.0), dtype)).parameters
    yield from _counted("slow EMAs", -got[-1], places, small, np.abs(small) * 4 * FLOAT32.unit_roundoff, fmt)


def _counted(what: str, got: Array, places: Any, exact: Array, error: Array, fmt: Format) -> Iterator[Comparison]:
    """``got`` holds roundings of ``exact[places]``, which an honest implementation knows to within ``error``."""
    _, exponent = np.frexp(exact)
    unit = np.ldexp(1.0, exponent - fmt.precision)
    below = np.floor(exact / unit) * unit
    units = (got - below[places]) / unit[places]
    yield compare(
        f"{what}: distance from the middle between the neighbours", np.abs(units - 0.5), np.full(units.shape, 0.5), 0.0
    )
    for place, (share, off) in enumerate(zip((exact - below) / unit, error / unit, strict=True)):
        yield _share(f"{what} near {exact[place]:.6g} that went up", units[places == place] > 0.5, share, off)


def _share(quantity: str, events: Any, probability: float, off: float) -> Comparison:
    """The share of events, compared with a probability that is known to within ``off``."""
    found = float(np.mean(events))
    nearest = min(max(found, probability - off), probability + off)
    low, high = limits(events.size, min(max(nearest, 0.0), 1.0))
    bound = high - nearest if found >= nearest else nearest - low
    if (low if found < nearest else 1 - high) == 0:
        return compare(quantity, found, nearest, np.inf, effect=0.0)  # on this side every share is likely enough
    return compare(quantity, found, nearest, max(bound, 0.0), effect=max(nearest, 1 - nearest))


def limits(count: int, probability: float, alarm: float = FALSE_ALARM) -> tuple[float, float]:
    """The smallest and the largest share of ``count`` events that are not yet less probable than ``alarm`` allows.

    Both by bisection of ``count D(share | probability) = ln(2 / alarm)``, where D is the relative entropy.
    """
    enough = math.log(2 / alarm) / count

    def end(outside: float) -> float:
        inside = probability
        if _relative_entropy(outside, probability) <= enough:
            return outside
        for _ in range(60):
            middle = (inside + outside) / 2
            if _relative_entropy(middle, probability) <= enough:
                inside = middle
            else:
                outside = middle
        return inside

    return end(0.0), end(1.0)


def _relative_entropy(share: float, probability: float) -> float:
    total = 0.0
    for found, expected in ((share, probability), (1 - share, 1 - probability)):
        if found > 0:
            total += found * math.log(found / expected) if expected > 0 else math.inf
    return total
