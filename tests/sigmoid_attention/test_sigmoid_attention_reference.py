"""The reference of sigmoid attention is right: against 50 digits, against a complex step, and against its own symmetries."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest

from reference.sigmoid_attention import (
    backward,
    distance,
    forward,
    layer_scale,
    layer_scale_gradients,
    log_length_bias,
    packed_backward,
    packed_forward,
    qk_norm,
    qk_norm_gradients,
    sigmoid,
    visible,
)

Array = npt.NDArray[np.float64]

# float64 carries 53 bits; closed forms of this size lose a handful of them.
FEW_ULP = 64 * 2.0**-53

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"bias": 0.0},
    "bias": {"bias": -2.5},
    "scale": {"bias": 0.5, "scale": 0.3},
    "causal": {"bias": -1.0, "causal": True},
    "window": {"bias": -1.0, "window": (1, 2)},
    "left-window": {"bias": 1.0, "window": (2, -1)},
    "alibi": {"bias": -1.0, "alibi_slopes": np.array([0.5, 0.25, 0.75, 1.0])},
    "alibi-per-batch": {"bias": -1.0, "alibi_slopes": np.array([[0.5, 0.25, 0.1, 1.0], [0.3, 2.0, 0.7, 0.2]])},
    "key-lengths": {"bias": -1.0, "key_lengths": [3, 0]},
    "everything": {
        "bias": -1.5,
        "scale": -0.7,
        "causal": True,
        "window": (3, 5),
        "alibi_slopes": np.array([0.5, 0.25, 0.75, 1.0]),
        "key_lengths": [4, 2],
    },
}
every_option = pytest.mark.parametrize("name", OPTIONS)


def arrays(
    seed: int = 0, nq: int = 4, nk: int = 5, heads: int = 4, kv_heads: int = 2, d: int = 3, dv: int = 2, batch: int = 2
) -> list[Array]:
    rng = np.random.default_rng(seed)
    shapes = [(batch, heads, nq, d), (batch, kv_heads, nk, d), (batch, kv_heads, nk, dv), (batch, heads, nq, dv)]
    return [rng.normal(size=shape) for shape in shapes]


def close(got: Any, expected: Any, factor: float = 1.0) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    reach = np.abs(expected).max(initial=1.0)
    assert np.max(np.abs(got - expected), initial=0.0) <= factor * FEW_ULP * reach


def by_hand(q: Array, k: Array, v: Array, options: dict[str, Any]) -> Array:
    """Written element by element from the paper's sentence, in 50 digits, sharing no code with the reference."""
    batch, heads, nq, d = q.shape
    kv_heads, nk, dv = k.shape[1], k.shape[2], v.shape[3]
    scale = options.get("scale")
    out = np.zeros((batch, heads, nq, dv))
    with mpmath.workdps(50):
        factor = mpmath.mpf(1) / mpmath.sqrt(d) if scale is None else mpmath.mpf(scale)
        for b, h, i in np.ndindex(batch, heads, nq):
            total = [mpmath.mpf(0)] * dv
            for j in range(nk):
                position = i + nk - nq
                if options.get("causal") and j > position:
                    continue
                left, right = options.get("window", (-1, -1))
                if (left >= 0 and j < position - left) or (right >= 0 and j > position + right):
                    continue
                if "key_lengths" in options and j >= options["key_lengths"][b]:
                    continue
                g = h // (heads // kv_heads)
                s = factor * mpmath.fdot((mpmath.mpf(x), mpmath.mpf(y)) for x, y in zip(q[b, h, i], k[b, g, j], strict=True))
                s += mpmath.mpf(options["bias"])
                if "alibi_slopes" in options:
                    slopes = options["alibi_slopes"]
                    s -= mpmath.mpf((slopes[b] if slopes.ndim == 2 else slopes)[h]) * abs(position - j)
                p = 1 / (1 + mpmath.exp(-s))
                total = [t + p * mpmath.mpf(x) for t, x in zip(total, v[b, g, j], strict=True)]
            out[b, h, i] = [float(t) for t in total]
    return out


@every_option
@pytest.mark.parametrize("lengths", [(4, 5), (5, 3), (1, 1)])
def test_forward_agrees_with_50_digits(name: str, lengths: tuple[int, int]) -> None:
    nq, nk = lengths
    q, k, v, _ = arrays(1, nq, nk)
    options = dict(OPTIONS[name])
    if "key_lengths" in options:
        options["key_lengths"] = [min(n, nk) for n in options["key_lengths"]]
    close(forward(q, k, v, **options), by_hand(q, k, v, options))


def complex_step(function: Any, x: Array) -> Array:
    """The gradient of a real analytic scalar function, exact to rounding: no difference is taken, so none cancels."""
    step = 1e-200
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(np.complex128)
        moved[index] += 1j * step
        gradient[index] = function(moved).imag / step
    return gradient


@every_option
def test_gradients_agree_with_a_complex_step(name: str) -> None:
    q, k, v, grad = arrays(2)
    options = OPTIONS[name]
    got = backward(q, k, v, grad, **options)
    close(got.q, complex_step(lambda x: (forward(x, k, v, **options) * grad).sum(), q))
    close(got.k, complex_step(lambda x: (forward(q, x, v, **options) * grad).sum(), k))
    close(got.v, complex_step(lambda x: (forward(q, k, x, **options) * grad).sum(), v))
    bias = np.array(options["bias"])
    close(got.bias, complex_step(lambda x: (forward(q, k, v, **{**options, "bias": x}) * grad).sum(), bias))
    if "alibi_slopes" in options:
        slopes = options["alibi_slopes"]
        expected = complex_step(lambda x: (forward(q, k, v, **{**options, "alibi_slopes": x}) * grad).sum(), slopes)
        close(got.alibi_slopes, expected)
    else:
        assert got.alibi_slopes is None


@pytest.mark.parametrize("x", [-1e4, -745.5, -100.25, -8.3, -1e-9, 0.0, 0.5, 36.7, 710.0, 1e4])
def test_sigmoid_keeps_relative_accuracy_far_out(x: float) -> None:
    with mpmath.workdps(50):
        expected = float(1 / (1 + mpmath.exp(-mpmath.mpf(x))))
    # Below the normal range only the absolute spacing of float64 is left.
    assert abs(float(sigmoid(x)) - expected) <= 8 * 2.0**-53 * expected + 2.0**-1073


def test_outputs_add_over_a_partition_of_the_keys() -> None:
    q, k, v, _ = arrays(3)
    whole = forward(q, k, v, bias=-1.0)
    close(forward(q, k[:, :, :2], v[:, :, :2], bias=-1.0) + forward(q, k[:, :, 2:], v[:, :, 2:], bias=-1.0), whole)


def test_a_bias_is_a_constant_key_feature() -> None:
    q, k, v, _ = arrays(4)
    widened_q = np.concatenate([q, np.ones_like(q[..., :1])], axis=-1)
    widened_k = np.concatenate([k, np.full_like(k[..., :1], -3.0 / 0.3)], axis=-1)
    close(forward(widened_q, widened_k, v, bias=0.0, scale=0.3), forward(q, k, v, bias=-3.0, scale=0.3))


def test_permuting_keys_changes_nothing_and_permuting_queries_permutes() -> None:
    q, k, v, _ = arrays(5)
    order, rows = [3, 0, 4, 1, 2], [2, 0, 3, 1]
    whole = forward(q, k, v, bias=-1.0)
    close(forward(q, k[:, :, order], v[:, :, order], bias=-1.0), whole)
    close(forward(q[:, :, rows], k, v, bias=-1.0), whole[:, :, rows])


def test_grouped_heads_equal_repeated_heads() -> None:
    q, k, v, grad = arrays(6)
    repeated = [np.repeat(x, 2, axis=1) for x in (k, v)]
    close(forward(q, k, v, bias=-1.0), forward(q, *repeated, bias=-1.0))
    grouped = backward(q, k, v, grad, bias=-1.0)
    single = backward(q, repeated[0], repeated[1], grad, bias=-1.0)
    for got, full in ((grouped.k, single.k), (grouped.v, single.v)):
        close(got, full[:, 0::2] + full[:, 1::2])


def test_a_window_of_full_width_is_no_window_and_a_window_to_the_left_is_causal() -> None:
    q, k, v, _ = arrays(7)
    for window in ((5, 5), (-1, -1), (5, -1)):
        close(forward(q, k, v, bias=-1.0, window=window), forward(q, k, v, bias=-1.0))
    close(forward(q, k, v, bias=-1.0, window=(-1, 0)), forward(q, k, v, bias=-1.0, causal=True))


def test_key_lengths_truncate_and_hidden_keys_get_no_gradient() -> None:
    q, k, v, grad = arrays(8)
    options: dict[str, Any] = {"bias": -1.0, "key_lengths": [3, 0]}
    whole = forward(q, k, v, **options)
    close(whole[:1], forward(q[:1], k[:1, :, :3], v[:1, :, :3], bias=-1.0))
    assert not whole[1].any()
    got = backward(q, k, v, grad, **options)
    for gradient in (got.k[0, :, 3:], got.v[0, :, 3:], got.q[1]):
        assert not gradient.any()


def test_causal_masks_are_aligned_at_the_bottom_right() -> None:
    assert visible(2, 4, causal=True)[0, 0].tolist() == [[True, True, True, False], [True, True, True, True]]
    assert visible(3, 2, causal=True)[0, 0].tolist() == [[False, False], [True, False], [True, True]]
    some = np.array([1, 4]), np.array([0, 2, 4])
    assert visible(2, 3, causal=True, positions=some)[0, 0].tolist() == [[True, False, False], [True, True, True]]
    assert visible(2, 3, window=(1, 1), positions=some)[0, 0].tolist() == [[True, True, False], [False, False, True]]
    assert distance(2, 3, some).tolist() == [[1, 1, 3], [4, 2, 0]]
    assert distance(2, 3).tolist() == [[1, 0, 1], [2, 1, 0]]
    assert distance(2, 1).tolist() == [[1], [0]]


def test_a_single_causal_pair_is_one_sigmoid() -> None:
    q, k, v, _ = arrays(9, nq=1, nk=1, kv_heads=4)
    expected = sigmoid((q * k).sum(axis=-1, keepdims=True) / math.sqrt(3) - 1.0) * v
    close(forward(q, k, v, bias=-1.0, causal=True), expected)


def test_rows_that_see_nothing_are_zero_and_pass_no_gradient() -> None:
    q, k, v, grad = arrays(10, nq=5, nk=3)
    assert not forward(q, k, v, bias=7.0, causal=True)[:, :, :2].any()
    assert not backward(q, k, v, grad, bias=7.0, causal=True).q[:, :, :2].any()


def test_log_length_bias_makes_a_row_of_zero_scores_sum_to_about_one() -> None:
    assert log_length_bias(2048) == -math.log(2048)
    ones = np.ones((1, 1, 2048, 1))
    close(forward(np.zeros((1, 1, 1, 1)), ones, ones, bias=log_length_bias(2048)), np.full((1, 1, 1, 1), 2048 / 2049))
    with pytest.raises(ValueError, match="at least 1"):
        log_length_bias(0)


PACKED: dict[str, Any] = {"cu_seqlens_q": (0, 1, 1, 4), "cu_seqlens_k": (0, 2, 3, 5)}


def test_packed_sequences_see_nothing_of_each_other() -> None:
    q, k, v, _ = arrays(13, batch=1)
    whole = packed_forward(q, k, v, bias=-1.0, causal=True, **PACKED)
    close(whole[:, :, :1], forward(q[:, :, :1], k[:, :, :2], v[:, :, :2], bias=-1.0, causal=True))
    close(whole[:, :, 1:], forward(q[:, :, 1:], k[:, :, 3:], v[:, :, 3:], bias=-1.0, causal=True))
    # A window over one sequence that holds them all is the mask of no packing at all.
    close(packed_forward(q, k, v, bias=-1.0, cu_seqlens_q=(0, 4), cu_seqlens_k=(0, 5)), forward(q, k, v, bias=-1.0))


@pytest.mark.parametrize("slopes", [np.array([0.3, 0.1, 0.2, 0.4]), np.arange(12.0).reshape(3, 4) / 10])
def test_packed_gradients_agree_with_a_complex_step(slopes: Array) -> None:
    q, k, v, grad = arrays(14, batch=1)
    options: dict[str, Any] = {"causal": True, **PACKED}
    got = packed_backward(q, k, v, grad, bias=-1.0, alibi_slopes=slopes, **options)

    def total(**change: Any) -> Any:
        given = {"q": q, "k": k, "v": v, "bias": np.array(-1.0), "alibi_slopes": slopes, **options, **change}
        return (packed_forward(**given) * grad).sum()

    for name, x in (("q", q), ("k", k), ("v", v), ("bias", np.array(-1.0)), ("alibi_slopes", slopes)):
        close(getattr(got, name), complex_step(lambda y, name=name: total(**{name: y}), x))


@pytest.mark.parametrize("edges", [(0, 2, 3), (1, 2, 4), (0, 3, 2, 4), ()])
def test_edges_that_do_not_fit_are_refused(edges: tuple[int, ...]) -> None:
    q, k, v, _ = arrays(batch=1)
    with pytest.raises(ValueError, match="edges"):
        packed_forward(q, k[:, :, :4], v[:, :, :4], bias=0.0, cu_seqlens_q=edges)
    with pytest.raises(ValueError, match="as many"):
        packed_forward(q, k, v, bias=0.0, cu_seqlens_q=(0, 4), cu_seqlens_k=(0, 1, 5))


def test_qk_norm_and_layer_scale_gradients_agree_with_a_complex_step() -> None:
    x, weight, bias = arrays(11)[0], np.array([1.5, -0.5, 2.0]), np.array([0.1, 0.2, -0.3])
    grad = np.random.default_rng(12).normal(size=x.shape)
    dx, dweight, dbias = qk_norm_gradients(x, weight, 1e-5, grad)
    close(dx, complex_step(lambda y: (qk_norm(y, weight, bias, 1e-5) * grad).sum(), x), 4)
    close(dweight, complex_step(lambda y: (qk_norm(x, y, bias, 1e-5) * grad).sum(), weight))
    close(dbias, complex_step(lambda y: (qk_norm(x, weight, y, 1e-5) * grad).sum(), bias))
    normal = qk_norm(x, np.ones(3), np.zeros(3), 0.0)
    close(normal.mean(axis=-1), np.zeros(x.shape[:-1]))
    close((normal**2).mean(axis=-1), np.ones(x.shape[:-1]))
    dx, dweight = layer_scale_gradients(x, weight, grad)
    close(dx, complex_step(lambda y: (layer_scale(y, weight) * grad).sum(), x))
    close(dweight, complex_step(lambda y: (layer_scale(x, y) * grad).sum(), weight))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": (2, 3, 4, 3)}, "multiple of k's heads"),
        ({"q": (2, 4, 4, 5)}, "equal batch and head dim"),
        ({"v": (2, 2, 6, 2)}, "equal batch, heads and length"),
        ({"q": (4, 4, 3)}, "batch, heads, length, dim"),
        ({"alibi_slopes": np.ones(3)}, "alibi_slopes"),
        ({"key_lengths": [6, 1]}, "0..5"),
        ({"key_lengths": [1, 1, 1]}, "one per batch row"),
        ({"key_lengths": [[1], [1]]}, "one length per batch row"),
        ({"window": (-2, 0)}, "no limit"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_what_was_found(change: dict[str, Any], message: str) -> None:
    q, k, v, _ = arrays()
    given: dict[str, Any] = {"q": q, "k": k, "v": v}
    given.update(
        {name: np.ones(value) if isinstance(value, tuple) and name != "window" else value for name, value in change.items()}
    )
    with pytest.raises(ValueError, match=message):
        forward(**given, bias=0.0)
