"""The Optax protocol: a factory (learning_rate, b1, b2, b3, alpha, eps, weight_decay) of an object with init and update.

Optax evaluates a schedule at the number of updates done before, so the first call gets 0; it ships none for ``b3`` and
``alpha``. The schedules handed over here are the paper's equations at ``count + 1``, which is what a careful user writes.
Handing over the equations at ``count``, as the paper's listing 2 does, is one step late.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from conformance.ademamix.harness.arguments import ALIASES
from conformance.ademamix.harness.problem import OF_TORCH, Array, OptimizerLoad, Running
from conformance.ademamix.harness.run_loop import OptimizerBackend, OptimizerPlug
from impls.implementation import Unsupported
from reference.ademamix.hyperparameters import Hyperparameters

_COMPILE_FROM = 40
"""Runs of at least this many steps are compiled; shorter ones are over before XLA has compiled them."""


class OptaxBackend(OptimizerBackend):
    """Runs an Optax transformation of one list of parameters."""

    transformation: Any
    update: Callable[..., Any]
    state: Any
    parameters: list[Any]
    gradients: list[Any]

    def refuse(self) -> None:
        problem, tensors = self.problem, self.problem.tensors
        several = len(problem.groups) > 1
        torchs = problem.use or problem.options or any(t.sparse or t.layout or t.gradient_layout for t in tensors)
        for asked, reason in (
            (several, "one factory call sets the hyperparameters of all parameters; there are no parameter groups"),
            (any(t.joins_at for t in tensors), "a state is made for one set of parameters; none can join later"),
            (any(g is None for t in tensors for g in t.gradients), "update expects a gradient for every parameter"),
            (torchs, "an update is a pure function of arrays: closures, loss scaling and layouts are notions of torch"),
            (any(group.changes for group in problem.groups), "hyperparameters are fixed when the transformation is made"),
            (problem.rebuilt_otherwise or problem.saved_as in OF_TORCH, "a state holds no hyperparameters"),
            (problem.rate_tensors and problem.literal, "learning rates are functions of the count"),
            (
                any(t.dtype for t in tensors),
                "one dtype is tested at a time: leaves of a tree are transformed one by one anyway",
            ),
            (problem.dtype == "float64", "JAX computes in float64 only where jax_enable_x64 is set for the whole process"),
        ):
            if asked:
                raise Unsupported(reason)

    def build(self, step: int) -> None:
        (group,) = self.problem.groups
        rates = jnp.asarray(np.array(group.learning_rates), dtype=jnp.float32)
        if self.is_adamw(step):
            import optax

            h = group.hyper
            self.transformation = optax.adamw(
                lambda count: rates[count], b1=h.beta1, b2=h.beta2, eps=h.eps, weight_decay=h.weight_decay
            )
        else:
            first = self.problem.switch_at or 0  # its own count starts there
            self.transformation = _made(self.plug, group.hyper, lambda count: rates[count + first])
        self.parameters = [self._array(t.start) for t in self.problem.tensors]
        self.state = self.transformation.init(self.parameters)
        self.update = _update_of(self.transformation)
        if self.problem.steps >= _COMPILE_FROM:
            self.update = jax.jit(self.update)

    def _array(self, values: Any) -> Any:
        return jnp.asarray(values, dtype=jnp.dtype(self.problem.dtype))

    def switch(self, step: int) -> None:
        parameters, adam = self.parameters, self.state[0]
        self.build(step)
        self.parameters = parameters
        try:
            own, *rest = self.state
            self.state = (own._replace(count=adam.count, m1=adam.mu, nu=adam.nu), *rest)
        except (TypeError, ValueError, AttributeError):
            raise Unsupported("its state is no chain that begins with fields count, m1 and nu to take over") from None

    def save(self) -> Any:
        if self.problem.saved_as == "plain":  # the leaves, which are arrays; the structure is that of a new state
            return [np.array(leaf) for leaf in jax.tree.leaves(self.state)]
        return pickle.dumps(jax.device_get(self.state))

    def load(self, state: Any) -> None:
        if self.problem.saved_as == "plain":
            self.state = jax.tree.unflatten(jax.tree.structure(self.state), [jnp.asarray(leaf) for leaf in state])
        else:
            self.state = jax.tree.map(jnp.asarray, pickle.loads(state))

    def add(self, index: int, number: int, step: int) -> None:
        raise NotImplementedError  # refused

    def change(self, index: int, step: int) -> None:
        raise NotImplementedError  # refused

    def advance(self, step: int) -> None:
        self.gradients = [self._array(t.gradients[step]) for t in self.problem.tensors]
        self.parameters, self.state = self.update(self.gradients, self.state, self.parameters)

    def given(self) -> Iterator[tuple[int, Array]]:
        return ((number, np.asarray(g, dtype=np.float64)) for number, g in enumerate(self.gradients))

    def read(self, number: int) -> Array:
        return np.asarray(self.parameters[number], dtype=np.float64)

    def write(self, number: int, values: Array) -> None:
        self.parameters = [self._array(values) if n == number else p for n, p in enumerate(self.parameters)]

    def moments(self) -> tuple[Mapping[str, Array], ...]:
        names = self.plug.settings.get("moments", {})
        if not isinstance(self.state, tuple) or not all(hasattr(self.state[0], name) for name in names.values()):
            return ()
        return tuple(
            {ours: np.asarray(getattr(self.state[0], theirs)[number], dtype=np.float64) for ours, theirs in names.items()}
            for number in range(len(self.parameters) if names else 0)
        )

    @classmethod
    def start(cls, plug: OptimizerPlug, load: OptimizerLoad) -> Running:
        """Compiled; a step returns when the device is done, and old buffers are given back."""
        transformation = _made(plug, load.hyper, load.learning_rate)
        compiled = jax.jit(_update_of(transformation), donate_argnums=(1, 2))
        dtype = jnp.dtype(load.dtype)
        choice = [[jnp.asarray(g, dtype=dtype) for g in each] for each in (load.gradients, load.others) if len(each)]
        gradients = list(choice[0])
        parameters: Any = [jnp.array(s, dtype=dtype) for s in load.starts]
        held = [parameters, transformation.init(parameters)]

        def step() -> None:
            held[:] = compiled(gradients, held[1], held[0])
            jax.block_until_ready(held)

        return Running(
            step,
            lambda: [np.asarray(p, dtype=np.float64) for p in held[0]],
            # On a CPU this array is a view of the buffer.
            lambda tensor, index: float(np.asarray(held[0][tensor])[index]),
            # The learning rate is compiled in.
            lambda which, learning_rate: gradients.__setitem__(slice(None), choice[which]),
        )


def _made(plug: OptimizerPlug, hyper: Hyperparameters, learning_rate: Any) -> Any:
    """The transformation. A factory with lengths of warm-ups is given those, any other the schedules of alpha and b3."""
    known = inspect.signature(plug.loaded).parameters
    lengths = {
        ours: next((name for name in ALIASES[ours] if name in known), None) for ours in ("t_alpha", "t_beta3", "t_both")
    }
    keywords: dict[str, Any] = {"b3": _beta3(hyper), "alpha": _alpha(hyper)}
    if any(lengths.values()):
        keywords = {"b3": hyper.beta3, "alpha": hyper.alpha, **_lengths(hyper, lengths, known)}
    if hyper.weight_decay or "weight_decay" in known:
        keywords["weight_decay"] = hyper.weight_decay
    missing = [name for name in (*keywords, "eps") if name not in known]
    if missing and not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values()):
        raise Unsupported(f"{plug.loaded.__name__} takes no argument {missing[0]!r}")
    return plug.loaded(
        learning_rate=learning_rate, b1=hyper.beta1, b2=hyper.beta2, eps=hyper.eps, **keywords,
        **plug.settings.get("arguments", {}),
    )  # fmt: skip


def _lengths(hyper: Hyperparameters, names: Mapping[str, str | None], known: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {"t_alpha": hyper.t_alpha, "t_beta3": hyper.t_beta3}
    both = names["t_both"]
    if both:
        if hyper.t_alpha != hyper.t_beta3:
            raise Unsupported(f"has one warm-up length, {both!r}, for alpha and b3")
        wanted = {"t_both": hyper.t_alpha}
    given: dict[str, Any] = {}
    for ours, length in wanted.items():
        name = names[ours]
        if name is None and length:
            raise Unsupported(f"takes no warm-up length {ours} (looked for {', '.join(ALIASES[ours])})")
        if name is not None:
            given[name] = length or (None if known[name].default is None else 0)
    return given


def _update_of(transformation: Any) -> Callable[..., Any]:
    def one(gradients: Any, state: Any, parameters: Any) -> Any:
        updates, state = transformation.update(gradients, state, parameters)
        # optax.apply_updates: the sum, in the parameter's dtype
        return jax.tree.map(lambda p, u: jnp.asarray(p + u).astype(p.dtype), parameters, updates), state

    return one


def _alpha(hyper: Hyperparameters) -> Any:
    if not hyper.t_alpha:
        return hyper.alpha
    return lambda count: jnp.minimum((count + 1) * hyper.alpha / hyper.t_alpha, hyper.alpha)


def _beta3(hyper: Hyperparameters) -> Any:
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
