"""The one call: sigmoid attention by the best backend that takes the input, and it says which and why."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from impls.sigmoid_attention.operator import is_transformed
from impls.sigmoid_attention.options import AttentionOptions
from impls.sigmoid_attention.validation import Attend, check
from impls.triton_support import choose_interpreter

choose_interpreter()

BACKENDS = ("auto", "triton", "native", "blocked", "flex", "eager")

WIDEST = 256
"""Head dims up to which the Triton kernels' tiles fit a Hopper's shared memory."""


@dataclass(frozen=True)
class Choice:
    """Which backend computes, and why."""

    backend: str
    reason: str


def choose(q: Tensor, v: Tensor, backend: str = "auto") -> Choice:
    """The backend for inputs like these: ``auto`` picks, any other is taken at its word. ValueError names the known ones."""
    if backend not in BACKENDS:
        raise ValueError(f"found backend {backend!r}, expected one of {', '.join(BACKENDS)}")
    if backend != "auto":
        return Choice(backend, "asked for")
    if is_transformed():
        return Choice("eager", "no kernel is written for the transforms of torch.func and forward-mode derivatives")
    if q.device.type == "cpu":
        return _on_a_cpu(q.dtype)
    if q.device.type != "cuda":
        return Choice("eager", f"no kernel is written for a {q.device.type} device")
    if q.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        return Choice("eager", f"the kernels take float16, bfloat16 and float32, and this is {q.dtype}")
    if max(q.shape[-1], v.shape[-1]) > WIDEST:
        return Choice("eager", f"a head dim of {max(q.shape[-1], v.shape[-1])} is more than the kernels' {WIDEST}")
    if not _has_triton():
        return Choice("eager", "Triton is not installed; python -m pip install triton")
    return Choice("triton", "a fused kernel on a CUDA device")


def sigmoid_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    bias: float | Tensor | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    alibi_slopes: Tensor | None = None,
    key_lengths: Tensor | None = None,
    cu_seqlens_q: Tensor | None = None,
    cu_seqlens_k: Tensor | None = None,
    backend: str = "auto",
    return_backend: bool = False,
) -> Any:
    """``O = sigmoid(scale q k^T + bias) v``: nothing is normalised over keys, and a masked pair weighs exactly 0.

    Shapes: q (B, H, Nq, D), k (B, Hk, Nk, D), v (B, Hk, Nk, Dv), output (B, H, Nq, Dv) in q's dtype. ``Hk`` divides ``H``
    and query head h reads key head ``h // (H // Hk)``. Any strides; float16, bfloat16, float32, float64.

    - ``scale``: None is ``1/sqrt(D)``
    - ``bias``: one number for every score, or a tensor of one element that may ask for its gradient; None is none. The
      paper (arXiv:2409.04431, section 3) recommends ``-log n`` with n the training length; it is never implied
    - ``causal``: query i sees keys ``j <= i + Nk - Nq`` (aligned at the bottom right)
    - ``window``: (left, right), both ends included, -1 for no limit; moves with the same position
    - ``alibi_slopes``: (H,) or (B, H), float32: ``slope |i + Nk - Nq - j|`` is subtracted; may ask for its gradient
    - ``key_lengths``: (B,): keys from there on count for nothing
    - ``cu_seqlens_q``, ``cu_seqlens_k``: int32, where packed sequences begin, and the total: a batch of 1 whose sequences do
      not see each other. Jagged nested tensors (B, H, n, D), their lengths at dimension 2, are packed without them
    - ``backend``: ``auto`` picks by device and dtype; ``triton``, ``native``, ``blocked``, ``flex`` and ``eager`` are taken at
      their word
    - ``return_backend``: return the pair of output and choice (``backend``, ``reason``), not the output alone

    Differentiable in q, k, v, bias and slopes; beyond first derivatives with the scores in memory. Works
    under ``torch.compile`` with ``fullgraph=True`` (flex aside).
    ValueError where shapes, dtypes, devices or options do not fit, TypeError for what is no tensor.
    """
    options = AttentionOptions(
        scale=scale,
        bias=0.0 if bias is None else bias,
        causal=causal,
        window=window,
        alibi_slopes=alibi_slopes,
        key_lengths=key_lengths,
        cu_seqlens_q=cu_seqlens_q,
        cu_seqlens_k=cu_seqlens_k,
    )
    if isinstance(q, Tensor) and (dtype := _autocast_dtype(q.device.type)) is not None:
        with torch.autocast(q.device.type, enabled=False):  # within, scores are float32
            return _attend(_cast(q, dtype), _cast(k, dtype), _cast(v, dtype), options, backend, return_backend)
    return _attend(q, k, v, options, backend, return_backend)


def _attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, backend: str, return_backend: bool) -> Any:
    if all(isinstance(x, Tensor) and x.layout == torch.jagged for x in (q, k, v)):
        return _attend_jagged(q, k, v, options, backend, return_backend)
    check(q, k, v, options)
    choice = choose(q, v, backend)
    result = _attend_by(choice.backend)(q, k, v, options)
    return (result, choice) if return_backend else result


def _attend_jagged(q: Any, k: Any, v: Any, options: AttentionOptions, backend: str, return_backend: bool) -> Any:
    """Nested tensors as what they are inside: packed sequences with their edges."""
    if options.cu_seqlens_q is not None or options.cu_seqlens_k is not None or options.key_lengths is not None:
        raise ValueError("found nested tensors with key_lengths or cu_seqlens; expected one of them: each holds lengths")
    for x in (q, k, v):
        if x.dim() != 4 or x._ragged_idx != 2 or x._lengths is not None:
            raise ValueError(
                f"found a nested tensor of shape {tuple(x.shape)}; expected (batch, heads, n, head dim) without holes: "
                "make (batch, n, heads, head dim) and transpose dimensions 1 and 2"
            )
    if k.offsets() is not v.offsets() and not torch.equal(k.offsets(), v.offsets()):
        raise ValueError("found other lengths in v than in k; expected as many values as keys in every sequence")
    packed = replace(options, cu_seqlens_q=q.offsets(), cu_seqlens_k=k.offsets())
    out, choice = _attend(q.values()[None], k.values()[None], v.values()[None], packed, backend, True)
    result = torch.nested.nested_tensor_from_jagged(out[0], q.offsets(), jagged_dim=2)
    return (result, choice) if return_backend else result


def _autocast_dtype(device: str) -> torch.dtype | None:
    """What autocast makes of the inputs, as for torch's own attention; None outside of it."""
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def _cast(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() and x.dtype != torch.float64 else x


def _attend_by(backend: str) -> Attend:
    """A backend is imported when it is first used: Triton costs a second, flex_attention more."""
    match backend:
        case "native":
            from impls.sigmoid_attention.native import attend
        case "blocked":
            from impls.sigmoid_attention.torch_blocked import attend
        case "triton":
            from impls.sigmoid_attention.triton_kernels import attend
        case "flex":
            from impls.sigmoid_attention.torch_flex import attend
        case _:
            from impls.sigmoid_attention.torch_eager import attend
    return attend


def _on_a_cpu(dtype: torch.dtype) -> Choice:
    if dtype == torch.float64:
        return Choice("blocked", "on a CPU tiles of scores stay in cache; not native: it computes in float32")
    fault = _native_fault()
    if fault:
        return Choice("blocked", f"on a CPU tiles of scores stay in cache; not native: {fault}")
    return Choice("native", "compiled for this CPU, with tiles of scores in registers and cache")


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # a compiler that traces must not see how another one is run
def _native_fault() -> str:
    from impls.sigmoid_attention import native

    fault = native.obstacle()
    return "" if fault is None else str(fault)


def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
