"""Long sequences are compared with the reference: sampled places are exact, and zero queries leave running sums."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.engine.comparison import compare
from conformance.sigmoid_attention.sampled_rows import compare_places, places
from impls.sigmoid_attention.numpy_attention import attention
from reference.rounding import FLOAT64, format_of, gamma
from reference.sigmoid_attention import backward, forward, forward_bound, uniform_forward, uniform_forward_bound

N, D = 40, 8
MASKS = [(False, None), (True, None), (False, (5, 3)), (True, (5, -1)), (False, (-1, 2)), (True, (0, 0))]


def drawn(*names: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {name: rng.normal(size=(1, 1, N, D)) for name in names}


@pytest.mark.parametrize("span", [1, 8])
@pytest.mark.parametrize(("causal", "window"), MASKS)
def test_every_sampled_place_is_what_the_whole_has_there(causal: bool, window: tuple[int, int] | None, span: int) -> None:
    x = drawn("q", "k", "v", "grad")
    options = {"bias": -1.0, "causal": causal, "window": window}
    gradients = backward(*x.values(), **options)
    head = {name: values[0, 0] for name, values in x.items()}
    head["output"] = forward(x["q"], x["k"], x["v"], **options)[0, 0]
    head |= {"dq": gradients.q[0, 0], "dk": gradients.k[0, 0], "dv": gradients.v[0, 0]}
    found = list(compare_places(head, range(N), "here", dtype="float64", numerical_class="", span=span, **options))
    assert len(found) == 4 * N // span
    assert all(comparison.passed for comparison in found)
    for name, place in (("output", 0), ("dq", N - 1), ("dk", N // 2), ("dv", 3)):
        spoilt = {**head, name: head[name] + 1e-9 * (np.arange(N) == place)[:, None]}
        again = compare_places(spoilt, range(N), "here", dtype="float64", numerical_class="", span=span, **options)
        (failed,) = (c for c in again if not c.passed)
        assert failed.worst.startswith(f"({place},")
    forward_alone = {name: head[name] for name in ("q", "k", "v", "output")}
    assert len(list(compare_places(forward_alone, [3], "here", dtype="float64", numerical_class="", **options))) == 1


def test_places_are_the_ends_the_middle_and_others() -> None:
    chosen = places(1000, 12, np.random.default_rng(0))
    assert chosen == sorted(set(chosen))
    assert {0, 1, 499, 500, 998, 999} < set(chosen)
    assert len(chosen) <= 12


@pytest.mark.parametrize("causal", [False, True])
def test_zero_queries_leave_running_sums(causal: bool) -> None:
    x = drawn("k", "v", "grad")
    q = np.zeros_like(x["k"])
    options = {"bias": -1.5, "causal": causal}
    rounding = gamma(4 * N, FLOAT64.unit_roundoff)
    expected = forward(q, x["k"], x["v"], **options)
    assert compare(
        "O", uniform_forward(x["v"], **options), expected, rounding * uniform_forward(np.abs(x["v"]), **options)
    ).passed
    late = np.flip(x["grad"], axis=2)
    dv = np.flip(uniform_forward(late, **options), axis=2)
    size = np.flip(uniform_forward(np.abs(late), **options), axis=2)
    assert compare("dV", dv, backward(q, x["k"], x["v"], x["grad"], **options).v, rounding * size).passed


@pytest.mark.parametrize("numerical_class", ["", "fused-tanh", "materialised"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("causal", [False, True])
def test_the_bound_of_running_sums_admits_what_the_reference_s_does_and_no_lost_key(
    dtype: str, causal: bool, numerical_class: str
) -> None:
    x = {name: format_of(dtype).round(np.abs(values)) for name, values in drawn("k", "v").items()}
    q = np.zeros_like(x["k"])
    options = {"bias": -1.5, "causal": causal}
    kind = {"dtype": dtype, "numerical_class": numerical_class}
    bound = uniform_forward_bound(x["v"], dim=D, **kind, **options)
    own = forward_bound(q, x["k"], x["v"], **kind, **options)
    assert compare("bound", bound, own, gamma(8 * N, FLOAT64.unit_roundoff) * own).passed
    store = "bfloat16" if dtype == "bfloat16" else None
    narrow = np.float16 if dtype == "float16" else np.float32
    got = attention(*(z.astype(narrow) for z in (q, x["k"], x["v"])), storage=store, **options).astype(float)
    expected = uniform_forward(x["v"], **options)
    assert compare("honest", got, expected, bound).passed
    x["v"][:, :, 5] = 0
    assert not compare("a lost key", uniform_forward(x["v"], **options), expected, bound).passed
