"""The statistical model passes honest arithmetic at the stated rate, and fails errors with a mean or too much spread."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from conformance.engine.comparison import compare
from conformance.sigmoid_attention.requirements import REQUIREMENTS
from impls.sigmoid_attention.registry import IMPLEMENTATIONS
from reference.rounding import FLOAT32, FLOAT64, Format, format_of, gamma
from reference.sigmoid_attention import FALSE_ALARM, Product, is_modelled, log_length_bias, products, weights
from tools.attention_calibration import MODELLED, calibrate

Array = npt.NDArray[np.float64]
Round = Callable[[Array], Array]

SEEDS = 60


def draw(seed: int, dtype: str, n: int) -> tuple[list[Array], dict[str, Any]]:
    rng = np.random.default_rng([seed, n])
    shapes = [(1, 2, 24, 12), (1, 2, 40, 12), (1, 2, 40, 8), (1, 2, 24, 8)]
    tensors = [format_of(dtype).round(rng.normal(size=shape)) for shape in shapes]
    return tensors, {"bias": float(FLOAT32.round(log_length_bias(n)))}


def summed(left: Array, right: Array, chunk: int, work: Round) -> Array:
    total = np.zeros((*left.shape[:-1], right.shape[-1]))
    for start in range(0, left.shape[-1], chunk):
        total = work(total + work(left[..., start : start + chunk] @ right[..., start : start + chunk, :]))
    return total


def truncate(x: Array) -> Array:
    """To float32 towards zero, as matrix units add."""
    nearest = x.astype(np.float32)
    return np.where(np.abs(nearest) > np.abs(x), np.nextafter(nearest, np.float32(0)), nearest).astype(np.float64)


def keep(x: Array, store: Format) -> Array:
    return store.round(x)


# Each is a way in which an honest kernel may go; none is one of the mutants, and no threshold was taken from them.
HONEST: dict[str, dict[str, Any]] = {
    "rounded to nearest": {},
    "weights never stored": {"keep": lambda x, store: x},
    "weights stored n times as large": {"keep": lambda x, store: store.round(777 * x) / 777},
    "rounded twice, by way of float32": {"keep": lambda x, store: store.round(FLOAT32.round(x))},
    "sums truncated to float32": {"work": truncate},
    "summed one term at a time": {"chunk": 1},
}


def honest(tensors: list[Array], options: dict[str, Any], store: Format, way: dict[str, Any]) -> dict[str, Array]:
    q, k, v, grad = tensors
    work, chunk, kept = way.get("work", FLOAT32.round), way.get("chunk", 8), way.get("keep", keep)
    scale = float(FLOAT32.round(1 / math.sqrt(q.shape[3])))
    p = work(1 / work(1 + work(np.exp(-work(work(scale * summed(q, k.swapaxes(-1, -2), chunk, work)) + options["bias"])))))
    ds = kept(work(work(p * work(1 - p)) * summed(grad, v.swapaxes(-1, -2), chunk, work)), store)
    stored = kept(p, store)
    return {
        "output": store.round(summed(stored, v, chunk, work)),
        "gradient of q": store.round(work(scale * summed(ds, k, chunk, work))),
        "gradient of k": store.round(work(scale * summed(ds.swapaxes(-1, -2), q, chunk, work))),
        "gradient of v": store.round(summed(stored.swapaxes(-1, -2), grad, chunk, work)),
    }


def statistics(product: Product, error: Array) -> dict[str, tuple[float, float]]:
    """Each statistic, and its limit."""
    found = {
        "spread": (float(np.sqrt(((error / product.sigma()) ** 2).sum())), product.spread_limit()),
        "largest": (float((np.abs(error) / product.largest_limit()).max()), 1.0),
    }
    for direction in ("", *product.directions):
        w = product.weights(direction)
        found[direction or "mean"] = (abs(float((w * error).sum())), product.lean_limit(w))
    return found


@pytest.mark.parametrize("way", HONEST)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("n", [1, 333])
def test_honest_ways_stay_inside_every_limit(way: str, dtype: str, n: int) -> None:
    worst = 0.0
    for seed in range(4):
        tensors, options = draw(seed, dtype, n)
        known = products(*tensors, dtype=dtype, **options)
        for name, result in honest(tensors, options, format_of(dtype), HONEST[way]).items():
            for statistic, limit in statistics(known[name], result - known[name].value).values():
                worst = max(worst, statistic / limit)
    assert 0 < worst <= 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_model_s_variance_covers_what_roundings_do(dtype: str) -> None:
    # A sub-Gaussian variable of proxy 1 has a mean square of at most 1. The mean of SEEDS of them, each taken where it is
    # most sensitive, exceeds 1 + 2 sqrt(t/SEEDS) + 2 t/SEEDS once in exp(t) times (the spread's theorem, for one row each).
    squares: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        tensors, options = draw(100 + seed, dtype, 1)
        known = products(*tensors, dtype=dtype, **options)
        for name, result in honest(tensors, options, format_of(dtype), {"work": lambda x: x}).items():
            product = known[name]
            for direction in ("", "value"):
                w = product.weights(direction)
                # With the working precision exact, what is left of the limit is the roundings' share.
                share = product.lean_limit(w, 2 / math.e**0.5) - float((np.abs(w) * product.working).sum())
                squares.setdefault(f"{name} {direction}", []).append(float((w * (result - product.value)).sum() / share) ** 2)
    t = math.log(1e6)
    limit = 1 + 2 * math.sqrt(t / SEEDS) + 2 * t / SEEDS
    for name, values in squares.items():
        assert 0.05 < float(np.mean(values)) <= limit, name


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_model_spreads_no_further_than_twice_what_roundings_do(dtype: str) -> None:
    # Half a unit in the last place lies between u |x| / 2 and u |x|, so the proxy is at most twice the true spread.
    for seed in range(5):
        tensors, options = draw(200 + seed, dtype, 1)
        known = products(*tensors, dtype=dtype, **options)
        for name, result in honest(tensors, options, format_of(dtype), {"work": lambda x: x}).items():
            scaled = (result - known[name].value) / known[name].sigma()
            assert 1 / 4 < float((scaled**2).mean()) <= 1


def test_limits_follow_from_the_rate_alone() -> None:
    tensors, options = draw(0, "bfloat16", 1)
    product = products(*tensors, dtype="bfloat16", **options)["output"]
    w = product.weights("")
    linear = float((np.abs(w) * product.working).sum())
    strict, loose = ((product.lean_limit(w, alpha) - linear) for alpha in (1e-9, 1e-3))
    expected = loose * math.sqrt(math.log(2e9) / math.log(2e3))
    assert compare("limit", strict, expected, gamma(product.value.size, FLOAT64.unit_roundoff) * (expected + linear)).passed
    assert product.spread_limit(1e-9) > product.spread_limit(1e-3) > math.sqrt(product.value.size)


def test_a_small_lean_shows_and_passes_the_worst_case() -> None:
    tensors, options = draw(0, "bfloat16", 1)
    q, k, v, _ = tensors
    product = products(*tensors, dtype="bfloat16", **options)["output"]
    p = weights(q, k, **options)
    rounded = format_of("bfloat16").round
    cut = rounded(np.where(rounded(p) > p, 2 * p - rounded(p), p))
    leaning = statistics(product, rounded(cut @ v) - product.value)
    straight = statistics(product, rounded(rounded(p) @ v) - product.value)
    assert leaning["value"][0] > leaning["value"][1]
    assert straight["value"][0] < straight["value"][1]


def test_a_false_alarm_in_a_whole_run_is_one_in_a_hundred_thousand() -> None:
    # Of each result: its mean; its spread and its largest; its directions. Results are an output, or five gradients at most.
    statistics_each = {"SIG-44": 1, "SIG-45": 2, "SIG-46": 3}
    results = 5
    statistics_of_one = sum(
        statistics_each[check.requirement] * results * len(case.dtypes)
        for check in REQUIREMENTS.checks
        if check.requirement in MODELLED
        for case in check.cases
    )
    planted_as_well = 50
    assert statistics_of_one * (len(IMPLEMENTATIONS) + planted_as_well) * FALSE_ALARM < 1e-5 * 2


def test_calibration_counts_alarms_and_catches() -> None:
    tallies = {tally.mutant.name: tally for tally in calibrate(1)}
    assert {name: tally.condemned for name, tally in tallies.items() if tally.mutant.honest and tally.condemned} == {}
    assert tallies["coarse-weights"].by_requirement == {"SIG-44": 0, "SIG-45": 1, "SIG-46": 0}
    assert tallies["truncated-weights"].condemned == 1
    assert 0 < tallies["base-two"].largest <= 1 < tallies["bias-in-input-dtype"].largest
    assert "materialised" not in tallies
    assert tallies["base-two"].statistics == sum(
        len(list(check.run(tallies["base-two"].mutant.subject(), case, dtype)))
        for check in REQUIREMENTS.checks
        if check.requirement in MODELLED
        for case in check.cases
        for dtype in case.dtypes
    )


def test_what_stores_more_is_not_modelled() -> None:
    assert {name: is_modelled(name) for name in ("", "fused-tanh", "materialised", "prescaled", "renormalised")} == {
        "": True, "fused-tanh": True, "materialised": False, "prescaled": False, "renormalised": False,
    }  # fmt: skip
    tensors, options = draw(0, "float16", 1)
    with pytest.raises(ValueError, match="key heads"):
        products(tensors[0], tensors[1][:, :1], *tensors[2:], dtype="float16", **options)
