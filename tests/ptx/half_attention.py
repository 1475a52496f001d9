"""Sigmoid attention in float16 as a small Triton kernel, and its PTX: ``python half_attention.py TARGET FILE``."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (a kernel's arguments are pointers and scalars of the compiler, which have no Python types)

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import triton
import triton.language as tl

QUERIES, KEYS, DIM = 70, 150, 32


@triton.jit
def attend(q, k, v, out, scale, bias, Nq, Nk, D: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    d = tl.arange(0, D)
    i = tl.program_id(0) * M + tl.arange(0, M)[:, None]
    q_rows = tl.load(q + i * D + d, i < Nq, 0.0)
    total = tl.zeros([M, D], tl.float32)
    for start in range(0, Nk, N):
        j = start + tl.arange(0, N)
        place = j[:, None] * D + d
        k_rows = tl.load(k + place, j[:, None] < Nk, 0.0)
        v_rows = tl.load(v + place, j[:, None] < Nk, 0.0)
        weight = tl.where(j < Nk, tl.sigmoid(tl.dot(q_rows, tl.trans(k_rows)) * scale + bias), 0.0)
        total += tl.dot(weight.to(tl.float16), v_rows)
    tl.store(out + i * D + d, total.to(tl.float16), i < Nq)


def main(target: str, file: str) -> None:
    """Write the kernel's PTX, and its launch."""
    from conformance.ptx import device, triton_launches
    from conformance.ptx.launch import program as make

    os.environ[triton_launches.CAPABILITY] = target
    triton_launches.install()
    import torch

    texts: list[str] = []
    kept: dict[str, Any] = {}

    def program(ptx: str, name: str = "") -> Any:
        texts.append(ptx)
        return make(ptx, name)

    def execute(made: Any, grid: Any, block: Any, arguments: Any, tensors: Any, *, shared: int) -> None:
        kept.update(ptx=texts[-1], block=block[0], grid=grid[0], scalars=arguments[4:], shared=shared)

    vars(triton_launches)["program"], vars(device)["execute"] = program, execute
    tensors = [torch.empty(n, DIM, dtype=torch.float16) for n in (QUERIES, KEYS, KEYS, QUERIES)]
    attend[(triton.cdiv(QUERIES, 64),)](*tensors, 0.3, -1.0, QUERIES, KEYS, DIM, 64, 32, num_stages=3)
    Path(file).write_text(json.dumps(kept))


if __name__ == "__main__":
    main(*sys.argv[1:])
