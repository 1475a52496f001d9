"""Sigmoid attention for Hopper, forward and backward: one warp group copies by the bulk engine, two multiply.

Three kernels: the output; dQ of a block of queries; dK and dV of a block of keys. Each is one loop that Triton specialises
(``warp_specialize``), in the form that its compiler takes (3.6 and 3.7):

- One loop only, and nothing conditional in or after it: a second loop ends the compilation, an ``if`` ends the
  specialisation. So a loop over the heads of a group and over blocks of queries is one loop over both.
- A mask in the loop costs six instructions for each score. So the loop runs over the blocks in which everything is seen, and
  ``PEELED`` steps after it, written out, over those on the diagonal of a causal mask and at the end of a sequence. (Steps
  before the loop end the compilation.) With ``PEELED`` 0 the mask is in the loop: where the blocks do not meet the diagonal,
  and where a group of heads has more diagonals than can be written out.
- Copies fill what lies outside a sequence with zeros. It is masked all the same: zero times an infinite query is NaN.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

from impls.sigmoid_attention.triton_kernels import _logistic
from impls.triton_support import load_triton

triton = load_triton()
import triton.language as tl  # noqa: E402


@triton.jit
def _matrix(pointer, rows, row_stride, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr):
    """A head's matrix, of which blocks of rows are copied."""
    return tl.make_tensor_descriptor(pointer, [rows, BLOCK_D], [row_stride, 1], [BLOCK, BLOCK_D])


@triton.jit
def _head_weights(
    products, rows, columns, seen, scale2, bias2, slope2,
    HAS_SLOPES: tl.constexpr, MASKED: tl.constexpr, RECIPROCALS: tl.constexpr,
):  # fmt: skip
    """Weights of a block of scores. ``rows``: where the queries stand among the keys. Either axis may be the first."""
    z = products * -scale2 - bias2
    if HAS_SLOPES:
        # In float32, which holds a distance exactly up to 2^24: a difference and a fused multiply-add for each score.
        z += slope2 * tl.abs(columns.to(tl.float32) - rows.to(tl.float32))
    p = _logistic(z, RECIPROCALS)
    if MASKED:
        p = tl.where(seen, p, 0.0)
    return p


@triton.jit
def _constants(Bias, Slopes, bias2, head, slopes_b, b, HAS_BIAS: tl.constexpr, HAS_SLOPES: tl.constexpr):
    slope2 = 0.0
    if HAS_BIAS:
        bias2 = tl.load(Bias).to(tl.float32) * 1.4426950408889634
    if HAS_SLOPES:
        slope2 = tl.load(Slopes + b * slopes_b + head) * 1.4426950408889634
    return bias2, slope2


@triton.jit
def _ends(first, rows, nk, nq, CAUSAL: tl.constexpr, PEELED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """For each query of a block, before which key what it sees ends; and before which key the loop ends."""
    ends = tl.full([BLOCK_M], 0, tl.int32) + nk
    last = nk
    if CAUSAL:
        ends = tl.minimum(ends, rows + 1)
        # What the first query sees is seen by all.
        last = tl.minimum(nk, tl.maximum(first + nk - nq + (1 if PEELED > 0 else BLOCK_M), 0))
    if PEELED > 0:
        last = last // BLOCK_N * BLOCK_N
    return ends, last


@triton.jit
def _output_step(
    total, q, k_rows, v_rows, start, rows, ends, scale2, bias2, slope2,
    HAS_SLOPES: tl.constexpr, MASKED: tl.constexpr, RECIPROCALS: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    k = k_rows.load([start, 0])
    columns = start + tl.arange(0, BLOCK_N)
    p = _head_weights(
        tl.dot(q, k.T), rows[:, None], columns[None, :], columns[None, :] < ends[:, None], scale2, bias2, slope2,
        HAS_SLOPES, MASKED, RECIPROCALS,
    )  # fmt: skip
    v = v_rows.load([start, 0])
    return tl.dot(p.to(v.dtype), v, total)


@triton.jit
def hopper_forward_kernel(
    Q, K, V, O, Slopes, Bias,
    q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, o_b, o_h, o_n, slopes_b,
    heads, group, nq, nk, scale2, bias2,
    HAS_SLOPES: tl.constexpr, HAS_BIAS: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr, PEELED: tl.constexpr,
    SPECIALISED: tl.constexpr, RECIPROCALS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head against its keys; the longest rows of a causal mask are begun first."""
    blocks = tl.cdiv(nq, BLOCK_M)
    head = tl.program_id(0) // blocks
    b, h = (head // heads).to(tl.int64), (head % heads).to(tl.int64)
    block = tl.program_id(0) % blocks
    first = (blocks - 1 - block if CAUSAL else block) * BLOCK_M
    q_rows = _matrix(Q + b * q_b + h * q_h, nq, q_n, BLOCK_M, BLOCK_D)
    k_rows = _matrix(K + b * k_b + h // group * k_h, nk, k_n, BLOCK_N, BLOCK_D)
    v_rows = _matrix(V + b * v_b + h // group * v_h, nk, v_n, BLOCK_N, BLOCK_D)
    o_rows = _matrix(O + b * o_b + h * o_h, nq, o_n, BLOCK_M, BLOCK_D)
    bias2, slope2 = _constants(Bias, Slopes, bias2, h, slopes_b, b, HAS_BIAS, HAS_SLOPES)
    rows = first + tl.arange(0, BLOCK_M) + nk - nq
    ends, last = _ends(first, rows, nk, nq, CAUSAL, PEELED, BLOCK_M, BLOCK_N)
    q = q_rows.load([first, 0])
    total = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    for start in tl.range(0, last, BLOCK_N, warp_specialize=SPECIALISED):
        total = _output_step(
            total, q, k_rows, v_rows, start, rows, ends, scale2, bias2, slope2,
            HAS_SLOPES, MASKED and PEELED == 0, RECIPROCALS, BLOCK_N,
        )  # fmt: skip
    for step in tl.static_range(PEELED):
        total = _output_step(
            total, q, k_rows, v_rows, last + step * BLOCK_N, rows, ends, scale2, bias2, slope2,
            HAS_SLOPES, True, RECIPROCALS, BLOCK_N,
        )  # fmt: skip
    o_rows.store([first, 0], total.to(O.dtype.element_ty))


@triton.jit
def _hopper_query_step(
    dq, q, g, k_rows, v_rows, start, rows, ends, scale2, bias2, slope2,
    HAS_SLOPES: tl.constexpr, MASKED: tl.constexpr, RECIPROCALS: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    k = k_rows.load([start, 0])
    v = v_rows.load([start, 0])
    columns = start + tl.arange(0, BLOCK_N)
    products = tl.dot(q, k.T)
    dp = tl.dot(g, v.T)
    p = _head_weights(
        products, rows[:, None], columns[None, :], columns[None, :] < ends[:, None], scale2, bias2, slope2,
        HAS_SLOPES, MASKED, RECIPROCALS,
    )  # fmt: skip
    return tl.dot(((p - p * p) * dp).to(k.dtype), k, dq)


@triton.jit
def hopper_query_kernel(
    Q, K, V, G, DQ, Slopes, Bias,
    q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, g_b, g_h, g_n, dq_b, dq_h, dq_n, slopes_b,
    heads, group, nq, nk, scale, scale2, bias2,
    HAS_SLOPES: tl.constexpr, HAS_BIAS: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr, PEELED: tl.constexpr,
    SPECIALISED: tl.constexpr, RECIPROCALS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """dQ of one block of queries of one head."""
    blocks = tl.cdiv(nq, BLOCK_M)
    head = tl.program_id(0) // blocks
    b, h = (head // heads).to(tl.int64), (head % heads).to(tl.int64)
    block = tl.program_id(0) % blocks
    first = (blocks - 1 - block if CAUSAL else block) * BLOCK_M
    q_rows = _matrix(Q + b * q_b + h * q_h, nq, q_n, BLOCK_M, BLOCK_D)
    g_rows = _matrix(G + b * g_b + h * g_h, nq, g_n, BLOCK_M, BLOCK_D)
    k_rows = _matrix(K + b * k_b + h // group * k_h, nk, k_n, BLOCK_N, BLOCK_D)
    v_rows = _matrix(V + b * v_b + h // group * v_h, nk, v_n, BLOCK_N, BLOCK_D)
    dq_rows = _matrix(DQ + b * dq_b + h * dq_h, nq, dq_n, BLOCK_M, BLOCK_D)
    bias2, slope2 = _constants(Bias, Slopes, bias2, h, slopes_b, b, HAS_BIAS, HAS_SLOPES)
    rows = first + tl.arange(0, BLOCK_M) + nk - nq
    ends, last = _ends(first, rows, nk, nq, CAUSAL, PEELED, BLOCK_M, BLOCK_N)
    q = q_rows.load([first, 0])
    g = g_rows.load([first, 0])
    dq = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    for start in tl.range(0, last, BLOCK_N, warp_specialize=SPECIALISED):
        dq = _hopper_query_step(
            dq, q, g, k_rows, v_rows, start, rows, ends, scale2, bias2, slope2,
            HAS_SLOPES, MASKED and PEELED == 0, RECIPROCALS, BLOCK_N,
        )  # fmt: skip
    for step in tl.static_range(PEELED):
        dq = _hopper_query_step(
            dq, q, g, k_rows, v_rows, last + step * BLOCK_N, rows, ends, scale2, bias2, slope2,
            HAS_SLOPES, True, RECIPROCALS, BLOCK_N,
        )  # fmt: skip
    dq_rows.store([first, 0], (dq * scale).to(DQ.dtype.element_ty))


@triton.jit
def _hopper_key_step(
    dk, dv, k, v, q_rows, g_rows, h, start, columns, nq, offset, scale2, bias2, slope2,
    HAS_SLOPES: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr, RECIPROCALS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Transposed, so that weights and score gradients leave one product's registers for the next one's."""
    q = q_rows.load([h, start, 0]).reshape(BLOCK_M, BLOCK_D)
    g = g_rows.load([h, start, 0]).reshape(BLOCK_M, BLOCK_D)
    queries = start + tl.arange(0, BLOCK_M)
    rows = queries + offset
    seen = (queries < nq)[None, :]
    if CAUSAL:
        seen = seen & (columns[:, None] <= rows[None, :])
    products = tl.dot(k, q.T)
    p = _head_weights(products, rows[None, :], columns[:, None], seen, scale2, bias2, slope2, HAS_SLOPES, MASKED, RECIPROCALS)
    dp = tl.dot(v, g.T)
    dv = tl.dot(p.to(g.dtype), g, dv)
    dk = tl.dot(((p - p * p) * dp).to(q.dtype), q, dk)
    return dk, dv


@triton.jit
def hopper_key_kernel(
    Q, K, V, G, DK, DV, Slopes, Bias,
    q_b, q_h, q_n, k_b, k_h, k_n, v_b, v_h, v_n, g_b, g_h, g_n, dk_b, dk_h, dk_n, dv_b, dv_h, dv_n, slopes_b,
    heads, group, nq, nk, scale, scale2, bias2,
    HAS_SLOPES: tl.constexpr, HAS_BIAS: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr, PEELED: tl.constexpr,
    SPECIALISED: tl.constexpr, RECIPROCALS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """dK and dV of one block of keys, summed in float32 over the query heads that share it."""
    blocks = tl.cdiv(nk, BLOCK_N)
    key_heads = heads // group
    head = tl.program_id(0) // blocks
    b, key_head = (head // key_heads).to(tl.int64), head % key_heads
    first = tl.program_id(0) % blocks * BLOCK_N
    offset = nk - nq
    # All heads in one descriptor, since the loop goes from head to head.
    q_rows = tl.make_tensor_descriptor(Q + b * q_b, [heads, nq, BLOCK_D], [q_h, q_n, 1], [1, BLOCK_M, BLOCK_D])
    g_rows = tl.make_tensor_descriptor(G + b * g_b, [heads, nq, BLOCK_D], [g_h, g_n, 1], [1, BLOCK_M, BLOCK_D])
    far = key_head.to(tl.int64)
    k_rows = _matrix(K + b * k_b + far * k_h, nk, k_n, BLOCK_N, BLOCK_D)
    v_rows = _matrix(V + b * v_b + far * v_h, nk, v_n, BLOCK_N, BLOCK_D)
    dk_rows = _matrix(DK + b * dk_b + far * dk_h, nk, dk_n, BLOCK_N, BLOCK_D)
    dv_rows = _matrix(DV + b * dv_b + far * dv_h, nk, dv_n, BLOCK_N, BLOCK_D)
    bias2, slope2 = _constants(Bias, Slopes, bias2, far, slopes_b, b, HAS_BIAS, HAS_SLOPES)
    columns = first + tl.arange(0, BLOCK_N)
    # The loop takes the blocks of queries from ``begin`` on, in which all is seen; the steps take those from ``edge`` on.
    begin, edge, turns = 0, 0, tl.cdiv(nq, BLOCK_M)
    if CAUSAL:
        edge = tl.maximum(first - offset, 0) // BLOCK_M * BLOCK_M
        begin = edge + PEELED * BLOCK_M
        turns = tl.cdiv(tl.maximum(nq - begin, 0), BLOCK_M)
    elif PEELED > 0:
        turns = nq // BLOCK_M
        edge = turns * BLOCK_M
    k = k_rows.load([first, 0])
    v = v_rows.load([first, 0])
    dk = tl.zeros([BLOCK_N, BLOCK_D], dtype=tl.float32)
    dv = tl.zeros([BLOCK_N, BLOCK_D], dtype=tl.float32)
    for turn in tl.range(0, turns * group, warp_specialize=SPECIALISED):
        dk, dv = _hopper_key_step(
            dk, dv, k, v, q_rows, g_rows, key_head * group + turn // turns, begin + turn % turns * BLOCK_M,
            columns, nq, offset, scale2, bias2, slope2,
            HAS_SLOPES, CAUSAL, MASKED and PEELED == 0, RECIPROCALS, BLOCK_M, BLOCK_D,
        )  # fmt: skip
    for step in tl.static_range(PEELED):
        dk, dv = _hopper_key_step(
            dk, dv, k, v, q_rows, g_rows, key_head * group, edge + step * BLOCK_M, columns, nq, offset,
            scale2, bias2, slope2, HAS_SLOPES, CAUSAL, True, RECIPROCALS, BLOCK_M, BLOCK_D,
        )  # fmt: skip
    dk_rows.store([first, 0], (dk * scale).to(DK.dtype.element_ty))
    dv_rows.store([first, 0], dv.to(DV.dtype.element_ty))
