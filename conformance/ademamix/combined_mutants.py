"""Mutants (planted bugs) that show only where two things meet, and those that a failure is often compared with."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.ademamix.harness.layouts import IN_ORDER
from conformance.ademamix.planting import forgetting, planted
from conformance.engine.mutation import Mutant
from impls.ademamix.numpy_optimizer import Floats, Hyper, Moments
from impls.ademamix.numpy_optimizer import NumpyAdEMAMix as Base

_COMBINED: list[Mutant] = []
_bug = functools.partial(planted, _COMBINED)
_NO_WARMUPS = {"t_alpha": None, "t_beta3": None}


# --- Other settings in some place: definition ------------------------------------------------------------------------------

for _name, _sentence, _where, _settings in (
    ("tail-without-decay", "Elements after the last whole block of 256 do not decay.",
     lambda here: here.behind(256), lambda here: {"weight_decay": 0.0}),
    ("tail-without-slow-average", "Elements after the last whole block of 4096 are updated as by AdamW.",
     lambda here: here.behind(4096), lambda here: {"alpha": 0.0}),
    ("tail-without-eps", "Elements after the last whole block of 4096 have no eps.",
     lambda here: here.behind(4096), lambda here: {"eps": 0.0}),
    ("scalars-do-not-warm-up", "Parameters without axes have no warm-ups.",
     lambda here: here.axes == 0, lambda here: _NO_WARMUPS),
    ("scalars-without-eps", "Parameters without axes have no eps.",
     lambda here: here.axes == 0, lambda here: {"eps": 0.0}),
    ("filters-do-not-warm-up", "Beta3 of parameters with four axes has no warm-up.",
     lambda here: here.axes == 4, lambda here: {"t_beta3": None}),
    ("single-elements-without-slow-average", "Parameters of one element are updated as by AdamW.",
     lambda here: here.theta.size == 1, lambda here: {"alpha": 0.0}),
    ("no-warm-up-at-zero", "With beta1 = 0 alpha does not warm up.",
     lambda here: here.hyper.beta1 == 0, lambda here: {"t_alpha": None}),
    ("no-eps-at-zero", "With beta1 = 0 eps is dropped.",
     lambda here: here.hyper.beta1 == 0, lambda here: {"eps": 0.0}),
    ("no-decay-at-zero", "With beta1 = 0 nothing decays.",
     lambda here: here.hyper.beta1 == 0, lambda here: {"weight_decay": 0.0}),
    ("large-without-fast-average", "Tensors of 4096 elements and more take the gradient for the fast EMA, warm-ups included.",
     lambda here: here.theta.size >= 4096 and here.hyper.t_alpha, lambda here: {"beta1": 0.0, "t_beta3": None}),
    ("huge-without-eps", "Tensors of 65536 elements and more have no eps.",
     lambda here: here.theta.size >= 2**16, lambda here: {"eps": 0.0}),
    ("decay-with-few-tensors", "The tensors of a group after the thirty-second do not decay.",
     lambda here: here.slot >= 32, lambda here: {"weight_decay": 0.0}),
    ("warm-up-with-few-tensors", "The tensors of a group after the sixteenth do not warm up.",
     lambda here: here.slot >= 16, lambda here: _NO_WARMUPS),
    ("decay-warms-up", "While alpha warms up, nothing decays.",
     lambda here: here.hyper.t_alpha and here.optimizer.moments[here.group][here.slot].t + 1 < here.hyper.t_alpha,
     lambda here: {"weight_decay": 0.0}),
    ("fractions-do-not-warm-up", "An alpha below 1 does not warm up.",
     lambda here: here.hyper.alpha < 1, lambda here: {"t_alpha": None}),
    ("late-beta3-without-decay", "Where beta3 warms up longer than alpha, nothing decays.",
     lambda here: (here.hyper.t_beta3 or 0) > (here.hyper.t_alpha or 0), lambda here: {"weight_decay": 0.0}),
    ("zero-gradients-without-decay", "Elements whose gradient is zero do not decay once the slow EMA is mixed in.",
     lambda here: (np.asarray(here.g) == 0) & (here.hyper.alpha > 0) & bool(np.any(here.g)),
     lambda here: {"weight_decay": 0.0}),
    ("eps-of-the-published-decay", "With a weight decay eps is 1e-8.",
     lambda here: here.hyper.weight_decay > 0, lambda here: {"eps": 1e-8}),
):  # fmt: skip
    forgetting(_COMBINED, "ADM-70", _name, _sentence, _where, _settings)

# --- Other settings in some place: interface -------------------------------------------------------------------------------

for _name, _sentence, _where, _settings in (
    ("tail-decays-as-the-first-group", "Elements after the last whole block of 256 decay as the first group does.",
     lambda here: here.behind(256), lambda here: {"weight_decay": here.first.weight_decay}),
    ("eps-of-the-first-group-in-large-tensors", "Tensors of 4096 elements and more have the eps that the first group had.",
     lambda here: here.theta.size >= 4096 and here.group > 0, lambda here: {"eps": 2.0**-60}),
    ("changed-decay-in-the-first-group", "A decay of 1/2 and more counts in the first group alone.",
     lambda here: here.group > 0 and here.hyper.weight_decay >= 0.5, lambda here: {"weight_decay": 0.0}),
    ("changed-alpha-with-few-tensors", "The tensors of a group after the fourth have an alpha of 4 at least.",
     lambda here: here.slot >= 4, lambda here: {"alpha": max(here.hyper.alpha, 4.0)}),
    ("groups-without-fast-average", "With beta1 = 0 the groups after the first are updated as by AdamW.",
     lambda here: here.hyper.beta1 == 0 and here.group > 0, lambda here: {"alpha": 0.0}),
    ("third-group-does-not-warm-up", "Groups after the second have no warm-ups.",
     lambda here: here.group > 1, lambda here: _NO_WARMUPS),
    ("gaps-without-decay", "A gradient with gaps in memory belongs to a tensor that does not decay.",
     lambda here: bool(here.g.ndim) and not (here.g.flags.c_contiguous or here.g.flags.f_contiguous),
     lambda here: {"weight_decay": 0.0}),
    ("transposed-without-warm-up", "A gradient that is transposed in memory belongs to a tensor that does not warm up.",
     lambda here: here.g.flags.f_contiguous and not here.g.flags.c_contiguous, lambda here: _NO_WARMUPS),
    ("unaligned-without-eps", "A gradient that is part of a larger memory belongs to a tensor without eps.",
     lambda here: here.g.base is not None and here.g.base.size > here.g.size and here.g.flags.c_contiguous,
     lambda here: {"eps": 0.0}),
):  # fmt: skip
    forgetting(_COMBINED, "ADM-71", _name, _sentence, _where, _settings)

# --- Other settings in a group or a tensor of its own kind -----------------------------------------------------------------

forgetting(
    _COMBINED, "ADM-31", "huge-tail-without-decay", "Elements after the first 2**20 of a tensor do not decay.",
    lambda here: np.arange(here.theta.size).reshape(here.theta.shape) >= 2**20, lambda here: {"weight_decay": 0.0},
)  # fmt: skip
for _name, _sentence, _where, _settings in (
    ("zero-alpha-is-the-first-one", "Where a later group has an alpha of 0, that of the first group is used.",
     lambda here: here.group > 0 and here.hyper.alpha == 0, lambda here: {"alpha": here.first.alpha}),
    ("filters-in-another-order-without-eps",
     "A gradient in order, of a parameter with four axes that is in channels-last format, belongs to a tensor without eps.",
     lambda here: here.axes == 4 and here.g.flags.c_contiguous and not here.theta.flags.c_contiguous and here.theta.size > 1,
     lambda here: {"eps": 0.0}),
):  # fmt: skip
    forgetting(_COMBINED, "ADM-80", _name, _sentence, _where, _settings)


@_bug("ADM-80", replaces="beta3")
def warm_up_from_the_first_beta1(self: Base, kept: Moments, hyper: Hyper) -> float:
    """The warm-up of beta3 starts in every group at the beta1 of the first one."""
    first = self.groups[0][1].beta1
    return Base.beta3(self, kept, replace(hyper, beta1=first) if 0 < first < hyper.beta3 and hyper.beta1 else hyper)


@_bug("ADM-80")
class NarrowCorrectionsAtTensorRates(Base):
    """Where the learning rate is a tensor, the bias corrections are rounded to float32, in float64 too."""

    rates_as = ""

    def corrected_fast(self, kept: Moments, hyper: Hyper) -> Floats:
        right = 1 - hyper.beta1**kept.t
        return kept.m1 / self.compute(np.float32(right) if self.rates_as else right)


@_bug("ADM-81")
class LeavesItsMemory(Base):
    """A parameter that is not contiguous is put into new memory."""

    def leaves(self, layout: str) -> bool:
        return layout not in IN_ORDER


# --- Ways of calling, with each other --------------------------------------------------------------------------------------


class Reversing(Base):
    """Takes maximize, and reverses gradients."""

    def __init__(self, groups: Any, dtype: str, maximize: bool = False) -> None:
        self.maximize = maximize
        super().__init__(groups, dtype)

    def gradient(self, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
        return -g if self.maximize else g


@_bug("ADM-71")
class ClosureMinimises(Reversing):
    """Where a closure is given, maximize is forgotten."""

    def step_with(self, closure: Any, gradients: Any, rates: Any) -> Any:
        loss, wanted = closure(), self.maximize
        self.maximize = False
        self.step(gradients, rates)
        self.maximize = wanted
        return loss


@_bug("ADM-71")
class ResumedMinimises(Reversing):
    """After a state was loaded, maximize is forgotten."""

    def load(self, state: Any) -> None:
        super().load(state)
        self.maximize = False


@_bug("ADM-71")
class PickledMinimises(Reversing):
    """Pickling and copying forget maximize."""

    def __getstate__(self) -> Any:
        return {**self.__dict__, "maximize": False}


@_bug("ADM-71")
class SmallOnesReversed(Reversing):
    """maximize reverses tensors of up to 4096 elements."""

    def gradient(self, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
        return super().gradient(g, theta, hyper) if g.size <= 4096 else g


@_bug("ADM-71")
class ReversedWithoutFastAverage(Reversing):
    """With beta1 = 0 maximize is forgotten."""

    def gradient(self, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
        return super().gradient(g, theta, hyper) if hyper.beta1 else g


@_bug("ADM-71", replaces="step_with")
def closure_steps_the_first_group(self: Base, closure: Any, gradients: Any, rates: Any) -> Any:
    """step(closure) updates the first group alone."""
    loss = closure()
    self.step([gradients[0], *([None] * len(group) for group in gradients[1:])], rates)
    return loss


@_bug("ADM-71", replaces="step_with")
def closure_counts_twice(self: Base, closure: Any, gradients: Any, rates: Any) -> Any:
    """step(closure) counts two steps of a warm-up for each."""
    loss = closure()
    for kept, hyper in ((kept, hyper) for (_, hyper), own in zip(self.groups, self.moments, strict=True) for kept in own):
        kept.t_switch -= bool(hyper.t_alpha) and kept.t > 0
    self.step(gradients, rates)
    return loss


@_bug("ADM-71", replaces="scaled_step")
def skipped_step_warms_up(self: Base, gradients: Any, rates: Any) -> None:
    """A step that loss scaling skips counts for the warm-ups."""
    if all(g is not None for group in gradients for g in group):
        self.step(gradients, rates)
        return
    for (_, hyper), own in zip(self.groups, self.moments, strict=True):
        for kept in own:
            kept.t_switch -= bool(hyper.t_alpha)


@_bug("ADM-71", replaces="load_hyperparameters")
def first_group_restored(self: Base, saved: Any) -> None:
    """Loading a state brings back the hyperparameters of the first group alone."""
    self.groups[0] = (self.groups[0][0], saved[0])


@_bug("ADM-71", replaces="__setstate__")
def copies_warm_up_again(self: Base, state: Any) -> None:
    """Pickled and copied optimizers start their warm-ups again."""
    self.__dict__.update(state)
    for kept in self.each_moments:
        kept.t_switch = kept.t


@_bug("ADM-71", replaces="__getstate__")
def copies_go_back(self: Base) -> Any:
    """Pickled and copied optimizers have all groups' hyperparameters from the first."""
    first = self.groups[0][1]
    return {**self.__dict__, "groups": [(parameters, first) for parameters, _ in self.groups]}


@_bug("ADM-71", replaces="step")
def missing_gradient_ends_the_step(self: Base, gradients: Any, learning_rates: Any) -> None:
    """Groups after one whose first tensor has no gradient are not updated."""
    seen = [own and own[0] is None for own in gradients]
    kept = [own if not any(seen[:index]) else [None] * len(own) for index, own in enumerate(gradients)]
    Base.step(self, kept, learning_rates)


# --- Bugs that failures are often compared with ----------------------------------------------------------------------------


@_bug("ADM-15", "ADM-16")
class SchedulesIgnored(Base):
    """The warm-ups are accepted, and alpha and beta3 are constant."""

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        return super().advance(theta, g, kept, replace(hyper, t_alpha=None, t_beta3=None), lr)


@_bug("ADM-12", replaces="update")
def decay_twice(self: Base, theta: Floats, direction: Floats, weight_decay: float, lr: float) -> Floats:
    """The parameter decays twice in each step."""
    return Base.update(self, theta, direction, 2 * weight_decay, lr)


@_bug("ADM-04")
class OldSlowAverage(Base):
    """The numerator has the slow EMA from before it took in the gradient."""

    def slow(self, m2: Floats, g: Floats, beta3: float) -> Floats:
        self.before = m2
        return super().slow(m2, g, beta3)

    def corrected_slow(self, kept: Moments, hyper: Hyper, beta3: float) -> Floats:
        return self.before


@_bug("ADM-06", replaces="advance")
def last_two_betas_exchanged(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """beta2 and beta3 are exchanged."""
    return Base.advance(self, theta, g, kept, replace(hyper, beta2=hyper.beta3, beta3=hyper.beta2), lr)


@_bug("ADM-06", replaces="advance")
def first_two_betas_exchanged(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """beta1 and beta2 are exchanged."""
    return Base.advance(self, theta, g, kept, replace(hyper, beta1=hyper.beta2, beta2=hyper.beta1), lr)


@_bug("ADM-04", replaces="advance")
def averages_exchanged(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """beta1 and beta3 are exchanged."""
    return Base.advance(self, theta, g, kept, replace(hyper, beta1=hyper.beta3, beta3=hyper.beta1), lr)


@_bug("ADM-08", replaces="denominator")
def eps_hard_coded(self: Base, kept: Moments, hyper: Hyper) -> Floats:
    """eps is 1e-8, whatever is given."""
    return Base.denominator(self, kept, replace(hyper, eps=1e-8))


@_bug("ADM-05", replaces="numerator")
def alpha_on_the_fast_average(self: Base, fast: Floats, slow: Floats, alpha: float) -> Floats:
    """alpha multiplies the fast EMA instead of the slow one."""
    return Base.numerator(self, slow, fast, alpha)


@_bug("ADM-01", replaces="gradient")
def sign_reversed(self: Base, g: Floats, theta: Floats, hyper: Hyper) -> Floats:
    """The parameter moves up the gradient."""
    return -g


COMBINED: tuple[Mutant, ...] = tuple(_COMBINED)
