"""Sigmoid attention by the Gluon kernels for Hopper. They have been compiled for sm_90a, and have never run on a GPU.

Gradients are the generic Triton kernels' where the Gluon one does not take the call: see `backward`. Triton interprets none
of it: on a CPU there is nothing to run. Schedule, tiles and roundings are tested by running the kernels' own Python with other
meanings, in tests/sigmoid_attention/gluon_interpreter.py; the machine code by tools.gluon_sass.
"""

# mypy: allow-untyped-calls
# (torch.cuda's own functions, which have no types)

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from triton.experimental.gluon.language import NVMMASharedLayout
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from impls.implementation import NotRun, Unsupported
from impls.sigmoid_attention import triton_kernels
from impls.sigmoid_attention.gluon_backward_kernel import gluon_backward_kernel
from impls.sigmoid_attention.gluon_forward_kernel import gluon_forward_kernel
from impls.sigmoid_attention.operator import GradientTensors, operator
from impls.sigmoid_attention.options import FAR, AttentionOptions, taking_keywords
from impls.sigmoid_attention.triton_kernels import pointers, scores_of_base_2, slope_stride
from impls.sigmoid_attention.unseen import without_unseen
from impls.sigmoid_attention.validation import checked
from impls.triton_support import interpreted, launches_on

WIDTHS = (64, 128, 256)
"""Head dims of the tiles. The copy engine fills up narrower heads with zeros, and stores nothing of what lies beside them."""

ROWS = 128
"""Queries of a tile, of which each of the two groups of warps takes half."""

CACHE = 32 * 2**20
"""Bytes of keys and values that are worked on together where the longest tiles come first; a Hopper's L2 cache has 50 MB."""

# Keys of a tile and tiles of keys (and of values) in shared memory; whether the output leaves through the queries' memory.
_FORWARD = {64: (128, 3, False), 128: (128, 2, False), 256: (64, 2, True)}


def width_of(d: int, dv: int) -> int:
    """The tiles' head dim for these head dims. Unsupported above the widest."""
    found = next((width for width in WIDTHS if max(d, dv) <= width), None)
    if found is None:
        raise Unsupported(f"takes head dims up to {WIDTHS[-1]}; found {d} and {dv}")
    return found


def forward_options(width: int) -> dict[str, Any]:
    """Block sizes and stages, of which tools.gluon_sass shows what the compiler makes."""
    keys, stages, shared = _FORWARD[width]
    return {"BLOCK_N": keys, "BLOCK_D": width, "STAGES": stages, "SHARED_OUT": shared, "RECIPROCALS": 1, "num_warps": 4}


def backward_options(width: int) -> dict[str, Any]:
    """The same of the backward kernel: stages of queries and output gradients."""
    return {"BLOCK_D": width, "STAGES": 3, "RECIPROCALS": 1, "num_warps": 4}


def longest_first(options: AttentionOptions) -> bool:
    """Whether later queries see more keys than earlier ones, so that their tiles are to be begun first."""
    return bool(options.right < FAR and options.left == FAR)


def section(options: AttentionOptions, all_heads: int, group: int, nk: int, width: int) -> int:
    """How many heads are worked on together: see `impls.sigmoid_attention.gluon_tiles.place`."""
    if not longest_first(options):
        return 1
    return min(all_heads, max(1, CACHE * group // (nk * width * 4)))


def forward(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """The output, (B, H, Nq, Dv), in q's dtype. Raises Unsupported for what this kernel does not take."""
    _require(q, k, v, options)
    if not q.numel() or not k.numel():
        return triton_kernels.forward(q, k, v, options)
    (batch, heads, nq, d), (_, kv_heads, nk, dv) = q.shape, v.shape
    numbers = (options.left, options.right, *scores_of_base_2(q, options))
    q, k, v = map(_for_copies, (q, k, v))
    # Rows of a multiple of 16 bytes, which the copy engine can store to.
    out = torch.empty((batch, heads, nq, -(-dv // 8) * 8), dtype=q.dtype, device=q.device)
    width = width_of(d, dv)
    meta = forward_options(width)
    blocks = -(-nq // ROWS)
    tiles = blocks * batch * heads
    slopes, bias, lengths, *_ = pointers(q, options)
    with torch.cuda.device_of(q):  # Triton launches on the current device, whatever the tensors are on
        gluon_forward_kernel[(min(tiles, _multiprocessors(q.device)),)](
            *(_rows(x, rows, width) for x, rows in ((q, 64), (k, meta["BLOCK_N"]), (v, meta["BLOCK_N"]), (out, 64))),
            lengths, slopes, bias, slope_stride(options),
            tiles, blocks, batch * heads, heads, heads // kv_heads, nq, nk,
            section(options, batch * heads, heads // kv_heads, nk, width), *numbers, **_flags(options), **meta,
        )  # fmt: skip
    return out if out.shape[3] == dv else out[..., :dv].contiguous()


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, wants_bias: bool, wants_slopes: bool
) -> GradientTensors:
    """Gradients of q, k and v by the Gluon kernel; all by the generic ones where it does not take the call.

    So it is where bias or slopes ask for a gradient, where there are key lengths, above head dim 64 (at 128 ptxas has too few
    registers for it), and where torch is asked for deterministic algorithms: the sums of dQ are added in the order in which
    warps come to them.
    """
    generic = wants_bias or wants_slopes or options.key_lengths is not None or not q.numel() or not k.numel()
    width = width_of(q.shape[3], v.shape[3])
    if generic or width > 64 or torch.are_deterministic_algorithms_enabled():
        return triton_kernels.backward(grad, q, k, v, options, wants_bias, wants_slopes)
    (batch, heads, nq, d), (_, kv_heads, nk, dv) = q.shape, v.shape
    numbers = (options.left, options.right, options.scale_for(d), *scores_of_base_2(q, options))
    grad, q, k, v = map(_for_copies, (grad, q, k, v))
    meta = backward_options(width)
    dq = torch.zeros(q.shape, dtype=torch.float32, device=q.device)
    dk, dvalue = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (k, v))
    blocks = -(-nk // ROWS)
    tiles = blocks * batch * kv_heads
    slopes, bias, *_ = pointers(q, options)
    with torch.cuda.device_of(q):
        gluon_backward_kernel[(min(tiles, _multiprocessors(q.device)),)](
            *(_rows(x, 64, width) for x in (q, k, v, grad, dq, dk, dvalue)), slopes, bias, slope_stride(options),
            tiles, blocks, batch * kv_heads, kv_heads, heads // kv_heads, nq, nk,
            section(options, batch * kv_heads, 1, nq * (heads // kv_heads), width), *numbers,
            HAS_SLOPES=options.alibi_slopes is not None, HAS_BIAS=isinstance(options.bias, Tensor), **meta,
        )  # fmt: skip
    nothing = q.new_empty(0)
    gradients = dq[..., :d].to(q.dtype), dk[..., :d], dvalue[..., :dv]
    return *(x.contiguous() for x in gradients), nothing, nothing.clone()  # type: ignore[return-value]


def _flags(options: AttentionOptions) -> dict[str, bool]:
    return {
        "LONGEST_FIRST": longest_first(options),
        "HAS_SLOPES": options.alibi_slopes is not None,
        "HAS_BIAS": isinstance(options.bias, Tensor),
        "HAS_LENGTHS": options.key_lengths is not None,
    }


def _rows(x: Tensor, rows: int, width: int) -> Any:
    """The descriptor by which blocks of rows of one head are copied."""
    layout = NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=8 * x.element_size(), rank=4)
    return TensorDescriptor(x, list(x.shape), list(_strides(x)), [1, 1, rows, width], layout)


def _multiprocessors(device: torch.device) -> int:
    if device.type != "cuda":  # what stands in for a device
        return int(triton.runtime.driver.active.utils.get_device_properties(0)["multiprocessor_count"])
    return torch.cuda.get_device_properties(device).multi_processor_count


def _strides(x: Tensor) -> tuple[int, ...]:
    """That of an axis of one element says nothing, and may be no multiple of 16 bytes."""
    return (*(stride if size > 1 else x.shape[3] for size, stride in zip(x.shape[:3], x.stride()[:3], strict=True)), 1)


def _for_copies(x: Tensor) -> Tensor:
    """Itself, or a copy where the copy engine cannot take it: rows begin at multiples of 16 bytes, in places of their own.

    A copy has the head dim filled up to a multiple of 8 with zeros, which no score notices.
    """
    if short := -x.shape[3] % 8:
        return torch.nn.functional.pad(x, (0, short))
    strides = _strides(x)
    fine = (
        x.stride(3) == 1
        and x.data_ptr() % 16 == 0
        and all(stride * x.element_size() % 16 == 0 for stride in strides[:3])
        and strides[1] > 0
        and strides[2] >= x.shape[3]
    )
    return x if fine else x.clone(memory_format=torch.contiguous_format)


def _require(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> None:
    _require_device(q)
    if q.dtype == torch.float32:
        raise Unsupported("takes float16 and bfloat16: the matrix units would cut float32 to TF32")
    if width_of(q.shape[3], v.shape[3]) > 128 and options.key_lengths is not None:
        raise Unsupported("takes key lengths at head dims up to 128: beyond, the producer warp has too few registers for them")
    if options.cu_seqlens_q is not None:
        raise Unsupported("takes one sequence for each batch row, and no packed ones")


def _require_device(q: Tensor) -> None:
    if interpreted() or not launches_on(q.device.type):
        raise NotRun("Gluon kernels are compiled for a CUDA device of compute capability 9.0, and nothing interprets them")
    if (found := triton.runtime.driver.active.get_device_capability(q.device.index or 0))[0] != 9:
        raise Unsupported(f"is written for compute capability 9.0, and this device has {found[0]}.{found[1]}")


_attend = operator("sigmoid_attention_gluon", forward, backward)


def attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """The operator on the keys that any query sees: a tile on a window's edge would load others. None is beyond a length."""
    k, v, options = without_unseen(q, k, v, options, lengths=False)
    return _attend(q, k, v, options)


attention = taking_keywords(checked(attend))
"""``sigmoid(scale q k^T + bias) v`` on a Hopper: q (B, H, Nq, D), k (B, Hk, Nk, D), v (B, Hk, Nk, Dv), float16 or bfloat16.

Any strides, head dims up to 256. Gradients for q, k, v, bias and slopes. Raises NotRun on anything but a CUDA device, and
Unsupported for float32, packed sequences, and devices of another compute capability than 9.0.
"""
