"""Sigmoid attention by the Hopper kernels; what they do not take goes to the generic ones, or is refused.

It has been interpreted and compiled for sm_90a, and has never run on a GPU: `auto` does not pick it until somebody has
measured it. Deterministic: every gradient is summed by one program in a fixed order.
"""

# mypy: allow-untyped-calls
# (torch.cuda's own functions, which have no types)

from __future__ import annotations

import contextvars
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from impls.implementation import Unsupported
from impls.sigmoid_attention import triton_kernels
from impls.sigmoid_attention.operator import GradientTensors, operator
from impls.sigmoid_attention.options import FAR, AttentionOptions, taking_keywords
from impls.sigmoid_attention.triton_hopper_kernels import hopper_forward_kernel, hopper_key_kernel, hopper_query_kernel
from impls.sigmoid_attention.triton_kernels import pointers, scores_of_base_2, slope_stride
from impls.sigmoid_attention.validation import checked
from impls.triton_support import interpreted, load_triton

triton = load_triton()

DIMS = (64, 128)
"""Head dims whose tiles fit beside two stages of copies."""


def tiles(d: int, *, kernel: str, peeled: bool = False) -> dict[str, Any]:
    """Block sizes and warps for ``forward``, ``query`` or ``key`` (the gradients), chosen by what the compiler makes of them.

    Two warp groups share a tile of 128 queries (keys, for ``key``), 64 rows each. ``peeled``: with steps written out behind
    the loop, which have shared memory of their own. Of four reciprocals the hardware does as many as leave its
    special-function units and the issue of instructions equally busy. tools.attention_sass shows it all.
    """
    small = d == 128 and (kernel != "forward" or peeled)
    block_m, block_n = (64 if small else 128, 128) if kernel == "key" else (128, 64 if small else 128)
    return {
        "BLOCK_M": 64 if interpreted() else block_m,
        "BLOCK_N": 64 if interpreted() else block_n,
        "BLOCK_D": d,
        "SPECIALISED": not interpreted(),
        "RECIPROCALS": 1 if kernel == "forward" else 2,
        "num_warps": 4,
        "num_stages": 2,
        **triton_kernels.CHANGES.get(),
    }


def launch_options(d: int, nq: int, nk: int, *, kernel: str, causal: bool, grouped: bool) -> dict[str, Any]:
    """The `tiles` and the way of masking for one call: what is masked, and how many steps are written out behind the loop."""
    meta = tiles(d, kernel=kernel, peeled=True)
    along, tile, end = (meta["BLOCK_M"], meta["BLOCK_N"], nq) if kernel == "key" else (meta["BLOCK_N"], meta["BLOCK_M"], nk)
    ragged = end % along != 0
    if not causal and not ragged:
        return {**tiles(d, kernel=kernel), "CAUSAL": False, "MASKED": False, "PEELED": 0}
    # On the diagonal as many blocks as one tile has, if they begin where it does; at an end the last block.
    written_out = tile // along if causal else 1
    if causal and ((nk - nq) % along or tile % along or (kernel == "key" and ragged)):
        written_out = 0
    if kernel == "key" and grouped:
        written_out = 0
    if not written_out:
        meta = tiles(d, kernel=kernel)
    return {**meta, "CAUSAL": causal, "MASKED": True, "PEELED": written_out}


def forward(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """The output, (B, H, Nq, D), in q's dtype. Raises Unsupported for what these kernels do not take."""
    _require(q, k, v, options)
    if not q.numel() or not k.numel():
        return triton_kernels.forward(q, k, v, options)
    q, k, v = map(_for_copies, (q, k, v))
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    meta = _meta(q, k, options, "forward")
    _launch(
        hopper_forward_kernel, _programs(q, meta["BLOCK_M"]), q,
        (q, k, v, out, *pointers(q, options)[:2], *_strides(q, k, v, out), slope_stride(options)),
        (*_sizes(q, k), *scores_of_base_2(q, options)), {**_flags(options), **meta},
    )  # fmt: skip
    return out


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, wants_bias: bool, wants_slopes: bool
) -> GradientTensors:
    """Gradients of q, k and v by the Hopper kernels; by the generic ones where bias or slopes ask for theirs.

    So are those of k and v with slopes over grouped heads, whose slope would change within the loop, and at head dim 128,
    where there are too few registers.
    """
    if wants_bias or wants_slopes or not q.numel() or not k.numel():
        return triton_kernels.backward(grad, q, k, v, options, wants_bias, wants_slopes)
    grad, q, k, v = map(_for_copies, (grad, q, k, v))
    generic = options.alibi_slopes is not None and (q.shape[1] != k.shape[1] or q.shape[3] == 128)
    of_keys = (triton_kernels.key_gradients if generic else key_gradients)(grad, q, k, v, options)
    return query_gradient(grad, q, k, v, options), *of_keys, q.new_empty(0), q.new_empty(0)


def query_gradient(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """dQ."""
    dq = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    meta, tensors = _meta(q, k, options, "query"), (q, k, v, grad, dq)
    _launch(
        hopper_query_kernel, _programs(q, meta["BLOCK_M"]), q,
        (*tensors, *pointers(q, options)[:2], *_strides(*tensors), slope_stride(options)),
        (*_sizes(q, k), options.scale_for(q.shape[3]), *scores_of_base_2(q, options)), {**_flags(options), **meta},
    )  # fmt: skip
    return dq


def key_gradients(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> tuple[Tensor, Tensor]:
    """dK and dV."""
    dk, dv = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (k, v))
    meta, tensors = _meta(q, k, options, "key"), (q, k, v, grad, dk, dv)
    _launch(
        hopper_key_kernel, _programs(k, meta["BLOCK_N"]), q,
        (*tensors, *pointers(q, options)[:2], *_strides(*tensors), slope_stride(options)),
        (*_sizes(q, k), options.scale_for(q.shape[3]), *scores_of_base_2(q, options)), {**_flags(options), **meta},
    )  # fmt: skip
    return dk, dv


def _launch(
    kernel: Any, programs: int, q: Tensor, tensors: tuple[Any, ...], numbers: tuple[Any, ...], meta: dict[str, Any]
) -> None:
    def launch() -> None:
        # Descriptors are made on the device, in memory that Triton asks for. The allocator belongs to a context, and a
        # backward pass runs in a thread that has another: it is set for this launch, and the caller's is left as it was.
        triton.set_allocator(lambda size, alignment, stream: torch.empty(size, device=q.device, dtype=torch.int8))
        with torch.cuda.device_of(q):  # Triton launches on the current device, whatever the tensors are on
            kernel[(programs,)](*tensors, *numbers, **meta)

    contextvars.copy_context().run(launch)


def _meta(q: Tensor, k: Tensor, options: AttentionOptions, kernel: str) -> dict[str, Any]:
    return launch_options(
        q.shape[3], q.shape[2], k.shape[2], kernel=kernel, causal=options.right == 0, grouped=q.shape[1] != k.shape[1]
    )


def _programs(x: Tensor, block: int) -> int:
    """One for each block of rows of each head, all along the grid's first axis: the others end at 65,535."""
    return int(triton.cdiv(x.shape[2], block)) * x.shape[0] * x.shape[1]


def _sizes(q: Tensor, k: Tensor) -> tuple[int, int, int, int]:
    return q.shape[1], q.shape[1] // k.shape[1], q.shape[2], k.shape[2]


def _flags(options: AttentionOptions) -> dict[str, bool]:
    return {"HAS_SLOPES": options.alibi_slopes is not None, "HAS_BIAS": isinstance(options.bias, Tensor)}


def _strides(*tensors: Tensor) -> tuple[int, ...]:
    """Of batch, head and row. That of an axis of one element says nothing, and may be no multiple of 16 bytes."""
    return tuple(
        stride if size > 1 else x.shape[3] for x in tensors for size, stride in zip(x.shape[:3], x.stride()[:3], strict=True)
    )


def _copied(x: Tensor) -> bool:
    """Whether the copy engine takes it: rows that begin at multiples of 16 bytes, of adjacent elements, each in its place."""
    strides = _strides(x)
    return (
        x.stride(3) == 1
        and x.data_ptr() % 16 == 0
        and all(stride * x.element_size() % 16 == 0 for stride in strides)
        and strides[1] > 0
        and strides[2] >= x.shape[3]
    )


def _for_copies(x: Tensor) -> Tensor:
    """Itself, or a copy where the copy engine cannot take it."""
    return x if _copied(x) else x.clone(memory_format=torch.contiguous_format)


def _require(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> None:
    triton_kernels.require(q)
    if q.dtype == torch.float32:
        raise Unsupported("takes float16 and bfloat16: the matrix units would cut float32 to TF32")
    if q.device.type == "cuda" and (found := torch.cuda.get_device_capability(q.device))[0] != 9:
        raise Unsupported(f"is written for compute capability 9.0, and this device has {found[0]}.{found[1]}")
    if q.shape[3] not in DIMS or v.shape[3] != q.shape[3]:
        raise Unsupported(f"takes head dims up to {DIMS[-1]}; found {q.shape[3]} and {v.shape[3]}")
    other = options.key_lengths is not None or options.cu_seqlens_q is not None
    if other or options.left != FAR or options.right not in (0, FAR):
        raise Unsupported("takes causal masks, and neither windows, lengths nor packed sequences")


_attend = operator("sigmoid_attention_hopper", forward, backward)


def attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """As `impls.sigmoid_attention.triton_kernels.attend`, for fewer cases: see `forward`.

    Head dims between those of the tiles are filled up with zeros, which no score and no gradient notices.
    """
    d, dv = q.shape[3], v.shape[3]
    width = next((dim for dim in DIMS if max(d, dv) <= dim), None)
    if width is None or d == dv == width:
        return _attend(q, k, v, options)
    options = replace(options, scale=options.scale_for(d))
    q, k, v = (torch.nn.functional.pad(x, (0, width - x.shape[3])) for x in (q, k, v))
    return _attend(q, k, v, options)[..., :dv]


attention = taking_keywords(checked(attend))
