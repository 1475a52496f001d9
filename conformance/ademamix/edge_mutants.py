"""Mutants (planted bugs) of memory, groups, counts and sizes, clocks, and of states that are moved or changed."""

from __future__ import annotations

import copy
import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.ademamix.combined_mutants import Reversing
from conformance.ademamix.harness.numpy_simulation import rearrange
from conformance.ademamix.planting import Here, forgetting, planted
from conformance.engine.mutation import Mutant
from impls.ademamix.numpy_optimizer import Floats, Hyper, Moments, rounded
from impls.ademamix.numpy_optimizer import NumpyAdEMAMix as Base

_EDGES: list[Mutant] = []
_bug = functools.partial(planted, _EDGES)
_NO_WARMUPS = {"t_alpha": None, "t_beta3": None}

# --- Memory ----------------------------------------------------------------------------------------------------------------


def _other_order(here: Here) -> bool:
    """Whether parameter and gradient lie in different orders, neither of them sharing places."""
    strides, _ = here.lies
    given = [s // here.g.itemsize for s in here.g.strides]
    return all(strides) and all(given) and bool(np.any(np.argsort(strides) != np.argsort(given)))


def _rows_apart(here: Here) -> bool:
    strides, _ = here.lies
    return here.axes > 1 and strides[-1] == 1 and strides[0] > math.prod(here.theta.shape[1:])


for _name, _sentence, _where, _settings in (
    ("other-order-without-decay", "A gradient that lies in another order than its parameter belongs to one without decay.",
     _other_order, lambda here: {"weight_decay": 0.0}),
    ("channels-last-without-eps", "A gradient in channels-last format belongs to a tensor without eps.",
     lambda here: here.axes > 2 and here.g.strides[1] == here.g.itemsize, lambda here: {"eps": 0.0}),
    ("volumes-do-not-warm-up", "Parameters with five axes have no warm-ups.",
     lambda here: here.axes == 5, lambda here: _NO_WARMUPS),
    ("one-value-without-slow-average", "A gradient of one value for all belongs to a tensor that is updated as by AdamW.",
     lambda here: here.g.size > 1 and not any(here.steps), lambda here: {"alpha": 0.0}),
    ("expanded-over-batch-without-decay", "A gradient expanded over its first axis belongs to a tensor that does not decay.",
     lambda here: len(here.steps) > 1 and here.steps[0] == 0 and any(here.steps), lambda here: {"weight_decay": 0.0}),
    ("overlapping-without-slow-average", "A gradient of overlapping windows belongs to a tensor updated as by AdamW.",
     lambda here: len(here.steps) > 1 and set(here.steps) == {1}, lambda here: {"alpha": 0.0}),
    ("slices-do-not-warm-up", "A parameter of some columns of a matrix has no warm-ups.",
     _rows_apart, lambda here: _NO_WARMUPS),
    ("unaligned-parameter-without-decay", "A parameter in the middle of a larger memory does not decay.",
     lambda here: here.lies[1] == here.theta.size + 8, lambda here: {"weight_decay": 0.0}),
):  # fmt: skip
    forgetting(_EDGES, "ADM-72", _name, _sentence, _where, _settings)


@_bug("ADM-72", replaces="load")
def moments_in_memory_order(self: Base, state: Any) -> None:
    """Moments are loaded in the order of memory, although the parameter lies otherwise now."""
    Base.load(self, state)
    for (parameters, _), moments in zip(self.groups, self.moments, strict=True):
        for theta, kept in zip(parameters, moments, strict=True):
            if theta.flags.f_contiguous and not theta.flags.c_contiguous:
                for name in ("m1", "m2", "nu"):
                    turned = np.reshape(getattr(kept, name).ravel(), theta.shape, order="F")
                    setattr(kept, name, turned)


# --- Groups, counts and sizes ----------------------------------------------------------------------------------------------

for _killer, _name, _sentence, _where, _settings in (
    ("ADM-30", "table-of-eight-groups", "Groups after the eighth have the settings of the eighth.",
     lambda here: here.group >= 8, lambda here: {"beta2": here.optimizer.groups[min(7, here.group)][1].beta2}),
    ("ADM-30", "as-many-as-in-the-first", "Tensors at places that the first group lacks are updated as by AdamW.",
     lambda here: here.slot >= len(here.optimizer.groups[0][0]), lambda here: {"alpha": 0.0}),
    ("ADM-30", "last-group-without-decay", "The last of four groups and more does not decay.",
     lambda here: here.group == len(here.optimizer.groups) - 1 >= 3, lambda here: {"weight_decay": 0.0}),
    ("ADM-30", "last-but-one-without-fast-average", "The last tensor but one of a long list has no fast average.",
     lambda here: here.slot == len(here.optimizer.groups[here.group][0]) - 2 >= 5, lambda here: {"beta1": 0.0}),
    ("ADM-29", "launch-of-1024", "Tensors after the first 1024 are updated as by AdamW.",
     lambda here: here.slot >= 1024, lambda here: {"alpha": 0.0}),
    ("ADM-31", "one-beyond-a-power-of-two", "The last element of 2**k + 1 is updated as by AdamW.",
     lambda here: here.behind(here.theta.size - 1) if (here.theta.size - 1).bit_count() == 1 < here.theta.size - 8 else False,
     lambda here: {"alpha": 0.0}),
    ("ADM-31", "grid-of-a-million", "Elements from 2**20 on are updated as by AdamW.",
     lambda here: np.arange(here.theta.size).reshape(here.theta.shape) >= 2**20 if here.theta.size > 2**20 else False,
     lambda here: {"alpha": 0.0}),
    ("ADM-05", "whole-alpha", "A fractional alpha above 1 loses its fraction.",
     lambda here: here.hyper.alpha > 1, lambda here: {"alpha": float(int(here.hyper.alpha))}),
    ("ADM-05", "alpha-of-one-is-off", "An alpha of 1 is taken for no alpha.",
     lambda here: here.hyper.alpha == 1, lambda here: {"alpha": 0.0}),
):  # fmt: skip
    forgetting(_EDGES, _killer, _name, _sentence, _where, _settings)


class _ByFlags(Base):
    """Knows for each group whether it is to maximize; ``flags`` are set by the harness."""

    flags: tuple[bool, ...] = ()

    def step(self, gradients: Any, learning_rates: Any) -> None:
        taken = [self.taken(index) for index in range(len(gradients))]
        signs = [-1 if each else 1 for each in taken]
        super().step(
            [[None if g is None else sign * g for g in own] for sign, own in zip(signs, gradients, strict=True)],
            learning_rates,
        )

    def taken(self, index: int) -> bool:
        """The flag that a group goes by."""
        return self.flags[index] if index < len(self.flags) else False


@_bug("ADM-63", "ADM-71")
class MaximizeOfTheFirstGroup(_ByFlags):
    """All groups maximize where the first one does."""

    def taken(self, index: int) -> bool:
        return super().taken(0)


@_bug("ADM-63", "ADM-71")
class MaximizeOfTheLastGroup(_ByFlags):
    """All groups maximize where the last one does."""

    def taken(self, index: int) -> bool:
        return super().taken(len(self.groups) - 1)


@_bug("ADM-54", "ADM-71", replaces="step_with")
def closure_for_each_group(self: Base, closure: Any, gradients: Any, rates: Any) -> Any:
    """step(closure) evaluates the closure once for each group."""
    loss = [closure() for _ in self.groups][-1]
    self.step(gradients, rates)
    return loss


@_bug("ADM-54", "ADM-71")
class ClosureWithoutGradients(Base):
    """step(closure) evaluates the closure without gradients being recorded."""

    without_gradients = True


@_bug("ADM-71", replaces="advance")
def clock_of_the_first_tensor(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """All tensors of a group go by the clock of its first."""
    own = next(group for group in self.moments if any(each is kept for each in group))
    if own[0] is not kept:
        kept.t = own[0].t - 1 if own[0].t else kept.t
    return Base.advance(self, theta, g, kept, hyper, lr)


# --- Clocks and settings ---------------------------------------------------------------------------------------------------


@_bug("ADM-07", "ADM-21", replaces="advance")
def count_in_the_parameters_dtype(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """The step count has the parameter's dtype: in bfloat16 it stops at 256."""
    new = Base.advance(self, theta, g, kept, hyper, lr)
    kept.t = int(rounded(np.asarray(kept.t, dtype=np.float32), self.dtype))
    return new


@_bug("ADM-07", "ADM-21", replaces="advance")
def count_in_a_byte(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """The step count is a byte, and starts again after 255."""
    kept.t = (kept.t + 1) % 256 - 1
    return Base.advance(self, theta, g, kept, hyper, lr)


class _AsItBegan(Base):
    """Keeps the settings that a group had when it was added; ``kept_settings`` names those that it goes by for ever."""

    kept_settings: tuple[str, ...] = ()

    def add_group(self, parameters: Any, hyper: Hyper) -> None:
        super().add_group(parameters, hyper)
        for kept in self.moments[-1]:
            kept.__dict__["began"] = hyper

    def advance(self, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        began = kept.__dict__.get("began", hyper)
        return super().advance(
            theta, g, kept, replace(hyper, **{name: getattr(began, name) for name in self.kept_settings}), lr
        )


@_bug("ADM-66")
class Beta3OfTheConstructor(_AsItBegan):
    """beta3 is what the constructor was given, whatever becomes of it."""

    kept_settings = ("beta3",)


@_bug("ADM-66")
class WarmUpsOfTheConstructor(_AsItBegan):
    """Warm-ups have the lengths that the constructor was given, whatever becomes of them."""

    kept_settings = ("t_alpha", "t_beta3")


class _TensorRates(Base):
    """Told by the harness how learning rates come: ``rates_as`` is ``written`` or ``replaced`` where they are tensors."""

    rates_as = ""
    wrong_where = ""

    def step(self, gradients: Any, learning_rates: Any) -> None:
        known = self.__dict__.setdefault("known", {})
        if self.rates_as == self.wrong_where:
            learning_rates = [known.setdefault(index, rate) for index, rate in enumerate(learning_rates)]
        super().step(gradients, learning_rates)


@_bug("ADM-66", "ADM-71")
class WrittenRateReadOnce(_TensorRates):
    """A learning rate that is a tensor is read in the first step alone."""

    wrong_where = "written"


@_bug("ADM-66", "ADM-71")
class ReplacedRateKept(_TensorRates):
    """The first tensor that was the learning rate stays so, though another takes its place."""

    wrong_where = "replaced"


@_bug("ADM-73", replaces="beta3")
def warm_up_from_above(self: Base, kept: Moments, hyper: Hyper) -> float:
    """The warm-up of beta3 lacks its minimum, and falls where beta3 is below beta1."""
    t = self.clock(kept)
    if not hyper.t_beta3 or not hyper.beta1 or t >= hyper.t_beta3:
        return Base.beta3(self, kept, hyper)
    start, end, mu = math.log(hyper.beta1), self.logarithm(hyper.beta3), t / hyper.t_beta3
    return math.exp(start * end / ((1 - mu) * end + mu * start)) if end else hyper.beta3


@_bug("ADM-74", replaces="advance")
def lengths_cut(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """Warm-ups lose the fraction of their length."""
    whole = {name: int(length) for name in ("t_alpha", "t_beta3") if (length := getattr(hyper, name))}
    return Base.advance(self, theta, g, kept, replace(hyper, **whole), lr)


@_bug("ADM-74", replaces="advance")
def lengths_rounded_up(self: Base, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
    """Warm-ups last for the next whole number of steps."""
    whole = {name: math.ceil(length) for name in ("t_alpha", "t_beta3") if (length := getattr(hyper, name))}
    return Base.advance(self, theta, g, kept, replace(hyper, **whole), lr)


# --- States that are moved or changed --------------------------------------------------------------------------------------


@_bug("ADM-75", replaces="rearrange")
def state_by_place(self: Base, what: str) -> None:
    """State is found by its place in the groups, whatever parameter stands there."""
    before = [list(own) for own in self.moments]
    rearrange(self, what)
    self.moments = [own[: len(now)] for own, now in zip(before, self.moments, strict=True)]


@_bug("ADM-75", replaces="rearrange")
def replaced_starts_anew(self: Base, what: str) -> None:
    """A parameter that takes another's place, and its state, starts with a state of its own."""
    rearrange(self, what)
    for (parameters, _), moments in zip(self.groups, self.moments, strict=True):
        if what == "replaced":
            zero = np.zeros_like(parameters[0])
            moments[0] = Moments(zero, zero, zero)


@_bug("ADM-75", replaces="rearrange")
def settings_by_place(self: Base, what: str) -> None:
    """Groups that change places leave their settings behind."""
    before = [hyper for _, hyper in self.groups]
    rearrange(self, what)
    self.groups = [(parameters, hyper) for (parameters, _), hyper in zip(self.groups, before, strict=True)]


@_bug("ADM-75", replaces="rearrange")
def removed_shifts_states(self: Base, what: str) -> None:
    """When a parameter is removed, the state of another goes with it."""
    first = [own[0] for own in self.moments]
    rearrange(self, what)
    if what == "removed":
        self.moments = [[*own[1:], mine] for own, mine in zip(self.moments, first, strict=True)]


@_bug("ADM-71")
class CopiesShareMoments(Base):
    """A copy goes on with the very moments of the original."""

    def __deepcopy__(self, memo: Any) -> Any:
        made = copy.copy(self)
        made.groups = copy.deepcopy(self.groups, memo)
        return made


@_bug("ADM-33", replaces="load")
def loading_adds_clocks(self: Base, state: Any) -> None:
    """Loading a state adds its step counts to those that are there."""
    before = [kept.t for kept in self.each_moments]
    Base.load(self, state)
    for kept, t in zip(self.each_moments, before, strict=True):
        kept.t += t


@_bug("ADM-33", replaces="load")
def used_state_wins(self: Base, state: Any) -> None:
    """Loading a state fills in what is missing, and leaves what is there."""
    if not any(kept.t for kept in self.each_moments):
        Base.load(self, state)


@_bug("ADM-33", replaces="load")
def second_load_warms_up_again(self: Base, state: Any) -> None:
    """The second state that is loaded starts its warm-ups again."""
    Base.load(self, state)
    for kept in self.each_moments if "loaded" in self.__dict__ else ():
        kept.t_switch = kept.t
    self.__dict__["loaded"] = True


@_bug("ADM-67", replaces="load_hyperparameters")
def warm_ups_of_the_first_restored(self: Base, saved: Any) -> None:
    """Loading a state gives all groups the warm-ups of the first."""
    lengths = {"t_alpha": saved[0].t_alpha, "t_beta3": saved[0].t_beta3}
    self.groups = [(own, replace(hyper, **lengths)) for (own, _), hyper in zip(self.groups, saved, strict=True)]


@_bug("ADM-67", replaces="load_hyperparameters")
def warm_ups_not_restored(self: Base, saved: Any) -> None:
    """Loading a state brings back all settings but the lengths of the warm-ups."""
    self.groups = [
        (own, replace(hyper, t_alpha=mine.t_alpha, t_beta3=mine.t_beta3))
        for (own, mine), hyper in zip(self.groups, saved, strict=True)
    ]


@_bug("ADM-76")
class AnyShapeIsBroadcast(Base):
    """Moments of another shape are loaded and broadcast."""

    takes_any_shape = True


@_bug("ADM-77", replaces="load")
def wide_moments_by_their_bytes(self: Base, state: Any) -> None:
    """Moments in float64 are read as twice as many float32, of which the first are taken."""
    Base.load(self, state)
    for kept in self.each_moments:
        for name in ("m1", "m2", "nu"):
            moment = getattr(kept, name)
            if moment.dtype == np.float64 and self.compute is np.float32:
                setattr(kept, name, moment.ravel().view(np.float32)[: moment.size].reshape(moment.shape))


@_bug("ADM-78")
class HooksIgnored(Base):
    """What a hook makes of a saved state is not what is loaded."""

    def load_hooked(self, state: Any) -> None:
        """Nothing: no state is found in what was saved."""


@_bug("ADM-79")
class OptionsRequired(Base):
    """A checkpoint without one of torch's options ends in a KeyError."""

    def load_without_options(self, state: Any) -> None:
        raise KeyError("maximize")


@_bug("ADM-71")
class FirstGroupReversed(Reversing):
    """maximize reverses the first group's gradients alone."""

    def step(self, gradients: Any, learning_rates: Any) -> None:
        rest = [[None if g is None else -g for g in own] if self.maximize else own for own in gradients[1:]]
        super().step([gradients[0], *rest], learning_rates)


EDGES: tuple[Mutant, ...] = tuple(_EDGES)
