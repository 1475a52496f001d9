"""The scalars of a step: schedules, gains and bias corrections in double, on the host or, for CUDA graphs, on the device."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

ROW = 16
"""Length of a row of scalars: `Scalars` and two that are not used."""

GOLDEN = 0x9E3779B9
_MASK = 0xFFFFFFFF


class Scalars(NamedTuple):
    """The scalars of one tensor's step, as Python floats or as tensors without dimensions.

    ``inverse1`` and ``inverse2`` are 1 / (1 - beta**t). `csrc/ademamix_step.h` reads rows of them in this order.
    """

    factor: Any
    lr: Any
    weight_decay: Any
    eps: Any
    alpha: Any
    beta1: Any
    beta2: Any
    beta3: Any
    gain1: Any
    gain2: Any
    gain3: Any
    inverse1: Any
    inverse2: Any
    skip: Any = 0.0

    def row(self) -> tuple[float, ...]:
        """Filled up to `ROW`."""
        return (*self, 0.0, 0.0)


def alpha_at(t: int, alpha: float, warmup: float | None) -> float:
    """Linear warm-up, equation (f_alpha); ``t`` counts from 1."""
    return min(t * alpha / warmup, alpha) if warmup and t < warmup else alpha


def beta3_at(t: int, beta1: float, beta3: float, warmup: float | None) -> float:
    """Warm-up that is linear in the half-life, equation (f_beta3); ``t`` counts from 1."""
    if not warmup or t >= warmup:
        return beta3
    share = t / warmup
    if beta1 == 0 or beta3 == 0:
        return float(beta3 ** (1 / share))  # the equation's limit: its logarithm of 0 is not a number
    start, end = math.log(beta1), math.log(beta3)
    return min(math.exp(start * end / ((1 - share) * end + share * start)), beta3)


def scalars_of(group: dict[str, Any], t: int, t_switch: int) -> Scalars:
    """The scalars of step ``t``; the schedules count from the switch, the bias corrections do not."""
    beta1, beta2, end = map(float, group["betas"])
    beta3 = beta3_at(t - t_switch, beta1, end, group["t_beta3"])
    return Scalars(
        factor=-1.0 if group["maximize"] else 1.0,
        lr=float(group["lr"]),
        weight_decay=float(group["weight_decay"]),
        eps=float(group["eps"]),
        alpha=alpha_at(t - t_switch, float(group["alpha"]), group["t_alpha"]),
        beta1=beta1,
        beta2=beta2,
        beta3=beta3,
        gain1=1 - beta1,
        gain2=1 - beta2,
        gain3=1 - beta3,
        inverse1=1 / (1 - beta1**t),
        inverse2=1 / (1 - beta2**t),
    )


def constants_of(group: dict[str, Any]) -> tuple[float, ...]:
    """What `rows_on_device` needs to know of a group, the learning rate aside."""
    sign = -1.0 if group["maximize"] else 1.0
    betas = map(float, group["betas"])
    return (sign, float(group["weight_decay"]), float(group["eps"]), float(group["alpha"]), *betas,
            float(group["t_alpha"] or 0), float(group["t_beta3"] or 0))  # fmt: skip


def rows_on_device(
    t: torch.Tensor, t_switch: torch.Tensor, constants: torch.Tensor, lr: torch.Tensor, loss_scale: Any, found_inf: Any
) -> torch.Tensor:
    """One row for each tensor, in float64, with no synchronisation: ``t`` and ``t_switch`` are whole numbers on the device.

    ``constants`` holds `constants_of` each tensor's group. ``loss_scale`` and ``found_inf`` are GradScaler's, or None.
    """
    sign, weight_decay, eps, end_alpha, beta1, beta2, end, t_alpha, t_beta3 = constants.unbind(1)
    one = torch.ones_like(sign)
    scheduled = (t - t_switch).to(torch.float64)
    alpha = torch.where(t_alpha > 0, torch.minimum(scheduled / t_alpha.clamp(min=1e-300), one), one) * end_alpha
    share = torch.where(t_beta3 > 0, scheduled / t_beta3.clamp(min=1e-300), one).clamp(max=1.0)
    log_start, log_end = beta1.log(), end.log()
    curved = torch.exp(log_start * log_end / ((1 - share) * log_end + share * log_start))
    limit = end ** (1 / share)
    warming = torch.where((beta1 == 0) | (end == 0), limit, torch.minimum(curved, end))
    beta3 = torch.where(share < 1, warming, end)
    count = t.to(torch.float64).clamp(min=1.0)
    factor = sign if loss_scale is None else sign / loss_scale.to(torch.float64)
    skip = torch.zeros_like(sign) if found_inf is None else found_inf.to(torch.float64).expand_as(sign)
    columns = [
        factor, lr, weight_decay, eps, alpha, beta1, beta2, beta3, 1 - beta1, 1 - beta2, 1 - beta3,
        1 / (1 - beta1**count), 1 / (1 - beta2**count), skip, torch.zeros_like(sign), torch.zeros_like(sign),
    ]  # fmt: skip
    return torch.stack(columns, dim=1)


def base_key(seed: int, number: int) -> tuple[int, int]:
    """The key of a tensor before its first step: two words that differ from tensor to tensor and seed to seed."""
    state = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + 1) & 0xFFFFFFFFFFFFFFFF
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    state ^= state >> 31
    return state & _MASK, state >> 32


def key_at(base: tuple[int, int], t: int) -> tuple[int, int]:
    """The key of step ``t``."""
    return (base[0] + t * GOLDEN) & _MASK, base[1]
