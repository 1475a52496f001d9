"""AdEMAMix in NumPy, one small method per line of the algorithm, so that each line can be replaced on its own.

float64 parameters are computed in float64, all others in float32; a parameter is rounded to its own dtype once per step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

DTYPES = ("float64", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Hyper:
    """The hyperparameters of a group. Warm-ups are in steps; None or 0 means that there is no schedule."""

    beta1: float = 0.9
    beta2: float = 0.999
    beta3: float = 0.9999
    alpha: float = 5.0
    eps: float = 1e-8
    weight_decay: float = 0.0
    t_alpha: float | None = None
    t_beta3: float | None = None


@dataclass
class Moments:
    """What is kept for one parameter: three arrays and the two clocks."""

    m1: Floats
    m2: Floats
    nu: Floats
    t: int = 0
    t_switch: int = 0


def rounded(values: Floats, dtype: str) -> Floats:
    """float32 (or, for float64 parameters, float64) values rounded to the nearest of a dtype, in the format that they had."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(values.dtype)
    if dtype == "bfloat16":
        bits = np.asarray(values, dtype=np.float32).view(np.uint32)
        upper = (bits + ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)
        return np.where(np.isfinite(values), upper.view(np.float32), values)
    return values


class NumpyAdEMAMix:
    """``groups``: (parameters, hyperparameters) pairs. ``parameters`` are arrays of any shape that hold values of ``dtype``,
    which is one of `DTYPES`. ``groups`` and ``moments`` may be read at any time."""

    def __init__(self, groups: Sequence[tuple[Sequence[Floats], Hyper]], dtype: str) -> None:
        if dtype not in DTYPES:
            raise ValueError(f"dtype = {dtype!r}, expected one of {', '.join(DTYPES)}")
        self.dtype = dtype
        self.compute: type[np.floating[Any]] = np.float64 if dtype == "float64" else np.float32
        self.groups: list[tuple[list[Floats], Hyper]] = []
        self.moments: list[list[Moments]] = []
        for parameters, hyper in groups:
            self.add_group(parameters, hyper)

    @property
    def each_moments(self) -> Iterator[Moments]:
        """Those of every parameter, group after group."""
        return (kept for group in self.moments for kept in group)

    def add_group(self, parameters: Sequence[Floats], hyper: Hyper) -> None:
        """Take in parameters that join now; their clocks start at their first step."""
        held = [np.array(p, dtype=self.compute) for p in parameters]
        self.groups.append((held, hyper))
        self.moments.append([Moments(np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)) for p in held])  # line 2

    def step(self, gradients: Sequence[Sequence[Floats | None]], learning_rates: Sequence[float]) -> None:
        """One step of every parameter that has a gradient."""
        with np.errstate(all="ignore"):
            for index, (parameters, hyper) in enumerate(self.groups):
                for slot, theta in enumerate(parameters):
                    g, lr = gradients[index][slot], learning_rates[index]
                    if g is not None:
                        parameters[slot] = self.advance(theta, g, self.moments[index][slot], hyper, lr)
                    else:
                        parameters[slot] = self.skip(theta, hyper, lr)

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        """Algorithm 1, lines 5 to 13, for one parameter."""
        kept.t += 1
        g = self.gradient(np.asarray(g, dtype=self.compute), theta, hyper)
        beta3, alpha = self.beta3(kept, hyper), self.alpha(kept, hyper)
        kept.m1 = self.fast(kept, g, hyper)
        kept.m2 = self.slow(kept.m2, g, beta3)
        kept.nu = self.second(kept.nu, g, hyper.beta2)
        fast = self.corrected_fast(kept, hyper)
        slow = self.corrected_slow(kept, hyper, beta3)
        direction = self.numerator(fast, slow, alpha) / self.denominator(kept, hyper)
        return self.stored(self.update(theta, direction, hyper.weight_decay, lr))

    def skip(self, theta: Floats, hyper: Hyper, lr: float) -> Floats:
        """Without a gradient nothing moves, the decay included."""
        return theta

    def gradient(self, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
        """The gradient goes into the moments as it is."""
        return g

    def clock(self, kept: Moments) -> int:
        """The schedulers count from 1, and from the switch where there was one."""
        return kept.t - kept.t_switch

    def alpha(self, kept: Moments, hyper: Hyper) -> float:
        """Equation (f_alpha)."""
        t = self.clock(kept)
        return hyper.alpha if not hyper.t_alpha else min(t * hyper.alpha / hyper.t_alpha, hyper.alpha)

    def beta3(self, kept: Moments, hyper: Hyper) -> float:
        """Equation (f_beta3); its limit where beta1 is 0."""
        t = self.clock(kept)
        if not hyper.t_beta3 or t >= hyper.t_beta3:
            return hyper.beta3
        mu = t / hyper.t_beta3
        if hyper.beta1 == 0:
            return float(hyper.beta3 ** (1 / mu))
        start, end = self.logarithm(hyper.beta1), self.logarithm(hyper.beta3)
        return min(math.exp(start * end / ((1 - mu) * end + mu * start)), hyper.beta3)

    def logarithm(self, beta: float) -> float:
        return math.log(beta)

    def fast(self, kept: Moments, g: Floats, hyper: Hyper) -> Floats:
        """Line 9."""
        return self.average(kept.m1, g, hyper.beta1)

    def slow(self, m2: Floats, g: Floats, beta3: float) -> Floats:
        """Line 10."""
        return self.average(m2, g, beta3)

    def second(self, nu: Floats, g: Floats, beta2: float) -> Floats:
        """Line 11."""
        return self.average(nu, g * g, beta2)

    def average(self, m: Floats, x: Floats, beta: float) -> Floats:
        """``beta m + (1 - beta) x``."""
        return self.compute(beta) * m + self.compute(1 - beta) * x

    def corrected_fast(self, kept: Moments, hyper: Hyper) -> Floats:
        """Line 12, left."""
        return kept.m1 / self.compute(1 - hyper.beta1**kept.t)

    def corrected_slow(self, kept: Moments, hyper: Hyper, beta3: float) -> Floats:
        """The slow EMA is not bias-corrected."""
        return kept.m2

    def denominator(self, kept: Moments, hyper: Hyper) -> Floats:
        """Line 12, right, and the denominator of line 13."""
        return self.root(kept.nu / self.compute(1 - hyper.beta2**kept.t)) + self.compute(hyper.eps)

    def root(self, squares: Floats) -> Floats:
        values: Floats = np.sqrt(squares)
        return values

    def numerator(self, fast: Floats, slow: Floats, alpha: float) -> Floats:
        """The mixture of line 13."""
        return fast + self.compute(alpha) * slow

    def update(self, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
        """Line 13."""
        return theta - self.compute(lr) * (direction + self.compute(weight_decay) * theta)

    def stored(self, theta: Floats) -> Floats:
        """The new parameter, rounded once to its dtype."""
        return rounded(np.asarray(theta, dtype=self.compute), self.dtype)

    def state(self) -> Any:
        """A copy of everything that the next step depends on, parameters aside."""
        return copy.deepcopy(self.moments)

    def load(self, state: Any) -> None:
        """Go on from a saved state."""
        self.moments = copy.deepcopy(state)

    def switch_from_adamw(self) -> None:
        """Section 4.1: ``m2 = 0`` and the schedulers start now; the other moments and clock go on."""
        for kept in self.each_moments:
            kept.m2 = np.zeros_like(kept.m1)
            kept.t_switch = kept.t


class NumpyAdamW(NumpyAdEMAMix):
    """AdamW, as the NumPy implementation would run it before a switch."""

    def slow(self, m2: Floats, g: Floats, beta3: float) -> Floats:
        return m2
