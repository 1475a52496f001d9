"""Every AdEMAMix, whatever its framework, is driven through one method: ``run(problem) -> Outcome``.

``connect(implementation, device)`` returns a subject with ``run``, ``dtypes``, ``features``, ``numerical_class`` and ``name``.
It holds no state between runs: each builds a new optimizer on fresh copies of the problem's arrays.

Protocols
    torch-optimizer   a `torch.optim.Optimizer` subclass; see `torch_backend` for the argument names understood.
    optax             a factory of an object with ``init`` and ``update``; see `conformance.ademamix.harness.optax_backend`.
    numpy             a class with the interface of `impls.ademamix.numpy_optimizer.AdEMAMix`.

Features (what an implementation may declare; a case names those that it needs)
    schedules           both warm-ups, alpha's and beta3's
    separate-warmups    the two may differ in length
    beta1-zero          beta1 = 0 is accepted
    weight-decay        decoupled decay
    groups              parameter groups with hyperparameters of their own
    missing-gradients   a parameter may lack a gradient at some step
    late-parameters     parameters may be added to a running optimizer
    state-round-trip    the state can be saved and loaded into a new optimizer
    switch              AdamW's state can be taken over, with schedules that start then (section 4.1)
    strided             parameters and gradients need not be contiguous
    moments             m1, m2 and nu can be read, and are the algorithm's own (not bias-corrected, not quantised)

What a torch training loop does besides (closures, loss scaling, accumulated gradients, compiled and captured steps, the flags
of a constructor, processes; see `problem.Problem` and `Ranks`) needs no feature: every `torch.optim.Optimizer`
is put to it, and what is no such optimizer, or takes no such argument, is unsupported.

Settings (of an `Implementation` record)
    arguments   extra arguments for the constructor or factory
    names       our name -> the constructor's, for what is not recognised: ``{"t_beta3": "slow_warmup"}``
    moments     where ``state[parameter]`` keeps ``m1``, ``m2`` and ``nu`` (torch), with the feature ``moments``
    start       ``module:function`` called once before the optimizer is used (torch), to set what its package keeps globally
    untimed     why its speed, run like this, would mean nothing
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from conformance.ademamix.harness.problem import Array, Huge, Load, Outcome, Problem, Ranks, Running
from impls.implementation import Implementation, NotRun, PlugError, Unsupported, load_target

_DRIVERS = {
    "torch-optimizer": "conformance.ademamix.harness.torch_backend",
    "optax": "conformance.ademamix.harness.optax_backend",
    "numpy": "conformance.ademamix.harness.numpy_backend",
}


LONG = 1000
"""Steps from which a run is long."""


class Subject(Protocol):
    """What the checks see."""

    name: str
    dtypes: tuple[str, ...]
    features: frozenset[str] | None
    numerical_class: str

    def run(self, problem: Problem) -> Outcome:
        """Run the whole problem in a new optimizer."""


@dataclass(frozen=True)
class Connected:
    """A subject made of an implementation record and the driver of its protocol."""

    name: str
    dtypes: tuple[str, ...]
    features: frozenset[str] | None
    numerical_class: str
    driver: Any
    loaded: Any
    settings: Mapping[str, Any]
    device: str
    target: str = ""
    """What other processes load it by; see `impls.implementation.load_target`."""
    interpreted: bool = False
    """Whether its Triton kernels run in the interpreter, which takes milliseconds for each."""

    def run(self, problem: Problem) -> Outcome:
        if self.interpreted and problem.steps >= LONG:
            raise NotRun("so many steps take minutes in Triton's interpreter; judged on a CUDA device")
        if self.interpreted and problem.use == "compiled":
            raise NotRun("torch.compile cannot look into Triton's interpreter; judged on a CUDA device")
        outcome: Outcome = self.driver.run(self.loaded, self.settings, self.device, problem)
        return outcome

    def run_in_processes(self, jobs: Sequence[tuple[Problem, Ranks]], wanted: int) -> Outcome:
        """What comes of one of these jobs under torch.distributed. All are done at the first call, and kept."""
        if self.device != "cpu":
            raise NotRun("judged on the CPU, where any number of processes fit on one machine; see --device cpu")
        if not hasattr(self.driver, "in_processes"):
            raise Unsupported("torch.distributed runs a torch.optim.Optimizer")
        outcome: Outcome = self.driver.in_processes(self.loaded, self.settings, self.target, jobs, wanted)
        return outcome

    def run_sampled(self, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
        """Of a huge tensor: [start], the gradients and the parameters after each step, at sampled places."""
        if not hasattr(self.driver, "sampled"):
            raise Unsupported("tensors of more than 2**31 elements are judged on a CUDA device")
        values: tuple[list[Array], list[Array], list[Array]] = self.driver.sampled(
            self.loaded, self.settings, self.device, huge
        )
        return values

    def start(self, load: Load) -> Running:
        """An optimizer at work, to be timed."""
        running: Running = self.driver.start(self.loaded, self.settings, self.device, load)
        return running


def connect(implementation: Implementation, device: str) -> Connected:
    """The subject of an implementation on a device. PlugError where its protocol is not one of ours."""
    try:
        driver = importlib.import_module(_DRIVERS[implementation.protocol])
    except KeyError:
        raise PlugError(
            f"{implementation.name}: found protocol {implementation.protocol!r}, expected one of {', '.join(_DRIVERS)}"
        ) from None
    loaded = load_target(implementation.target)  # after the driver, which has Triton's mode chosen first
    start = implementation.settings.get("start")
    if start:
        load_target(start)()
    return Connected(
        implementation.name,
        implementation.dtypes,
        implementation.features,
        implementation.numerical_class,
        driver,
        loaded,
        implementation.settings,
        device,
        _from_anywhere(implementation.target),
        interpreted=device == "cpu" and "triton" in implementation.requires,
    )


def _from_anywhere(target: str) -> str:
    """The target, with a file's path made absolute: other processes may stand in another folder."""
    location, _, attribute = target.rpartition(":")
    return f"{Path(location).resolve()}:{attribute}" if location.endswith(".py") else target


def recognise(loaded: Any, name: str) -> dict[str, Any] | None:
    """Record fields for an object that somebody plugged in, or None where it is nothing of this system.

    PlugError where it is an optimizer, but not one whose slow EMA we know how to set.
    """
    if inspect.isclass(loaded) and any(
        base.__name__ == "Optimizer" and base.__module__.startswith("torch.optim") for base in loaded.__mro__[1:]
    ):
        from conformance.ademamix.harness.arguments import Arguments

        Arguments.of(loaded, {})  # raises where betas or alpha cannot be found
        return {"protocol": "torch-optimizer", "dtypes": ("float32",), "devices": ("cpu", "cuda")}
    if callable(loaded) and not inspect.isclass(loaded):
        try:
            parameters = inspect.signature(loaded).parameters
        except (TypeError, ValueError):
            return None
        if {"learning_rate", "b1", "b2", "b3", "alpha"} <= set(parameters):
            # JAX computes powers and the schedules handed over here in float32, whatever the optimizer does
            return {
                "protocol": "optax",
                "dtypes": ("float32",),
                "devices": ("cpu",),
                "numerical_class": "float32-hyperparameters",
            }
    if isinstance(loaded, type) and {"step", "add_group", "state", "load"} <= set(dir(loaded)):
        return {"protocol": "numpy", "dtypes": ("float32", "float64"), "devices": ("cpu",)}
    return None
