"""The Optax protocol: a factory (learning_rate, b1, b2, b3, alpha, eps, weight_decay) of an object with init and update.

Optax evaluates a schedule at the number of updates done before, so the first call gets 0; it ships none for ``b3`` and
``alpha``. The schedules handed over here are the paper's equations at ``count + 1``, which is what a careful user writes.
Handing over the equations at ``count``, as the paper's listing 2 does, is one step late.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.ademamix.harness.problem import Array, Load, Outcome, Problem, Running
from impls.implementation import Unsupported
from reference.ademamix import Hyperparameters

_COMPILE_FROM = 40
"""Runs of at least this many steps are compiled; shorter ones are over before XLA has compiled them."""


def run(loaded: Any, settings: Mapping[str, Any], device: str, problem: Problem) -> Outcome:
    """Run the problem; Unsupported where Optax has no notion of what it asks."""
    import jax
    import jax.numpy as jnp

    tensors = problem.tensors
    if len(problem.groups) > 1:
        raise Unsupported("one factory call sets the hyperparameters of all parameters; there are no parameter groups")
    if any(t.joins_at for t in tensors):
        raise Unsupported("a state is made for one set of parameters; none can join later")
    if any(g is None for t in tensors for g in t.gradients):
        raise Unsupported("update expects a gradient for every parameter")
    if problem.use or problem.options or any(t.sparse or t.expanded for t in tensors):
        raise Unsupported("an update is a pure function of arrays: closures, loss scaling and layouts are notions of torch")
    if any(group.changes for group in problem.groups):
        raise Unsupported("hyperparameters are fixed when the transformation is made")
    if problem.rebuilt_otherwise:
        raise Unsupported("a state holds no hyperparameters")
    if any(t.dtype for t in tensors):
        raise Unsupported("one dtype is judged at a time: leaves of a tree are transformed one by one anyway")
    if problem.dtype == "float64":
        raise Unsupported("JAX computes in float64 only where jax_enable_x64 is set for the whole process")
    group = problem.groups[0]
    dtype = jnp.dtype(problem.dtype)
    rates = jnp.asarray(np.array(group.learning_rates), dtype=jnp.float32)

    def build(first: int) -> Any:
        def learning_rate(count: Any) -> Any:
            return rates[count + first]

        return loaded(
            learning_rate=learning_rate,
            b1=group.hyper.beta1,
            b2=group.hyper.beta2,
            b3=_beta3(group.hyper),
            alpha=_alpha(group.hyper),
            eps=group.hyper.eps,
            weight_decay=group.hyper.weight_decay,
            **settings.get("arguments", {}),
        )

    def build_adamw() -> Any:
        import optax

        h = group.hyper
        return optax.adamw(lambda count: rates[count], b1=h.beta1, b2=h.beta2, eps=h.eps, weight_decay=h.weight_decay)

    def stepper(optimizer: Any) -> Callable[..., Any]:
        def one(gradients: Any, state: Any, parameters: Any) -> Any:
            updates, state = optimizer.update(gradients, state, parameters)
            # optax.apply_updates: the sum, in the parameter's dtype
            return jax.tree.map(lambda p, u: jnp.asarray(p + u).astype(p.dtype), parameters, updates), state

        return jax.jit(one) if problem.steps >= _COMPILE_FROM else one

    parameters: Any = [jnp.asarray(t.start, dtype=dtype) for t in tensors]
    optimizer = build_adamw() if problem.switch_at else build(0)
    state = optimizer.init(parameters)
    advance = stepper(optimizer)
    history: list[list[Array]] = [[] for _ in tensors]
    changed: list[tuple[int, int]] = []
    for step in range(problem.steps):
        if step and problem.switch_at == step:
            adam = state[0]
            optimizer = build(step)
            state = optimizer.init(parameters)
            taken = state[0]._replace(count=adam.count, m1=adam.mu, nu=adam.nu)
            state = (taken, *state[1:])
            advance = stepper(optimizer)
        if step and problem.resume_after == step:
            if problem.medium == "plain":  # the leaves, which are arrays; the structure is that of a new state
                leaves = [jnp.asarray(np.array(leaf)) for leaf in jax.tree.leaves(state)]
                state = jax.tree.unflatten(jax.tree.structure(optimizer.init(parameters)), leaves)
            else:
                state = jax.tree.map(jnp.asarray, pickle.loads(pickle.dumps(jax.device_get(state))))
        parameters = [
            jnp.asarray(t.writes[step], dtype=dtype) if step in t.writes else p
            for t, p in zip(tensors, parameters, strict=True)
        ]
        gradients = [jnp.asarray(t.gradients[step], dtype=dtype) for t in tensors]
        parameters, state = advance(gradients, state, parameters)
        for number, (given, tensor, parameter) in enumerate(zip(gradients, tensors, parameters, strict=True)):
            if not np.array_equal(np.asarray(given, dtype=np.float64), np.asarray(tensor.gradients[step]), equal_nan=True):
                changed.append((number, step))
            history[number].append(np.asarray(parameter, dtype=np.float64))
    names = settings.get("moments", {})
    moments = tuple(
        {ours: np.asarray(getattr(state[0], theirs)[number], dtype=np.float64) for ours, theirs in names.items()}
        for number in range(len(tensors))
    )
    return Outcome(tuple(tuple(h) for h in history), moments if names else (), tuple(changed))


def start(loaded: Any, settings: Mapping[str, Any], device: str, load: Load) -> Running:
    """The optimizer, compiled and ready to step; a step returns when the device is done, old buffers are given back."""
    import jax
    import jax.numpy as jnp

    h = load.hyper
    optimizer = loaded(
        learning_rate=load.learning_rate,
        b1=h.beta1,
        b2=h.beta2,
        b3=_beta3(h),
        alpha=_alpha(h),
        eps=h.eps,
        weight_decay=h.weight_decay,
        **settings.get("arguments", {}),
    )

    def one(gradients: Any, state: Any, parameters: Any) -> Any:
        updates, state = optimizer.update(gradients, state, parameters)
        return jax.tree.map(lambda p, u: jnp.asarray(p + u).astype(p.dtype), parameters, updates), state

    compiled = jax.jit(one, donate_argnums=(1, 2))
    dtype = jnp.dtype(load.dtype)
    gradients = [jnp.asarray(g, dtype=dtype) for g in load.gradients]
    parameters: Any = [jnp.array(s, dtype=dtype) for s in load.starts]
    held = [parameters, optimizer.init(parameters)]

    def step() -> None:
        held[:] = compiled(gradients, held[1], held[0])
        jax.block_until_ready(held)

    return Running(step, lambda: [np.asarray(p, dtype=np.float64) for p in held[0]])


def _alpha(hyper: Hyperparameters) -> Any:
    import jax.numpy as jnp

    if not hyper.t_alpha:
        return hyper.alpha
    return lambda count: jnp.minimum((count + 1) * hyper.alpha / hyper.t_alpha, hyper.alpha)


def _beta3(hyper: Hyperparameters) -> Any:
    import jax.numpy as jnp

    if not hyper.t_beta3:
        return hyper.beta3
    end = float(np.log(hyper.beta3))
    start = float(np.log(hyper.beta1)) if hyper.beta1 > 0 else -np.inf

    def schedule(count: Any) -> Any:
        share = (count + 1) / hyper.t_beta3
        if hyper.beta1 == 0:
            warming = jnp.exp(end / share)
        else:
            warming = jnp.exp(start * end / ((1 - share) * end + share * start))
        return jnp.where(share >= 1, hyper.beta3, jnp.minimum(warming, hyper.beta3))

    return schedule
