"""Count an operator's floating-point operations for torch's FlopCounterMode, which knows torch's own operators alone."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


def count_in_active_counters(forward: Any, backward: Any) -> None:
    """Teach both operators to every FlopCounterMode that is active now.

    Not at import: torch.utils.flop_counter takes a third of a second to load, and each counter keeps what was registered
    before it began, when no backend may have been loaded.
    """
    for mode in _get_current_dispatch_mode_stack():
        registry = getattr(getattr(mode, "counter", None), "flop_registry", None)
        if registry is not None:
            registry.setdefault(forward, _forward_flops)
            registry.setdefault(backward, _backward_flops)


def _forward_flops(q: Tensor, k: Tensor, v: Tensor, *options: Any, out_val: Any = None) -> int:
    """Two products, as torch counts its own attention: what a mask leaves out is counted too."""
    return 2 * _pairs(q, k, *options[3:5]) * (q.shape[3] + v.shape[3])


def _backward_flops(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *options: Any, out_val: Any = None) -> int:
    """Five products: the scores again, and the gradients of weights, v, q and k."""
    return 2 * _pairs(q, k, *options[3:5]) * (3 * q.shape[3] + 2 * v.shape[3])


def _pairs(q: Tensor, k: Tensor, cu_q: Tensor | None, cu_k: Tensor | None) -> int:
    """Pairs of a query and a key; of packed sequences, those within one. Where edges cannot be read, equal ones are taken."""
    rows = q.shape[0] * q.shape[1]
    if cu_q is None or cu_k is None:
        return rows * q.shape[2] * k.shape[2]
    if type(cu_q) is not Tensor or cu_q.is_meta:
        return rows * q.shape[2] * k.shape[2] // (cu_q.shape[0] - 1)
    return rows * int((cu_q.diff() * cu_k.diff()).sum())
