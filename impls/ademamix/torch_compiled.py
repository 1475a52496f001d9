"""The eager optimizer with its update compiled: step-dependent scalars go in as a tensor, so no step recompiles."""

from __future__ import annotations

from typing import Any

import torch

from impls.ademamix import torch_eager


class AdEMAMix(torch_eager.AdEMAMix):
    """As `impls.ademamix.torch_eager.AdEMAMix`. The first step of each dtype compiles, for any number of elements."""

    def update(self, theta: torch.Tensor, g: torch.Tensor, state: dict[str, Any], s: torch_eager.Scalars) -> None:
        """One fused pass. Sizes 0 and 1 and non-contiguous memory, which would each compile anew, take the eager update."""
        if theta.numel() < 2 or not (theta.is_contiguous() and g.is_contiguous()):
            super().update(theta, g, state, s)
            return
        m2, nu = _flat(state["exp_avg_slow"]), _flat(state["exp_avg_sq"])
        values = [s.lr, s.weight_decay, s.eps, s.alpha, s.beta1, s.beta2, s.beta3, *s.gains, s.correction1, s.correction2]
        scalars = torch.tensor(values, dtype=m2.dtype, device=m2.device)
        if s.beta1 > 0:
            _with_fast(_flat(theta), _flat(g), _flat(state["exp_avg_fast"]), m2, nu, scalars)
        else:
            _without_fast(_flat(theta), _flat(g), m2, nu, scalars)


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory in one dimension, as a tensor of its own: for a view the compiler would guard on its base's shape."""
    flat = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return flat.set_(tensor.untyped_storage(), tensor.storage_offset(), (tensor.numel(),), (1,))


def _finish(
    theta: torch.Tensor, fast: torch.Tensor, g: torch.Tensor, m2: torch.Tensor, nu: torch.Tensor, s: tuple[torch.Tensor, ...]
) -> None:
    lr, weight_decay, eps, alpha, _, beta2, beta3, _, gain2, gain3, _, correction2 = s
    m2.copy_(beta3 * m2 + gain3 * g)
    nu.copy_(beta2 * nu + gain2 * g * g)
    direction = (fast + alpha * m2) / (torch.sqrt(nu / correction2) + eps)
    wide = theta.to(m2.dtype)
    theta.copy_(wide - lr * (direction + weight_decay * wide))


@torch.compile(fullgraph=True, dynamic=True)
def _with_fast(
    theta: torch.Tensor, g: torch.Tensor, m1: torch.Tensor, m2: torch.Tensor, nu: torch.Tensor, scalars: torch.Tensor
) -> None:
    s = scalars.unbind()
    g = g.to(m2.dtype)
    m1.copy_(s[4] * m1 + s[7] * g)
    _finish(theta, m1 / s[10], g, m2, nu, s)


@torch.compile(fullgraph=True, dynamic=True)
def _without_fast(theta: torch.Tensor, g: torch.Tensor, m2: torch.Tensor, nu: torch.Tensor, scalars: torch.Tensor) -> None:
    g = g.to(m2.dtype)
    _finish(theta, g, g, m2, nu, scalars.unbind())
