"""The bounds of sigmoid attention admit honest rounding, scale as derived, and refuse what is not honest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from conformance.engine.comparison import margins_of
from reference.rounding import FLOAT32, FLOAT64, Format, format_of
from reference.sigmoid_attention import (
    NUMERICAL_CLASSES,
    backward,
    backward_bounds,
    class_of,
    forward,
    forward_bound,
    log_length_bias,
)

Array = npt.NDArray[np.float64]
Round = Callable[[Any], Array]

SHAPE = {"heads": 4, "kv_heads": 2, "nq": 48, "nk": 80, "d": 32, "dv": 24}
DATA: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: np.abs(rng.normal(size=shape)),
    "large": lambda rng, shape: 4 * rng.normal(size=shape),
    "tiny": lambda rng, shape: 1e-4 * rng.normal(size=shape),
    "heavy": lambda rng, shape: rng.standard_t(2, size=shape),
    "constant": lambda rng, shape: np.broadcast_to(rng.normal(size=(*shape[:-2], 1, 1)), shape).copy(),
}


def problem(data: str, dtype: str, seed: int = 0) -> tuple[list[Array], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    s = SHAPE
    shapes = [
        (2, s["heads"], s["nq"], s["d"]),
        (2, s["kv_heads"], s["nk"], s["d"]),
        (2, s["kv_heads"], s["nk"], s["dv"]),
        (2, s["heads"], s["nq"], s["dv"]),
    ]
    tensors = [format_of(dtype).round(DATA[data](rng, shape)) for shape in shapes]
    bias = float(FLOAT32.round(log_length_bias(s["nk"])))
    return tensors, {"bias": bias, "causal": True, "alibi_slopes": FLOAT32.round([0.5, 0.25, 0.125, 0.3])}


def chunked(left: Array, right: Array, work: Round) -> Array:
    """A float32 matrix product summed eight terms at a time, each partial sum rounded."""
    total = np.zeros(left.shape[:-1] + right.shape[-1:])
    for start in range(0, left.shape[-1], 8):
        total = work(total + work(left[..., start : start + 8] @ right[..., start : start + 8, :]))
    return total


def honest(
    tensors: list[Array], options: dict[str, Any], dtype: str, kind: str = "fused", activation: Any = None
) -> dict[str, Array]:
    """What the class's own description says, step by step, with every intermediate rounded; shares no code with the bound."""
    q, k, v, grad = tensors
    store, work = format_of(dtype).round, FLOAT32.round
    keep = store if kind == "materialised" else work
    k, v = np.repeat(k, 2, axis=1), np.repeat(v, 2, axis=1)
    nq, nk = q.shape[2], k.shape[2]
    scale = float(work(1 / np.sqrt(q.shape[3])))
    left, right = q, k
    if kind == "prescaled":
        left, right, scale = store(q * scale**0.5), store(k * scale**0.5), 1.0
    score = keep(chunked(left, right.swapaxes(-1, -2), work))
    score = keep(score * scale)
    score = keep(score + keep(options["bias"]))
    offset = np.arange(nq)[:, None] + nk - nq - np.arange(nk)
    score = keep(score - keep(options["alibi_slopes"][:, None, None] * np.abs(offset)))
    p = (activation or (lambda x: work(1 / work(1 + work(np.exp(-x))))))(score)
    p = np.where(offset >= 0, p, 0.0)
    stored = store(p)
    out = store(chunked(stored, v, work))
    dp = keep(chunked(grad, v.swapaxes(-1, -2), work))
    base = stored if kind == "materialised" else p
    ds = store(work(work(base * work(1 - base)) * dp))
    total = work(ds.sum())
    slopes = work(-(ds * np.abs(offset)).sum(axis=(0, 2, 3)))
    if kind == "materialised":
        ds = store(ds * scale)
        dq, dk = store(chunked(ds, k, work)), store(chunked(ds.swapaxes(-1, -2), q, work))
    elif kind == "prescaled":
        half = float(work(1 / np.sqrt(q.shape[3]))) ** 0.5
        dq = store(store(chunked(ds, right, work)) * half)
        dk = store(store(chunked(ds.swapaxes(-1, -2), left, work)) * half)
    else:
        dq, dk = store(work(scale * chunked(ds, k, work))), store(work(scale * chunked(ds.swapaxes(-1, -2), q, work)))
    dv = store(chunked(stored.swapaxes(-1, -2), grad, work))
    return {
        "output": out,
        "q": dq,
        "k": store(dk[:, 0::2] + dk[:, 1::2]),
        "v": store(dv[:, 0::2] + dv[:, 1::2]),
        "bias": np.asarray(total),
        "alibi_slopes": slopes,
    }


def margins(
    got: dict[str, Array], tensors: list[Array], options: dict[str, Any], dtype: str, kind: str = ""
) -> dict[str, float]:
    given: dict[str, Any] = {"dtype": dtype, "numerical_class": kind, **options}
    expected, bounds = backward(*tensors, **options), backward_bounds(*tensors, **given)
    pairs = {"output": (forward(*tensors[:3], **options), forward_bound(*tensors[:3], **given))}
    for name in ("q", "k", "v", "bias", "alibi_slopes"):
        pairs[name] = (getattr(expected, name), getattr(bounds, name))
    return {
        name: float(margins_of(got[name], np.asarray(value), np.asarray(bound)).max())
        for name, (value, bound) in pairs.items()
    }


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", ["fused", "prescaled", "materialised"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_honest_rounding_stays_inside_its_own_class(data: str, kind: str, dtype: str) -> None:
    tensors, options = problem(data, dtype)
    found = margins(honest(tensors, options, dtype, kind), tensors, options, dtype, kind)
    assert max(found.values()) <= 1, found


@pytest.mark.parametrize("kind", ["prescaled", "materialised"])
def test_a_coarser_class_does_not_pass_as_the_strict_one(kind: str) -> None:
    tensors, options = problem("normal", "bfloat16")
    assert margins(honest(tensors, options, "bfloat16", kind), tensors, options, "bfloat16")["output"] > 1


def approximate_tanh(x: Array) -> Array:
    """The hardware's tanh at its measured worst relative error, with the sign varying from element to element."""
    sign = np.where((np.abs(x) * 4096).astype(np.int64) % 2, 1.0, -1.0)
    return FLOAT32.round(0.5 + 0.5 * np.tanh(x / 2) * (1 + 1.1e-5 * sign))


@pytest.mark.parametrize("data", ["normal", "large"])
def test_the_hardware_tanh_passes_only_as_declared(data: str) -> None:
    # float32 shows it at any length; with bfloat16 it takes the small weights of a long sequence.
    tensors, options = problem(data, "float32")
    got = honest(tensors, options, "float32", activation=approximate_tanh)
    assert margins(got, tensors, options, "float32", "fused-tanh")["output"] <= 1
    assert margins(got, tensors, options, "float32")["output"] > 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])  # float16 adds its subnormal range
def test_bounds_are_a_small_multiple_of_the_dtype_s_roundoff(dtype: str) -> None:
    tensors, options = problem("normal", dtype)
    bound = forward_bound(*tensors[:3], dtype=dtype, **options)
    reach = forward(tensors[0], tensors[1], np.abs(tensors[2]), **options)
    seen = reach > 0
    # Two storage roundings, and what float32 loses in a score (largest here: 10) and in a sum over the keys.
    working = 2 * 2.0**-24 * ((SHAPE["d"] + 6) * 20 + SHAPE["nk"] + 10)
    assert np.max(bound[seen] / reach[seen]) < 2.1 * format_of(dtype).unit_roundoff + working


def test_masked_pairs_have_no_error_but_that_of_an_empty_sum() -> None:
    tensors, options = problem("normal", "bfloat16")
    options = {**options, "key_lengths": [80, 0]}
    bound = forward_bound(*tensors[:3], dtype="bfloat16", **options)
    assert np.all(bound[1] <= 200 * FLOAT32.smallest_normal)


@pytest.mark.parametrize("size", [1e4, 1e8, 1e300])
def test_bounds_stay_finite_where_scores_are_extreme(size: float) -> None:
    q = np.full((1, 1, 2, 2), size**0.5)
    k = np.array([[[[1.0, 1.0], [-1.0, -1.0]]]]) * size**0.5
    v = grad = np.ones((1, 1, 2, 2))
    assert np.all(np.isfinite(forward_bound(q, k, v, dtype="float32", bias=0.0)))
    bounds = backward_bounds(q, k, v, grad, dtype="float32", bias=0.0)
    assert all(np.all(np.isfinite(x)) for x in (bounds.v, np.asarray(bounds.bias)))


def test_tf32_passes_only_as_declared() -> None:
    tensors, options = problem("normal", "float32")
    narrow = [Format("tf32", precision=11, emin=-126, emax=127).round(x) for x in tensors]
    got = honest(narrow, options, "float32")
    declared = margins(got, tensors, options, "float32", "fused-tf32")
    strict = margins(got, tensors, options, "float32")
    for name in ("output", "q", "k", "v"):
        assert declared[name] <= 1 < strict[name]
    # A dtype that is no wider passes through the matrix unit exactly, so the class buys it nothing.
    half, options = problem("normal", "bfloat16")
    bounds = [forward_bound(*half[:3], dtype="bfloat16", numerical_class=c, **options) for c in ("fused-tf32", "fused")]
    assert np.array_equal(*bounds)


def test_float64_is_held_to_float64() -> None:
    tensors, options = problem("normal", "float32")
    wide, narrow = (forward_bound(*tensors[:3], dtype=dtype, **options) for dtype in ("float64", "float32"))
    seen = wide > FLOAT64.unit_roundoff**2  # elsewhere the sum is empty
    assert np.max(wide[seen] / narrow[seen]) < 1.01 * FLOAT64.unit_roundoff / FLOAT32.unit_roundoff


def test_a_score_lost_to_cancellation_leaves_its_weight_anywhere() -> None:
    q, k, v = np.full((1, 1, 1, 2), 1e4), np.array([[[[1e4, -1e4]]]]), np.ones((1, 1, 1, 1))
    assert forward(q, k, v, bias=0.0).item() == 0.5
    # The terms are 1e8, so float32 leaves an error of about 10 in a score of 0.
    assert forward_bound(q, k, v, dtype="float32", bias=0.0).item() > 0.49


def test_the_float64_bound_covers_two_correctly_computed_answers() -> None:
    tensors, options = problem("normal", "float64")
    order = np.random.default_rng(1).permutation(SHAPE["d"])
    other = forward(tensors[0][..., order], tensors[1][..., order], tensors[2], **options)
    margin = margins_of(other, forward(*tensors[:3], **options), forward_bound(*tensors[:3], dtype="float64", **options))
    assert 0 < margin.max() <= 1


def test_an_unknown_class_is_refused_with_the_known_ones() -> None:
    assert class_of("") is NUMERICAL_CLASSES["fused"]
    with pytest.raises(ValueError, match="fused-tanh"):
        class_of("lenient")
