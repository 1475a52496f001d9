"""Sigmoid attention as Triton kernels, forward and backward; needs torch and triton, and no GPU (then interpreted, slowly).

Each weight is ``1 / (1 + 2**-y)`` with ``y = score * log2(e)``: two hardware operations of relative accuracy, where the
approximate tanh has one of absolute accuracy only. With no maximum and no row sum there is nothing to carry between
blocks of keys, and the backward pass needs neither the output nor a log-sum-exp.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (a kernel's arguments are pointers and scalars of the compiler, which have no Python types)

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from impls.implementation import Unsupported
from impls.sigmoid_attention.operator import GradientTensors, operator
from impls.sigmoid_attention.options import AttentionOptions, taking_keywords
from impls.sigmoid_attention.unseen import without_unseen
from impls.sigmoid_attention.validation import checked
from impls.triton_support import interpreted, load_triton, require_computed_loops

triton = load_triton()
import triton.language as tl  # noqa: E402  (whether kernels are interpreted is settled by the line above)

LOG2_E = math.log2(math.e)

PTX = tl.constexpr(not interpreted() and torch.version.hip is None)
"""Whether the activation is written in the hardware's own instructions; elsewhere in Triton's, which also treat subnormals."""


_EXPONENTIAL = "ex2.approx.ftz.f32 d, {z}; add.ftz.f32 d, d, 0f3F800000; "
_HARDWARE = _EXPONENTIAL + "rcp.approx.ftz.f32 {r}, d; "
_ITERATED = (
    "min.NaN.f32 e, {z}, 0f42FC0000; "
    + _EXPONENTIAL.replace("{z}", "e")
    + "mov.b32 i, d; sub.s32 i, 0x7EF33400, i; mov.b32 {r}, i; neg.f32 d, d; "
    + "fma.rn.f32 e, d, {r}, 0f400014F8; mul.f32 {r}, {r}, e; "
    + "fma.rn.f32 e, d, {r}, 0f3F800000; fma.rn.f32 e, e, e, e; fma.rn.f32 {r}, {r}, e, {r}; "
)


def _four(reciprocals: int) -> str:
    """The assembly of four weights, so many of them by the hardware's reciprocal."""
    ways = [_HARDWARE] * reciprocals + [_ITERATED] * (4 - reciprocals)
    lines = (way.replace("{r}", f"${i}").replace("{z}", f"${i + 4}") for i, way in enumerate(ways))
    return "{ .reg .f32 d, e; .reg .s32 i; " + "".join(lines) + "}"


PTX_0, PTX_1, PTX_2, PTX_4 = (tl.constexpr(_four(n)) for n in (0, 1, 2, 4))
FOUR = tl.constexpr("=&f,=&f,=&f,=&f,f,f,f,f")


@triton.jit
def _logistic(z, RECIPROCALS: tl.constexpr = 4):
    """``1 / (1 + 2**z)`` of relative accuracy; of every four, ``RECIPROCALS`` (0, 1, 2 or 4) by the hardware's reciprocal.

    That is a second special-function operation beside the exponential, and an SM has a sixteenth of a clock for each. The
    others take six ordinary instructions instead: a guess made of the exponent's bits, within 1/19 of the reciprocal; one
    step of Newton's with the constant that spreads the error to both sides (1.3e-3); one of the third order, which leaves
    nothing of it in float32. They want ``z`` stopped at 126: there the weight is at the end of the normal range, and beyond
    it the guess would be none.
    """
    if PTX:
        if RECIPROCALS == 4:
            return tl.inline_asm_elementwise(PTX_4, FOUR, [z], dtype=tl.float32, is_pure=True, pack=4)
        elif RECIPROCALS == 2:
            return tl.inline_asm_elementwise(PTX_2, FOUR, [z], dtype=tl.float32, is_pure=True, pack=4)
        elif RECIPROCALS == 1:
            return tl.inline_asm_elementwise(PTX_1, FOUR, [z], dtype=tl.float32, is_pure=True, pack=4)
        else:
            return tl.inline_asm_elementwise(PTX_0, FOUR, [z], dtype=tl.float32, is_pure=True, pack=4)
    elif RECIPROCALS == 4:
        return 1.0 / (1.0 + tl.exp2(z))
    else:
        # All of them iterated, where nothing is saved: the same steps.
        d = 1.0 + tl.exp2(tl.minimum(z, 126.0, propagate_nan=tl.PropagateNan.ALL))
        r = (0x7EF33400 - d.to(tl.int32, bitcast=True)).to(tl.float32, bitcast=True)
        r = r * (2.0012798309326172 - d * r)
        e = 1.0 - d * r
        return r + r * (e + e * e)


@triton.jit
def _place(blocks, heads):
    """Which block, batch row and head a program has: all along the grid's first axis, since the others end at 65,535."""
    head = tl.program_id(0) // blocks
    return tl.program_id(0) % blocks, (head // heads).to(tl.int64), (head % heads).to(tl.int64)


@triton.jit
def _weights(
    products, rows, columns, nq, nk, length, scale2, bias2, slope2, left, right,
    HAS_SLOPES: tl.constexpr, MASKED: tl.constexpr, RECIPROCALS: tl.constexpr,
):  # fmt: skip
    """Weights of a block of scores; exactly 0 where the pair is not visible. ``scale2``, ``bias2``, ``slope2``: base 2."""
    z = products * -scale2 - bias2
    if HAS_SLOPES:
        z += slope2 * tl.abs(columns - rows - (nk - nq)).to(tl.float32)
    if not MASKED:
        return _logistic(z, RECIPROCALS)
    offset = columns - rows - (nk - nq)
    seen = (rows < nq) & (columns < length) & (offset >= -left) & (offset <= right)
    # Selected after the activation, so that a NaN under the mask stays there.
    return tl.where(seen, _logistic(z, RECIPROCALS), 0.0)


@triton.jit
def _load(
    pointer, rows, columns, row_stride, column_stride, row_count, column_count,
    MASKED: tl.constexpr = True, EVEN: tl.constexpr = False,
):  # fmt: skip
    """A block of a matrix; what lies outside it is 0 and is not read. Rows may only be outside where MASKED, columns where
    not EVEN."""
    where = rows.to(tl.int64)[:, None] * row_stride + columns[None, :] * column_stride
    if MASKED:
        inside = (rows < row_count)[:, None] & (columns < column_count)[None, :]
        return tl.load(pointer + where, mask=inside, other=0.0)
    if EVEN:
        return tl.load(pointer + where)
    return tl.load(pointer + where, mask=(columns < column_count)[None, :], other=0.0)


@triton.jit
def _whole_blocks(first, last, low, high, BLOCK: tl.constexpr):
    """The blocks from ``first`` to ``last`` that lie within ``low`` to ``high``, where nothing is masked: their ends."""
    inner_first = tl.minimum(tl.maximum(tl.cdiv(tl.maximum(low, 0), BLOCK) * BLOCK, first), tl.maximum(last, first))
    inner_last = tl.maximum(tl.minimum(tl.maximum(high, 0) // BLOCK * BLOCK, last), inner_first)
    return inner_first, inner_last


@triton.jit
def _store(pointer, values, rows, columns, row_stride, column_stride, row_count, column_count):
    inside = (rows < row_count)[:, None] & (columns < column_count)[None, :]
    where = rows.to(tl.int64)[:, None] * row_stride + columns[None, :] * column_stride
    tl.store(pointer + where, values.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def _sequence(First, first_stride, Second, second_stride, Edges, b):
    """Two packed arrays from where sequence ``b`` begins in both, and its length."""
    start = tl.load(Edges + b).to(tl.int64)
    return First + start * first_stride, Second + start * second_stride, tl.load(Edges + b + 1) - start.to(tl.int32)


@triton.jit
def _forward_step(
    total, q, K, V, start, rows, dims, value_dims, k_n, k_d, v_n, v_d, nq, nk, length, d, dv,
    scale2, bias2, slope2, left, right, HAS_SLOPES: tl.constexpr, MASKED: tl.constexpr, EVEN: tl.constexpr,
    RECIPROCALS: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    columns = start + tl.arange(0, BLOCK_N)
    k = _load(K, columns, dims, k_n, k_d, length, d, MASKED, EVEN)
    v = _load(V, columns, value_dims, v_n, v_d, length, dv, MASKED, EVEN)
    products = tl.dot(q, tl.trans(k), input_precision="ieee")
    p = _weights(
        products, rows[:, None], columns[None, :], nq, nk, length, scale2, bias2, slope2, left, right,
        HAS_SLOPES, MASKED, RECIPROCALS,
    )  # fmt: skip
    return tl.dot(p.to(v.dtype), v, total, input_precision="ieee")


@triton.jit
def forward_kernel(
    Q, K, V, O, Slopes, Bias, Lengths, CuQ, CuK,
    q_b, q_h, q_n, q_d, k_b, k_h, k_n, k_d, v_b, v_h, v_n, v_d, o_b, o_h, o_n, o_d, slopes_b,
    blocks, heads, group, nq, nk, d, dv, scale2, bias2, left, right,
    HAS_SLOPES: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_LENGTHS: tl.constexpr, PACKED: tl.constexpr,
    EVEN: tl.constexpr, SPLIT: tl.constexpr, RECIPROCALS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head, against every key that any of them may see."""
    block, b, h = _place(blocks, heads)
    length, slope2 = nk, 0.0
    if HAS_SLOPES:
        slope2 = tl.load(Slopes + b * slopes_b + h) * 1.4426950408889634
    if HAS_BIAS:
        bias2 = tl.load(Bias).to(tl.float32) * 1.4426950408889634
    if HAS_LENGTHS:
        length = tl.load(Lengths + b)
    if PACKED:
        Q, O, nq = _sequence(Q, q_n, O, o_n, CuQ, b)
        K, V, nk = _sequence(K, k_n, V, v_n, CuK, b)
        length, b = nk, tl.zeros_like(b)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    dims, value_dims = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_DV)
    k_base = K + b * k_b + h // group * k_h
    v_base = V + b * v_b + h // group * v_h
    q = _load(Q + b * q_b + h * q_h, rows, dims, q_n, q_d, nq, d)
    position = block * BLOCK_M + nk - nq
    first = tl.maximum(position - left, 0) // BLOCK_N * BLOCK_N
    last = tl.minimum(length, tl.maximum(position + BLOCK_M + right, 0))
    total = tl.zeros([BLOCK_M, BLOCK_DV], dtype=tl.float32)
    inner_first, inner_last = last, last
    if SPLIT:
        inner_first, inner_last = _whole_blocks(
            first, last, position + BLOCK_M - 1 - left, tl.minimum(length, position + right + 1), BLOCK_N
        )
    # Three loops: at the left edge of what is seen, within it, where no pair needs a mask, and at the right edge.
    for start in range(first, inner_first, BLOCK_N):
        total = _forward_step(
            total, q, k_base, v_base, start, rows, dims, value_dims, k_n, k_d, v_n, v_d, nq, nk, length, d, dv,
            scale2, bias2, slope2, left, right, HAS_SLOPES, True, EVEN, RECIPROCALS, BLOCK_N,
        )  # fmt: skip
    if SPLIT:
        for start in range(inner_first, inner_last, BLOCK_N):
            total = _forward_step(
                total, q, k_base, v_base, start, rows, dims, value_dims, k_n, k_d, v_n, v_d, nq, nk, length, d, dv,
                scale2, bias2, slope2, left, right, HAS_SLOPES, False, EVEN, RECIPROCALS, BLOCK_N,
            )  # fmt: skip
        for start in range(inner_last, last, BLOCK_N):
            total = _forward_step(
                total, q, k_base, v_base, start, rows, dims, value_dims, k_n, k_d, v_n, v_d, nq, nk, length, d, dv,
                scale2, bias2, slope2, left, right, HAS_SLOPES, True, EVEN, RECIPROCALS, BLOCK_N,
            )  # fmt: skip
    _store(O + b * o_b + h * o_h, total, rows, value_dims, o_n, o_d, nq, dv)


@triton.jit
def _query_gradient_step(
    dq, row_sum, row_reach, q, g, K, V, start, rows, dims, value_dims, k_n, k_d, v_n, v_d, nq, nk, length, d, dv,
    scale2, bias2, slope2, left, right, HAS_SLOPES: tl.constexpr, MASKED: tl.constexpr, EVEN: tl.constexpr,
    RECIPROCALS: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    columns = start + tl.arange(0, BLOCK_N)
    k = _load(K, columns, dims, k_n, k_d, length, d, MASKED, EVEN)
    v = _load(V, columns, value_dims, v_n, v_d, length, dv, MASKED, EVEN)
    products = tl.dot(q, tl.trans(k), input_precision="ieee")
    p = _weights(
        products, rows[:, None], columns[None, :], nq, nk, length, scale2, bias2, slope2, left, right,
        HAS_SLOPES, MASKED, RECIPROCALS,
    )  # fmt: skip
    ds = p * (1.0 - p) * tl.dot(g, tl.trans(v), input_precision="ieee")
    dq = tl.dot(ds.to(k.dtype), k, dq, input_precision="ieee")
    row_sum += tl.sum(ds, 1)
    if HAS_SLOPES:
        away = tl.abs(columns[None, :] - rows[:, None] - (nk - nq)).to(tl.float32)
        row_reach += tl.sum(ds * away, 1)
    return dq, row_sum, row_reach


@triton.jit
def query_gradient_kernel(  # noqa: C901  (loops written out for masked and whole blocks: a call would cost registers)
    Q, K, V, G, DQ, Slopes, Bias, Lengths, CuQ, CuK, RowSum, RowReach,
    q_b, q_h, q_n, q_d, k_b, k_h, k_n, k_d, v_b, v_h, v_n, v_d, g_b, g_h, g_n, g_d, dq_b, dq_h, dq_n, dq_d, slopes_b,
    blocks, heads, group, nq, nk, d, dv, scale, scale2, bias2, left, right,
    HAS_SLOPES: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_LENGTHS: tl.constexpr, PACKED: tl.constexpr,
    EVEN: tl.constexpr, SPLIT: tl.constexpr, RECIPROCALS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
):  # fmt: skip
    """dQ of one block of queries; beside it the row sums of dS, and of dS times distance, for bias and slopes."""
    block, b, h = _place(blocks, heads)
    length, slope2 = nk, 0.0
    sums = (b * heads + h) * nq
    if HAS_SLOPES:
        slope2 = tl.load(Slopes + b * slopes_b + h) * 1.4426950408889634
    if HAS_BIAS:
        bias2 = tl.load(Bias).to(tl.float32) * 1.4426950408889634
    if HAS_LENGTHS:
        length = tl.load(Lengths + b)
    if PACKED:
        G += tl.load(CuQ + b).to(tl.int64) * g_n
        sums = h * nq + tl.load(CuQ + b)
        Q, DQ, nq = _sequence(Q, q_n, DQ, dq_n, CuQ, b)
        K, V, nk = _sequence(K, k_n, V, v_n, CuK, b)
        length, b = nk, tl.zeros_like(b)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    dims, value_dims = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_DV)
    k_base = K + b * k_b + h // group * k_h
    v_base = V + b * v_b + h // group * v_h
    q = _load(Q + b * q_b + h * q_h, rows, dims, q_n, q_d, nq, d)
    g = _load(G + b * g_b + h * g_h, rows, value_dims, g_n, g_d, nq, dv)
    position = block * BLOCK_M + nk - nq
    first = tl.maximum(position - left, 0) // BLOCK_N * BLOCK_N
    last = tl.minimum(length, tl.maximum(position + BLOCK_M + right, 0))
    dq = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    row_sum = tl.zeros([BLOCK_M], dtype=tl.float32)
    row_reach = tl.zeros([BLOCK_M], dtype=tl.float32)
    inner_first, inner_last = last, last
    if SPLIT:
        inner_first, inner_last = _whole_blocks(
            first, last, position + BLOCK_M - 1 - left, tl.minimum(length, position + right + 1), BLOCK_N
        )
    for start in range(first, inner_first, BLOCK_N):
        dq, row_sum, row_reach = _query_gradient_step(
            dq, row_sum, row_reach, q, g, k_base, v_base, start, rows, dims, value_dims, k_n, k_d, v_n, v_d,
            nq, nk, length, d, dv, scale2, bias2, slope2, left, right, HAS_SLOPES, True, EVEN, RECIPROCALS, BLOCK_N,
        )  # fmt: skip
    if SPLIT:
        for start in range(inner_first, inner_last, BLOCK_N):
            dq, row_sum, row_reach = _query_gradient_step(
                dq, row_sum, row_reach, q, g, k_base, v_base, start, rows, dims, value_dims, k_n, k_d, v_n, v_d,
                nq, nk, length, d, dv, scale2, bias2, slope2, left, right, HAS_SLOPES, False, EVEN, RECIPROCALS, BLOCK_N,
            )  # fmt: skip
        for start in range(inner_last, last, BLOCK_N):
            dq, row_sum, row_reach = _query_gradient_step(
                dq, row_sum, row_reach, q, g, k_base, v_base, start, rows, dims, value_dims, k_n, k_d, v_n, v_d,
                nq, nk, length, d, dv, scale2, bias2, slope2, left, right, HAS_SLOPES, True, EVEN, RECIPROCALS, BLOCK_N,
            )  # fmt: skip
    _store(DQ + b * dq_b + h * dq_h, dq * scale, rows, dims, dq_n, dq_d, nq, d)
    tl.store(RowSum + sums + rows, row_sum, mask=rows < nq)
    if HAS_SLOPES:
        tl.store(RowReach + sums + rows, row_reach, mask=rows < nq)


@triton.jit
def _key_gradient_step(
    dk, dv_total, k, v, Q, G, start, columns, dims, value_dims, q_n, q_d, g_n, g_d, nq, nk, length, d, dv,
    scale2, bias2, slope2, left, right, HAS_SLOPES: tl.constexpr, MASKED: tl.constexpr, EVEN: tl.constexpr,
    RECIPROCALS: tl.constexpr, KEYS: tl.constexpr, VALUES: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    rows = start + tl.arange(0, BLOCK_M)
    q = _load(Q, rows, dims, q_n, q_d, nq, d, MASKED, EVEN)
    g = _load(G, rows, value_dims, g_n, g_d, nq, dv, MASKED, EVEN)
    products = tl.dot(k, tl.trans(q), input_precision="ieee")
    p = _weights(
        products, rows[None, :], columns[:, None], nq, nk, length, scale2, bias2, slope2, left, right,
        HAS_SLOPES, MASKED, RECIPROCALS,
    )  # fmt: skip
    if VALUES:
        dv_total = tl.dot(p.to(g.dtype), g, dv_total, input_precision="ieee")
    if KEYS:
        ds = p * (1.0 - p) * tl.dot(v, tl.trans(g), input_precision="ieee")
        dk = tl.dot(ds.to(q.dtype), q, dk, input_precision="ieee")
    return dk, dv_total


@triton.jit
def key_gradient_kernel(  # noqa: C901  (likewise)
    Q, K, V, G, DK, DV, Slopes, Bias, Lengths, CuQ, CuK,
    q_b, q_h, q_n, q_d, k_b, k_h, k_n, k_d, v_b, v_h, v_n, v_d, g_b, g_h, g_n, g_d,
    dk_b, dk_h, dk_n, dk_d, dv_b, dv_h, dv_n, dv_d, slopes_b,
    blocks, key_heads, group, nq, nk, d, dv, scale, scale2, bias2, left, right,
    HAS_SLOPES: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_LENGTHS: tl.constexpr, PACKED: tl.constexpr,
    EVEN: tl.constexpr, SPLIT: tl.constexpr, RECIPROCALS: tl.constexpr,
    KEYS: tl.constexpr, VALUES: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
):  # fmt: skip
    """dK and dV of one block of keys, or one of the two, summed in float32 over all query heads that share it."""
    block, b, key_head = _place(blocks, key_heads)
    columns = block * BLOCK_N + tl.arange(0, BLOCK_N)
    dims, value_dims = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_DV)
    length, slope2 = nk, 0.0
    slopes = b * slopes_b
    if HAS_BIAS:
        bias2 = tl.load(Bias).to(tl.float32) * 1.4426950408889634
    if HAS_LENGTHS:
        length = tl.load(Lengths + b)
    if PACKED:
        DK += tl.load(CuK + b).to(tl.int64) * dk_n
        DV += tl.load(CuK + b).to(tl.int64) * dv_n
        Q, G, nq = _sequence(Q, q_n, G, g_n, CuQ, b)
        K, V, nk = _sequence(K, k_n, V, v_n, CuK, b)
        length, b = nk, tl.zeros_like(b)
    k = _load(K + b * k_b + key_head * k_h, columns, dims, k_n, k_d, length, d)
    v = _load(V + b * v_b + key_head * v_h, columns, value_dims, v_n, v_d, length, dv)
    # The queries that may see this block: position within [column - right, column + left].
    position = block * BLOCK_N - (nk - nq)
    first = tl.maximum(position - right, 0) // BLOCK_M * BLOCK_M
    last = tl.minimum(nq, tl.maximum(position + BLOCK_N + left, 0))
    # Of these, the blocks whose every query sees every key of this one; none where keys run past the length.
    high = tl.where(block * BLOCK_N + BLOCK_N <= length, tl.minimum(nq, position + left + 1), 0)
    inner_first, inner_last = last, last
    if SPLIT:
        inner_first, inner_last = _whole_blocks(first, last, position + BLOCK_N - 1 - right, high, BLOCK_M)
    dk = tl.zeros([BLOCK_N, BLOCK_D], dtype=tl.float32)
    dv_total = tl.zeros([BLOCK_N, BLOCK_DV], dtype=tl.float32)
    for member in range(0, group):
        h = key_head * group + member
        if HAS_SLOPES:
            slope2 = tl.load(Slopes + slopes + h) * 1.4426950408889634
        for start in range(first, inner_first, BLOCK_M):
            dk, dv_total = _key_gradient_step(
                dk, dv_total, k, v, Q + b * q_b + h * q_h, G + b * g_b + h * g_h, start, columns, dims, value_dims,
                q_n, q_d, g_n, g_d, nq, nk, length, d, dv, scale2, bias2, slope2, left, right,
                HAS_SLOPES, True, EVEN, RECIPROCALS, KEYS, VALUES, BLOCK_M,
            )  # fmt: skip
        if SPLIT:
            for start in range(inner_first, inner_last, BLOCK_M):
                dk, dv_total = _key_gradient_step(
                    dk, dv_total, k, v, Q + b * q_b + h * q_h, G + b * g_b + h * g_h, start, columns, dims, value_dims,
                    q_n, q_d, g_n, g_d, nq, nk, length, d, dv, scale2, bias2, slope2, left, right,
                    HAS_SLOPES, False, EVEN, RECIPROCALS, KEYS, VALUES, BLOCK_M,
                )  # fmt: skip
            for start in range(inner_last, last, BLOCK_M):
                dk, dv_total = _key_gradient_step(
                    dk, dv_total, k, v, Q + b * q_b + h * q_h, G + b * g_b + h * g_h, start, columns, dims, value_dims,
                    q_n, q_d, g_n, g_d, nq, nk, length, d, dv, scale2, bias2, slope2, left, right,
                    HAS_SLOPES, True, EVEN, RECIPROCALS, KEYS, VALUES, BLOCK_M,
                )  # fmt: skip
    if KEYS:
        _store(DK + b * dk_b + key_head * dk_h, dk * scale, columns, dims, dk_n, dk_d, nk, d)
    if VALUES:
        _store(DV + b * dv_b + key_head * dv_h, dv_total, columns, value_dims, dv_n, dv_d, nk, dv)


def forward(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """The output, (B, H, Nq, Dv), in q's dtype."""
    require(q)
    out = torch.empty((*q.shape[:3], v.shape[3]), dtype=q.dtype, device=q.device)
    shape = _Shape.of(q, k, v, options)
    meta = launch_options(q.dtype, shape.d, shape.dv, kernel="forward")
    blocks = triton.cdiv(shape.longest_q, meta["BLOCK_M"])
    with torch.cuda.device_of(q):  # Triton launches on the current device, whatever the tensors are on
        forward_kernel[(blocks * shape.rows * shape.heads,)](
            q, k, v, out, *pointers(q, options),
            *q.stride(), *k.stride(), *v.stride(), *out.stride(), slope_stride(options),
            blocks, shape.heads, shape.group, shape.nq, shape.nk, shape.d, shape.dv,
            *scores_of_base_2(q, options), options.left, options.right, **_flags(options), **meta,
        )  # fmt: skip
    return out


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, wants_bias: bool, wants_slopes: bool
) -> GradientTensors:
    """Gradients of q, k, v, and of bias and slopes where they are wanted."""
    require(q)
    dq, row_sum, row_reach = query_gradient(grad, q, k, v, options)
    dk, dvalue = key_gradients(grad, q, k, v, options)
    bias, slopes = options.bias, options.alibi_slopes
    nothing = q.new_empty(0)
    dbias = row_sum.sum().to(bias.dtype).reshape(bias.shape) if wants_bias and isinstance(bias, Tensor) else nothing
    dslopes = nothing.clone()
    if wants_slopes and slopes is not None:
        dslopes = _slope_gradient(row_reach, options).to(slopes.dtype)
    return dq, dk, dvalue, dbias, dslopes


def query_gradient(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> tuple[Tensor, Tensor, Tensor]:
    """dQ, and of each query (float32) the sums of score gradients and of these times distance, which needs slopes."""
    shape = _Shape.of(q, k, v, options)
    dq = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    row_sum = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    row_reach = torch.empty_like(row_sum) if options.alibi_slopes is not None else row_sum
    meta = launch_options(q.dtype, shape.d, shape.dv, kernel="query")
    blocks = triton.cdiv(shape.longest_q, meta["BLOCK_M"])
    with torch.cuda.device_of(q):
        query_gradient_kernel[(blocks * shape.rows * shape.heads,)](
            q, k, v, grad, dq, *pointers(q, options), row_sum, row_reach,
            *q.stride(), *k.stride(), *v.stride(), *grad.stride(), *dq.stride(), slope_stride(options),
            blocks, shape.heads, shape.group, *_numbers(shape, q, options), **_flags(options), **meta,
        )  # fmt: skip
    return dq, row_sum, row_reach


def key_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, parts: tuple[str, ...] | None = None
) -> tuple[Tensor, Tensor]:
    """dK and dV, by the launches that `key_parts` names; by some of them alone, with nothing in what only the others write."""
    shape = _Shape.of(q, k, v, options)
    dk, dvalue = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (k, v))
    for part in key_parts(shape.d, shape.dv) if parts is None else parts:
        meta = launch_options(q.dtype, shape.d, shape.dv, kernel=part)
        blocks = triton.cdiv(shape.longest_k, meta["BLOCK_N"])
        with torch.cuda.device_of(q):
            key_gradient_kernel[(blocks * shape.rows * k.shape[1],)](
                q, k, v, grad, dk, dvalue, *pointers(q, options),
                *q.stride(), *k.stride(), *v.stride(), *grad.stride(), *dk.stride(), *dvalue.stride(), slope_stride(options),
                blocks, k.shape[1], shape.group, *_numbers(shape, q, options), **_flags(options), **meta,
            )  # fmt: skip
    return dk, dvalue


def _slope_gradient(row_reach: Tensor, options: AttentionOptions) -> Tensor:
    if not options.slopes_by_row:
        return -row_reach.sum(dim=(0, 2))
    if options.cu_seqlens_q is None:
        return -row_reach.sum(dim=2)
    return torch.stack([-row_reach[0, :, queries].sum(dim=1) for _, queries, _ in options.sequences()])


_attend = operator("sigmoid_attention_triton", forward, backward)


def attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """The operator on the keys that any query sees: a tile on a window's edge would load others. None is beyond a length."""
    k, v, options = without_unseen(q, k, v, options, lengths=False)
    return _attend(q, k, v, options)


attention = taking_keywords(checked(attend))
"""``sigmoid(scale q k^T + bias) v``: q (B, H, Nq, D), k (B, Hk, Nk, D), v (B, Hk, Nk, Dv), float16, bfloat16 or float32.

Any strides. Gradients for q, k, v, and for the bias and the slopes where they are tensors that ask for one. Raises Unsupported
for bfloat16 in the interpreter, which multiplies its bit patterns and truncates where hardware rounds.
"""


def require(q: Tensor) -> None:
    require_computed_loops()
    if q.dtype == torch.bfloat16 and interpreted():
        raise Unsupported("Triton's interpreter does not compute in bfloat16; it takes a CUDA device")


class _Shape(NamedTuple):
    rows: int
    heads: int
    group: int
    nq: int
    nk: int
    d: int
    dv: int
    longest_q: int
    longest_k: int

    @classmethod
    def of(cls, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> _Shape:
        rows, longest_q, longest_k = q.shape[0], q.shape[2], k.shape[2]
        if options.cu_seqlens_q is not None:
            edges_of_both = options.cu_seqlens_q, options.cu_seqlens_k
            rows = options.cu_seqlens_q.numel() - 1
            # Reading lengths off the device would end a graph's capture: then as if one sequence were all.
            if not (q.is_cuda and torch.cuda.is_current_stream_capturing()):
                longest_q, longest_k = (int(edges.diff().max()) for edges in edges_of_both)
        heads = q.shape[1]
        return cls(rows, heads, heads // k.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3], longest_q, longest_k)


def scores_of_base_2(q: Tensor, options: AttentionOptions) -> tuple[float, float]:
    """Scale and bias, the latter 0 where it is a tensor."""
    bias = 0.0 if isinstance(options.bias, Tensor) else options.bias
    return options.scale_for(q.shape[3]) * LOG2_E, bias * LOG2_E


def _numbers(shape: _Shape, q: Tensor, options: AttentionOptions) -> tuple[float, ...]:
    """What the kernels of the gradients take from ``nq`` to ``right``."""
    sizes = (shape.nq, shape.nk, shape.d, shape.dv)
    return *sizes, options.scale_for(shape.d), *scores_of_base_2(q, options), options.left, options.right


def _flags(options: AttentionOptions) -> dict[str, bool]:
    return {
        "HAS_SLOPES": options.alibi_slopes is not None,
        "HAS_BIAS": isinstance(options.bias, Tensor),
        "HAS_LENGTHS": options.key_lengths is not None,
        "PACKED": options.cu_seqlens_q is not None,
    }


def pointers(q: Tensor, options: AttentionOptions) -> tuple[Tensor, ...]:
    """Slopes, bias, lengths, edges of packed queries and of keys; q stands in for one that is not given, and is not read."""
    bias = options.bias if isinstance(options.bias, Tensor) else None
    slopes = None if options.alibi_slopes is None else options.alibi_slopes.float()
    given = (slopes, bias, options.key_lengths, options.cu_seqlens_q, options.cu_seqlens_k)
    return tuple(q if tensor is None else tensor.contiguous() for tensor in given)


def slope_stride(options: AttentionOptions) -> int:
    """Elements between the slopes of one batch row, or packed sequence, and the next."""
    return int(options.alibi_slopes.shape[1]) if options.slopes_by_row else 0


def key_parts(d: int, dv: int) -> tuple[str, ...]:
    """The launches for dK and dV: one, or one each where both sums together are more than the registers hold."""
    return ("key",) if max(d, dv) <= 128 else ("keys", "values")


CHANGES: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("changes", default=MappingProxyType({}))


@contextlib.contextmanager
def changed(change: Mapping[str, Any]) -> Iterator[None]:
    """Within, launch options have these values instead of their own, in this thread: for whoever tries others."""
    token = CHANGES.set(change)
    try:
        yield
    finally:
        CHANGES.reset(token)


def launch_options(dtype: torch.dtype, d: int, dv: int, *, kernel: str) -> dict[str, Any]:
    """Block sizes and warps for ``forward``, ``query`` or ``key`` (the gradients; see `key_parts`), chosen by what the
    compiler makes of them.

    They fit a Hopper's shared memory and registers; tools.attention_sass shows it. Dims go up to a power of two.
    ``SPLIT`` leaves the mask out of the blocks that need none, in a loop of their own, where registers suffice for it.
    """
    block_d, block_dv = max(16, triton.next_power_of_2(d)), max(16, triton.next_power_of_2(dv))
    widest = max(block_d, block_dv)
    of_keys = kernel not in ("forward", "query")
    if interpreted():
        block_m, block_n, warps, stages, split, reciprocals = 64, 64, 4, 2, True, 1
    elif dtype == torch.float32:
        block_m, block_n, warps, stages, split = _FLOAT32[kernel][widest]
        reciprocals = 4
    else:
        block_m, block_n, warps, stages, split, reciprocals = _HALF[kernel][max(64, widest)]
    return {
        "BLOCK_M": block_m,
        "BLOCK_N": block_n,
        "BLOCK_D": block_d,
        "BLOCK_DV": block_dv,
        "EVEN": d == block_d and dv == block_dv,
        "SPLIT": split,
        "RECIPROCALS": reciprocals,
        **({"KEYS": kernel != "values", "VALUES": kernel != "keys"} if of_keys else {}),
        "num_warps": warps,
        "num_stages": stages,
        **CHANGES.get(),
    }


# Queries and keys of a tile, warps, stages of copies, whether unmasked blocks have a loop of their own, and (16 bits) how many
# of four reciprocals are the hardware's; by head dim.
_HALF = {
    "forward": {64: (128, 64, 4, 3, True, 1), 128: (128, 128, 8, 2, True, 1), 256: (128, 64, 8, 2, True, 4)},
    "query": {64: (64, 64, 4, 2, True, 4), 128: (128, 64, 8, 2, True, 4), 256: (128, 32, 8, 1, False, 4)},
    "key": {64: (64, 64, 4, 2, False, 4), 128: (32, 128, 8, 2, False, 4)},
    "keys": {256: (32, 128, 8, 1, False, 4)},
    "values": {256: (32, 128, 8, 1, False, 4)},
}
_FLOAT32 = {
    "forward": {
        16: (32, 32, 4, 2, True), 32: (32, 32, 4, 3, True), 64: (32, 32, 4, 3, True), 128: (32, 32, 4, 3, True),
        256: (32, 32, 8, 2, True),
    },
    "query": {
        16: (32, 32, 4, 2, True), 32: (32, 32, 4, 2, True), 64: (32, 32, 4, 2, False), 128: (32, 32, 8, 1, False),
        256: (32, 32, 16, 1, False),
    },
    "key": {
        16: (32, 32, 4, 2, False), 32: (16, 32, 4, 2, False), 64: (16, 32, 4, 2, False), 128: (16, 32, 8, 1, False),
    },
    "keys": {256: (32, 32, 16, 1, False)},
    "values": {256: (32, 32, 8, 1, False)},
}  # fmt: skip
