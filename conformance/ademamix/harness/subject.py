"""Connect an AdEMAMix of any framework to the checks.

``connect(implementation, device)`` returns an `OptimizerSubject`. It holds no state between runs: each builds a new optimizer
on fresh copies of the problem's arrays.

Protocols
    torch-optimizer   a `torch.optim.Optimizer` subclass; see `torch_backend` for the argument names understood.
    optax             a factory of an object with ``init`` and ``update``; see `optax_backend`.
    numpy             a class with the interface of `impls.ademamix.numpy_optimizer.NumpyAdEMAMix`.
    command           a program (``cmd:``) that is asked for one step after the other; see `command_backend`.

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
of a constructor, processes; see `problem.OptimizerProblem` and `Ranks`) needs no feature: every `torch.optim.Optimizer`
is tested on it; what is no such optimizer, or takes no such argument, is unsupported.

Settings (of an `Implementation` record)
    arguments   extra arguments for the constructor or factory
    names       our name -> the constructor's, for what is not recognised: ``{"t_beta3": "slow_warmup"}``
    moments     where ``state[parameter]`` keeps ``m1``, ``m2`` and ``nu`` (torch), with the feature ``moments``
    start       ``module:function`` called once before the optimizer is used (torch), to set what its package keeps globally
    untimed     why its speed, run like this, would mean nothing
    dtypes_in_turn  whether each case runs in one of its dtypes only, which take turns, where the run is not thorough
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from conformance.ademamix.harness import ranks
from conformance.ademamix.harness.problem import Array, Huge, OptimizerLoad, OptimizerProblem, Running, RunOutcome
from conformance.ademamix.harness.run_loop import Job, OptimizerBackend, OptimizerPlug
from conformance.engine.executed_ptx import executing, install, torch_device
from conformance.engine.numeric_command import NumericCommand
from impls.implementation import Implementation, NotRun, PlugError, load_target

_BACKENDS = {
    "torch-optimizer": "conformance.ademamix.harness.torch_backend:TorchBackend",
    "optax": "conformance.ademamix.harness.optax_backend:OptaxBackend",
    "numpy": "conformance.ademamix.harness.numpy_backend:NumpyBackend",
    "command": "conformance.ademamix.harness.command_backend:CommandBackend",
}

OPTIONAL = frozenset({"beta1-zero", "late-parameters", "switch"})
"""The features that a plug need not have: where the simplest use of one raises an error, it is a gap and no failure."""

DTYPES = {"torch-optimizer": ("float64", "float32", "float16", "bfloat16"), "numpy": ("float64", "float32")}
"""The dtypes that a plug is tried in, by protocol. JAX computes in float32, whatever it is given."""

RESULTS = (RunOutcome,)

COMMANDS_DESCRIBE = True

LONG = 1000
"""Steps from which a run is long."""


class OptimizerSubject(Protocol):
    """What the checks see of an implementation."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Of parameters."""

    @property
    def numerical_class(self) -> str:
        """See `reference.ademamix.classes`; empty: the strict one."""

    def run(self, problem: OptimizerProblem) -> RunOutcome:
        """Run the whole problem in a new optimizer. Unsupported, or NotRun, where that cannot be done."""

    def run_in_processes(self, jobs: Sequence[Job], wanted: int) -> RunOutcome:
        """The outcome of one of these jobs under torch.distributed. All are done at the first call, and kept."""

    def run_sampled(self, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
        """Of a huge tensor: [start], the gradients and the parameters after each step, at sampled places."""


@dataclass(frozen=True)
class Connected:
    """The subject made of an implementation record and the backend of its protocol."""

    name: str
    dtypes: tuple[str, ...]
    features: frozenset[str] | None
    numerical_class: str
    backend: type[OptimizerBackend]
    plug: OptimizerPlug
    device: str = "cpu"
    """As the run names it; the plug's is torch's."""
    interpreted: bool = False
    """Whether its kernels run in an interpreter, Triton's or that of PTX, which takes milliseconds for each."""

    def run(self, problem: OptimizerProblem) -> RunOutcome:
        if self.interpreted and problem.steps >= LONG:
            raise NotRun("so many steps take minutes in an interpreter; tested on a CUDA device")
        if self.interpreted and problem.use == "compiled":
            raise NotRun("torch.compile cannot look into interpreted kernels; tested on a CUDA device")
        with executing(self.device):
            return self.backend(self.plug, problem).outcome()

    def run_in_processes(self, jobs: Sequence[Job], wanted: int) -> RunOutcome:
        _require_cpu(self.device)
        return self.backend.in_processes(self.plug, jobs, wanted)

    def run_sampled(self, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
        return self.backend.sampled(self.plug, huge)

    def start(self, load: OptimizerLoad) -> Running:
        """An optimizer at work, to be timed."""
        return self.backend.start(self.plug, load)


def connect(implementation: Implementation, device: str) -> Connected:
    """The subject of an implementation on a device. PlugError where its protocol is not one of ours."""
    try:
        backend = _BACKENDS[implementation.protocol]
    except KeyError:
        raise PlugError(
            f"{implementation.name}: found protocol {implementation.protocol!r}, expected one of {', '.join(_BACKENDS)}"
        ) from None
    # JAX reads it when it first uses a device, of which it else takes three quarters of the memory, beside torch.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    made = load_target(backend)
    if device == "ptx":
        install()
    if implementation.protocol == "command":
        loaded = NumericCommand(implementation.target, implementation.system, implementation.features or ())
        return _connected(implementation, made, OptimizerPlug(loaded, device=device), device)
    loaded = load_target(implementation.target)  # after the backend, which has Triton's mode chosen first
    start = implementation.settings.get("start")
    if start:
        load_target(start)()
    plug = OptimizerPlug(loaded, implementation.settings, torch_device(device), _from_anywhere(implementation.target))
    return _connected(implementation, made, plug, device)


def _connected(implementation: Implementation, backend: type[OptimizerBackend], plug: OptimizerPlug, device: str) -> Connected:
    return Connected(
        implementation.name,
        implementation.dtypes,
        implementation.features,
        implementation.numerical_class,
        backend,
        plug,
        device,
        interpreted=device == "ptx" or (device == "cpu" and "triton" in implementation.requires),
    )


def _require_cpu(device: str) -> None:
    if device != "cpu":
        raise NotRun("tested on the CPU, where any number of processes fit on one machine; see --device cpu")


def beside(implementation: Implementation, device: str) -> dict[str, Any]:
    """What a subject in another process has here: what starts processes itself, which alone import the optimizer."""

    def run_in_processes(jobs: Sequence[Job], wanted: int) -> RunOutcome:
        _require_cpu(device)
        return ranks.run(_from_anywhere(implementation.target), implementation.settings, tuple(jobs), wanted)

    return {"run_in_processes": run_in_processes} if implementation.protocol == "torch-optimizer" else {}


def _from_anywhere(target: str) -> str:
    """The target, with a file's path made absolute: other processes may run in another folder."""
    location, _, attribute = target.rpartition(":")
    return f"{Path(location).resolve()}:{attribute}" if location.endswith(".py") else target


def recognise(loaded: Any, name: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Record fields for a plugged-in object; None where it belongs to another system.

    PlugError where it is an optimizer, but not one whose slow EMA we know how to set.
    """
    if inspect.isclass(loaded) and any(
        base.__name__ == "Optimizer" and base.__module__.startswith("torch.optim") for base in loaded.__mro__[1:]
    ):
        from conformance.ademamix.harness.arguments import OptimizerArguments

        OptimizerArguments.of(loaded, (settings or {}).get("names", {}))  # raises where betas or alpha cannot be found
        return {"protocol": "torch-optimizer", "dtypes": ("float32",), "devices": ("cpu", "cuda")}
    if callable(loaded) and not inspect.isclass(loaded):
        try:
            parameters = inspect.signature(loaded).parameters
        except (TypeError, ValueError):
            return None
        if {"learning_rate", "b1", "b2", "b3", "alpha"} <= set(parameters):
            # JAX always computes powers, and the schedules given here, in float32
            return {
                "protocol": "optax",
                "dtypes": ("float32",),
                "devices": ("cpu",),
                "numerical_class": "float32-hyperparameters",
            }
    if isinstance(loaded, type) and {"step", "add_group", "state", "load"} <= set(dir(loaded)):
        return {"protocol": "numpy", "dtypes": ("float32", "float64"), "devices": ("cpu",)}
    return None
