"""The forward pass for Hopper in Gluon, with its own schedule of copies, products and activation. It has never run on a GPU.

One block of threads stays on each multiprocessor and takes tile after tile of 128 queries. A producer warp copies queries,
keys and values by tensor descriptors that the host made. Two groups of four warps take 64 queries each. For each tile of keys
a group

- begins the product of its scores, and behind it that of the last tile's weights and values,
- waits for the first, and computes weights while the second runs.

The groups take turns in beginning products (``mine``, ``other``): while one computes weights, the matrix units work for the
other, on both of its products. So a group that also began its next scores ahead would gain nothing; and ptxas would make every
product wait for the one before (its note C7512), since weights of one tile would replace those that a product still reads.
Outputs are copied out in bulk while the next tile begins.

Every barrier counts phases. A copy's barrier (``full``) completes when its bytes are there; the other one (``empty``) when the
groups that read the buffer have arrived. A wait for the phase before the first passes at once.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)

from impls.sigmoid_attention.gluon_tiles import is_whole, key_tiles, place
from impls.sigmoid_attention.triton_kernels import FOUR, PTX_0, PTX_1, PTX_2, PTX_4

LOG2_E = gl.constexpr(1.4426950408889634)


@gluon.jit
def weights_of(z, RECIPROCALS: gl.constexpr):
    """``1 / (1 + 2**z)``, as `impls.sigmoid_attention.triton_kernels._logistic` computes it on a GPU."""
    if RECIPROCALS == 4:
        return gl.inline_asm_elementwise(PTX_4, FOUR, [z], dtype=gl.float32, is_pure=True, pack=4)
    elif RECIPROCALS == 2:
        return gl.inline_asm_elementwise(PTX_2, FOUR, [z], dtype=gl.float32, is_pure=True, pack=4)
    elif RECIPROCALS == 1:
        return gl.inline_asm_elementwise(PTX_1, FOUR, [z], dtype=gl.float32, is_pure=True, pack=4)
    else:
        return gl.inline_asm_elementwise(PTX_0, FOUR, [z], dtype=gl.float32, is_pure=True, pack=4)


@gluon.jit
def _weights(
    products, position, column, length, left, right, scale2, bias2, slope2,
    S: gl.constexpr, BLOCK_N: gl.constexpr, HAS_SLOPES: gl.constexpr, RECIPROCALS: gl.constexpr,
):  # fmt: skip
    """Weights of 64 queries, the first at ``position`` among the keys, and the keys from ``column`` on."""
    rows = position + gl.arange(0, 64, gl.SliceLayout(1, S))
    columns = column + gl.arange(0, BLOCK_N, gl.SliceLayout(0, S))
    z = products * -scale2 - bias2
    if HAS_SLOPES:
        # In float32, which holds a distance exactly up to 2^24: a difference and a fused multiply-add for each score.
        away = gl.expand_dims(columns.to(gl.float32), 0) - gl.expand_dims(rows.to(gl.float32), 1)
        z += slope2 * gl.maximum(away, -away)
    p = weights_of(z, RECIPROCALS)
    if not is_whole(column, position, position + 63, length, left, right, BLOCK_N):
        ends = gl.expand_dims(gl.minimum(rows + (right + 1), length), 1)
        starts = gl.expand_dims(rows - left, 1)
        seen = (gl.expand_dims(columns, 0) < ends) & (gl.expand_dims(columns, 0) >= starts)
        # Selected after the activation, so that a NaN under the mask stays there.
        p = gl.where(seen, p, 0.0)
    return p


@gluon.jit
def _tile(
    tile, blocks, all_heads, heads, nq, nk, section, left, right, Lengths,
    LONGEST_FIRST: gl.constexpr, HAS_LENGTHS: gl.constexpr, BLOCK_N: gl.constexpr,
):  # fmt: skip
    """Where a tile is: its batch row, head, first query, that one's position among the keys, and its range of key tiles."""
    block, head = place(tile, blocks, all_heads, section, LONGEST_FIRST)
    b = head // heads
    h = head % heads
    length = nk
    if HAS_LENGTHS:
        length = gl.load(Lengths + b).to(gl.int32)
    position = block * 128 + nk - nq
    first, last = key_tiles(position, position + 127, length, left, right, BLOCK_N)
    return b, h, block * 128, position, length, first, last


@gluon.jit
def _clear_from(values, row, BLOCK_N: gl.constexpr, BLOCK_D: gl.constexpr):
    """Zeros in the rows from ``row`` on, which the copy filled with what lies beyond a length: 0 times NaN is NaN."""
    LAYOUT: gl.constexpr = gl.BlockedLayout([1, 8], [4, 8], [1, 1], [1, 0])
    for part in gl.static_range(BLOCK_N // 8):
        if part * 8 + 8 > row:
            rows = part * 8 + gl.arange(0, 8, gl.SliceLayout(1, LAYOUT))
            # In pieces for which the producer's few registers suffice.
            for column in gl.static_range(0, BLOCK_D, 64):
                some = values.slice(part * 8, 8).slice(column, 64, 1)
                some.store(gl.where(gl.expand_dims(rows < row, 1), some.load(LAYOUT), 0.0))


@gluon.jit
def _producer(
    q_rows, k_rows, v_rows, qs, ks, vs, q_full, q_empty, k_full, k_empty, v_full, v_empty, tail,
    tiles, blocks, all_heads, heads, group, nq, nk, section, left, right, Lengths,
    LONGEST_FIRST: gl.constexpr, HAS_LENGTHS: gl.constexpr,
    BLOCK_N: gl.constexpr, BLOCK_D: gl.constexpr, STAGES: gl.constexpr,
):  # fmt: skip
    turn = 0
    done = 0
    tails = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        b, h, query, _, length, first, last = _tile(
            tile, blocks, all_heads, heads, nq, nk, section, left, right, Lengths, LONGEST_FIRST, HAS_LENGTHS, BLOCK_N
        )
        kv = h // group
        for half in gl.static_range(2):
            mbarrier.wait(q_empty.index(half), (done & 1) ^ 1)
            mbarrier.expect(q_full.index(half), 64 * BLOCK_D * 2)
            tma.async_copy_global_to_shared(
                q_rows, [b, h, query + 64 * half, 0], q_full.index(half), qs.index(half).reshape([1, 1, 64, BLOCK_D])
            )
        done += 1  # noqa: SIM113  (the compiler knows no enumerate)
        for j in range(first, last):
            stage = turn % STAGES
            phase = ((turn // STAGES) & 1) ^ 1
            mbarrier.wait(k_empty.index(stage), phase)
            mbarrier.expect(k_full.index(stage), BLOCK_N * BLOCK_D * 2)
            tma.async_copy_global_to_shared(
                k_rows, [b, kv, j * BLOCK_N, 0], k_full.index(stage), ks.index(stage).reshape([1, 1, BLOCK_N, BLOCK_D])
            )
            mbarrier.wait(v_empty.index(stage), phase)
            if HAS_LENGTHS:
                if j * BLOCK_N + BLOCK_N > length:
                    mbarrier.expect(tail, BLOCK_N * BLOCK_D * 2)
                    tma.async_copy_global_to_shared(
                        v_rows, [b, kv, j * BLOCK_N, 0], tail, vs.index(stage).reshape([1, 1, BLOCK_N, BLOCK_D])
                    )
                    mbarrier.wait(tail, tails & 1)
                    tails += 1
                    _clear_from(vs.index(stage), length - j * BLOCK_N, BLOCK_N, BLOCK_D)
                    fence_async_shared()
                    mbarrier.arrive(v_full.index(stage), count=1)
                else:
                    mbarrier.expect(v_full.index(stage), BLOCK_N * BLOCK_D * 2)
                    tma.async_copy_global_to_shared(
                        v_rows, [b, kv, j * BLOCK_N, 0], v_full.index(stage), vs.index(stage).reshape([1, 1, BLOCK_N, BLOCK_D])
                    )
            else:
                mbarrier.expect(v_full.index(stage), BLOCK_N * BLOCK_D * 2)
                tma.async_copy_global_to_shared(
                    v_rows, [b, kv, j * BLOCK_N, 0], v_full.index(stage), vs.index(stage).reshape([1, 1, BLOCK_N, BLOCK_D])
                )
            turn += 1


@gluon.jit
def _consumer(
    o_rows, q, out, ks, vs, q_full, q_empty, k_full, k_empty, v_full, v_empty, mine, other,
    tiles, blocks, all_heads, heads, group, nq, nk, section, left, right, Lengths, Slopes, Bias, slopes_b, scale2, bias2,
    HALF: gl.constexpr, LONGEST_FIRST: gl.constexpr, HAS_LENGTHS: gl.constexpr,
    HAS_SLOPES: gl.constexpr, HAS_BIAS: gl.constexpr, RECIPROCALS: gl.constexpr, DTYPE: gl.constexpr,
    BLOCK_N: gl.constexpr, BLOCK_D: gl.constexpr, STAGES: gl.constexpr, SHARED_OUT: gl.constexpr,
):  # fmt: skip
    S: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[4, 1], instr_shape=[16, BLOCK_N, 16])
    O: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[4, 1], instr_shape=[16, BLOCK_D, 16])
    P: gl.constexpr = gl.DotOperandLayout(operand_index=0, parent=O, k_width=2)
    nothing = gl.zeros([64, BLOCK_N], gl.float32, S)
    if HAS_BIAS:
        bias2 = gl.load(Bias).to(gl.float32) * LOG2_E
    turn = 0
    done = 0
    steps = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        b, h, query, position, length, first, last = _tile(
            tile, blocks, all_heads, heads, nq, nk, section, left, right, Lengths, LONGEST_FIRST, HAS_LENGTHS, BLOCK_N
        )
        position += 64 * HALF
        slope2 = 0.0
        if HAS_SLOPES:
            slope2 = gl.load(Slopes + b * slopes_b + h) * LOG2_E
        total = gl.zeros([64, BLOCK_D], gl.float32, O)
        mbarrier.wait(q_full, done & 1)
        mbarrier.wait(k_full.index(turn % STAGES), (turn // STAGES) & 1)
        # The first group's first turn is nobody's to give: it waits for the phase before the first.
        mbarrier.wait(mine, (steps & 1) ^ (1 - HALF))
        scores = warpgroup_mma(q, ks.index(turn % STAGES).permute((1, 0)), nothing, use_acc=False, is_async=True)
        mbarrier.arrive(other, count=1)
        products = warpgroup_mma_wait(0, deps=[scores])
        mbarrier.arrive(k_empty.index(turn % STAGES), count=1)
        weights = _weights(
            products, position, first * BLOCK_N, length, left, right, scale2, bias2, slope2,
            S, BLOCK_N, HAS_SLOPES, RECIPROCALS,
        )  # fmt: skip
        p = gl.convert_layout(weights.to(DTYPE), P)
        steps += 1
        for j in range(first + 1, last):
            before = turn % STAGES
            stage = (turn + 1) % STAGES
            mbarrier.wait(k_full.index(stage), ((turn + 1) // STAGES) & 1)
            mbarrier.wait(v_full.index(before), (turn // STAGES) & 1)
            mbarrier.wait(mine, (steps & 1) ^ (1 - HALF))
            scores = warpgroup_mma(q, ks.index(stage).permute((1, 0)), nothing, use_acc=False, is_async=True)
            outputs = warpgroup_mma(p, vs.index(before), total, is_async=True)
            mbarrier.arrive(other, count=1)
            # The scores are there, and the last tile's values are still being added up while this one's weights are computed.
            products = warpgroup_mma_wait(1, deps=[scores])
            mbarrier.arrive(k_empty.index(stage), count=1)
            weights = _weights(
                products, position, j * BLOCK_N, length, left, right, scale2, bias2, slope2,
                S, BLOCK_N, HAS_SLOPES, RECIPROCALS,
            )  # fmt: skip
            # The weights in 16 bits take the place of those before, which must have been read.
            total, weights = warpgroup_mma_wait(0, deps=[outputs, weights])
            mbarrier.arrive(v_empty.index(before), count=1)
            p = gl.convert_layout(weights.to(DTYPE), P)
            turn += 1
            steps += 1
        mbarrier.arrive(q_empty, count=1, pred=not SHARED_OUT)
        stage = turn % STAGES
        mbarrier.wait(v_full.index(stage), (turn // STAGES) & 1)
        total = warpgroup_mma(p, vs.index(stage), total)
        mbarrier.arrive(v_empty.index(stage), count=1)
        turn += 1
        done += 1  # noqa: SIM113  (the compiler knows no enumerate)
        # What was copied out last has been read by now, or is waited for.
        tma.store_wait(0)
        out.store(total.to(DTYPE))
        fence_async_shared()
        tma.async_copy_shared_to_global(o_rows, [b, h, query + 64 * HALF, 0], out.reshape([1, 1, 64, BLOCK_D]))
        if SHARED_OUT:
            tma.store_wait(0)
            mbarrier.arrive(q_empty, count=1)
    tma.store_wait(0)


# A launch makes a constant of a 1, and each constant a kernel of its own.
NUMBERS = ["slopes_b", "tiles", "blocks", "all_heads", "heads", "group", "nq", "nk", "section", "left", "right"]


@gluon.jit(do_not_specialize=NUMBERS)
def gluon_forward_kernel(
    q_rows, k_rows, v_rows, o_rows, Lengths, Slopes, Bias, slopes_b,
    tiles, blocks, all_heads, heads, group, nq, nk, section, left, right, scale2, bias2,
    LONGEST_FIRST: gl.constexpr, HAS_LENGTHS: gl.constexpr, HAS_SLOPES: gl.constexpr, HAS_BIAS: gl.constexpr,
    RECIPROCALS: gl.constexpr, BLOCK_N: gl.constexpr, BLOCK_D: gl.constexpr, STAGES: gl.constexpr, SHARED_OUT: gl.constexpr,
):  # fmt: skip
    """The output of all tiles, of which each program takes every ``num_programs``-th."""
    DTYPE: gl.constexpr = q_rows.dtype
    ROWS: gl.constexpr = gl.NVMMASharedLayout.get_default_for([64, BLOCK_D], DTYPE)
    KEYS: gl.constexpr = gl.NVMMASharedLayout.get_default_for([BLOCK_N, BLOCK_D], DTYPE)
    qs = gl.allocate_shared_memory(DTYPE, [2, 64, BLOCK_D], ROWS)
    out = qs
    if not SHARED_OUT:
        out = gl.allocate_shared_memory(DTYPE, [2, 64, BLOCK_D], ROWS)
    ks = gl.allocate_shared_memory(DTYPE, [STAGES, BLOCK_N, BLOCK_D], KEYS)
    vs = gl.allocate_shared_memory(DTYPE, [STAGES, BLOCK_N, BLOCK_D], KEYS)
    q_full = gl.allocate_shared_memory(gl.int64, [2, 1], mbarrier.MBarrierLayout())
    q_empty = gl.allocate_shared_memory(gl.int64, [2, 1], mbarrier.MBarrierLayout())
    turns = gl.allocate_shared_memory(gl.int64, [2, 1], mbarrier.MBarrierLayout())
    k_full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    k_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    tail = gl.allocate_shared_memory(gl.int64, [1], mbarrier.MBarrierLayout())
    for half in gl.static_range(2):
        mbarrier.init(q_full.index(half), count=1)
        mbarrier.init(q_empty.index(half), count=1)
        mbarrier.init(turns.index(half), count=1)
    for stage in gl.static_range(STAGES):
        mbarrier.init(k_full.index(stage), count=1)
        mbarrier.init(v_full.index(stage), count=1)
        mbarrier.init(k_empty.index(stage), count=2)
        mbarrier.init(v_empty.index(stage), count=2)
    mbarrier.init(tail, count=1)
    gl.warp_specialize(
        [
            (_consumer, (
                o_rows, qs.index(0), out.index(0), ks, vs, q_full.index(0), q_empty.index(0), k_full, k_empty, v_full, v_empty,
                turns.index(0), turns.index(1),
                tiles, blocks, all_heads, heads, group, nq, nk, section, left, right, Lengths, Slopes, Bias, slopes_b, scale2,
                bias2, 0, LONGEST_FIRST, HAS_LENGTHS, HAS_SLOPES, HAS_BIAS, RECIPROCALS, DTYPE, BLOCK_N, BLOCK_D, STAGES,
                SHARED_OUT,
            )),
            (_consumer, (
                o_rows, qs.index(1), out.index(1), ks, vs, q_full.index(1), q_empty.index(1), k_full, k_empty, v_full, v_empty,
                turns.index(1), turns.index(0),
                tiles, blocks, all_heads, heads, group, nq, nk, section, left, right, Lengths, Slopes, Bias, slopes_b, scale2,
                bias2, 1, LONGEST_FIRST, HAS_LENGTHS, HAS_SLOPES, HAS_BIAS, RECIPROCALS, DTYPE, BLOCK_N, BLOCK_D, STAGES,
                SHARED_OUT,
            )),
            (_producer, (
                q_rows, k_rows, v_rows, qs, ks, vs, q_full, q_empty, k_full, k_empty, v_full, v_empty, tail,
                tiles, blocks, all_heads, heads, group, nq, nk, section, left, right, Lengths,
                LONGEST_FIRST, HAS_LENGTHS, BLOCK_N, BLOCK_D, STAGES,
            )),
        ],
        [4, 1],
        [240, 24],
    )  # fmt: skip
