"""The forward pass for Hopper: bulk tensor copies by one warp, matrix products by the others; backward as in triton_kernels.

Written for sm_90's copy engine (TMA, through tensor descriptors) and for warp specialisation, both by Triton. It has been
interpreted and compiled for sm_90a, and has never run on a GPU: `auto` does not pick it until somebody has measured it.

One loop over keys for every mask: two loops, or an ``if`` inside one, end Triton's warp specialisation.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from impls._triton import interpreted, load_triton
from impls.contract import Unsupported
from impls.sigmoid_attention import triton_kernels
from impls.sigmoid_attention.operator import FAR, Options, operator
from impls.sigmoid_attention.triton_kernels import LOG2_E, _logistic, _logistic_newton

triton = load_triton()
import triton.language as tl  # noqa: E402


@triton.jit
def hopper_kernel(
    Q, K, V, O,
    q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, o_b, o_h, o_n,
    heads, group, nq, nk, scale2, bias2,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, SPECIALISED: tl.constexpr, NEWTON: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head against its keys; the longest rows of a causal mask are begun first."""
    b = (tl.program_id(1) // heads).to(tl.int64)
    h = (tl.program_id(1) % heads).to(tl.int64)
    first = (tl.num_programs(0) - 1 - tl.program_id(0) if CAUSAL else tl.program_id(0)) * BLOCK_M
    q_rows = tl.make_tensor_descriptor(Q + b * q_b + h * q_h, [nq, BLOCK_D], [q_n, 1], [BLOCK_M, BLOCK_D])
    k_rows = tl.make_tensor_descriptor(K + b * k_b + h // group * k_h, [nk, BLOCK_D], [k_n, 1], [BLOCK_N, BLOCK_D])
    v_rows = tl.make_tensor_descriptor(V + b * v_b + h // group * v_h, [nk, BLOCK_D], [v_n, 1], [BLOCK_N, BLOCK_D])
    o_rows = tl.make_tensor_descriptor(O + b * o_b + h * o_h, [nq, BLOCK_D], [o_n, 1], [BLOCK_M, BLOCK_D])
    last = nk
    if CAUSAL:
        last = tl.minimum(nk, tl.maximum(first + BLOCK_M + nk - nq, 0))
    q = q_rows.load([first, 0])
    positions = first + tl.arange(0, BLOCK_M) + nk - nq
    total = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    for start in tl.range(0, last, BLOCK_N, warp_specialize=SPECIALISED):
        k = k_rows.load([start, 0])
        products = tl.dot(q, k.T)
        z = products * -scale2 - bias2
        p = _logistic_newton(z) if NEWTON else _logistic(z)
        if MASKED or CAUSAL:
            columns = start + tl.arange(0, BLOCK_N)
            seen = columns[None, :] < nk
            if CAUSAL:
                seen = seen & (columns[None, :] <= positions[:, None])
            p = tl.where(seen, p, 0.0)
        v = v_rows.load([start, 0])
        total = tl.dot(p.to(v.dtype), v, total)
    o_rows.store([first, 0], total.to(O.dtype.element_ty))


def launch_options(d: int, *, specialised: bool = True) -> dict[str, Any]:
    """Tiles that leave shared memory for two stages of keys and values, and registers for two consuming warp groups."""
    return {
        "BLOCK_M": 64 if interpreted() else 128,
        "BLOCK_N": 64 if interpreted() else 128,
        "BLOCK_D": d,
        "SPECIALISED": specialised and not interpreted(),
        "NEWTON": d == 64,
        "num_warps": 4 if specialised else 8,
        "num_stages": 2,
    }


def forward(q: Tensor, k: Tensor, v: Tensor, options: Options) -> Tensor:
    """The output, (B, H, Nq, D), in q's dtype. Raises Unsupported for what the copy engine or this kernel does not take."""
    _require(q, k, v, options)
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    batch, heads, nq, d = q.shape
    nk = k.shape[2]
    meta = launch_options(d)
    if not interpreted():
        triton.set_allocator(lambda size, alignment, stream: torch.empty(size, device=q.device, dtype=torch.int8))
    with torch.cuda.device_of(q):
        hopper_kernel[(triton.cdiv(nq, meta["BLOCK_M"]), batch * heads)](
            q, k, v, out, *q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *out.stride()[:3],
            heads, heads // k.shape[1], nq, nk, options.scale * LOG2_E, float(options.bias) * LOG2_E,
            CAUSAL=options.right == 0, MASKED=nk % meta["BLOCK_N"] != 0, **meta,
        )  # fmt: skip
    return out


def _require(q: Tensor, k: Tensor, v: Tensor, options: Options) -> None:
    triton_kernels._require(q)
    if q.dtype == torch.float32:
        raise Unsupported("takes float16 and bfloat16: the matrix units would cut float32 to TF32")
    if q.shape[3] not in (64, 128) or v.shape[3] != q.shape[3]:
        raise Unsupported(f"takes head dims 64 and 128, the same for values; found {q.shape[3]} and {v.shape[3]}")
    if isinstance(options.bias, Tensor):
        raise Unsupported("takes a bias that is a number")
    given = (options.slopes, options.lengths, options.cu_q)
    if any(x is not None for x in given) or options.left != FAR or options.right not in (0, FAR):
        raise Unsupported("takes causal masks, and neither windows, slopes, lengths nor packed sequences")
    for x in (q, k, v):
        steps = [stride * x.element_size() for stride in x.stride()[:3]]
        if x.stride(3) != 1 or any(step % 16 for step in steps) or x.data_ptr() % 16:
            raise Unsupported("takes rows that begin at multiples of 16 bytes and whose elements are adjacent")


_attention: Any = operator("sigmoid_attention_hopper", forward, triton_kernels.backward)


def attention(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """As `impls.sigmoid_attention.triton_kernels.attention`, for fewer situations: see `forward`."""
    return _attention(q, k, v, **options)


attention.__signature__ = inspect.signature(_attention)  # type: ignore[attr-defined]
