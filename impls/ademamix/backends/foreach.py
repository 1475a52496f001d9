"""All tensors at once through torch's multi-tensor functions: a few launches per step, however many tensors there are."""

from __future__ import annotations

from typing import Any

import torch

from impls.ademamix.backends.batch import Batch, Kind
from impls.ademamix.scalars import Scalars


def obstacle(kind: Kind) -> Exception | None:
    """Refuses what torch has no multi-tensor function for."""
    from impls.ademamix.backends import UnsupportedByBackend

    if kind.states == "8bit":
        return UnsupportedByBackend("torch has no multi-tensor functions for 8-bit states; backend='eager' has them")
    if kind.stochastic:
        return UnsupportedByBackend("torch has no multi-tensor stochastic rounding; backend='eager' has it")
    return None


def update(batch: Batch) -> None:
    """One step; tensors that share their scalars go together."""
    if batch.rows is not None:
        columns = batch.rows.to(batch.wide).unbind(1)
        _step(batch, list(range(len(batch.theta))), Scalars(*(list(column.unbind()) for column in columns[:14])))
        return
    together: dict[int, list[int]] = {}
    for number, scalars in enumerate(batch.scalars):
        together.setdefault(id(scalars), []).append(number)
    for numbers in together.values():
        _step(batch, numbers, batch.scalars[numbers[0]])


def _step(batch: Batch, numbers: list[int], s: Scalars) -> None:
    kind = batch.kind
    theta = [batch.theta[n] for n in numbers]
    wide = batch.wide
    kept = [[m[n] for n in numbers] for m in ([batch.m1] if kind.has_fast else []) + [batch.m2, batch.nu]]
    computed = [_widened(m, wide) for m in kept]
    before = [[t.clone() for t in m] for m in computed] if kind.capturable else []
    g = _widened([batch.g[n] for n in numbers], wide)
    if kind.capturable or s.factor != 1.0:
        g = list(torch._foreach_mul(g, s.factor))
    m2, nu = computed[-2], computed[-1]
    _average(m2, g, s.beta3, s.gain3)
    torch._foreach_mul_(nu, s.beta2)
    torch._foreach_addcmul_(nu, torch._foreach_mul(g, s.gain2), g)
    update = torch._foreach_mul(m2, s.alpha)
    if kind.has_fast:
        _average(computed[0], g, s.beta1, s.gain1)
        torch._foreach_add_(update, torch._foreach_mul(computed[0], s.inverse1))
    else:
        torch._foreach_add_(update, g)
    denominator = torch._foreach_mul(nu, s.inverse2)
    torch._foreach_sqrt_(denominator)
    torch._foreach_add_(denominator, s.eps)
    torch._foreach_div_(update, denominator)
    start = _widened(theta, wide)
    if kind.capturable or s.weight_decay:
        torch._foreach_add_(update, torch._foreach_mul(start, s.weight_decay))
    torch._foreach_mul_(update, s.lr)
    moved = list(torch._foreach_sub(start, update))
    if kind.capturable:
        for i, skip in enumerate(s.skip):
            moved[i] = torch.where(skip != 0, start[i], moved[i])
            for m, old in zip(computed, before, strict=True):
                m[i].copy_(torch.where(skip != 0, old[i], m[i]))
    torch._foreach_copy_(theta, moved)
    for m, values in zip(kept, computed, strict=True):
        if m is not values:
            torch._foreach_copy_(m, values)


def _widened(tensors: list[torch.Tensor], wide: torch.dtype) -> list[torch.Tensor]:
    return tensors if tensors[0].dtype == wide else [t.to(wide) for t in tensors]


def _average(m: list[torch.Tensor], g: list[torch.Tensor], beta: Any, gain: Any) -> None:
    torch._foreach_mul_(m, beta)
    torch._foreach_add_(m, torch._foreach_mul(g, gain))
