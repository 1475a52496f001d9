"""Refuse a call of sigmoid attention that does not fit together, in the same words whatever the backend."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from impls.sigmoid_attention.options import AttentionOptions

Attend = Callable[[Tensor, Tensor, Tensor, AttentionOptions], Tensor]

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NUMBERS = (numbers.Real, torch.SymFloat, torch.SymInt)


def checked(attend: Attend) -> Attend:
    """``attend`` behind `check`."""

    @functools.wraps(attend)
    def attend_checked(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
        check(q, k, v, options)
        return attend(q, k, v, options)

    return attend_checked


def check(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> None:
    """TypeError for what is no tensor or number where one is expected, ValueError for what does not fit.

    Only `check_values`, its last step, reads tensors: nothing here stops a compiler that traces.
    """
    _check_inputs(q, k, v)
    _check_numbers(options)
    if isinstance(options.bias, Tensor):
        _check_bias(options.bias, q)
    if options.cu_seqlens_q is not None or options.cu_seqlens_k is not None:
        _check_edges(q, options)
    if options.key_lengths is not None:
        _check_integers("key_lengths", options.key_lengths, q, f"({q.shape[0]},)")
        if options.key_lengths.shape != q.shape[:1]:
            raise ValueError(
                f"found key_lengths {tuple(options.key_lengths.shape)}; expected ({q.shape[0]},), one per batch row"
            )
    if options.alibi_slopes is not None:
        _check_slopes(options.alibi_slopes, q, options.cu_seqlens_q)
    check_values(q, k, options)


def check_values(q: Tensor, k: Tensor, options: AttentionOptions) -> None:
    """ValueError for key lengths and edges out of range; on a CUDA device an assertion there, which nobody waits for."""
    if options.key_lengths is not None and _is_readable(options.key_lengths):
        lengths, nk = options.key_lengths, k.shape[2]
        if lengths.is_cuda:
            torch._assert_async(((lengths >= 0) & (lengths <= nk)).all(), f"key_lengths: expected 0 to {nk}")
        elif any(not 0 <= length <= nk for length in lengths.tolist()):
            raise ValueError(f"found key_lengths {lengths.tolist()}; expected each from 0 to the {nk} keys")
    if options.cu_seqlens_q is not None:
        cu_k = options.cu_seqlens_k
        _check_ascending("cu_seqlens_q", options.cu_seqlens_q, q.shape[2], "queries")
        if cu_k is None or cu_k is options.cu_seqlens_q:
            if q.shape[2] != k.shape[2]:
                raise ValueError(
                    f"found cu_seqlens_q alone for {q.shape[2]} queries and {k.shape[2]} keys; expected cu_seqlens_k with it"
                )
        else:
            _check_ascending("cu_seqlens_k", cu_k, k.shape[2], "keys")


def _check_inputs(q: Tensor, k: Tensor, v: Tensor) -> None:
    for x in (q, k, v):
        if not isinstance(x, Tensor):
            raise TypeError(f"found {type(x).__name__} for q, k or v; expected a tensor")
        if x.layout != torch.strided:
            raise ValueError(f"found a layout of {x.layout}; expected plain tensors, or all three jagged")
    if fault := _fault_of_shapes(q, k, v):
        raise ValueError(f"found q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}; expected {fault}")
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"found dtypes {q.dtype}, {k.dtype} and {v.dtype}; expected one")
    if q.dtype not in DTYPES:
        raise ValueError(f"found {q.dtype}; expected float16, bfloat16, float32 or float64")
    if not q.device == k.device == v.device:
        raise ValueError(f"found devices {q.device}, {k.device} and {v.device}; expected one")


def _fault_of_shapes(q: Tensor, k: Tensor, v: Tensor) -> str:
    """What was expected of them; "" where they fit."""
    if not q.ndim == k.ndim == v.ndim == 4:
        return "(batch, heads, length, head dim)"
    batch, heads, _, dim = q.shape
    if batch != k.shape[0] or dim != k.shape[3] or k.shape[:3] != v.shape[:3]:
        return "one batch, one head dim for q and k, and as many heads and keys in k as in v"
    if heads == 0 or k.shape[1] == 0 or dim == 0 or v.shape[3] == 0:
        return "at least one head, and head dims of at least 1"
    return f"a multiple of {k.shape[1]} key heads, not {heads} query heads" if heads % k.shape[1] else ""


def _check_numbers(options: AttentionOptions) -> None:
    if not isinstance(options.bias, (Tensor, *_NUMBERS)):
        raise TypeError(f"found bias of type {type(options.bias).__name__}; expected a number, or a tensor of one element")
    if options.scale is not None and not isinstance(options.scale, _NUMBERS):
        raise TypeError(f"found scale of type {type(options.scale).__name__}; expected a number: it has no gradient")
    if options.window is None:
        return
    if not isinstance(options.window, (tuple, list)) or len(options.window) != 2:
        raise ValueError(f"found window {options.window!r}; expected (left, right)")
    for side in options.window:
        if not isinstance(side, (numbers.Integral, torch.SymInt)) or side < -1:
            raise ValueError(f"found window {options.window!r}; expected two whole numbers from -1, which is no limit")


def _check_bias(bias: Tensor, q: Tensor) -> None:
    if bias.numel() != 1 or bias.dtype not in DTYPES:
        raise ValueError(f"found a bias of {bias.dtype}, shape {tuple(bias.shape)}; expected one element, floating point")
    _check_device("bias", bias, q)


def _check_slopes(slopes: Any, q: Tensor, cu_q: Tensor | None) -> None:
    if not isinstance(slopes, Tensor):
        raise TypeError(f"found alibi_slopes of type {type(slopes).__name__}; expected a tensor")
    heads, rows = q.shape[1], q.shape[0] if cu_q is None else cu_q.shape[0] - 1
    if slopes.shape not in ((heads,), (rows, heads)) or slopes.dtype not in DTYPES:
        raise ValueError(
            f"found alibi_slopes of {slopes.dtype}, shape {tuple(slopes.shape)}; expected ({heads},) or ({rows}, {heads}), "
            "floating point"
        )
    _check_device("alibi_slopes", slopes, q)


def _check_edges(q: Tensor, options: AttentionOptions) -> None:
    cu_q, cu_k = options.cu_seqlens_q, options.cu_seqlens_k
    if cu_q is None:
        raise ValueError("found cu_seqlens_k alone; expected cu_seqlens_q with it")
    if q.shape[0] != 1 or options.key_lengths is not None:
        raise ValueError("found cu_seqlens_q with a batch, or with key_lengths; expected packed sequences in a batch of 1")
    for name, edges in (("cu_seqlens_q", cu_q), ("cu_seqlens_k", cu_q if cu_k is None else cu_k)):
        _check_integers(name, edges, q, "(sequences + 1,)")
        if edges.ndim != 1 or edges.shape[0] < 2:
            raise ValueError(f"found {name} {tuple(edges.shape)}; expected (sequences + 1,)")
    if cu_k is not None and cu_k.shape != cu_q.shape:
        raise ValueError(f"{cu_q.shape[0] - 1} sequences of queries and {cu_k.shape[0] - 1} of keys: expected as many")


def _check_integers(name: str, values: Any, q: Tensor, shape: str) -> None:
    if not isinstance(values, Tensor):
        raise TypeError(f"found {name} of type {type(values).__name__}; expected a tensor of int32, shape {shape}")
    if values.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"found {name} of {values.dtype}; expected int32 or int64")
    _check_device(name, values, q)


def _check_device(name: str, given: Tensor, q: Tensor) -> None:
    if given.device != q.device:
        raise ValueError(f"found {name} on {given.device} and q on {q.device}; expected one device")


def _check_ascending(name: str, edges: Tensor, total: int, what: str) -> None:
    if not _is_readable(edges):
        return
    if edges.is_cuda and torch.cuda.is_current_stream_capturing():  # nothing can be read while a graph is captured
        fine = (edges[0] == 0) & (edges[-1] == total) & (edges.diff() >= 0).all()
        torch._assert_async(fine, f"{name}: expected 0, ascending, {total}")
        return
    found = edges.tolist()
    if found[0] != 0 or found[-1] != total or found != sorted(found):
        raise ValueError(f"found {name} {found}; expected 0 first, then ascending to the {total} {what}")


def _is_readable(x: Tensor) -> bool:
    """Whether its numbers can be looked at: not while a compiler traces, and not where there are none."""
    if torch.compiler.is_compiling() or type(x) not in (Tensor, torch.nn.Parameter) or x.device.type == "meta":
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(x)
