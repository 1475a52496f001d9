"""AdEMAMix for JAX in the manner of optax: a function of the hyperparameters that returns init and update."""

import math
from typing import NamedTuple

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError as error:
    raise ImportError(f"{error}; get it with: python -m pip install jax optax") from None


class OptaxMoments(NamedTuple):
    count: jax.Array
    count_m2: jax.Array  # where AdamW went before, the schedules begin anew
    m1: optax.Updates
    m2: optax.Updates
    nu: optax.Updates


def ademamix(
    learning_rate=1e-3, b1=0.9, b2=0.999, b3=0.9999, alpha=5.0, eps=1e-8, weight_decay=0.0, t_alpha=None, t_beta3=None
):
    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return OptaxMoments(jnp.zeros([], jnp.int32), jnp.zeros([], jnp.int32), zeros, zeros, zeros)

    def update(grads, state, params=None):
        t, t2 = state.count + 1, state.count_m2 + 1
        alpha_t, beta3 = warmed_up(t2, t_alpha, alpha), slower(t2, t_beta3, b1, b3)
        m1 = averaged(b1, state.m1, grads)
        m2 = averaged(beta3, state.m2, grads)
        nu = averaged(b2, state.nu, jax.tree.map(jnp.square, grads))
        c1, c2 = correction(b1, t), correction(b2, t)

        def direction(m1, m2, nu):
            return (m1 / c1 + alpha_t * m2) / (jnp.sqrt(nu / c2) + eps)

        return jax.tree.map(direction, m1, m2, nu), OptaxMoments(t, t2, m1, m2, nu)

    return optax.chain(
        optax.GradientTransformation(init, update),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def averaged(beta, old, new):
    return jax.tree.map(lambda m, x: beta * m + (1 - beta) * x, old, new)


def correction(beta, t):
    """1 - beta**t, without cancellation."""
    return -jnp.expm1(t * math.log(beta)) if beta else 1.0


def warmed_up(t, length, alpha):
    return jnp.minimum(t / length, 1.0) * alpha if length else alpha


def slower(t, length, b1, b3):
    """beta3 of step t: its half-life grows linearly, from that of b1 to that of b3."""
    if not length:
        return b3
    share = t / length
    if not b1:  # the limit
        return jnp.where(t >= length, b3, b3 ** (1 / share))
    start, end = math.log(b1), math.log(b3)
    return jnp.where(t >= length, b3, jnp.exp(start * end / ((1 - share) * end + share * start)))
