"""AdEMAMix is AdamW whose numerator mixes in a second, slow and never bias-corrected EMA of the gradient (arXiv:2409.03137).

Symbols are those of algorithm 1: ``theta`` parameters, ``g`` gradient, ``m1`` fast EMA, ``m2`` slow EMA, ``nu`` EMA of the
squared gradient, ``eta`` learning rate, ``lambda`` weight decay.

Where the paper contradicts itself, and what is normative here:
- the step of the schedulers: see `reference.ademamix.schedules` (algorithm 1: from 1).
- line 12 prints the hat of ``nu_1``; there is one ``nu``, and section 3 states its correction.
- the default alpha is 5 in listing 1, 2 in the authors' PyTorch file, 5 or 6 in Optax, 8 in their read-me: no default is
  normative, and every hyperparameter here is given.
- listing 2 names a field ``count_m2`` once and ``count_mu2`` once; of no consequence to what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from reference.ademamix.hyperparameters import Hyperparameters
from reference.ademamix.schedules import alpha_schedule, beta3_schedule, bias_correction

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OptimizerState:
    """The three moments, shaped like the parameter, and two clocks.

    ``t`` counts updates and drives the bias corrections. ``t_switch`` is the step at which AdamW handed over to AdEMAMix;
    the schedulers see ``t - t_switch`` (section 4.1), the bias corrections do not.
    """

    m1: Array
    m2: Array
    nu: Array
    t: int = 0
    t_switch: int = 0

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> OptimizerState:
        """The state before the first step (algorithm 1, line 2)."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape))


@dataclass(frozen=True)
class Coefficients:
    """The scalars of one step: scheduled ``alpha`` and ``beta3``, and the two bias corrections."""

    alpha: float
    beta3: float
    correction1: float
    correction2: float


def coefficients(hyper: Hyperparameters, t: int, t_switch: int = 0) -> Coefficients:
    """The scalars of step ``t`` (counted from 1): algorithm 1, lines 6 and 12."""
    scheduled = t - t_switch
    return Coefficients(
        alpha=float(alpha_schedule(scheduled, hyper.alpha, hyper.t_alpha)),
        beta3=float(beta3_schedule(scheduled, hyper.beta3, hyper.t_beta3, hyper.beta1)),
        correction1=float(bias_correction(hyper.beta1, t)),
        correction2=float(bias_correction(hyper.beta2, t)),
    )


def step(
    theta: npt.ArrayLike, g: npt.ArrayLike, state: OptimizerState, hyper: Hyperparameters, eta: float
) -> tuple[Array, OptimizerState]:
    """One update, algorithm 1, lines 5 to 13; returns the new parameter and state, leaves the old ones alone.

    ``theta`` and ``g``: same shape, any; float64 is computed throughout. ``eta`` is this step's learning rate.
    The update is ``theta - eta ((m1h + alpha m2) / (sqrt(nuh) + eps) + lambda theta)``: ``eps`` is outside the square root
    and is added after the bias correction; the decay is decoupled, multiplied by ``eta`` and taken from the old ``theta``;
    ``beta3(t)`` is in the decay and in the gain of ``m2``, which is not bias-corrected. With ``beta1 = 0`` the fast EMA is
    the gradient itself (section 3). Raises ValueError where the shapes differ.
    """
    theta = np.asarray(theta, dtype=np.float64)
    g = np.asarray(g, dtype=np.float64)
    if theta.shape != g.shape:
        raise ValueError(f"theta has shape {theta.shape}, its gradient {g.shape}; expected the same")
    t = state.t + 1
    c = coefficients(hyper, t, state.t_switch)
    with np.errstate(all="ignore"):
        m1 = hyper.beta1 * state.m1 + (1 - hyper.beta1) * g if hyper.beta1 > 0 else g
        m2 = c.beta3 * state.m2 + (1 - c.beta3) * g
        nu = hyper.beta2 * state.nu + (1 - hyper.beta2) * g**2
        direction = (m1 / c.correction1 + c.alpha * m2) / (np.sqrt(nu / c.correction2) + hyper.eps)
        theta = theta - eta * (direction + hyper.weight_decay * theta)
    return theta, replace(state, m1=m1, m2=m2, nu=nu, t=t)


def adamw_step(
    theta: npt.ArrayLike, g: npt.ArrayLike, state: OptimizerState, hyper: Hyperparameters, eta: float
) -> tuple[Array, OptimizerState]:
    """One update of AdamW (Loshchilov and Hutter, arXiv:1711.05101, algorithm 2), written out on its own.

    ``m2`` stays as it is. The decay is multiplied by the learning rate, as section 3 writes it for AdamW.
    """
    theta = np.asarray(theta, dtype=np.float64)
    g = np.asarray(g, dtype=np.float64)
    t = state.t + 1
    with np.errstate(all="ignore"):
        m = hyper.beta1 * state.m1 + (1 - hyper.beta1) * g
        v = hyper.beta2 * state.nu + (1 - hyper.beta2) * g**2
        m_hat = m / float(bias_correction(hyper.beta1, t))
        v_hat = v / float(bias_correction(hyper.beta2, t))
        theta = theta - eta * (m_hat / (np.sqrt(v_hat) + hyper.eps) + hyper.weight_decay * theta)
    return theta, replace(state, m1=m, nu=v, t=t)


def switch(state: OptimizerState) -> OptimizerState:
    """AdamW's state, handed over to AdEMAMix: ``m2 = 0`` and schedulers that start now (section 4.1, appendix B.1).

    ``m1``, ``nu`` and the clock of the bias corrections go on untouched.
    """
    return replace(state, m2=np.zeros_like(state.m1), t_switch=state.t)


def each_step(hyper: Hyperparameters | Sequence[Hyperparameters], steps: int) -> Sequence[Hyperparameters]:
    """Hyperparameters for each step, from one set for all or a sequence."""
    return (hyper,) * steps if isinstance(hyper, Hyperparameters) else hyper


def trajectory(
    theta: npt.ArrayLike,
    gradients: Sequence[npt.ArrayLike | None],
    etas: Sequence[float],
    hyper: Hyperparameters | Sequence[Hyperparameters],
    *,
    switch_at: int | None = None,
    group_clock: bool = False,
    writes: Mapping[int, npt.ArrayLike] = MappingProxyType({}),
) -> Iterator[tuple[Array, OptimizerState]]:
    """Parameter and state after each step. A gradient of None leaves both as they are: the paper is silent, frameworks agree.

    ``group_clock`` lets ``t`` advance where the gradient is missing, as it does where one count serves a whole group; the
    normative reading is that ``t`` counts the parameter's own updates.

    ``switch_at`` = k runs AdamW for the first k steps and switches to AdEMAMix after them; None is AdEMAMix from the start.

    ``hyper`` may be one per step, for hyperparameters that a training changes on its way. ``writes[k]`` replaces the parameter
    before step k (from 0), as a training that clamps or averages weights does; no moment knows of it.
    """
    theta = np.asarray(theta, dtype=np.float64)
    state = OptimizerState.zeros(theta.shape)
    for index, (g, eta, hyper_now) in enumerate(zip(gradients, etas, each_step(hyper, len(etas)), strict=True)):
        theta = np.asarray(writes.get(index, theta), dtype=np.float64)
        if switch_at is not None and index == switch_at:
            state = switch(state)
        if g is not None:
            advance = adamw_step if switch_at is not None and index < switch_at else step
            theta, state = advance(theta, g, state, hyper_now, eta)
        elif group_clock:
            state = replace(state, t=state.t + 1)
        yield theta, state
