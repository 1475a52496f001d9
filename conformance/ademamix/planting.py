"""Plant a bug in the NumPy optimizer: its class, one method of it, or its settings where something holds."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np

from conformance.ademamix.harness.numpy_simulation import SimulatedBackend
from conformance.ademamix.harness.run_loop import OptimizerPlug
from conformance.ademamix.harness.subject import Connected
from conformance.engine.mutation import Mutant
from impls.ademamix.numpy_optimizer import DTYPES, Floats, Hyper, Moments, NumpyAdEMAMix

Made = TypeVar("Made", bound=Callable[..., Any])


def planted(
    mutants: list[Mutant],
    *killed_by: str,
    replaces: str = "",
    honest: bool = False,
    numerical_class: str = "",
    thorough: bool = False,
    by_chance: bool = False,
) -> Callable[[Made], Made]:
    """Register a mutant in the list: its sentence is the docstring, its name that of what is decorated, in words.

    What is decorated is the optimizer's class, or the one method of `NumpyAdEMAMix` that it ``replaces``; the class is
    returned.
    """

    def register(made: Made) -> Made:
        sentence = (made.__doc__ or "").strip()
        name = re.sub(r"(?<!^)(?=[A-Z])|_", "-", made.__name__).lower()
        optimizer = cast("Made", type(made.__name__, (NumpyAdEMAMix,), {replaces: made})) if replaces else made
        optimizer.__module__ = made.__module__  # where pickling looks for it
        # Simulated, so that it is tested on what torch alone does, too.
        subject = Connected(name, DTYPES, None, numerical_class, SimulatedBackend, OptimizerPlug(optimizer))
        mutants.append(
            Mutant(name, "ademamix", sentence, lambda: subject, killed_by, honest, thorough=thorough, by_chance=by_chance)
        )
        return optimizer

    return register


@dataclass(frozen=True)
class Here:
    """Where an update takes place: the tensor, its group's settings, and its place among the others."""

    theta: Floats
    g: Floats
    hyper: Hyper
    lr: float
    group: int
    slot: int
    optimizer: NumpyAdEMAMix

    @property
    def axes(self) -> int:
        return self.theta.ndim

    @property
    def steps(self) -> tuple[int, ...]:
        """The gradient's strides, in elements; those of axes with one element say nothing, and are left out."""
        return tuple(s // self.g.itemsize for s, n in zip(self.g.strides, self.g.shape, strict=True) if n > 1)

    @property
    def lies(self) -> tuple[tuple[int, ...], int]:
        """The parameter's strides when it was handed over, in elements, and the size of the memory that it was part of."""
        return self.optimizer.__dict__["lie"][self.group][self.slot]  # type: ignore[no-any-return]

    @property
    def first(self) -> Hyper:
        """The first group's settings."""
        return self.optimizer.groups[0][1]

    def behind(self, block: int) -> Any:
        """The elements after the last whole block, where there is one."""
        whole = self.theta.size // block * block
        return (np.arange(self.theta.size) >= whole).reshape(self.theta.shape) if whole else False


class _Watchful(NumpyAdEMAMix):
    """Remembers how parameters lay in memory."""

    def add_group(self, parameters: Any, hyper: Hyper) -> None:
        super().add_group(parameters, hyper)
        lie = [(tuple(s // p.itemsize for s in p.strides), p.size if p.base is None else p.base.size) for p in parameters]
        self.__dict__.setdefault("lie", []).append(lie)


Where = Callable[[Here], Any]
"""Whether a bug shows: for the tensor, or for each element."""


def forgetting(
    mutants: list[Mutant], killed_by: str, name: str, sentence: str, where: Where, settings: Callable[[Here], dict[str, Any]]
) -> None:
    """Register a mutant that goes by other settings where something holds."""

    def advance(self: NumpyAdEMAMix, theta: Floats, g: Floats, kept: Moments, hyper: Hyper, lr: float) -> Floats:
        group, slot = next((i, j) for i, own in enumerate(self.moments) for j, each in enumerate(own) if each is kept)
        here = Here(theta, g, hyper, lr, group, slot, self)
        wrong, shows = copy.copy(kept), where(here)
        other = NumpyAdEMAMix.advance(self, theta, g, wrong, replace(hyper, **settings(here)), lr)
        new = NumpyAdEMAMix.advance(self, theta, g, kept, hyper, lr)
        for moment in ("m1", "m2", "nu"):
            mixed = np.where(shows, getattr(wrong, moment), getattr(kept, moment))
            setattr(kept, moment, mixed.astype(self.compute))
        return np.where(shows, other, new).astype(self.compute)

    made: Any = type("".join(word.capitalize() for word in name.split("-")), (_Watchful,), {"advance": advance})
    made.__reduce_ex__ = _reduced
    subject = Connected(name, DTYPES, None, "", SimulatedBackend, OptimizerPlug(made))
    mutants.append(Mutant(name, "ademamix", sentence, lambda: subject, killed_by=(killed_by,)))


_CLASSES: dict[str, type] = {}


def _reduced(self: Any, protocol: Any) -> Any:
    """Pickle an object whose class was made here and has no name of its own anywhere."""
    _CLASSES[type(self).__name__] = type(self)
    return _remade, (type(self).__name__,), self.__dict__


def _remade(name: str) -> Any:
    return object.__new__(_CLASSES[name])
