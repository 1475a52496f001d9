"""One tensor after the other, one line of torch per equation: what to read beside every other backend."""

from __future__ import annotations

from typing import Any

import torch

from impls.ademamix import quantised, stochastic_rounding
from impls.ademamix.backends.batch import Batch, Kind
from impls.ademamix.scalars import Scalars


def obstacle(kind: Kind) -> Exception | None:
    """None: it steps everything."""
    return None


def update(batch: Batch) -> None:
    """One step of every tensor."""
    for number in range(len(batch.theta)):
        if batch.kind.states == "8bit":
            _quantised(batch, number)
        else:
            _plain(batch, number)


def _plain(batch: Batch, number: int) -> None:
    kind, s = batch.kind, batch.scalars_at(number)
    theta, m2, nu = batch.theta[number], batch.m2[number], batch.nu[number]
    m1 = batch.m1[number] if kind.has_fast else None
    wide = batch.wide
    g = _gradient(batch.g[number], s, wide)
    kept = [m for m in (m1, m2, nu) if m is not None]
    computed = [m if m.dtype == wide else m.to(wide) for m in kept]
    before = [m.clone() for m in computed] if kind.capturable else []
    moved = advance(theta.to(wide), g, computed[0] if m1 is not None else None, computed[-2], computed[-1], s)
    if kind.capturable:
        skip = s.skip != 0
        moved = torch.where(skip, theta.to(wide), moved)
        for m, old in zip(computed, before, strict=True):
            m.copy_(torch.where(skip, old, m))
    random = stochastic_rounding.draw(batch.key(number), theta.numel(), theta.device) if kind.stochastic else None
    _store(theta, moved, None if random is None else random[0])
    if computed[-1] is not nu:
        bits = [random[0] >> 16] if random is not None else [None]
        bits = [random[1], random[1] >> 16, *bits] if random is not None else [None, None, None]
        for m, value, own in zip(kept, computed, bits[-len(kept) :], strict=True):
            _store(m, value, own)


def _quantised(batch: Batch, number: int) -> None:
    kind, s = batch.kind, batch.scalars_at(number)
    theta = batch.theta[number]
    order = batch.m2[number].stride()  # of the codes, whatever theta's is
    start = in_memory_order(theta, order).to(torch.float32)
    g = _gradient(in_memory_order(batch.g[number], order), s, torch.float32)
    codes = {"nu": (batch.nu[number], batch.nu_scale[number]), "m2": (batch.m2[number], batch.m2_scale[number])}
    if kind.has_fast:
        codes["m1"] = (batch.m1[number], batch.m1_scale[number])
    root = quantised.decode_root(*codes["nu"])
    m = {name: quantised.decode_ratio(*codes[name], root) for name in codes if name != "nu"}
    m["nu"] = root * root
    before = {name: value.clone() for name, value in m.items()}
    moved = advance(start, g, m.get("m1"), m["m2"], m["nu"], s)
    left = ~(g * g).isfinite()  # no scale could hold such an element beside its neighbours: it keeps what it had
    kept = {name: torch.where(left, before[name], value) for name, value in m.items()}
    bits, more = stochastic_rounding.draw(batch.key(number), theta.numel(), theta.device)
    old = [t.clone() for pair in codes.values() for t in pair] if kind.capturable else []
    of_root, of_slow = quantised.thresholds(bits, more)
    root = quantised.encode_root(kept["nu"], *codes["nu"], of_root)
    quantised.encode_ratio(kept["m2"], root, *codes["m2"], of_slow)
    if kind.has_fast:
        quantised.encode_ratio(kept["m1"], root, *codes["m1"])
    if kind.capturable:
        skip = s.skip != 0
        left = left | skip
        for stored, value in zip((t for pair in codes.values() for t in pair), old, strict=True):
            stored.copy_(torch.where(skip, value, stored))
    moved = torch.where(left, start, moved)
    _store(theta, torch.as_strided(moved, theta.shape, order), bits if kind.stochastic else None)


def advance(
    theta: torch.Tensor, g: torch.Tensor, m1: torch.Tensor | None, m2: torch.Tensor, nu: torch.Tensor, s: Scalars
) -> torch.Tensor:
    """Algorithm 1, lines 9 to 13: the moments in place, the new theta returned. All in the format of the operations."""
    _average(m2, g, s.beta3, s.gain3)
    nu.mul_(s.beta2).add_((g * s.gain2).mul_(g))
    fast = g if m1 is None else _average(m1, g, s.beta1, s.gain1) * s.inverse1
    denominator = (nu * s.inverse2).sqrt_().add_(s.eps)
    direction = (fast + m2 * s.alpha).div_(denominator)
    moved: torch.Tensor = theta - direction.add_(theta * s.weight_decay).mul_(s.lr)
    return moved


def _average(m: torch.Tensor, g: torch.Tensor, beta: Any, gain: Any) -> torch.Tensor:
    m.mul_(beta).add_(g * gain)
    return m


def _gradient(g: torch.Tensor, s: Scalars, wide: torch.dtype) -> torch.Tensor:
    g = g.to(wide)
    return g if isinstance(s.factor, float) and s.factor == 1.0 else g * s.factor


def _store(target: torch.Tensor, value: torch.Tensor, random: torch.Tensor | None) -> None:
    if random is None or target.dtype not in (torch.bfloat16, torch.float16):
        target.copy_(value)
        return
    # Random bits are numbered in the order of the memory, as the fused backends walk it.
    flat = stochastic_rounding.rounded(in_memory_order(value, _order(target)), target.dtype, random)
    target.copy_(torch.as_strided(flat, target.shape, _order(target)))


def in_memory_order(tensor: torch.Tensor, strides: tuple[int, ...] | None = None) -> torch.Tensor:
    """The elements in one dimension, in the order in which they lie in memory (or would with other ``strides``)."""
    strides = _order(tensor) if strides is None else strides
    if tensor.stride() == strides:
        return torch.as_strided(tensor, (tensor.numel(),), (1,))
    return (
        torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype, device=tensor.device)
        .copy_(tensor)
        .as_strided((tensor.numel(),), (1,))
    )


def _order(tensor: torch.Tensor) -> tuple[int, ...]:
    """The strides that moments of this tensor have."""
    return torch.empty_like(tensor, device="meta", memory_format=torch.preserve_format).stride()
