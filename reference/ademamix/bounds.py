"""How far an honest implementation may be off after t steps, element by element: a running error analysis of the whole run.

Beside each quantity x of `algorithm` runs a number E(x) with |computed x - x| <= E(x) for every implementation
of the declared numerical class, whatever its order of operations. Each step takes E through the same equations: the error
already there is propagated, and what this step adds is ``gamma(n) * (magnitudes)`` for n roundings. The counts below are those
of the longest order of operations that we know (read off published code and our own), plus one or two; they are stated
where they are used. Five things make it more than the usual first-order estimate:

- Coefficients. A decay b applied in float32 is fl(b): every step adds ``|fl(b) - b| |m|``, with the actual rounding error, not
  its maximum; so betas that float32 represents (1 - 2**-10) cost nothing, and cases use them where tightness matters. A gain
  ``1 - b`` formed in double and rounded once is off by u relatively; formed in float32 (class float32-hyperparameters), by
  ``|fl(b) - b|`` absolutely. A lerp has the decay ``1 - fl(1 - b)``; both forms are inside.
- Second moments are taken to be averaged as a sum of products. A lerp is honest for the gradient; for its square it can turn
  negative where beta2 is near 0, and its square root NaN.
- The denominator is an interval, because sqrt magnifies an error of nu near zero. Where its lower end is not positive there is
  no bound (inf), and `conformance.engine.comparison.compare` makes no claim.
- Underflow. Results below the smallest normal number may be flushed to zero, as JAX does on CPUs and some GPU instructions do.
- Overflow. Where an intermediate exceeds the format (g**2, for one), float32 is no longer AdEMAMix and the bound is inf.

In float64 the reference is itself rounded, so every unit roundoff of the operations counts twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from reference.ademamix import algorithm
from reference.ademamix.classes import STRICT, OptimizerNumericalClass
from reference.ademamix.codebook import quantisation_error
from reference.ademamix.companding import ROOT_CODES, SMALLEST_ROOT, ratio_gap, root_gap
from reference.ademamix.hyperparameters import Hyperparameters
from reference.rounding import BFLOAT16, FLOAT32, FLOAT64, Format, format_of, gamma, rounded

Array = npt.NDArray[np.float64]

_DOUBLE = FLOAT64.unit_roundoff
_LIBRARY = 4
"""Units in the last place that exp, log, pow and expm1 of an honest library may be off."""


@dataclass(frozen=True)
class Snapshot:
    """Parameter and moments after one step, each with the bound on an honest implementation's error."""

    theta: Array
    theta_bound: Array
    m1: Array
    m1_bound: Array
    m2: Array
    m2_bound: Array
    nu: Array
    nu_bound: Array


@dataclass(frozen=True)
class _CoefficientErrors:
    """Absolute errors of the scalars of one step."""

    decay: tuple[float, float, float]
    gain: tuple[float, float, float]
    alpha: float
    corrections: tuple[float, float]


def bounded_trajectory(
    theta: npt.ArrayLike,
    gradients: Sequence[npt.ArrayLike | None],
    etas: Sequence[float],
    hyper: Hyperparameters | Sequence[Hyperparameters],
    dtype: str,
    numerical: OptimizerNumericalClass = STRICT,
    *,
    switch_at: int | None = None,
    group_clock: bool = False,
    writes: Mapping[int, npt.ArrayLike] = MappingProxyType({}),
    relaid: tuple[int, tuple[int, ...]] | None = None,
) -> Iterator[Snapshot]:
    """`algorithm.trajectory` with bounds: one Snapshot per step.

    ``relaid``: after so many steps the blocks of quantised moments are of neighbours in another order, that of these axes, the
    outermost first, and the moments are quantised once more.

    ``theta``, ``gradients`` and ``writes`` must be values of ``dtype`` (the parameter's and gradient's own format): a bound
    starts from exact inputs. Raises ValueError where they are not.
    """
    hypers = algorithm.each_step(hyper, len(etas))
    analysis = _Analysis(format_of(dtype), numerical, np.asarray(theta, dtype=np.float64))
    steps = algorithm.trajectory(theta, gradients, etas, hypers, switch_at=switch_at, group_clock=group_clock, writes=writes)
    for index, ((new_theta, state), g, eta, hyper_now) in enumerate(zip(steps, gradients, etas, hypers, strict=True)):
        if index in writes:
            analysis.place(np.asarray(writes[index], dtype=np.float64))
        if g is not None:
            plain_adamw = switch_at is not None and index < switch_at
            analysis.advance(np.asarray(g, dtype=np.float64), eta, hyper_now, state, new_theta, plain_adamw)
        yield analysis.snapshot()
        if relaid is not None and index + 1 == relaid[0]:
            analysis.store_again(state, relaid[1])


class _Analysis:
    """The errors of one parameter along its run."""

    hyper: Hyperparameters
    """Those of the step at hand."""

    def __init__(self, parameter: Format, numerical: OptimizerNumericalClass, theta: Array) -> None:
        wide = FLOAT64 if parameter is FLOAT64 else FLOAT32
        self.numerical, self.parameter = numerical, parameter
        self.operations = parameter if numerical.operations == "parameter" else wide
        self.scalars = wide  # frameworks convert Python scalars to at least float32, whatever the tensor's dtype
        self.storage = {"parameter": parameter, "bfloat16": BFLOAT16}.get(numerical.states, wide)
        # Stochastic rounding picks either neighbour, so that it is off by up to a whole unit in the last place.
        self.roundings = 2 if numerical.storing == "stochastic" else 1
        self.quantised = numerical.states.endswith("8bit") and prod(theta.shape) >= numerical.quantised_from
        self.unit = self.operations.unit_roundoff * (2 if self.operations is FLOAT64 else 1)
        self.tiny = max(self.operations.smallest_normal, wide.smallest_normal)
        zeros = np.zeros(theta.shape)
        self.state, self.m1_error, self.m2_error, self.nu_error = (
            algorithm.OptimizerState.zeros(theta.shape),
            zeros,
            zeros,
            zeros,
        )
        self.order = tuple(range(theta.ndim))
        self.place(theta)

    def place(self, theta: Array) -> None:
        """The parameter is ``theta`` now, exactly."""
        if not np.array_equal(self.parameter.round(theta), theta, equal_nan=True):
            raise ValueError(f"theta holds values that {self.parameter.name} does not; round them first")
        self.theta, self.theta_error = theta, np.zeros(theta.shape)

    def advance(
        self,
        g: Array,
        eta: float,
        hyper: Hyperparameters,
        state: algorithm.OptimizerState,
        theta: Array,
        plain_adamw: bool,
    ) -> None:
        """Take the errors through one step whose exact outcome is ``theta`` and ``state``."""
        if not np.array_equal(self.parameter.round(g), g, equal_nan=True):
            raise ValueError(f"a gradient holds values that {self.parameter.name} does not; round them first")
        self.hyper = hyper
        c = algorithm.coefficients(hyper, state.t, state.t_switch)
        alpha = 0.0 if plain_adamw else c.alpha
        off = self._coefficient_errors(c, state.t, state.t - state.t_switch)
        before = self.state
        with np.errstate(all="ignore"):
            m1_error = self._average(hyper.beta1, before.m1, self.m1_error, g, off.decay[0], off.gain[0])
            m2_error = self.m2_error
            if not plain_adamw:
                m2_error = self._average(c.beta3, before.m2, self.m2_error, g, off.decay[2], off.gain[2])
            nu_error = self._average(hyper.beta2, before.nu, self.nu_error, g**2, off.decay[1], off.gain[1])
            nu_error = np.where(state.nu + nu_error > self.operations.largest, np.inf, nu_error)
            nu_error = np.where(g**2 > self.operations.largest, np.inf, nu_error)
            stored = self._store_all(state, m1_error, m2_error, nu_error)
            if not self.quantised:
                # Update from the moments as stored: an implementation may read them back. Published 8-bit kernels update
                # from the moments before they are quantised, and the class says so.
                m1_error, m2_error, nu_error = stored
            direction, direction_error = self._direction(state, m1_error, m2_error, nu_error, c, alpha, off)
            self.theta_error = self._update(theta, eta, direction, direction_error)
        self.m1_error, self.m2_error, self.nu_error = stored
        self.theta, self.state = theta, state

    def store_again(self, state: algorithm.OptimizerState, order: tuple[int, ...]) -> None:
        """Quantise the moments, as they are stored, in blocks of neighbours in another order of the axes."""
        if self.quantised:
            self.order = order
            with np.errstate(all="ignore"):
                stored = self._store_all(state, self.m1_error, self.m2_error, self.nu_error)
            self.m1_error, self.m2_error, self.nu_error = stored

    def _store_all(
        self, state: algorithm.OptimizerState, m1_error: Array, m2_error: Array, nu_error: Array
    ) -> tuple[Array, Array, Array]:
        """Errors after the three moments are kept in the format of the states."""
        if self.quantised and self.numerical.states == "ratios-8bit":
            return self._store_ratios(state, m1_error, m2_error, nu_error)
        return (
            self._store(state.m1, m1_error, signed=True),
            self._store(state.m2, m2_error, signed=True),
            self._store(state.nu, nu_error, signed=False),
        )

    def snapshot(self) -> Snapshot:
        s = self.state
        return Snapshot(
            self.theta, _claim(self.theta, self.theta_error), s.m1, _claim(s.m1, self.m1_error),
            s.m2, _claim(s.m2, self.m2_error), s.nu, _claim(s.nu, self.nu_error),
        )  # fmt: skip

    def _coefficient_errors(self, c: algorithm.Coefficients, t: int, scheduled: int) -> _CoefficientErrors:
        hyper = self.hyper
        betas = (hyper.beta1, hyper.beta2, c.beta3)
        warming = bool(hyper.t_beta3) and scheduled < (hyper.t_beta3 or 0)
        u = self.scalars.unit_roundoff
        storing = tuple(abs(float(self.scalars.round(b)) - b) for b in betas)
        single = self.numerical.hyperparameters == "float32" and self.scalars is not FLOAT64
        unit = FLOAT32.unit_roundoff if single else _DOUBLE
        # The half-life H = ln .5 / ln b - 1 inherits the relative errors of both logarithms; b = .5 ** (1/(H+1)) takes a
        # relative error r of H + 1 to b |ln b| r. Some ten operations form H, four more form b from it.
        schedule = 0.0
        if warming:
            logarithms = sum(
                abs(float(FLOAT32.round(b)) - b) / abs(b * np.log(b)) if single and b > 0 else 0.0
                for b in (hyper.beta1, hyper.beta3)
            )
            steepness = abs(c.beta3 * np.log(c.beta3)) if c.beta3 > 0 else 0.0
            schedule = steepness * (logarithms + 4 * _LIBRARY * unit) + 4 * unit
        decay, gain = [], []
        for index, (b, stored) in enumerate(zip(betas, storing, strict=True)):
            late = schedule if index == 2 else 0.0
            if single:
                decay.append(stored + late + 2 * u)
                gain.append(stored + late + 2 * u)
            else:
                decay.append(stored + late + u * (1 - b) + unit)
                gain.append(late + u * (1 - b) + unit)
        corrections = []
        for b, stored, value in zip(betas, storing, (c.correction1, c.correction2), strict=False):
            power = b**t
            error = (power + value) * 2 * _LIBRARY * unit + u * value
            if b > 0:
                # t roundings of a product, or log and exp with t ln b in between
                error += power * t * ((stored / b if single else 0.0) + (1 + abs(np.log(b))) * 2 * unit)
            corrections.append(min(error, value))
        return _CoefficientErrors(
            decay=(decay[0], decay[1], decay[2]),
            gain=(gain[0], gain[1], gain[2]),
            alpha=c.alpha * (u + 4 * unit),
            corrections=(corrections[0], corrections[1]),
        )

    def _average(self, beta: float, m: Array, error: Array, x: Array, decay_error: float, gain_error: float) -> Array:
        """Error of ``beta m + (1 - beta) x``. Five roundings: x itself where it is a square, two products, a difference
        (lerp), the sum; four results that may be flushed to zero."""
        size = np.abs(m) + error
        magnitude = (beta + decay_error) * size + (1 - beta + gain_error) * (np.abs(x) + size)
        propagated = beta * error + decay_error * size + gain_error * np.abs(x)
        return propagated + gamma(5, self.unit) * magnitude + 4 * self.tiny

    def _store(self, m: Array, error: Array, *, signed: bool) -> Array:
        """Error after the moment is kept in the format of the states."""
        if not self.quantised:
            return self._stored(m, error, self.storage) if self.storage is not self.operations else error
        size = np.abs(m) + error
        low, high = self._largest(np.maximum(np.abs(m) - error, 0.0)), self._largest(size)
        share = np.where(low > 0, size / np.where(low > 0, low, 1.0), 1.0)
        # three more roundings: the quotient by the maximum, its comparison with the code, the product that reads it back
        u, bins = FLOAT32.unit_roundoff, self.numerical.quantiser_resolution
        return error + high * (quantisation_error(share * (1 + gamma(2, u)) + bins, signed) + bins + gamma(3, u))

    def _store_ratios(
        self, state: algorithm.OptimizerState, m1_error: Array, m2_error: Array, nu_error: Array
    ) -> tuple[Array, Array, Array]:
        """Errors after the root of nu and the ratios of m1 and m2 to it are kept in 8 bits, each as one of its neighbours.

        Up to eight roundings each: the root, the block's scale and its inverse, the place among the codes, and three products
        that read it back. A root that is not zero never becomes zero: it has the first code at least.
        """
        g8, tiny = gamma(8, FLOAT32.unit_roundoff), 4 * self.tiny
        low, high = np.sqrt(np.maximum(state.nu - nu_error, 0.0)), np.sqrt(state.nu + nu_error)
        least, most = self._largest(low), self._largest(high)
        share = np.where(least > 0, high / np.where(least > 0, least, 1.0), 1.0)
        off = most * (root_gap(share * (1 + g8)) + g8)
        low_root, high_root = np.maximum(low - off, 0.0), high + off
        nu_stored = np.maximum(high_root**2 * (1 + g8) - state.nu, state.nu - low_root**2 * (1 - g8)) + tiny
        first_code = np.where(low > 0, least * (1 - g8) / ROOT_CODES**3, 0.0)
        divisor_low = np.maximum(np.maximum(low_root, first_code), SMALLEST_ROOT)
        divisor_high = np.maximum(high_root, SMALLEST_ROOT)

        def ratio(m: Array, error: Array) -> Array:
            size = np.abs(m) + error
            largest = self._largest(size / divisor_low) * (1 + g8)
            scale = divisor_high * largest
            gap = scale * ratio_gap(size / np.where(scale > 0, scale, 1.0))  # grows with the size and with the scale
            return error + gap * (1 + g8) + g8 * size + tiny

        return ratio(state.m1, m1_error), ratio(state.m2, m2_error), nu_stored

    def _largest(self, values: Array) -> Array:
        """For each element the largest of its block, in the shape of the tensor."""
        block, laid = self.numerical.block, np.transpose(values, self.order)
        padded = np.pad(laid.ravel(), (0, -values.size % block)).reshape(-1, block)
        largest = np.repeat(padded.max(axis=1), block)[: values.size].reshape(laid.shape)
        return np.transpose(largest, np.argsort(self.order))

    def _stored(self, value: Array, error: Array, fmt: Format) -> Array:
        """Error after ``value`` is stored in ``fmt``, to nearest or by chance."""
        for _ in range(self.roundings):
            error = rounded(value, error, fmt)
        return error

    def _direction(
        self,
        state: algorithm.OptimizerState,
        m1_error: Array,
        m2_error: Array,
        nu_error: Array,
        c: algorithm.Coefficients,
        alpha: float,
        off: _CoefficientErrors,
    ) -> tuple[Array, Array]:
        """``(m1h + alpha m2) / (sqrt(nuh) + eps)`` and its error."""
        g4, tiny = gamma(4, self.unit), self.tiny
        off1, off2 = off.corrections
        fast = state.m1 / c.correction1
        fast_error = (m1_error + np.abs(fast) * off1) / (c.correction1 - off1) if off1 < c.correction1 else np.inf * fast
        numerator = fast + alpha * state.m2
        alpha_error = off.alpha if alpha else 0.0
        numerator_error = fast_error + (alpha + alpha_error) * m2_error + alpha_error * np.abs(state.m2)
        # Six roundings: quotient by the correction (two where it is a product with its inverse), product with alpha, sum,
        # and two that belong to orders which scale the numerator by the learning rate first.
        size = np.abs(fast) + fast_error + alpha * (np.abs(state.m2) + m2_error)
        numerator_error = numerator_error + gamma(6, self.unit) * size + 3 * tiny
        # The denominator's interval. Four roundings each for the quotient by the correction (some divide by its square root,
        # some multiply by its inverse), the square root (approximate ones are off by two units) and the sum.
        eps, largest = self.hyper.eps, self.operations.largest
        root = np.sqrt(state.nu / c.correction2)
        low = np.sqrt(np.maximum(state.nu - nu_error - tiny, 0.0) / (c.correction2 + off2) * (1 - g4)) * (1 - g4)
        high = np.sqrt((state.nu + nu_error + tiny) / max(c.correction2 - off2, 0.0) * (1 + g4)) * (1 + g4) + tiny
        low = (low + max(eps * (1 - g4) - tiny, 0.0)) * (1 - g4)
        high = (high + eps * (1 + g4) + tiny) * (1 + g4)
        denominator = root + eps
        denominator_error = np.maximum(denominator - low, high - denominator)
        direction = numerator / denominator
        # |N'/D' - N/D| <= (|N' - N| + |N/D| |D' - D|) / D', then three roundings for a quotient (approximate on some units).
        error = numerator_error + np.abs(direction) * denominator_error
        error = np.where(low > 0, error / np.where(low > 0, low, 1.0), np.inf)
        error = error + gamma(3, self.unit) * (np.abs(direction) + error) + tiny
        for magnitude in (size, high**2, np.abs(direction) + error):
            error = np.where(magnitude > largest, np.inf, error)
        return direction, error

    def _update(self, theta: Array, eta: float, direction: Array, direction_error: Array) -> Array:
        """Error of ``theta - eta (direction + lambda theta)``.

        Three roundings on theta: ``1 - eta lambda`` formed as one scalar, its product, the last sum. Six on the direction:
        products with eta or with a step size that carries a correction, and the last sum. Then one rounding to the
        parameter's format: one, because a second one can undo the decay in bfloat16 (see ADM-35 of the suite).
        """
        rate = eta * self.hyper.weight_decay
        size = np.abs(self.theta) + self.theta_error
        error = abs(1 - rate) * self.theta_error + eta * direction_error
        error = error + gamma(6, self.unit) * eta * (np.abs(direction) + direction_error)
        error = error + gamma(3, self.unit) * size + gamma(4, self.unit) * rate * size + 3 * self.tiny
        error = np.where(size + eta * (np.abs(direction) + direction_error) > self.operations.largest, np.inf, error)
        if self.parameter is not self.operations:
            error = self._stored(theta, error, self.parameter)
        return np.where(np.abs(theta) + error > self.parameter.largest, np.inf, error)


def _claim(value: Array, error: Array) -> Array:
    """The bound as `compare` reads it: inf where nothing is claimed, 0 where the algorithm itself says NaN or infinity."""
    return np.where(np.isfinite(value), np.where(np.isnan(error), np.inf, error), 0.0)
