"""The backward pass for Hopper in Gluon: five products, all gradients in one kernel. It has never run on a GPU.

One block of threads stays on each multiprocessor and takes tile after tile of 128 keys. A producer warp copies keys and values
once for each tile, and blocks of 64 queries with their output gradients through a ring. Two groups of four warps take 64 keys
each. For each block of queries a group computes, with keys as rows,

    S = K Q^T,  dP = V dO^T,  P = sigmoid(S),  dS = P (1 - P) dP,  dV += P dO,  dK += dS Q,  and  dQ += dS^T K.

P and dS leave one product's registers for the next one's. For dQ the group stores dS to shared memory, multiplies it
transposed, and has the bulk engine add the result to dQ in float32. These sums are made in the order in which groups come to
them, so that dQ may differ by roundings from run to run: who asks torch for deterministic algorithms gets other kernels.
The second product runs while weights are computed, and the one for dV while dQ's operand is made.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

from triton._C.libtriton import ir
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language._core import builtin
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)

from impls.sigmoid_attention.gluon_forward_kernel import LOG2_E, weights_of
from impls.sigmoid_attention.gluon_tiles import is_seen_whole, place, query_blocks


@builtin
def reduce_add(rows, where, source, _semantic=None):
    """Have the bulk engine add a block of shared memory to a tensor. Gluon's language has no name for it, its compiler has."""
    at = _semantic._convert_to_ir_values(where, require_i64=False)
    _semantic.builder.create_async_tma_reduce(ir.DESCRIPTOR_REDUCE_KIND.ADD, rows.handle, at, source.handle)


@gluon.jit
def _key_tile(
    tile, blocks, all_heads, key_heads, group, nq, nk, section, left, right
):  # fmt: skip
    """Where a tile is: its batch row, key head and first key, and its range of blocks of queries."""
    block, head = place(tile, blocks, all_heads, section, False)
    b = head // key_heads
    first, last = query_blocks(block * 128, block * 128 + 127, nq, nk, left, right, 64)
    return b, head % key_heads, block * 128, first, last


@gluon.jit
def _backward_producer(
    q_rows, k_rows, v_rows, g_rows, qs, gs, ks, vs, kv_full, kv_empty, q_full, q_empty, g_full, g_empty,
    tiles, blocks, all_heads, key_heads, group, nq, nk, section, left, right,
    BLOCK_D: gl.constexpr, STAGES: gl.constexpr,
):  # fmt: skip
    turn = 0
    done = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        b, kv, key, first, last = _key_tile(tile, blocks, all_heads, key_heads, group, nq, nk, section, left, right)
        for half in gl.static_range(2):
            mbarrier.wait(kv_empty.index(half), (done & 1) ^ 1)
            mbarrier.expect(kv_full.index(half), 2 * 64 * BLOCK_D * 2)
            at = key + 64 * half
            tma.async_copy_global_to_shared(
                k_rows, [b, kv, at, 0], kv_full.index(half), ks.index(half).reshape([1, 1, 64, BLOCK_D])
            )
            tma.async_copy_global_to_shared(
                v_rows, [b, kv, at, 0], kv_full.index(half), vs.index(half).reshape([1, 1, 64, BLOCK_D])
            )
        done += 1  # noqa: SIM113  (the compiler knows no enumerate)
        for member in range(0, group):
            for i in range(first, last):
                stage = turn % STAGES
                phase = ((turn // STAGES) & 1) ^ 1
                at = i * 64
                h = kv * group + member
                mbarrier.wait(q_empty.index(stage), phase)
                mbarrier.expect(q_full.index(stage), 64 * BLOCK_D * 2)
                tma.async_copy_global_to_shared(
                    q_rows, [b, h, at, 0], q_full.index(stage), qs.index(stage).reshape([1, 1, 64, BLOCK_D])
                )
                mbarrier.wait(g_empty.index(stage), phase)
                mbarrier.expect(g_full.index(stage), 64 * BLOCK_D * 2)
                tma.async_copy_global_to_shared(
                    g_rows, [b, h, at, 0], g_full.index(stage), gs.index(stage).reshape([1, 1, 64, BLOCK_D])
                )
                turn += 1


@gluon.jit
def _backward_consumer(
    dq_rows, dk_rows, dv_rows, k, v, qs, gs, ds_shared, dq_shared, kv_full, kv_empty, q_full, q_empty, g_full, g_empty,
    tiles, blocks, all_heads, key_heads, group, nq, nk, section, left, right, Slopes, Bias, slopes_b,
    scale, scale2, bias2,
    HALF: gl.constexpr, HAS_SLOPES: gl.constexpr, HAS_BIAS: gl.constexpr,
    RECIPROCALS: gl.constexpr, DTYPE: gl.constexpr, BLOCK_D: gl.constexpr, STAGES: gl.constexpr,
):  # fmt: skip
    S: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[4, 1], instr_shape=[16, 64, 16])
    D: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[4, 1], instr_shape=[16, BLOCK_D, 16])
    P: gl.constexpr = gl.DotOperandLayout(operand_index=0, parent=D, k_width=2)
    nothing = gl.zeros([64, 64], gl.float32, S)
    no_gradient = gl.zeros([64, BLOCK_D], gl.float32, D)
    if HAS_BIAS:
        bias2 = gl.load(Bias).to(gl.float32) * LOG2_E
    turn = 0
    done = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        b, kv, key, first, last = _key_tile(tile, blocks, all_heads, key_heads, group, nq, nk, section, left, right)
        key += 64 * HALF
        columns = key + gl.arange(0, 64, gl.SliceLayout(1, S))
        dk = gl.zeros([64, BLOCK_D], gl.float32, D)
        dv = gl.zeros([64, BLOCK_D], gl.float32, D)
        mbarrier.wait(kv_full, done & 1)
        for member in range(0, group):
            slope2 = 0.0
            if HAS_SLOPES:
                slope2 = gl.load(Slopes + b * slopes_b + kv * group + member) * LOG2_E
            for i in range(first, last):
                stage = turn % STAGES
                phase = (turn // STAGES) & 1
                q = qs.index(stage)
                g = gs.index(stage)
                mbarrier.wait(q_full.index(stage), phase)
                scores = warpgroup_mma(k, q.permute((1, 0)), nothing, use_acc=False, is_async=True)
                mbarrier.wait(g_full.index(stage), phase)
                dp_later = warpgroup_mma(v, g.permute((1, 0)), nothing, use_acc=False, is_async=True)
                products = warpgroup_mma_wait(1, deps=[scores])
                z = products * -scale2 - bias2
                position = i * 64 + nk - nq
                rows = position + gl.arange(0, 64, gl.SliceLayout(0, S))
                if HAS_SLOPES:
                    away = gl.expand_dims(columns.to(gl.float32), 1) - gl.expand_dims(rows.to(gl.float32), 0)
                    z += slope2 * gl.maximum(away, -away)
                p = weights_of(z, RECIPROCALS)
                if not is_seen_whole(key, key + 63, position, nk, left, right, 64):
                    ends = gl.expand_dims(gl.minimum(rows + (right + 1), nk), 0)
                    starts = gl.expand_dims(rows - left, 0)
                    inside = gl.expand_dims(rows, 0) < nk
                    at = gl.expand_dims(columns, 1)
                    p = gl.where((at < ends) & (at >= starts) & inside, p, 0.0)
                dp, p = warpgroup_mma_wait(0, deps=[dp_later, p])
                dv_later = warpgroup_mma(gl.convert_layout(p.to(DTYPE), P), g, dv, is_async=True)
                ds = ((p - p * p) * dp).to(DTYPE)
                # The last product that read this memory is done.
                ds_shared.store(ds)
                fence_async_shared()
                dk_later = warpgroup_mma(gl.convert_layout(ds, P), q, dk, is_async=True)
                dq_later = warpgroup_mma(ds_shared.permute((1, 0)), k, no_gradient, use_acc=False, is_async=True)
                tma.store_wait(0)
                dv, dk, dq = warpgroup_mma_wait(0, deps=[dv_later, dk_later, dq_later])
                mbarrier.arrive(g_empty.index(stage), count=1)
                mbarrier.arrive(q_empty.index(stage), count=1)
                dq_shared.store(dq * scale)
                fence_async_shared()
                reduce_add(dq_rows, [b, kv * group + member, i * 64, 0], dq_shared.reshape([1, 1, 64, BLOCK_D]))
                turn += 1
        done += 1  # noqa: SIM113  (likewise)
        # Nothing reads keys and values any more, whose memory the gradients leave through.
        k.store((dk * scale).to(DTYPE))
        v.store(dv.to(DTYPE))
        fence_async_shared()
        tma.async_copy_shared_to_global(dk_rows, [b, kv, key, 0], k.reshape([1, 1, 64, BLOCK_D]))
        tma.async_copy_shared_to_global(dv_rows, [b, kv, key, 0], v.reshape([1, 1, 64, BLOCK_D]))
        tma.store_wait(0)
        mbarrier.arrive(kv_empty, count=1)


# A launch makes a constant of a 1, and each constant a kernel of its own.
NUMBERS = ["slopes_b", "tiles", "blocks", "all_heads", "key_heads", "group", "nq", "nk", "section", "left", "right"]


@gluon.jit(do_not_specialize=NUMBERS)
def gluon_backward_kernel(
    q_rows, k_rows, v_rows, g_rows, dq_rows, dk_rows, dv_rows, Slopes, Bias, slopes_b,
    tiles, blocks, all_heads, key_heads, group, nq, nk, section, left, right, scale, scale2, bias2,
    HAS_SLOPES: gl.constexpr, HAS_BIAS: gl.constexpr, RECIPROCALS: gl.constexpr, BLOCK_D: gl.constexpr, STAGES: gl.constexpr,
):  # fmt: skip
    """dK and dV of all tiles, of which each program takes every ``num_programs``-th; dQ is added to what is there."""
    DTYPE: gl.constexpr = q_rows.dtype
    ROWS: gl.constexpr = gl.NVMMASharedLayout.get_default_for([64, BLOCK_D], DTYPE)
    SCORES: gl.constexpr = gl.NVMMASharedLayout.get_default_for([64, 64], DTYPE)
    SUMS: gl.constexpr = gl.NVMMASharedLayout.get_default_for([64, BLOCK_D], gl.float32)
    ks = gl.allocate_shared_memory(DTYPE, [2, 64, BLOCK_D], ROWS)
    vs = gl.allocate_shared_memory(DTYPE, [2, 64, BLOCK_D], ROWS)
    qs = gl.allocate_shared_memory(DTYPE, [STAGES, 64, BLOCK_D], ROWS)
    gs = gl.allocate_shared_memory(DTYPE, [STAGES, 64, BLOCK_D], ROWS)
    ds_shared = gl.allocate_shared_memory(DTYPE, [2, 64, 64], SCORES)
    dq_shared = gl.allocate_shared_memory(gl.float32, [2, 64, BLOCK_D], SUMS)
    kv_full = gl.allocate_shared_memory(gl.int64, [2, 1], mbarrier.MBarrierLayout())
    kv_empty = gl.allocate_shared_memory(gl.int64, [2, 1], mbarrier.MBarrierLayout())
    q_full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    q_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    g_full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    g_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    for half in gl.static_range(2):
        mbarrier.init(kv_full.index(half), count=1)
        mbarrier.init(kv_empty.index(half), count=1)
    for stage in gl.static_range(STAGES):
        mbarrier.init(q_full.index(stage), count=1)
        mbarrier.init(g_full.index(stage), count=1)
        mbarrier.init(q_empty.index(stage), count=2)
        mbarrier.init(g_empty.index(stage), count=2)
    gl.warp_specialize(
        [
            (_backward_consumer, (
                dq_rows, dk_rows, dv_rows, ks.index(0), vs.index(0), qs, gs, ds_shared.index(0), dq_shared.index(0),
                kv_full.index(0), kv_empty.index(0), q_full, q_empty, g_full, g_empty,
                tiles, blocks, all_heads, key_heads, group, nq, nk, section, left, right, Slopes, Bias, slopes_b,
                scale, scale2, bias2,
                0, HAS_SLOPES, HAS_BIAS, RECIPROCALS, DTYPE, BLOCK_D, STAGES,
            )),
            (_backward_consumer, (
                dq_rows, dk_rows, dv_rows, ks.index(1), vs.index(1), qs, gs, ds_shared.index(1), dq_shared.index(1),
                kv_full.index(1), kv_empty.index(1), q_full, q_empty, g_full, g_empty,
                tiles, blocks, all_heads, key_heads, group, nq, nk, section, left, right, Slopes, Bias, slopes_b,
                scale, scale2, bias2,
                1, HAS_SLOPES, HAS_BIAS, RECIPROCALS, DTYPE, BLOCK_D, STAGES,
            )),
            (_backward_producer, (
                q_rows, k_rows, v_rows, g_rows, qs, gs, ks, vs, kv_full, kv_empty, q_full, q_empty, g_full, g_empty,
                tiles, blocks, all_heads, key_heads, group, nq, nk, section, left, right,
                BLOCK_D, STAGES,
            )),
        ],
        [4, 1],
        [240, 24],
    )  # fmt: skip
