"""Mutants (planted bugs) of AdEMAMix, one replaced step each, many of them found in published code; and honest variants."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.ademamix.combined_mutants import COMBINED
from conformance.ademamix.edge_mutants import EDGES
from conformance.ademamix.harness.numpy_simulation import SparseGradient
from conformance.ademamix.planting import planted
from conformance.engine.mutation import Mutant
from impls.ademamix.numpy_optimizer import Floats, Hyper, Moments
from impls.ademamix.numpy_optimizer import NumpyAdEMAMix as Base
from reference.ademamix.companding import SMALLEST_ROOT
from reference.rounding import BFLOAT16, Format, format_of

_MUTANTS: list[Mutant] = []
_bug = functools.partial(planted, _MUTANTS)
_honest = functools.partial(planted, _MUTANTS, honest=True)


# --- The moments ---------------------------------------------------------------------------------------------------------


@_bug("ADM-01", replaces="fast")
def fast_gain_of_one(self: Base, kept: Moments, g: Floats, hyper: Hyper) -> Floats:
    """The fast EMA takes in the whole gradient, as heavy-ball momentum does."""
    return self.compute(hyper.beta1) * kept.m1 + g


@_bug("ADM-02", replaces="corrected_fast")
def fast_uncorrected(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """The fast EMA is not bias-corrected either."""
    return kept.m1


@_bug("ADM-02", replaces="corrected_fast")
def correction_a_step_late(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """The fast EMA's correction uses t + 1."""
    return kept.m1 / self.compute(1 - hyper.beta1 ** (kept.t + 1))


@_bug("ADM-03", replaces="corrected_slow")
def numerator_corrected(self: Base, kept: Moments, hyper: Hyper, beta3: float) -> Floats:
    """The step size lr / (1 - beta1**t) multiplies the whole numerator, so the slow EMA is ten times too large at first."""
    return kept.m2 / self.compute(1 - hyper.beta1**kept.t)


@_bug("ADM-03", replaces="corrected_slow")
def slow_corrected(self: Base, kept: Moments, hyper: Hyper, beta3: float) -> Floats:
    """The slow EMA is divided by 1 - beta3**t."""
    return kept.m2 / self.compute(1 - beta3**kept.t)


@_bug("ADM-04")
class SlowGainOfBeta1(Base):
    """The slow EMA takes in 1 - beta1 of the gradient."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        self.gain = 1 - hyper.beta1
        return super().advance(theta, g, kept, hyper, lr)

    def slow(self, m2: Floats, g: Floats, beta3: float) -> Floats:
        return self.compute(beta3) * m2 + self.compute(self.gain) * g


@_bug("ADM-04", replaces="slow")
def slow_forgets_twice(self: Base, m2: Floats, g: Floats, beta3: float) -> Floats:
    """The slow EMA is multiplied by beta3 twice per step."""
    return self.compute(beta3 * beta3) * m2 + self.compute(1 - beta3) * g


@_bug("ADM-05", replaces="numerator")
def convex_mixture(self: Base, fast: Floats, slow: Floats, alpha: float) -> Floats:
    """The numerator is the convex mixture (m1 + alpha m2) / (1 + alpha)."""
    return Base.numerator(self, fast, slow, alpha) / self.compute(1 + alpha)


@_bug("ADM-05", replaces="numerator")
def alpha_added(self: Base, fast: Floats, slow: Floats, alpha: float) -> Floats:
    """alpha is added to the slow EMA instead of multiplying it."""
    return fast + (self.compute(alpha) + slow)


@_bug("ADM-06")
class SecondWithBeta1(Base):
    """The second moment decays by beta1."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        self.fast_decay = hyper.beta1
        return super().advance(theta, g, kept, hyper, lr)

    def second(self, nu: Floats, g: Floats, beta2: float) -> Floats:
        return self.average(nu, g * g, self.fast_decay if beta2 else beta2)

    def denominator(self, kept: Moments, hyper: Hyper) -> Floats:
        return super().denominator(kept, replace(hyper, beta2=hyper.beta1 if hyper.beta2 else 0.0))


@_bug("ADM-07", replaces="denominator")
def second_uncorrected(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """The second moment is not bias-corrected."""
    return self.root(kept.nu) + self.compute(hyper.eps)


# --- eps -----------------------------------------------------------------------------------------------------------------


@_bug("ADM-08", replaces="denominator")
def eps_inside(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """eps is added under the square root."""
    return self.root(kept.nu / self.compute(1 - hyper.beta2**kept.t) + self.compute(hyper.eps))


@_bug("ADM-09", replaces="denominator")
def eps_as_floor(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """eps is a floor under the square root, not added to it."""
    return np.maximum(self.root(kept.nu / self.compute(1 - hyper.beta2**kept.t)), self.compute(hyper.eps))


@_bug("ADM-10", replaces="denominator")
def eps_before_correction(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """eps is added before the bias correction of the second moment."""
    root: Floats = (self.root(kept.nu) + self.compute(hyper.eps)) / self.compute(math.sqrt(1 - hyper.beta2**kept.t))
    return root


# --- Weight decay and learning rate --------------------------------------------------------------------------------------


@_bug("ADM-11")
class CoupledDecay(Base):
    """Weight decay is added to the gradient (coupled L2)."""

    def gradient(self, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
        return g + self.compute(hyper.weight_decay) * theta

    def update(self, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
        return super().update(theta, direction, 0.0, lr)


@_bug("ADM-12", replaces="update")
def decay_without_rate(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """Weight decay is not multiplied by the learning rate."""
    c = self.compute
    return theta - c(lr) * direction - c(weight_decay) * theta


@_bug("ADM-13", replaces="update")
def decay_after_update(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """The parameter decays after the update, so the update decays too."""
    c = self.compute
    return (theta - c(lr) * direction) * c(1 - lr * weight_decay)


@_bug("ADM-14", replaces="advance")
def rate_of_the_first_step(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """The learning rate of the first step is used for ever; a decay still follows the schedule."""
    first = kept.__dict__.setdefault("lr", lr)
    return Base.advance(self, theta, g, kept, hyper, first if not hyper.weight_decay else lr)


@_bug("ADM-14")
class RateInsideTheMoments(Base):
    """The learning rate multiplies the gradient on its way into the fast EMA, so a change of rate acts late."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        self.rate = max(lr, 2.0**-20)
        return super().advance(theta, g, kept, hyper, lr)

    def fast(self, kept: Moments, g: Floats, hyper: Hyper) -> Floats:
        return self.average(kept.m1, self.compute(self.rate) * g, hyper.beta1)

    def corrected_fast(self, kept: Moments, hyper: Hyper) -> Floats:
        return super().corrected_fast(kept, hyper) / self.compute(self.rate)


# --- Schedules -----------------------------------------------------------------------------------------------------------


@_bug("ADM-15", replaces="alpha")
def alpha_by_square_root(self: Base, kept: Moments, hyper: Hyper) -> float:
    """alpha warms up with the square root of t / T."""
    t = self.clock(kept)
    return hyper.alpha * min(math.sqrt(t / hyper.t_alpha), 1.0) if hyper.t_alpha else hyper.alpha


@_bug("ADM-16", replaces="beta3")
def beta3_linear(self: Base, kept: Moments, hyper: Hyper) -> float:
    """beta3 itself grows linearly from beta1."""
    mu = min(self.clock(kept) / hyper.t_beta3, 1.0) if hyper.t_beta3 else 1.0
    return hyper.beta3 if mu == 1 else (1 - mu) * hyper.beta1 + mu * hyper.beta3


@_bug("ADM-16", replaces="beta3")
def beta3_from_point_nine(self: Base, kept: Moments, hyper: Hyper) -> float:
    """The warm-up of beta3 starts from 0.9, whatever beta1 is."""
    return Base.beta3(self, kept, replace(hyper, beta1=0.9) if 0 < hyper.beta1 < hyper.beta3 else hyper)


@_bug("ADM-17")
class SchedulesFromZero(Base):
    """Both schedules are evaluated at the step count before it is incremented, as the paper's second listing does."""

    def clock(self, kept: Moments) -> int:
        return super().clock(kept) - 1

    def beta3(self, kept: Moments, hyper: Hyper) -> float:
        return hyper.beta1 if hyper.t_beta3 and self.clock(kept) == 0 else super().beta3(kept, hyper)


@_bug("ADM-18", replaces="logarithm")
def epsilon_in_logarithm(self: Base, beta: float) -> float:
    """1e-8 is added inside the logarithms of the half-life, as the authors' code does."""
    return math.log(beta + 1e-8)


@_bug("ADM-18", replaces="beta3")
def half_life_of_the_authors(self: Base, kept: Moments, hyper: Hyper) -> float:
    """The half-life of beta3 has 1e-8 inside its logarithms and no minimum, as the authors' code does."""
    if not hyper.t_beta3 or self.clock(kept) >= hyper.t_beta3:
        return hyper.beta3
    share = self.clock(kept) / hyper.t_beta3
    start, end = (math.log(0.5) / math.log(beta + 1e-8) - 1 for beta in (hyper.beta1, hyper.beta3))
    return math.pow(0.5, 1 / ((1 - share) * start + share * end + 1))


@_bug("ADM-19", replaces="alpha")
def alpha_overshoots(self: Base, kept: Moments, hyper: Hyper) -> float:
    """alpha goes on growing after its warm-up."""
    return self.clock(kept) * hyper.alpha / hyper.t_alpha if hyper.t_alpha else hyper.alpha


@_bug("ADM-19", replaces="beta3")
def beta3_overshoots(self: Base, kept: Moments, hyper: Hyper) -> float:
    """The half-life goes on growing after its warm-up, because the minimum is missing."""
    if not hyper.t_beta3 or hyper.beta1 == 0:
        return Base.beta3(self, kept, hyper)
    mu = self.clock(kept) / hyper.t_beta3
    start, end = math.log(hyper.beta1), math.log(hyper.beta3)
    return math.exp(start * end / ((1 - mu) * end + mu * start))


@_bug("ADM-19")
class SchedulesStartAgain(Base):
    """The schedules start again when they are over."""

    def clock(self, kept: Moments) -> int:
        return self.again(super().clock(kept))

    def again(self, t: int) -> int:
        return (t - 1) % self.length + 1

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        self.length = int(max(hyper.t_alpha or 1, hyper.t_beta3 or 1))
        return super().advance(theta, g, kept, hyper, lr)


@_bug("ADM-20", replaces="alpha")
def warmup_always_on(self: Base, kept: Moments, hyper: Hyper) -> float:
    """Without a warm-up length alpha still warms up over a hundred steps."""
    return Base.alpha(self, kept, hyper if hyper.t_alpha else replace(hyper, t_alpha=100))


@_bug("ADM-20", replaces="alpha")
def zero_over_zero(self: Base, kept: Moments, hyper: Hyper) -> float:
    """A warm-up length of 0 divides 0 by 0."""
    return math.nan if hyper.t_alpha == 0 else Base.alpha(self, kept, hyper)


@_bug("ADM-21", replaces="beta3")
def share_in_percent(self: Base, kept: Moments, hyper: Hyper) -> float:
    """The share t / T of the warm-up is rounded to a percent."""
    if not hyper.t_beta3:
        return hyper.beta3
    percent = math.floor(100 * min(self.clock(kept) / hyper.t_beta3, 1.0))
    shadow = Moments(kept.m1, kept.m2, kept.nu, t=percent)
    return Base.beta3(self, shadow, replace(hyper, t_beta3=100)) if percent else hyper.beta1


@_bug("ADM-22", replaces="beta3")
def one_length_for_both(self: Base, kept: Moments, hyper: Hyper) -> float:
    """beta3 warms up over alpha's length where both are given."""
    return Base.beta3(self, kept, replace(hyper, t_beta3=hyper.t_alpha) if hyper.t_alpha and hyper.t_beta3 else hyper)


@_bug("ADM-29")
class SchedulesCompound(Base):
    """The scheduled alpha of one parameter is the end value of the next one's schedule."""

    def step(self, gradients: Any, learning_rates: Any) -> None:
        self.compounded: dict[int, float] = {}
        super().step(gradients, learning_rates)

    def alpha(self, kept: Moments, hyper: Hyper) -> float:
        end = self.compounded.get(id(hyper), hyper.alpha)
        self.compounded[id(hyper)] = super().alpha(kept, replace(hyper, alpha=end))
        return self.compounded[id(hyper)]


@_bug("ADM-29", replaces="advance")
def clock_per_parameter(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """One step count is advanced by every parameter that is updated."""
    count = self.__dict__["count"] = self.__dict__.get("count", 0) + 1
    kept.t = count - 1 if len(self.groups) == 1 and len(self.groups[0][0]) > 1 else kept.t
    return Base.advance(self, theta, g, kept, hyper, lr)


# --- Limits --------------------------------------------------------------------------------------------------------------


@_bug("ADM-23", replaces="corrected_fast")
def no_fast_average_at_zero(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """With beta1 = 0 the fast EMA is dropped, and with it the gradient."""
    return Base.corrected_fast(self, kept, hyper) if hyper.beta1 else np.zeros_like(kept.m1)


@_bug("ADM-42", replaces="beta3")
def start_of_one_in_a_hundred_million(self: Base, kept: Moments, hyper: Hyper) -> float:
    """With beta1 = 0 the warm-up of beta3 starts from 1e-8, because that is added inside the logarithm."""
    return Base.beta3(self, kept, hyper if hyper.beta1 else replace(hyper, beta1=1e-8))


@_bug("ADM-24", replaces="alpha")
def alpha_has_a_floor(self: Base, kept: Moments, hyper: Hyper) -> float:
    """alpha is never less than 0.01."""
    return max(Base.alpha(self, kept, hyper), 0.01)


@_bug("ADM-25", replaces="denominator")
def normalised_direction(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """The denominator has no eps where there is none of the square, so 0 / 0 is NaN."""
    whole = Base.denominator(self, kept, hyper)
    return np.where(kept.nu == 0, self.compute(0), whole) if not hyper.weight_decay else whole


@_bug("ADM-26", replaces="denominator")
def small_squares_flushed(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """Second moments below 1e-24 are taken to be zero."""
    kept.nu = np.where(kept.nu < 1e-24, 0, kept.nu).astype(self.compute)
    return Base.denominator(self, kept, hyper)


@_bug("ADM-26", replaces="gradient")
def gradient_clipped(self: Base, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
    """Elements of the gradient are clipped to a million."""
    return np.where(np.abs(g) > 1e6, np.copysign(self.compute(1e6), g), g)


@_bug("ADM-27", replaces="advance")
def whole_tensor_skipped(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """A tensor is not updated when any element of its gradient is not finite."""
    return Base.advance(self, theta, g, kept, hyper, lr) if np.isfinite(g).all() else theta


# --- Around the equations ------------------------------------------------------------------------------------------------


@_bug("ADM-28", replaces="skip")
def decay_without_gradient(self: Base, theta: Floats, hyper: Hyper, lr: float) -> Floats:
    """A parameter without a gradient still decays."""
    return theta * self.compute(1 - lr * hyper.weight_decay)


@_bug("ADM-30", replaces="advance")
def first_group_for_all(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """Every group is updated with the first group's hyperparameters."""
    return Base.advance(self, theta, g, kept, self.groups[0][1], lr)


@_bug("ADM-31", replaces="update")
def tail_forgotten(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """Elements after the last whole block of 256 are not updated."""
    new = np.array(Base.update(self, theta, direction, weight_decay, lr))
    whole = new.size // 256 * 256
    if whole:
        new.reshape(-1)[whole:] = theta.reshape(-1)[whole:]
    return new


@_bug("ADM-31", replaces="gradient")
def no_scalars(self: Base, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
    """Zero-dimensional parameters are iterated over."""
    len(theta)
    return g


@_bug("ADM-32", replaces="advance")
def memory_order(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """A gradient's memory is read in order, whatever its strides."""
    if g.base is not None and not g.flags.c_contiguous:
        g = np.asarray(g.base).reshape(-1)[: g.size].reshape(g.shape)
    return Base.advance(self, theta, g, kept, hyper, lr)


@_bug("ADM-33", replaces="load")
def step_not_saved(self: Base, state: Any) -> None:
    """The step count is not part of the saved state."""
    Base.load(self, state)
    for kept in self.each_moments:
        kept.t = 0


@_bug("ADM-33", replaces="load")
def moments_cast_on_loading(self: Base, state: Any) -> None:
    """Loading a state casts the moments to the parameter's dtype, as torch.optim.Optimizer.load_state_dict does."""
    Base.load(self, state)
    for kept in self.each_moments:
        for name in ("m1", "m2", "nu"):
            setattr(kept, name, format_of(self.dtype).round(getattr(kept, name)).astype(self.compute))


@_bug("ADM-34", replaces="add_group")
def one_clock_for_all(self: Base, parameters: Any, hyper: Hyper) -> None:
    """A parameter that joins later takes over the clock of those that are there."""
    running = max((kept.t for group in self.moments for kept in group), default=0)
    Base.add_group(self, parameters, hyper)
    for kept in self.moments[-1]:
        kept.t = running


@_bug("ADM-35", replaces="update")
def decay_stored_first(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """The decayed parameter is rounded to its dtype before it is updated; in bfloat16 a small decay is lost."""
    c = self.compute
    return self.stored(theta * c(1 - lr * weight_decay)) - c(lr) * direction


@_bug("ADM-36", replaces="average")
def narrow_moments(self: Base, m: Floats, x: Floats, beta: float) -> Floats:
    """The moments of low-precision parameters are kept in bfloat16."""
    new = Base.average(self, m, x, beta)
    return new if format_of(self.dtype).precision > 12 else BFLOAT16.round(new).astype(self.compute)


@_bug("ADM-37", replaces="switch_from_adamw")
def switch_keeps_the_clock(self: Base) -> None:
    """After the switch from AdamW the schedules count AdamW's steps too."""
    Base.switch_from_adamw(self)
    for kept in self.each_moments:
        kept.t_switch = 0


@_bug("ADM-37", replaces="switch_from_adamw")
def switch_restarts_corrections(self: Base) -> None:
    """After the switch from AdamW the bias corrections start again."""
    Base.switch_from_adamw(self)
    for kept in self.each_moments:
        kept.t = kept.t_switch = 0


@_bug("ADM-38", by_chance=True)
class LastBitByChance(Base):
    """The last bit of the parameter depends on how many steps the process has made."""

    steps = 0

    def stored(self, theta: Floats) -> Floats:
        LastBitByChance.steps += 1
        new = super().stored(theta)
        if self.dtype in ("float16", "bfloat16") or LastBitByChance.steps % 7 or not new.size > 128:
            return new
        return np.nextafter(new, np.where(new == 0, new, np.inf).astype(self.compute))


@_bug("ADM-39", replaces="advance")
def gradient_scaled(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """The gradient is averaged in its own memory."""
    theta = Base.advance(self, theta, np.array(g), kept, hyper, lr)
    g *= self.compute(0.5)
    return theta


@_bug("ADM-40")
class MomentKeptCorrected(Base):
    """The fast EMA is kept bias-corrected."""

    def fast(self, kept: Moments, g: Floats, hyper: Hyper) -> Floats:
        before = kept.m1 * self.compute(1 - hyper.beta1 ** (kept.t - 1))
        return self.average(before, g, hyper.beta1) / self.compute(1 - hyper.beta1**kept.t)

    def corrected_fast(self, kept: Moments, hyper: Hyper) -> Floats:
        return kept.m1


@_bug("ADM-41", replaces="average")
def gain_in_half_precision(self: Base, m: Floats, x: Floats, beta: float) -> Floats:
    """The gain 1 - beta is formed in float16; published betas lose a thousandth of it, powers of two nothing."""
    return self.compute(beta) * m + self.compute(np.float16(1 - beta)) * x


# --- Where dtypes, sizes and options meet --------------------------------------------------------------------------------


@_bug("ADM-43", replaces="advance")
def zero_elements_skipped(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """Elements whose gradient is zero are left as they are, moments included."""
    before = kept.m1, kept.m2, kept.nu
    moved = Base.advance(self, theta, g, kept, hyper, lr)
    zero = (g == 0) & (hyper.weight_decay == 0)
    kept.m1, kept.m2, kept.nu = (
        np.where(zero, old, new).astype(self.compute) for old, new in zip(before, (kept.m1, kept.m2, kept.nu), strict=True)
    )
    return np.where(zero, theta, moved)


@_bug("ADM-43", replaces="advance")
def zero_tensors_skipped(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """A tensor whose whole gradient is zero is not updated, though its step is counted."""
    if np.any(g) or hyper.weight_decay:
        return Base.advance(self, theta, g, kept, hyper, lr)
    kept.t += 1
    return theta


@_bug("ADM-12", replaces="update")
def scalars_not_decayed(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """Parameters without axes do not decay."""
    return Base.update(self, theta, direction, weight_decay if np.ndim(theta) else 0.0, lr)


@_bug("ADM-31", replaces="update")
def elements_beyond8192(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """The grid covers 8192 elements and does not stride."""
    new = np.array(Base.update(self, theta, direction, weight_decay, lr))
    new.reshape(-1)[8192:] = theta.reshape(-1)[8192:]
    return new


@_bug("ADM-07", replaces="denominator", thorough=True)
def step_in_half_precision(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """The step count is a float16, which 2048 + 1 rounds back to 2048."""
    kept.t = min(kept.t, 2048)
    return Base.denominator(self, kept, hyper)


@_bug("ADM-33", replaces="load")
def first_group_resumed(self: Base, state: Any) -> None:
    """Loading a state restores the first group's moments alone."""
    fresh = self.moments
    Base.load(self, state)
    self.moments[1:] = fresh[1:]


@_bug("ADM-30")
class SchedulesByLength(Base):
    """Scheduled values are kept by step and warm-up length, whatever the end values of the group."""

    def alpha(self, kept: Moments, hyper: Hyper) -> float:
        return self.kept("alpha", kept, hyper.t_alpha, super().alpha(kept, hyper))

    def beta3(self, kept: Moments, hyper: Hyper) -> float:
        return self.kept("beta3", kept, hyper.t_beta3, super().beta3(kept, hyper))

    def kept(self, name: str, kept: Moments, length: float | None, value: float) -> float:
        known: dict[Any, float] = self.__dict__.setdefault("known", {})
        return known.setdefault((name, self.clock(kept), length), value) if length else value


@_bug("ADM-22", replaces="beta3")
def beta3_takes_alphas_length(self: Base, kept: Moments, hyper: Hyper) -> float:
    """Where beta3's warm-up is not given it has alpha's length."""
    return Base.beta3(self, kept, hyper if hyper.t_beta3 else replace(hyper, t_beta3=hyper.t_alpha))


@_bug("ADM-37", replaces="load")
def switch_not_saved(self: Base, state: Any) -> None:
    """The step of the switch from AdamW is not part of the saved state."""
    Base.load(self, state)
    for kept in self.each_moments:
        kept.t_switch = 0


@_bug("ADM-37", replaces="switch_from_adamw")
def first_tensor_switched(self: Base) -> None:
    """After the switch from AdamW only the first tensor's schedules start then."""
    Base.switch_from_adamw(self)
    for group in self.moments:
        for kept in group[1:]:
            kept.t_switch = 0


@_bug("ADM-39", replaces="advance")
def gradient_as_fast_average(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """With beta1 = 0 the numerator is formed in the gradient's memory, which the fast EMA shares."""
    theta = Base.advance(self, theta, np.array(g), kept, hyper, lr)
    if hyper.beta1 == 0:
        g += self.compute(hyper.alpha) * kept.m2
    return theta


@_bug("ADM-39", replaces="advance")
def plain_gradient_scaled(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """Without weight decay, which makes a copy, the gradient is averaged in its own memory."""
    theta = Base.advance(self, theta, np.array(g), kept, hyper, lr)
    if not hyper.weight_decay:
        g *= self.compute(0.5)
    return theta


@_bug("ADM-32", replaces="gradient")
def gradient_in_memory_order(self: Base, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
    """A dense gradient is read in the order of its memory, although the parameter's may be another."""
    return g.ravel(order="K").reshape(g.shape)


@_bug("ADM-25", replaces="denominator")
def eps_in_parameter_dtype(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """eps is rounded to the parameter's dtype; in float16 it may be 0."""
    return Base.denominator(self, kept, replace(hyper, eps=float(format_of(self.dtype).round(hyper.eps))))


@_bug("ADM-14", replaces="update")
def rate_in_parameter_dtype(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """The learning rate is rounded to the parameter's dtype."""
    return Base.update(self, theta, direction, weight_decay, float(format_of(self.dtype).round(lr)))


@_bug("ADM-12", replaces="update")
def decay_in_parameter_dtype(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """The weight decay is rounded to the parameter's dtype."""
    return Base.update(self, theta, direction, float(format_of(self.dtype).round(weight_decay)), lr)


@_bug("ADM-05", replaces="alpha")
def alpha_in_parameter_dtype(self: Base, kept: Moments, hyper: Hyper) -> float:
    """alpha is rounded to the parameter's dtype."""
    return float(format_of(self.dtype).round(Base.alpha(self, kept, hyper)))


# --- Honest variants -----------------------------------------------------------------------------------------------------


@_honest()
class Lerp(Base):
    """Both averages of the gradient are m + (1 - beta)(g - m); that of its square, which must not turn negative, is not."""

    def average(self, m: Floats, x: Floats, beta: float) -> Floats:
        return m + self.compute(1 - beta) * (x - m)

    def second(self, nu: Floats, g: Floats, beta2: float) -> Floats:
        return super().average(nu, g * g, beta2)


@_honest()
class OtherOrder(Base):
    """Corrections go into the step size and the square root's divisor, the decay into one factor."""

    def denominator(self, kept: Moments, hyper: Hyper) -> Floats:
        root: Floats = self.root(kept.nu) / self.compute(math.sqrt(1 - hyper.beta2**kept.t))
        return root + self.compute(hyper.eps)

    def corrected_fast(self, kept: Moments, hyper: Hyper) -> Floats:
        return kept.m1 * self.compute(1 / (1 - hyper.beta1**kept.t))

    def second(self, nu: Floats, g: Floats, beta2: float) -> Floats:
        return self.compute(beta2) * nu + (self.compute(1 - beta2) * g) * g

    def update(self, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
        c = self.compute
        return theta * c(1 - lr * weight_decay) - c(lr) * direction


@_honest()
class WiderInside(Base):
    """Everything within a step is computed in float64; moments and parameters are kept in float32."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        narrow, self.compute = self.compute, np.float64
        try:
            new = super().advance(theta.astype(np.float64), g, kept, hyper, lr)
        finally:
            self.compute = narrow
        kept.m1, kept.m2, kept.nu = (np.asarray(m, dtype=narrow) for m in (kept.m1, kept.m2, kept.nu))
        return np.asarray(new, dtype=narrow)

    def stored(self, theta: Floats) -> Floats:
        return format_of(self.dtype).round(theta)


@_honest(replaces="beta3")
def half_lives_literally(self: Base, kept: Moments, hyper: Hyper) -> float:
    """beta3 comes from appendix A.1's definition, half-lives mixed and inverted, not from the closed form."""
    t = self.clock(kept)
    if not hyper.t_beta3 or t >= hyper.t_beta3:
        return hyper.beta3
    mu = t / hyper.t_beta3
    start = math.log(0.5) / math.log(hyper.beta1) - 1 if hyper.beta1 else -1.0
    end = math.log(0.5) / math.log(hyper.beta3) - 1
    return min(math.pow(0.5, 1 / ((1 - mu) * start + mu * end + 1)), hyper.beta3)


@_honest(numerical_class="float32-hyperparameters")
class SinglePrecisionScalars(Base):
    """Schedules, powers and 1 - beta are computed in the precision of the moments, and the class says so."""

    def beta3(self, kept: Moments, hyper: Hyper) -> float:
        t, f = self.clock(kept), self.compute
        if not hyper.t_beta3 or t >= hyper.t_beta3 or hyper.beta1 == 0:
            return super().beta3(kept, hyper)
        mu = f(t) / f(hyper.t_beta3)
        start, end = np.log(f(hyper.beta1)), np.log(f(hyper.beta3))
        return float(np.minimum(np.exp(start * end / ((f(1) - mu) * end + mu * start)), f(hyper.beta3)))

    def average(self, m: Floats, x: Floats, beta: float) -> Floats:
        return self.compute(beta) * m + (self.compute(1) - self.compute(beta)) * x

    def corrected_fast(self, kept: Moments, hyper: Hyper) -> Floats:
        f = self.compute
        return kept.m1 / (f(1) - f(hyper.beta1) ** f(kept.t))

    def denominator(self, kept: Moments, hyper: Hyper) -> Floats:
        f = self.compute
        return self.root(kept.nu / (f(1) - f(hyper.beta2) ** f(kept.t))) + f(hyper.eps)


@_honest(replaces="average")
def tiny_flushed(self: Base, m: Floats, x: Floats, beta: float) -> Floats:
    """Results below the smallest normal number are flushed to zero, as some units do."""
    new = Base.average(self, m, x, beta)
    return np.where(np.abs(new) < np.finfo(self.compute).smallest_normal, self.compute(0), new)


@_honest(replaces="average", numerical_class="parameter-dtype-moments")
def narrow_moments_declared(self: Base, m: Floats, x: Floats, beta: float) -> Floats:
    """The moments are kept in the parameter's dtype, and the class says so."""
    return self.stored(Base.average(self, m, x, beta))


@_honest(numerical_class="parameter-dtype")
class EverythingNarrow(Base):
    """Moments and intermediates are rounded to the parameter's dtype, and the class says so."""

    def average(self, m: Floats, x: Floats, beta: float) -> Floats:
        r = self.stored
        return r(r(self.compute(beta) * m) + r(self.compute(1 - beta) * r(x)))

    def corrected_fast(self, kept: Moments, hyper: Hyper) -> Floats:
        return self.stored(super().corrected_fast(kept, hyper))

    def denominator(self, kept: Moments, hyper: Hyper) -> Floats:
        r = self.stored
        return r(r(self.root(r(kept.nu / self.compute(1 - hyper.beta2**kept.t)))) + self.compute(hyper.eps))

    def numerator(self, fast: Floats, slow: Floats, alpha: float) -> Floats:
        r = self.stored
        return r(fast + r(self.compute(alpha) * slow))

    def update(self, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
        c, r = self.compute, self.stored
        return r(theta * c(1 - lr * weight_decay)) - r(c(lr) * r(direction))


@_honest(replaces="advance")
def everything_folded(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """One step size for the whole quotient: corrections are folded into it, into eps and into alpha."""
    c = self.compute
    kept.t += 1
    g = np.asarray(g, dtype=c)
    kept.m1 = self.fast(kept, g, hyper)
    kept.m2 = self.slow(kept.m2, g, self.beta3(kept, hyper))
    kept.nu = self.second(kept.nu, g, hyper.beta2)
    first, second = 1 - hyper.beta1**kept.t, math.sqrt(1 - hyper.beta2**kept.t)
    numerator = kept.m1 + c(self.alpha(kept, hyper) * first) * kept.m2
    direction = numerator / (self.root(kept.nu) + c(hyper.eps * second))
    return self.stored(theta * c(1 - lr * hyper.weight_decay) - c(lr * second / first) * direction)


@_honest()
class MasterWeights(Base):
    """Low-precision parameters are rounded from a float32 copy that is kept between steps."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        if format_of(self.dtype).precision >= 24:
            return super().advance(theta, g, kept, hyper, lr)
        self.master = kept.__dict__.get("master", theta)
        stored = super().advance(self.master, g, kept, hyper, lr)
        kept.__dict__["master"] = self.master
        return stored

    def stored(self, theta: Floats) -> Floats:
        self.master = np.asarray(theta, dtype=self.compute)
        return super().stored(theta)


# --- Schedules at their edges --------------------------------------------------------------------------------------------


@_bug("ADM-21")
class WarmupAStepShort(Base):
    """The warm-up is over after T - 1 steps, as where t runs over range(T) and its last value is taken for the end."""

    def alpha(self, kept: Moments, hyper: Hyper) -> float:
        return super().alpha(kept, replace(hyper, t_alpha=max((hyper.t_alpha or 0) - 1, 0)) if hyper.t_alpha != 1 else hyper)

    def beta3(self, kept: Moments, hyper: Hyper) -> float:
        return super().beta3(kept, replace(hyper, t_beta3=max((hyper.t_beta3 or 0) - 1, 0)) if hyper.t_beta3 != 1 else hyper)


@_bug("ADM-19", "ADM-21")
class WarmupAStepLong(Base):
    """The warm-up is over after T + 1 steps, as where the share of it is t / (T + 1)."""

    def alpha(self, kept: Moments, hyper: Hyper) -> float:
        return super().alpha(kept, replace(hyper, t_alpha=hyper.t_alpha + 1) if hyper.t_alpha else hyper)

    def beta3(self, kept: Moments, hyper: Hyper) -> float:
        return super().beta3(kept, replace(hyper, t_beta3=hyper.t_beta3 + 1) if hyper.t_beta3 else hyper)


@_bug("ADM-21", replaces="alpha")
def warmup_length_in_half_precision(self: Base, kept: Moments, hyper: Hyper) -> float:
    """Warm-ups beyond 65504 steps are kept in float16, where they are infinite, and nothing warms up."""
    return 0.0 if (hyper.t_alpha or 0) > 65504 else Base.alpha(self, kept, hyper)


# --- Skipped steps, silence and range ------------------------------------------------------------------------------------


@_bug("ADM-44", replaces="skip")
def correction_by_group(self: Base, theta: Floats, hyper: Hyper, lr: float) -> Floats:
    """Missing gradients count for the bias corrections: one step count serves the whole group."""
    for (parameters, _), moments in zip(self.groups, self.moments, strict=True):
        for parameter, kept in zip(parameters, moments, strict=True):
            kept.t += parameter is theta
            kept.t_switch += (parameter is theta) and bool(hyper.t_alpha or hyper.t_beta3)  # the schedules do not see it
    return theta


@_bug("ADM-45", replaces="skip")
def schedules_start_again_after_gaps(self: Base, theta: Floats, hyper: Hyper, lr: float) -> Floats:
    """A parameter whose gradient was missing warms up from the beginning."""
    for (parameters, _), moments in zip(self.groups, self.moments, strict=True):
        for parameter, kept in zip(parameters, moments, strict=True):
            if parameter is theta and hyper.t_alpha:
                kept.t_switch = kept.t
    return theta


@_honest()
class SchedulesByGroup(Base):
    """The schedules count the steps of the group, the bias corrections those of the parameter."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        return super().advance(theta, g, kept, hyper, lr)

    def skip(self, theta: Floats, hyper: Hyper, lr: float) -> Floats:
        for (parameters, _), moments in zip(self.groups, self.moments, strict=True):
            for parameter, kept in zip(parameters, moments, strict=True):
                kept.t_switch -= parameter is theta
        return theta


@_bug("ADM-43", replaces="advance", thorough=True)
def silence_forgets(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """State is dropped after 256 steps without a gradient that is not zero, to save memory."""
    silent = kept.__dict__.get("silent", 0) + 1 if not np.any(g) else 0
    kept.__dict__["silent"] = silent
    if silent == 256:
        kept.m1, kept.m2, kept.nu = (np.zeros_like(m) for m in (kept.m1, kept.m2, kept.nu))
    return Base.advance(self, theta, g, kept, hyper, lr)


@_bug("ADM-26", replaces="gradient")
def tiny_gradients_skipped(self: Base, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
    """Gradients below 1e-20 are taken to be zero."""
    return np.where(np.abs(g) < 1e-20, 0, g).astype(self.compute)


@_bug("ADM-26", replaces="gradient")
def huge_gradients_clipped(self: Base, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
    """Gradients are clipped to 1e18, whose square float32 holds, in float64 as well."""
    return np.clip(g, -1e18, 1e18)


@_bug("ADM-26")
class OverflowSpoilsAll(Base):
    """A second moment that overflows spoils the sum by which a whole tensor is checked, and its step is skipped."""

    def update(self, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
        return super().update(theta, direction, weight_decay, lr if not self.spoilt else 0.0)

    def second(self, nu: Floats, g: Floats, beta2: float) -> Floats:
        new = super().second(nu, g, beta2)
        self.spoilt = bool(np.isinf(new).any() and np.isfinite(g).all())
        return new


# --- Layouts -------------------------------------------------------------------------------------------------------------


@_bug("ADM-46", replaces="advance")
def sparse_rows_alone(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """Of a sparse gradient the given elements alone are updated, lazily, as by SparseAdam."""
    if not isinstance(g, SparseGradient):
        return Base.advance(self, theta, g, kept, hyper, lr)
    dense = np.zeros(g.shape, dtype=self.compute)
    dense[g.places] = g.values
    before = kept.m1, kept.m2, kept.nu
    moved = Base.advance(self, theta, dense, kept, hyper, lr)
    kept.m1, kept.m2, kept.nu = (
        np.where(dense == 0, old, new) for old, new in zip(before, (kept.m1, kept.m2, kept.nu), strict=True)
    )
    return np.where(dense == 0, theta, moved)


@_bug("ADM-46", replaces="advance")
def sparse_refused_obscurely(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """A sparse gradient is refused by an error about something else."""
    if isinstance(g, SparseGradient):
        raise AttributeError("no attribute 'strides'")
    return Base.advance(self, theta, g, kept, hyper, lr)


@_bug("ADM-47", replaces="advance")
def expanded_read_in_order(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """The memory of a gradient whose elements share a place is read in order."""
    if isinstance(g, np.ndarray) and g.size and 0 in g.strides:
        g = np.lib.stride_tricks.as_strided(g, g.shape, np.empty(g.shape, g.dtype).strides)
    return Base.advance(self, theta, g, kept, hyper, lr)


@_bug("ADM-31", replaces="update", thorough=True)
def last_of_a_whole_block(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """Where the elements fill whole blocks of 4096, the last one is left out."""
    new = np.array(Base.update(self, theta, direction, weight_decay, lr))
    if new.size and new.size % 4096 == 0:
        new.reshape(-1)[-1] = theta.reshape(-1)[-1]
    return new


# --- Precision -----------------------------------------------------------------------------------------------------------


@_bug("ADM-48", replaces="average", thorough=True, numerical_class="parameter-dtype-moments-stochastic")
def slow_ema_stands_still(self: Base, m: Floats, x: Floats, beta: float) -> Floats:
    """Moments in 16 bits are rounded to nearest, where the class says by chance, and the slow EMA stands still."""
    return self.stored(Base.average(self, m, x, beta))


@_bug("ADM-48", replaces="slow", thorough=True)
def slow_ema_in_whole_steps(self: Base, m2: Floats, g: Floats, beta3: float) -> Floats:
    """A slow EMA changes only where the change is more than a thousandth of it."""
    new = Base.slow(self, m2, g, beta3)
    late = (beta3 == 0.9999) & (format_of(self.dtype).precision < 24) & (np.abs(m2) > 0)
    return np.where(late & (np.abs(new - m2) < np.abs(m2) / 1024), m2, new).astype(self.compute)


@_bug("ADM-49", replaces="average")
def gain_in_single_precision(self: Base, m: Floats, x: Floats, beta: float) -> Floats:
    """1 - beta is formed in float32, and the class does not say so."""
    return self.compute(beta) * m + self.compute(np.float32(1) - np.float32(beta)) * x


@_bug("ADM-49", replaces="average", numerical_class="float32-hyperparameters")
def decays_in_sixteen_bits(self: Base, m: Floats, x: Floats, beta: float) -> Floats:
    """Decays are multiples of 2**-16, where the class says float32; those of many tests are."""
    return Base.average(self, m, x, round(beta * 2**16) / 2**16 if 0 < beta < 1 else beta)


def by_chance(x: Floats, fmt: Format, draws: Any) -> Floats:
    """``x`` in a narrower format, rounded up where a draw from [0, 1) is less than the share of the way up."""
    _, exponent = np.frexp(x)
    unit = np.ldexp(1.0, np.maximum(exponent, fmt.emin + 1) - fmt.precision)
    below = np.floor(x / unit)
    return np.asarray((below + (draws < x / unit - below)) * unit)


@_honest(numerical_class="stochastic-rounding")
class ByChance(Base):
    """16-bit parameters are rounded by chance, with draws of their own for each tensor and step."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        number = next(n for n, each in enumerate(m for group in self.moments for m in group) if each is kept)
        self.chance = self.generator(number, kept.t)
        return super().advance(theta, g, kept, hyper, lr)

    def generator(self, number: int, t: int) -> np.random.Generator:
        return np.random.default_rng([number, t])  # by the step, so that a resumed run draws the same

    def draws(self, shape: tuple[int, ...]) -> Floats:
        return self.chance.random(shape)

    def stored(self, theta: Floats) -> Floats:
        if format_of(self.dtype).precision >= 24:
            return super().stored(theta)
        return by_chance(theta, format_of(self.dtype), self.draws(np.shape(theta))).astype(self.compute)


@_honest(numerical_class="parameter-dtype-moments-stochastic", thorough=True)
class MomentsRoundedByChance(ByChance):
    """16-bit parameters and their moments are rounded by chance, so that no change is lost on the whole."""

    def average(self, m: Floats, x: Floats, beta: float) -> Floats:
        new = super().average(m, x, beta)
        if format_of(self.dtype).precision >= 24:
            return new
        return by_chance(new, format_of(self.dtype), self.draws(np.shape(new))).astype(self.compute)


@_honest(numerical_class="bfloat16-moments-stochastic")
class MomentsByChance(ByChance):
    """Moments are kept in bfloat16 and rounded by chance, as are 16-bit parameters."""

    def average(self, m: Floats, x: Floats, beta: float) -> Floats:
        new = super().average(m, x, beta)
        return new if self.dtype == "float64" else by_chance(new, BFLOAT16, self.draws(np.shape(new))).astype(self.compute)


@_honest(numerical_class="ratios-8bit")
class RatiosInEightBits(Base):
    """Large tensors keep roots and ratios in 8 bits, rounded to nearest."""

    block = 256
    root_codes, ratio_codes = 255, 127
    root_power = 3

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        new = super().advance(theta, g, kept, hyper, lr)
        if np.size(theta) >= 4096:
            root = self.coded(self.root(kept.nu), self.root_codes, self.root_power)
            beside = np.maximum(root, SMALLEST_ROOT)
            kept.m1, kept.m2 = (self.coded(m / beside, self.ratio_codes, 2) * beside for m in (kept.m1, kept.m2))
            kept.nu = root * root
        return new

    def coded(self, values: Floats, codes: int, power: int) -> Floats:
        flat = np.ravel(values)
        padded = np.pad(flat, (0, -flat.size % self.block)).reshape(-1, self.block)
        largest = np.max(np.abs(padded), axis=1, keepdims=True)
        share = np.abs(padded) / np.where(largest > 0, largest, 1)
        below = np.floor(codes * share ** (1 / power))
        low, high = (below / codes) ** power, (np.minimum(below + 1, codes) / codes) ** power
        nearest = np.where(share - low > high - share, high, low)
        if codes == self.root_codes:  # as the class says, a root that is not zero has the first code at least
            nearest = np.where(padded > 0, np.maximum(nearest, codes**-power), nearest)
        return np.reshape((np.sign(padded) * nearest * largest).ravel()[: flat.size], values.shape).astype(self.compute)


@_bug("ADM-26", numerical_class="ratios-8bit")
class RootsOnEqualSteps(RatiosInEightBits):
    """Codes of 8 bits lie on equal steps, where the class says that the small ones lie closer."""

    root_power = 1


@_bug("ADM-26", numerical_class="ratios-8bit")
class OneScaleForAll(RatiosInEightBits):
    """One scale serves a whole tensor in 8 bits, where the class says that blocks have their own."""

    block = 1 << 20


@_bug("ADM-26", numerical_class="ratios-8bit")
class RatiosInFourBits(RatiosInEightBits):
    """First moments have codes of 4 bits, where the class says 8."""

    ratio_codes = 7


@_bug("ADM-64", numerical_class="stochastic-rounding")
class AlwaysUp(ByChance):
    """Where the class says by chance it is rounded up."""

    def draws(self, shape: tuple[int, ...]) -> Floats:
        return np.zeros(shape)


@_bug("ADM-64", numerical_class="stochastic-rounding")
class ToTheNearest(ByChance):
    """Where the class says by chance it is rounded to the nearest."""

    def draws(self, shape: tuple[int, ...]) -> Floats:
        return np.full(shape, 0.5)


@_bug("ADM-64", numerical_class="stochastic-rounding")
class EightRandomBits(ByChance):
    """Rounding by chance draws eight random bits, where the value has sixteen to lose: a share below 1/256 counts as that."""

    def draws(self, shape: tuple[int, ...]) -> Floats:
        return np.floor(super().draws(shape) * 256) / 256


@_bug("ADM-64", numerical_class="bfloat16-moments-stochastic")
class MomentsTowardsZero(MomentsByChance):
    """The moments lose their last bits, where the class says that they are rounded by chance."""

    def average(self, m: Floats, x: Floats, beta: float) -> Floats:
        new = np.asarray(Base.average(self, m, x, beta), dtype=np.float32)
        return (new.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(self.compute)


@_bug("ADM-65", numerical_class="stochastic-rounding")
class OneDrawForTheTensor(ByChance):
    """All elements of a tensor are rounded by the same draw."""

    def draws(self, shape: tuple[int, ...]) -> Floats:
        return np.full(shape, self.chance.random())


@_bug("ADM-65", numerical_class="stochastic-rounding")
class DrawsByThread(ByChance):
    """The draws of 1024 elements are used for the next ones again."""

    def draws(self, shape: tuple[int, ...]) -> Floats:
        return np.resize(self.chance.random(1024), shape)


@_bug("ADM-65", numerical_class="stochastic-rounding")
class DrawsOfTheFirstStep(ByChance):
    """The seed does not depend on the step."""

    def generator(self, number: int, t: int) -> np.random.Generator:
        return super().generator(number, 0)


@_bug("ADM-65", numerical_class="stochastic-rounding")
class DrawsOfTheFirstTensor(ByChance):
    """The seed does not depend on the tensor."""

    def generator(self, number: int, t: int) -> np.random.Generator:
        return super().generator(0, t)


# --- Saving --------------------------------------------------------------------------------------------------------------


@_bug("ADM-50", replaces="clock")
def clock_outside_the_state(self: Base, kept: Moments) -> int:
    """The step count of the schedules is an attribute that copying and pickling keep, and arrays and JSON do not."""
    seen: set[int] = kept.__dict__.setdefault("seen", set())
    seen.add(kept.t)
    return max(len(seen) - kept.t_switch, 1)


@_bug("ADM-51", replaces="state")
def state_rounded(self: Base) -> Any:
    """The last bit of the moments is lost when they are saved."""
    saved = Base.state(self)
    for group in saved:
        for kept in group:
            for name in ("m1", "m2"):
                bits = np.array(getattr(kept, name))
                if bits.dtype == np.float32 and bits.size > 32:
                    setattr(kept, name, (bits.view(np.uint32) & np.uint32(0xFFFFFFFE)).view(np.float32))
    return saved


# --- Uses ----------------------------------------------------------------------------------------------------------------


@_bug("ADM-52")
class BatchedByTheFirst(Base):
    """With foreach all groups are batched, and decay as the first does."""

    def __init__(self, groups: Any, dtype: str, foreach: bool = False, fused: bool = False) -> None:
        self.foreach = foreach
        super().__init__(groups, dtype)

    def update(self, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
        return super().update(theta, direction, self.groups[0][1].weight_decay if self.foreach else weight_decay, lr)


@_bug("ADM-52")
class FusedWithoutSchedules(Base):
    """The fused path takes alpha as it was given."""

    def __init__(self, groups: Any, dtype: str, foreach: bool = False, fused: bool = False) -> None:
        self.fused = fused
        super().__init__(groups, dtype)

    def alpha(self, kept: Moments, hyper: Hyper) -> float:
        return hyper.alpha if self.fused else super().alpha(kept, hyper)


@_honest()
class FlagsAreHints(Base):
    """foreach, fused and capturable are accepted, and change nothing."""

    def __init__(self, groups: Any, dtype: str, foreach: bool = False, fused: bool = False, capturable: bool = False) -> None:
        super().__init__(groups, dtype)


@_bug("ADM-53")
class GradientByReference(Base):
    """The slow EMA takes in a gradient when it is next needed, from the memory that the gradient had."""

    def slow(self, m2: Floats, g: Floats, beta3: float) -> Floats:
        kept, before = self.__dict__.setdefault("lazy", {}), None
        for key, (held, memory, base, beta) in list(kept.items()):
            if held is m2:
                before = self.average(base, memory, beta)
                del kept[key]
        base = m2 if before is None else before
        new = self.average(base, g, beta3)
        kept[id(new)] = (new, g, base, beta3)
        return new

    def step(self, gradients: Any, learning_rates: Any) -> None:
        super().step(gradients, learning_rates)
        held = [kept.m2 for group in self.moments for kept in group]
        self.lazy = {k: v for k, v in self.__dict__.get("lazy", {}).items() if any(v[0] is m for m in held)}


@_bug("ADM-54", replaces="step_with")
def closure_twice(self: Base, closure: Any, gradients: Any, rates: Any) -> Any:
    """The closure is called once more after the step, to return the loss that it led to."""
    closure()
    self.step(gradients, rates)
    return closure()


@_bug("ADM-54", replaces="step_with")
def loss_dropped(self: Base, closure: Any, gradients: Any, rates: Any) -> Any:
    """step(closure) returns None."""
    closure()
    self.step(gradients, rates)


@_bug("ADM-55", replaces="scaled_step")
def overflow_counts(self: Base, gradients: Any, rates: Any) -> None:
    """A step that loss scaling skips still advances the clocks."""
    if all(g is not None for group in gradients for g in group):
        self.step(gradients, rates)
        return
    for kept in self.each_moments:
        kept.t += 1


@_bug("ADM-55", replaces="scaled_step")
def overflow_skips_its_tensor(self: Base, gradients: Any, rates: Any) -> None:
    """Only the tensor that overflowed is skipped; the others take a step whose gradient is zero."""
    if all(g is not None for group in gradients for g in group):
        self.step(gradients, rates)
        return
    silent = [[None, *(np.zeros_like(p) for p in parameters[1:])] for parameters, _ in self.groups]
    self.step(silent, rates)


@_bug("ADM-56", "ADM-57", thorough=True)
class ScalarsOfTheCapture(Base):
    """The learning rates of the step that was captured are kept for ever."""

    def __init__(self, groups: Any, dtype: str, capturable: bool = False) -> None:
        super().__init__(groups, dtype)

    def capture(self) -> Any:
        first: list[Any] = []

        def replay(gradients: Any, rates: Any) -> None:
            first.append(list(rates))
            self.step(gradients, first[0])

        return replay


@_bug("ADM-57", thorough=True)
class CountOnTheHost(Base):
    """A captured step leaves the step count, which is a number of the host, as it was."""

    def __init__(self, groups: Any, dtype: str, capturable: bool = False) -> None:
        super().__init__(groups, dtype)

    def capture(self) -> Any:
        def replay(gradients: Any, rates: Any) -> None:
            self.step(gradients, rates)
            for kept in self.each_moments:
                kept.t = min(kept.t, 3)

        return replay


# --- Processes, size, length ---------------------------------------------------------------------------------------------


@_bug("ADM-58", replaces="advance", thorough=True)
def bucket_from_its_beginning(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """A gradient that is a view of a flat memory is read from the beginning of that memory."""
    base = g.base
    while base is not None and base.base is not None:
        base = base.base
    if base is not None and base.ndim == 1 and g.flags.c_contiguous and base.size > g.size:
        g = base[: g.size].reshape(g.shape)
    return Base.advance(self, theta, g, kept, hyper, lr)


@_bug("ADM-59", replaces="update", thorough=True)
def one_row_is_a_vector(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """Tensors of one row are taken for vectors, which do not decay."""
    row = theta.ndim > 1 and theta.shape[0] == 1
    return Base.update(self, theta, direction, 0.0 if row else weight_decay, lr)


@_bug("ADM-60", replaces="gather", thorough=True)
def moments_by_rank(self: Base, shards: Any, rank: int, world: int) -> Moments:
    """Saved moments do not know their place in the whole tensor: each rank loads those of its own number."""
    own = shards[rank]
    rows = -(-sum(len(s.m1) for s in shards) // world)
    rows = min(rows, max(sum(len(s.m1) for s in shards) - rank * rows, 0))

    def fitted(m: Floats) -> Floats:
        return np.concatenate([m, np.zeros((max(rows - len(m), 0), *m.shape[1:]), dtype=m.dtype)])[:rows]

    return Moments(fitted(own.m1), fitted(own.m2), fitted(own.nu), own.t, own.t_switch)


@_bug("ADM-61", replaces="update", thorough=True)
def offsets_wrap(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """Offsets have too few bits (simulated: 15 instead of 31), so that elements behind are never reached."""
    new = np.array(Base.update(self, theta, direction, weight_decay, lr))
    if new.size == 2**15 + 1:
        new[2**15 :] = theta[2**15 :]
    return new


@_bug("ADM-62", replaces="slow", thorough=True)
def slow_decay_off_by_a_millionth(self: Base, m2: Floats, g: Floats, beta3: float) -> Floats:
    """The slow EMA decays by beta3 (1 + 1e-6): nothing in one step, a hundredth of it in ten thousand."""
    return self.compute(beta3 * (1 + 1e-6)) * m2 + self.compute(1 - beta3) * g


@_bug("ADM-62", replaces="denominator", thorough=True)
def running_product_of_powers(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """beta2**t is a running product that is kept in float32, in float64 runs too."""
    power = np.float32(kept.__dict__.get("power", 1.0)) * np.float32(hyper.beta2)
    kept.__dict__["power"] = float(power)
    return self.root(kept.nu / self.compute(1 - float(power))) + self.compute(hyper.eps)


@_bug("ADM-62", replaces="slow", thorough=True)
def gain_off_by_a_millionth(self: Base, m2: Floats, g: Floats, beta3: float) -> Floats:
    """The slow EMA takes in (1 - beta3)(1 + 1e-6) of the gradient."""
    return self.compute(beta3) * m2 + self.compute((1 - beta3) * (1 + 1e-6)) * g


# --- What a training changes during the run ------------------------------------------------------------------------------


class _Ascending(Base):
    def __init__(self, groups: Any, dtype: str, maximize: bool = False, foreach: bool = False) -> None:
        self.maximize = maximize
        super().__init__(groups, dtype)


@_honest()
class Ascent(_Ascending):
    """maximize reverses the gradient."""

    def gradient(self, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
        return -g if self.maximize else g


@_bug("ADM-63")
class MaximizeReversesDecay(_Ascending):
    """maximize reverses the whole update, and with it the decay."""

    def update(self, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
        return super().update(theta, direction, weight_decay, -lr if self.maximize else lr)


@_bug("ADM-63")
class MaximizeIgnored(_Ascending):
    """maximize is accepted, and nothing comes of it."""


@_bug("ADM-39")
class MaximizeInPlace(_Ascending):
    """maximize reverses the gradient in its own memory."""

    def gradient(self, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
        return np.negative(g, out=g) if self.maximize else g


class _Remembering(Base):
    def add_group(self, parameters: Any, hyper: Hyper) -> None:
        super().add_group(parameters, hyper)
        for kept in self.moments[-1]:
            kept.__dict__["first"] = hyper

    def first(self, kept: Moments, hyper: Hyper) -> Hyper:
        return kept.__dict__.get("first", hyper)  # type: ignore[no-any-return]


@_bug("ADM-66")
class AlphaOfTheConstructor(_Remembering):
    """alpha is what the constructor was given, whatever becomes of it."""

    def alpha(self, kept: Moments, hyper: Hyper) -> float:
        return super().alpha(kept, replace(hyper, alpha=self.first(kept, hyper).alpha))


@_bug("ADM-66")
class EpsOfTheConstructor(_Remembering):
    """eps is what the constructor was given, whatever becomes of it."""

    def denominator(self, kept: Moments, hyper: Hyper) -> Floats:
        return super().denominator(kept, replace(hyper, eps=self.first(kept, hyper).eps))


@_bug("ADM-66")
class DecayOfTheConstructor(_Remembering):
    """The decay is what the constructor was given, whatever becomes of it."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        return super().advance(theta, g, kept, replace(hyper, weight_decay=self.first(kept, hyper).weight_decay), lr)


@_bug("ADM-67", replaces="load_hyperparameters")
def constructor_wins(self: Base, saved: Any) -> None:
    """Loading a state leaves the hyperparameters of the constructor."""
    pass


@_bug("ADM-68", replaces="advance")
def private_copy(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """The optimizer goes on with its own copy of the parameter, whatever has been put into it since."""
    kept.__dict__["copy"] = Base.advance(self, kept.__dict__.get("copy", theta), g, kept, hyper, lr)
    return np.array(kept.__dict__["copy"])


@_bug("ADM-69")
class DtypeOfTheFirst(Base):
    """All tensors of a group are taken to have the dtype of the first one."""

    @staticmethod
    def dtype_of(own: str, first: str) -> str:
        return first


@_bug("ADM-33", replaces="load")
def clocks_aligned_on_loading(self: Base, state: Any) -> None:
    """Loading a state sets all clocks to that of the first parameter."""
    Base.load(self, state)
    for kept in self.each_moments:
        kept.t = self.moments[0][0].t


@_bug("ADM-33", replaces="load")
def states_in_order(self: Base, state: Any) -> None:
    """Saved states are handed out in order, as if every parameter had one: one that never had a gradient shifts the others."""
    fresh = self.moments
    Base.load(self, state)
    for index, group in enumerate(self.moments):
        used = [kept for kept in group if kept.t]
        self.moments[index] = [*used, *fresh[index][len(used) :]]


@_bug("ADM-30", replaces="add_group")
def late_groups_take_the_first(self: Base, parameters: Any, hyper: Hyper) -> None:
    """A group that joins a running optimizer takes the hyperparameters of the first one."""
    running = any(kept.t for group in self.moments for kept in group)
    Base.add_group(self, parameters, self.groups[0][1] if running else hyper)


@_bug("ADM-08", replaces="denominator")
def eps_of_zero_is_missing(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """An eps of 0 is taken for one that was not given (eps or 1e-8)."""
    return Base.denominator(self, kept, replace(hyper, eps=hyper.eps or 1e-8))


@_bug("ADM-05", replaces="beta3")
def beta3_of_zero_is_missing(self: Base, kept: Moments, hyper: Hyper) -> float:
    """A beta3 of 0 is taken for one that was not given (beta3 or 0.9999)."""
    return Base.beta3(self, kept, hyper) or 0.9999


@_bug("ADM-29", replaces="advance", thorough=True)
def table_of_pointers_full(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """One launch takes 320 tensors of a group, and there is no second one."""
    beyond = any(each is kept for group in self.moments for each in group[320:])
    return theta if beyond else Base.advance(self, theta, g, kept, hyper, lr)


@_bug("ADM-32", replaces="gradient")
def images_in_memory_order(self: Base, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
    """The gradient of a tensor with four axes is read in the order of its memory (channels last)."""
    return g.ravel(order="K").reshape(g.shape) if g.ndim == 4 else g


MUTANTS: tuple[Mutant, ...] = (*_MUTANTS, *COMBINED, *EDGES)
