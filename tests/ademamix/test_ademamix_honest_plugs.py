"""Right implementations with a will of their own: judged in what they do, and accused of nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from conformance.ademamix.harness.problem import GroupProblem, OptimizerProblem, TensorProblem
from conformance.ademamix.harness.run_loop import OptimizerPlug
from conformance.ademamix.harness.subject import Connected, connect, recognise
from conformance.ademamix.harness.torch_backend import TorchBackend
from conformance.engine.check import run_check, worst_of
from conformance.engine.selection import Options, selected_cases
from impls.ademamix.optimizer import AdEMAMix
from impls.implementation import NotRun, Unsupported
from reference.ademamix import Hyperparameters, bounded_trajectory, numerical_class


class Careful(AdEMAMix):
    """Refuses settings that no training has: beta2 = 0, eps = 0, beta3 below beta1."""

    def __init__(self, params: Any, lr: float = 1e-3, **options: Any) -> None:
        beta1, beta2, beta3 = options.get("betas", (0.9, 0.999, 0.9999))
        if not (beta2 > 0 and options.get("eps", 1e-8) > 0 and beta1 <= beta3):
            raise ValueError("expected beta2 > 0, eps > 0 and beta1 <= beta3")
        super().__init__(params, lr, backend="eager", **options)


class AlwaysWarm(AdEMAMix):
    """Warms up over a given number of steps, one at least."""

    def __init__(self, params: Any, lr: float = 1e-3, t_alpha: int = 1000, t_beta3: int = 1000, **options: Any) -> None:
        if not (t_alpha and t_beta3):
            raise ZeroDivisionError("division by zero")
        super().__init__(params, lr, t_alpha=t_alpha, t_beta3=t_beta3, backend="eager", **options)


class HandsOn(AdEMAMix):
    """Hands all that it does not know to its base class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, backend="eager", **kwargs)


@pytest.mark.parametrize("optimizer", [Careful, AlwaysWarm, HandsOn], ids=lambda each: each.__name__)
def test_a_right_optimizer_that_refuses_or_hands_on_is_accused_of_nothing(optimizer: Any) -> None:
    assert recognise(optimizer, "mine") is not None
    subject = Connected("mine", ("float32",), None, "", TorchBackend, OptimizerPlug(optimizer))
    found: Counter[str] = Counter()
    definition = 0
    for check, case, dtype in selected_cases("ademamix", Options(quick=True, dtypes=("float32",))):
        if dtype != "float32" or check.requirement in ("ADM-64", "ADM-65"):
            continue
        try:
            worst = worst_of(run_check(check, subject, case, dtype))
        except (Unsupported, NotRun):
            found["left out"] += 1
            continue
        assert worst.passed, (check.requirement, case.id, worst.margin)
        found["passed"] += 1
        definition += check.requirement == "ADM-70"
    assert found["passed"] > 12
    assert definition > 3, found


def _problem(hyper: Hyperparameters, **options: Any) -> OptimizerProblem:
    gradients = tuple(np.linspace(-1, 2, 5) * (step + 1) for step in range(6))
    return OptimizerProblem("float32", (GroupProblem((TensorProblem(np.ones(5), gradients),), hyper, (0.25,) * 6),), **options)


def _optax(factory: Any) -> Any:
    from conformance.ademamix.harness.optax_backend import OptaxBackend  # needs JAX, which is a peer's

    return lambda problem: OptaxBackend(OptimizerPlug(factory, {"moments": {"m1": "m1", "nu": "nu"}}), problem).outcome()


def _plain(learning_rate: Any, b1: float, b2: float, b3: Any, alpha: Any, eps: float, alpha_warmup: int = 0,
           beta3_warmup: int = 0) -> Any:  # fmt: skip
    """AdEMAMix with warm-ups of its own, neither chained nor with the usual fields, from the reference's formulas."""
    import jax
    import jax.numpy as jnp

    from conformance.ademamix.harness import optax_backend

    assert isinstance(b3, float)
    assert isinstance(alpha, float)
    hyper = Hyperparameters(b1, b2, b3, alpha, eps, 0.0, alpha_warmup, beta3_warmup)

    class Transformation:
        def init(self, parameters: Any) -> Any:
            zeros = jax.tree.map(jnp.zeros_like, parameters)
            return {"step": jnp.zeros((), jnp.int32), "fast": zeros, "slow": zeros, "squares": zeros}

        def update(self, gradients: Any, state: Any, parameters: Any) -> Any:
            count = state["step"]
            a, b = (f(count) if callable(f) else f for f in (optax_backend._alpha(hyper), optax_backend._beta3(hyper)))
            fast = [b1 * m + (1 - b1) * g for m, g in zip(state["fast"], gradients, strict=True)]
            slow = [b * m + (1 - b) * g for m, g in zip(state["slow"], gradients, strict=True)]
            squares = [b2 * v + (1 - b2) * g * g for v, g in zip(state["squares"], gradients, strict=True)]
            t = count + 1
            updates = [
                -learning_rate(count) * (m / (1 - b1**t) + a * s) / (jnp.sqrt(v / (1 - b2**t)) + eps)
                for m, s, v in zip(fast, slow, squares, strict=True)
            ]
            return updates, {"step": t, "fast": fast, "slow": slow, "squares": squares}

    return Transformation()


def test_a_factory_with_warm_ups_of_its_own_and_a_state_of_its_own_is_followed() -> None:
    try:
        import jax  # noqa: F401
    except ImportError:
        return  # a peer's package; the suite says so itself
    run = _optax(_plain)
    hyper = Hyperparameters(0.9, 0.99, 0.999, 4.0, 1e-8, 0.0, 8, 5)
    problem = _problem(hyper)
    outcome = run(problem)
    (tensor,) = problem.tensors
    expected = bounded_trajectory(
        tensor.start, tensor.gradients, (0.25,) * 6, hyper, "float32", numerical_class("float32-hyperparameters")
    )
    for got, snapshot in zip(outcome.parameters[0], expected, strict=True):
        assert np.all(np.abs(got - snapshot.theta) <= snapshot.theta_bound)
    assert outcome.moments == ()
    with pytest.raises(Unsupported, match="its state is no chain"):
        run(_problem(hyper, switch_at=3))
    with pytest.raises(Unsupported, match="takes no argument 'weight_decay'"):
        run(_problem(replace(hyper, weight_decay=0.1)))


def test_an_optimizer_that_fails_for_another_reason_still_fails() -> None:
    class Broken(AdEMAMix):
        def step(self, closure: Any = None) -> Any:
            raise RuntimeError("out of order")

    backend = TorchBackend(OptimizerPlug(Broken), _problem(Hyperparameters()))
    with pytest.raises(RuntimeError, match="out of order"):
        backend.outcome()
    assert torch.is_tensor(backend.parameters[0])
    assert callable(connect)
