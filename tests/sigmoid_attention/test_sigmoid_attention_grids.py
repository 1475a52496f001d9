"""The settings that the tests of FlashAttention and of FlashSigmoid sweep, each at least once, against the reference.

Their grids are products of tens of thousands; here every value of every axis occurs, in a different company each time.
Lengths, head dims, masks, slopes and head counts are theirs; bounds and inputs are ours.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from conformance.sigmoid_attention.cases import AttentionCase
from impls.sigmoid_attention import native
from tests.sigmoid_attention.test_sigmoid_attention_sweep import failures

SQUARE_OR_NOT = (
    (1, 147), (113, 203), (128, 217), (113, 211), (108, 256), (256, 512), (512, 256), (1024, 1024), (1023, 1024),
    (1024, 1023),
)  # fmt: skip
CAUSAL = (
    (1, 1), (1, 3), (2, 1), (511, 1), (3, 513), (64, 128), (128, 128), (256, 256), (113, 203), (128, 217), (113, 211),
    (108, 256), (256, 512), (1023, 1024), (512, 256),
)  # fmt: skip
CACHED_KEYS = ((1, 128), (1, 339), (3, 1024), (64, 800), (64, 256), (3, 799), (64, 2048), (16, 20000), (128, 128))
HEAD_DIMS = (32, 40, 59, 64, 80, 96, 111, 128, 160, 192, 224, 256)
PACKED = ((113, 203), (128, 217), (108, 256), (0, 16), (59, 0), (1, 147))


def rows() -> list[tuple[AttentionCase, str]]:
    """Cases with their dtype; every list above is gone through from its beginning to its end."""
    chance = random.Random(0)
    found = []
    for grid, pairs in (("full", SQUARE_OR_NOT), ("causal", CAUSAL), ("cached", CACHED_KEYS)):
        for number, (nq, nk) in enumerate(pairs):
            d = HEAD_DIMS[(len(found) * 5 + number // 12) % len(HEAD_DIMS)] if nq * nk < 2**18 else HEAD_DIMS[number % 5]
            heads, kv_heads = ((2, 2), (3, 1), (6, 2))[number % 3] if nq * nk < 2**17 else (2, 1 + number % 2)
            local = chance.random() < 0.4
            window = (chance.randrange(nk), chance.randrange(nk)) if local else None
            slopes: dict[str, Any] = {"alibi": number % 4 == 1, "slopes_by_row": number % 8 == 1, "slope": 0.3}
            case = AttentionCase(
                id=f"{grid}-{nq}-{nk}", nq=nq, nk=nk, d=d, dv=d, heads=heads, kv_heads=kv_heads, window=window,
                causal=grid == "causal" or (grid == "cached" and number % 2 == 0), backward=grid != "cached", bias=-1.0,
                **slopes,
            )  # fmt: skip
            found.append((case, ("float16", "bfloat16", "float32")[len(found) % 3]))
    for number, causal in enumerate((False, True)):
        nq, nk = (sum(side) for side in zip(*PACKED, strict=True))
        case = AttentionCase(
            id=f"packed-{causal}", nq=nq, nk=nk, d=64, dv=64, heads=3, kv_heads=1, causal=causal, sequences=PACKED,
            alibi=causal, slopes_by_row=causal, slope=0.3, backward=True,
        )  # fmt: skip
        found.append((case, ("float16", "bfloat16")[number]))
    return found


def test_every_head_dim_occurs() -> None:
    assert {case.d for case, _ in rows()} == set(HEAD_DIMS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0].id)
def test_what_others_sweep_is_within_the_bounds(row: tuple[AttentionCase, str]) -> None:
    assert native.obstacle() is None
    case, dtype = row
    assert failures("native", case, dtype) == []


@pytest.mark.parametrize("row", rows()[::3], ids=lambda row: row[0].id)
def test_plain_torch_is_within_them_too(row: tuple[AttentionCase, str]) -> None:
    case, dtype = row
    assert failures("blocked", case, dtype) == []
