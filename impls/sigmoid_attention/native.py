"""Sigmoid attention in C++, compiled at its first call by the machine's own compiler: tiles in cache, on torch's threads.

The algorithm of `torch_blocked`, without torch between its steps: products, activation and masks of a tile follow each other
in registers and cache (csrc/attention.cpp). float32 inside. Weights are rounded only where the processor multiplies bfloat16s
by itself (AVX512_BF16, AMX) and the input is of that dtype. float64 is left to `torch_blocked`, and so is everything where
there is no compiler, by whoever calls: here a missing compiler is an error that says so.
"""

from __future__ import annotations

import ctypes
import itertools
from pathlib import Path

import torch
from torch import Tensor

from impls import compiler
from impls.sigmoid_attention.operator import GradientTensors, operator
from impls.sigmoid_attention.options import AttentionOptions, taking_keywords
from impls.sigmoid_attention.validation import checked

DTYPES = {torch.float32: 0, torch.bfloat16: 1}
"""What the library reads and writes itself; float16 goes in and comes out as float32."""


SOURCE = Path(__file__).parent / "csrc" / "attention.cpp"
FLAGS: tuple[str, ...] = ()
"""What the compiler is given besides `impls.compiler`'s options; our tests make it take narrower vectors."""


class _Tensor(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("batch", "head", "row")))


class _Call(ctypes.Structure):
    """``Call`` of csrc/attention.cpp, field by field."""

    _fields_ = (
        *((name, _Tensor) for name in ("q", "k", "v", "out", "grad", "dq", "dk", "dv")),
        *((name, ctypes.c_void_p) for name in ("sequences", "slopes", "dbias", "dslopes")),
        *(
            (name, ctypes.c_int64)
            for name in (
                "count", "heads", "key_heads", "dim", "value_dim", "slopes_apart", "left", "right", "dtype", "threads",
            )
        ),
        *((name, ctypes.c_float) for name in ("scale", "bias")),
    )  # fmt: skip


def obstacle() -> compiler.BackendUnavailable | None:
    """Why it cannot compute on this machine; None where it can. Builds the library the first time."""
    try:
        compiler.library(SOURCE, FLAGS)
    except compiler.BackendUnavailable as error:
        return error
    return None


def forward(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """The output, (B, H, Nq, Dv), in q's dtype."""
    dtype = q.dtype
    q, k, v = _readable(q), _readable(k), _readable(v)
    out = torch.empty((*q.shape[:3], v.shape[3]), dtype=q.dtype)
    _run("forward", options, q, k, v, out=out)
    return out.to(dtype)


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, wants_bias: bool, wants_slopes: bool
) -> GradientTensors:
    """Gradients of q, k, v, bias and slopes."""
    dtype, bias, slopes = q.dtype, options.bias, options.alibi_slopes
    q, k, v, grad = _readable(q), _readable(k), _readable(v), _readable(grad)
    # Packed sequences need not cover everything: what belongs to none has a gradient of 0.
    new = torch.empty if options.cu_seqlens_q is None else torch.zeros
    dq, dk, dv = (new(x.shape, dtype=x.dtype) for x in (q, k, v))
    dbias = torch.zeros((), dtype=torch.float64) if wants_bias else None
    dslopes = torch.zeros(slopes.shape, dtype=torch.float64) if wants_slopes and slopes is not None else None
    _run("backward", options, q, k, v, grad=grad, dq=dq, dk=dk, dv=dv, dbias=dbias, dslopes=dslopes)
    nothing = q.new_empty(0, dtype=dtype)
    return (
        dq.to(dtype),
        dk.to(dtype),
        dv.to(dtype),
        nothing if dbias is None or not isinstance(bias, Tensor) else dbias.to(bias.dtype).reshape(bias.shape),
        nothing.clone() if dslopes is None or slopes is None else dslopes.to(slopes.dtype),
    )


def _readable(x: Tensor) -> Tensor:
    """The tensor in a dtype of `DTYPES`, neighbours of the last dimension side by side."""
    if x.dtype == torch.float16:
        x = x.float()
    elif x.dtype not in DTYPES or x.device.type != "cpu":
        raise ValueError(
            f"found {x.dtype} on {x.device}; expected float32, bfloat16 or float16 on a CPU: "
            "backend='blocked' takes float64, backend='triton' a CUDA device"
        )
    return x if x.stride(3) == 1 else x.contiguous()


def _run(
    which: str, options: AttentionOptions, q: Tensor, k: Tensor, v: Tensor, *, dbias: Tensor | None = None,
    dslopes: Tensor | None = None, **others: Tensor,
) -> None:  # fmt: skip
    """Call the library on tensors by the names of ``Call``'s fields."""
    slopes = None if options.alibi_slopes is None else options.alibi_slopes.detach().to(torch.float32).contiguous()
    rows = _sequences(q, k, options)
    table = (ctypes.c_int64 * (7 * len(rows)))(*itertools.chain.from_iterable(rows))
    call = _Call(
        sequences=ctypes.addressof(table),
        slopes=None if slopes is None else slopes.data_ptr(),
        dbias=None if dbias is None else dbias.data_ptr(),
        dslopes=None if dslopes is None else dslopes.data_ptr(),
        count=len(rows),
        heads=q.shape[1],
        key_heads=k.shape[1],
        dim=q.shape[3],
        value_dim=v.shape[3],
        slopes_apart=q.shape[1] if options.slopes_by_row else 0,
        left=options.left,
        right=options.right,
        dtype=DTYPES[q.dtype],
        threads=torch.get_num_threads(),
        scale=options.scale_for(q.shape[3]),
        bias=float(options.bias),
        **{name: _Tensor(x.data_ptr(), *x.stride()[:3]) for name, x in {"q": q, "k": k, "v": v, **others}.items()},
    )
    if getattr(compiler.library(SOURCE, FLAGS), f"sigmoid_attention_{which}")(ctypes.byref(call)):
        raise MemoryError("no memory for the sums of the gradients")


def _sequences(q: Tensor, k: Tensor, options: AttentionOptions) -> list[tuple[int, ...]]:
    """``Sequence`` of csrc/attention.cpp, a row for each: batch row, row of the slopes, first query, queries, first key, keys,
    keys that count."""
    if options.cu_seqlens_q is not None:
        return [
            (0, row, queries.start, queries.stop - queries.start, keys.start, *[keys.stop - keys.start] * 2)
            for row, queries, keys in options.sequences()
        ]
    nq, nk = q.shape[2], k.shape[2]
    lengths = [nk] * len(q) if options.key_lengths is None else options.key_lengths.tolist()
    return [(row, row, 0, nq, 0, nk, min(max(length, 0), nk)) for row, length in enumerate(lengths)]


attend = operator("sigmoid_attention_native", forward, backward)
attention = taking_keywords(checked(attend))
