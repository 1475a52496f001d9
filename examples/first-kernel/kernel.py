"""Sigmoid attention, forward, in a Triton kernel of 15 lines. One program computes M queries of one head."""

import torch
import triton
import triton.language as tl


@triton.jit
def attend(q, k, v, out, scale, bias, Nq, Nk, D: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    head, d = tl.program_id(1), tl.arange(0, D)
    i = tl.program_id(0) * M + tl.arange(0, M)[:, None]
    q_rows = tl.load(q + (head * Nq + i) * D + d, i < Nq, 0.0)
    total = tl.zeros([M, D], tl.float32)
    for start in range(0, Nk, N):
        j = start + tl.arange(0, N)
        place = (head * Nk + j)[:, None] * D + d
        k_rows = tl.load(k + place, j[:, None] < Nk, 0.0)
        v_rows = tl.load(v + place, j[:, None] < Nk, 0.0)
        score = tl.dot(q_rows, tl.trans(k_rows), input_precision="ieee") * scale + bias
        weight = tl.where(j < Nk, tl.sigmoid(score), 0.0)
        total += tl.dot(weight, v_rows, input_precision="ieee")
    tl.store(out + (head * Nq + i) * D + d, total, i < Nq)


def attention(q, k, v, *, scale=None, bias=0.0):
    """q (B, H, Nq, D), k and v (B, H, Nk, D), float32, to (B, H, Nq, D)."""
    if k.shape[1] != q.shape[1] or v.shape != k.shape or q.shape[3] not in (16, 32, 64, 128):
        raise NotImplementedError("as many key heads as query heads, and head dims of 16, 32, 64 or 128")
    (B, H, Nq, D), Nk = q.shape, k.shape[2]
    q, k, v, out = q.contiguous(), k.contiguous(), v.contiguous(), torch.empty(q.shape, device=q.device)
    scale = D**-0.5 if scale is None else scale
    M, N = (64, 512) if triton.knobs.runtime.interpret else (32, 32)  # the interpreter likes large tiles
    attend[(triton.cdiv(Nq, M), B * H)](q, k, v, out, scale, float(bias), Nq, Nk, D, M, N)
    return out


attention.gaugeblock = {"dtypes": ["float32"]}
