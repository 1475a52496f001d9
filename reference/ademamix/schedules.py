"""The two warm-ups: alpha grows linearly, beta3 so that its half-life does (arXiv:2409.03137, section 3, appendix A.1).

Both schedules are functions of the step ``t``, counted from 1: algorithm 1 sets ``t <- 0`` (line 2), increments it (line 5)
and only then evaluates the schedulers (line 6). The paper's two listings disagree about this: listing 1 (PyTorch) passes the
incremented step, listing 2 (Optax) passes its counter before the increment, so its first update uses ``t = 0``. Algorithm 1
is normative, because equations (f_alpha) and (f_beta3) are stated for its ``t`` and listing 1 agrees with it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def half_life(beta: npt.ArrayLike) -> Array:
    """The number of steps after which the weights of an EMA have summed to one half: ``ln .5 / ln beta - 1``.

    Appendix A.1, ``f``. ``beta`` in (0, 1), any shape; 0 gives the limit, -1. Published code adds 1e-8 inside the logarithm;
    no equation of the paper does, and at ``beta = 0.9999`` that lengthens the half-life by a factor of 1.0001.
    """
    beta = np.asarray(beta, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(0.5) / np.log(beta) - 1.0)


def beta_of_half_life(steps: npt.ArrayLike) -> Array:
    """The decay whose half-life is ``steps``: ``0.5 ** (1 / (steps + 1))``. Appendix A.1, ``f^-1``; -1 gives the limit, 0."""
    steps = np.asarray(steps, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return 0.5 ** (1.0 / (steps + 1.0))


def alpha_schedule(step: npt.ArrayLike, alpha: float, warmup: float | None) -> Array:
    """``min(t alpha / T_alpha, alpha)``: equation (f_alpha).

    ``step`` is ``t``, counted from 1, any shape. ``warmup`` is ``T_alpha`` in steps; None or 0 means that there is no
    scheduler (the paper's ``T = 0``), and gives ``alpha`` at every step. Exactly ``alpha`` from ``t = T_alpha`` on.
    """
    step = np.asarray(step, dtype=np.float64)
    if not warmup:
        return np.full_like(step, alpha)
    return np.where(step >= warmup, alpha, np.minimum(step * alpha / warmup, alpha))


def beta3_schedule(step: npt.ArrayLike, beta3: float, warmup: float | None, beta_start: float) -> Array:
    """``min(exp(ln(b_s) ln(b_3) / ((1 - t/T) ln(b_3) + (t/T) ln(b_s))), b_3)``: equation (f_beta3).

    The half-life moves linearly from that of ``beta_start`` (the paper: "usually set to beta1") at ``t = 0`` to that of
    ``beta3`` at ``t = T_beta3``. ``step`` is ``t``, counted from 1, any shape. ``warmup`` None or 0 gives ``beta3`` always.

    Where the paper is silent or takes a limit to mean something:
    - ``beta_start = 0`` (the memory-saving variant with ``beta1 = 0``): ln 0 is not a number; the limit of the equation is
      ``beta3 ** (T / t)``, and it is what appendix A.1 gives with the half-life -1 of a decay of 0.
    - past the end: exactly ``beta3``. The equation alone falls below ``beta3`` there when ``beta_start > beta3``, which cannot
      be meant: the text calls the end value reached and kept.
    """
    step = np.asarray(step, dtype=np.float64)
    if not warmup:
        return np.full_like(step, beta3)
    share = step / warmup
    with np.errstate(divide="ignore", invalid="ignore"):
        if beta_start == 0:
            warming = beta3 ** (1.0 / share)
        else:
            log_start, log_end = np.log(beta_start), np.log(beta3)
            warming = np.exp(log_start * log_end / ((1.0 - share) * log_end + share * log_start))
    return np.where(step >= warmup, beta3, np.minimum(warming, beta3))


def bias_correction(beta: float, step: npt.ArrayLike) -> Array:
    """``1 - beta ** t``: what an EMA that started from zero is divided by (algorithm 1, line 12)."""
    return -np.expm1(np.asarray(step, dtype=np.float64) * np.log(beta)) if beta > 0 else np.ones_like(np.asarray(step, float))
