"""The eager step compiled into one pass: scalars that change with the step go in as a tensor, so that no step recompiles."""

from __future__ import annotations

from typing import Any

import torch

from impls.ademamix.backends import eager
from impls.ademamix.backends.batch import Batch, Kind


def obstacle(kind: Kind) -> Exception | None:
    """Refuses what its compiled functions do not compute."""
    from impls.ademamix.backends import UnsupportedByBackend

    if kind.states == "8bit" or kind.stochastic:
        what = "8-bit states" if kind.states == "8bit" else "stochastic rounding"
        return UnsupportedByBackend(f"{what} are not compiled; backend='eager', 'triton' or 'cpu' has them")
    return None


def update(batch: Batch) -> None:
    """One fused pass a tensor. Sizes 0 and 1 and memory with gaps, which would each compile anew, take the eager step."""
    kind = batch.kind
    for number, theta in enumerate(batch.theta):
        m2, nu, g = batch.m2[number], batch.nu[number], batch.g[number]
        if theta.numel() < 2 or not (theta.is_contiguous() and g.is_contiguous() and m2.is_contiguous()):
            eager.update(_alone(batch, number))
            continue
        wide = batch.wide
        if batch.rows is None:
            row = torch.tensor(batch.scalars[number].row(), dtype=wide, device=theta.device)
        else:
            row = batch.rows[number].to(wide)
        if kind.has_fast:
            _with_fast(_flat(theta), _flat(g), _flat(batch.m1[number]), _flat(m2), _flat(nu), row)
        else:
            _without_fast(_flat(theta), _flat(g), _flat(m2), _flat(nu), row)


def _alone(batch: Batch, number: int) -> Batch:
    one = slice(number, number + 1)
    return Batch(
        batch.kind, batch.device, batch.theta[one], batch.g[one], batch.m1[one], batch.m2[one], batch.nu[one],
        scalars=batch.scalars[one], rows=None if batch.rows is None else batch.rows[one],
    )  # fmt: skip


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory in one dimension, as a tensor of its own: for a view the compiler would guard on its base's shape."""
    flat = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return flat.set_(tensor.untyped_storage(), tensor.storage_offset(), (tensor.numel(),), (1,))


def _average(m: torch.Tensor, x: torch.Tensor, beta: torch.Tensor, gain_times_x: torch.Tensor, skip: torch.Tensor) -> Any:
    wide = m.to(x.dtype)
    value = beta * wide + gain_times_x
    m.copy_(torch.where(skip, wide, value))
    return value


def _finish(
    theta: torch.Tensor, fast: torch.Tensor, g: torch.Tensor, m2: torch.Tensor, nu: torch.Tensor, s: tuple[torch.Tensor, ...]
) -> None:
    _, lr, weight_decay, eps, alpha, _, beta2, beta3, _, gain2, gain3, _, inverse2, skip = s[:14]
    skipped = skip != 0
    slow = _average(m2, g, beta3, gain3 * g, skipped)
    square = _average(nu, g, beta2, gain2 * g * g, skipped)
    direction = (fast + alpha * slow) / (torch.sqrt(square * inverse2) + eps)
    wide = theta.to(g.dtype)
    theta.copy_(torch.where(skipped, wide, wide - lr * (direction + weight_decay * wide)))


@torch.compile(fullgraph=True, dynamic=True)
def _with_fast(
    theta: torch.Tensor, g: torch.Tensor, m1: torch.Tensor, m2: torch.Tensor, nu: torch.Tensor, row: torch.Tensor
) -> None:
    s = row.unbind()
    g = g.to(row.dtype) * s[0]
    _finish(theta, _average(m1, g, s[5], s[8] * g, s[13] != 0) * s[11], g, m2, nu, s)


@torch.compile(fullgraph=True, dynamic=True)
def _without_fast(theta: torch.Tensor, g: torch.Tensor, m2: torch.Tensor, nu: torch.Tensor, row: torch.Tensor) -> None:
    s = row.unbind()
    g = g.to(row.dtype) * s[0]
    _finish(theta, g, g, m2, nu, s)
