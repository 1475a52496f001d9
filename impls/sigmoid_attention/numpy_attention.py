"""Sigmoid attention in NumPy at working precision, in small steps that can be replaced one by one.

float16, float32 and float64 arrays compute in float32, float32 and float64. ``storage="bfloat16"`` takes float32 arrays
of bfloat16 values and stores what a kernel would store in bfloat16. It is written to be read and to be broken: every
step is a method, and the planted bugs each override one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.sigmoid_attention.harness.problem import MOST_SCORES
from impls.implementation import Unsupported
from impls.sigmoid_attention.packed import sequences
from reference.rounding import Format, format_of

Values = npt.NDArray[Any]


class SigmoidAttention:
    """``attention(q, k, v, bias=...)`` is the output; ``attention.backward(q, k, v, grad, bias=...)`` the gradients."""

    def __call__(
        self,
        q: Values,
        k: Values,
        v: Values,
        *,
        bias: float = 0.0,
        scale: float | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        alibi_slopes: Values | None = None,
        key_lengths: Sequence[int] | None = None,
        cu_seqlens_q: Sequence[int] | None = None,
        cu_seqlens_k: Sequence[int] | None = None,
        storage: str | None = None,
    ) -> Values:
        """The output, (B, H, Nq, Dv), in q's dtype."""
        if cu_seqlens_q is not None:
            options: dict[str, Any] = {"bias": bias, "scale": scale, "causal": causal, "window": window}
            options["storage"] = storage
            parts = [
                self(q[:, :, queries], k[:, :, keys], v[:, :, keys], alibi_slopes=self.slopes_of(row, alibi_slopes), **options)
                for row, queries, keys in self.sequences(cu_seqlens_q, cu_seqlens_k)
            ]
            return np.concatenate(parts, axis=2)
        dtype, store = q.dtype, format_of(storage or q.dtype.name)
        q, k, v = (self.working(x) for x in (q, k, v))
        factor = self.default_scale(q) if scale is None else scale
        with np.errstate(over="ignore", invalid="ignore"):
            p, _ = self.weights(q, k, factor, bias, causal, window, alibi_slopes, key_lengths, store)
            out = self.weighted_sum(self.store(p, store), self.share_heads(v, q.shape[1]), store)
        return self.store(out, store).astype(dtype)

    def backward(
        self,
        q: Values,
        k: Values,
        v: Values,
        grad: Values,
        *,
        bias: float = 0.0,
        scale: float | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        alibi_slopes: Values | None = None,
        key_lengths: Sequence[int] | None = None,
        cu_seqlens_q: Sequence[int] | None = None,
        cu_seqlens_k: Sequence[int] | None = None,
        storage: str | None = None,
    ) -> dict[str, Values]:
        """Gradients by input: q, k and v in q's dtype, bias and alibi_slopes (where given) in the working dtype."""
        if cu_seqlens_q is not None:
            options: dict[str, Any] = {"bias": bias, "scale": scale, "causal": causal, "window": window}
            options["storage"] = storage
            return self.join_gradients(
                [
                    self.backward(
                        q[:, :, queries], k[:, :, keys], v[:, :, keys], grad[:, :, queries],
                        alibi_slopes=self.slopes_of(row, alibi_slopes), **options,
                    )
                    for row, queries, keys in self.sequences(cu_seqlens_q, cu_seqlens_k)
                ],
                alibi_slopes,
            )  # fmt: skip
        dtype, store = q.dtype, format_of(storage or q.dtype.name)
        q, k, v, grad = (self.working(x) for x in (q, k, v, grad))
        heads, group = q.shape[1], q.shape[1] // k.shape[1]
        factor = self.default_scale(q) if scale is None else scale
        keys, values = self.share_heads(k, heads), self.share_heads(v, heads)
        with np.errstate(over="ignore", invalid="ignore"):
            p, seen = self.weights(q, k, factor, bias, causal, window, alibi_slopes, key_lengths, store)
            ds = self.mask_gradient(self.score_gradient(p, self.weight_gradient(grad, values), store), seen)
            kept = self.store(ds, store)
            gradients = {
                "q": self.query_gradient(kept, keys, factor),
                "k": self.sum_groups(self.key_gradient(kept, q, factor), group),
                "v": self.sum_groups(self.value_gradient(self.store(p, store), grad), group),
            }
        gradients = {name: self.store(x, store).astype(dtype) for name, x in gradients.items()}
        gradients["bias"] = self.bias_gradient(ds)
        if alibi_slopes is not None:
            gradients["alibi_slopes"] = self.slope_gradient(ds, self.distance(*ds.shape[-2:]), np.asarray(alibi_slopes).ndim)
        return gradients

    # Packed sequences, each by itself.

    def sequences(self, cu_q: Sequence[int], cu_k: Sequence[int] | None) -> Iterator[tuple[int, slice, slice]]:
        return sequences(cu_q, cu_k)

    def slopes_of(self, row: int, slopes: Values | None) -> Values | None:
        return slopes if slopes is None or slopes.ndim == 1 else slopes[row : row + 1]

    def join_gradients(self, parts: list[dict[str, Values]], slopes: Values | None) -> dict[str, Values]:
        found = {name: np.concatenate([part[name] for part in parts], axis=2) for name in ("q", "k", "v")}
        found["bias"] = np.asarray(sum(part["bias"] for part in parts))
        if slopes is not None:
            each = [part["alibi_slopes"] for part in parts]
            found["alibi_slopes"] = np.asarray(sum(each)) if slopes.ndim == 1 else np.concatenate(each)
        return found

    # The steps, in the order in which they run.

    def working(self, x: Values) -> Values:
        return x.astype(np.float64 if x.dtype == np.float64 else np.float32)

    def store(self, x: Values, store: Format) -> Values:
        """The values that x takes where a kernel stores it in the input dtype; the array stays in working precision."""
        return x if store.precision >= 24 else store.round(x).astype(x.dtype)

    def default_scale(self, q: Values) -> float:
        return 1.0 / math.sqrt(q.shape[-1])

    def share_heads(self, x: Values, heads: int) -> Values:
        return np.repeat(x, heads // x.shape[1], axis=1)

    def weights(
        self,
        q: Values,
        k: Values,
        scale: float,
        bias: float,
        causal: bool,
        window: tuple[int, int] | None,
        alibi_slopes: Values | None,
        key_lengths: Sequence[int] | None,
        store: Format,
    ) -> tuple[Values, Values]:
        if q.shape[2] * k.shape[2] > MOST_SCORES:
            raise Unsupported("holds all scores of a head in memory")
        scores = self.add_bias(self.scaled_product(q, self.share_heads(k, q.shape[1]), scale), bias, scale)
        if alibi_slopes is not None:
            scores = self.tilt(scores, np.asarray(alibi_slopes).astype(scores.dtype))
        seen = self.visible(scores.shape[-2], scores.shape[-1], causal, window, key_lengths)
        return self.masked_activation(self.keep_scores(scores, store), seen, bias), seen

    def scaled_product(self, q: Values, k: Values, scale: float) -> Values:
        return self.product(q, k.swapaxes(-1, -2)) * q.dtype.type(scale)

    def product(self, left: Values, right: Values) -> Values:
        return left @ right

    def add_bias(self, scores: Values, bias: float, scale: float) -> Values:
        return scores + scores.dtype.type(bias)

    def tilt(self, scores: Values, slopes: Values) -> Values:
        return scores - slopes[..., None, None] * self.distance(*scores.shape[-2:]).astype(scores.dtype)

    def distance(self, nq: int, nk: int) -> Values:
        return np.abs(self.offset(nq, nk))

    def offset(self, nq: int, nk: int) -> Values:
        """Key position less query position, bottom-right aligned."""
        return np.arange(nk)[None, :] - np.arange(nq)[:, None] - self.alignment(nq, nk)

    def alignment(self, nq: int, nk: int) -> int:
        return nk - nq

    def visible(
        self, nq: int, nk: int, causal: bool, window: tuple[int, int] | None, key_lengths: Sequence[int] | None
    ) -> Values:
        seen = np.ones((1, 1, nq, nk), dtype=bool)
        if causal:
            seen = seen & self.causal(nq, nk)
        if window is not None:
            seen = seen & self.in_window(nq, nk, *window)
        if key_lengths is not None:
            seen = seen & self.in_length(nk, np.asarray(key_lengths))
        return seen

    def causal(self, nq: int, nk: int) -> Values:
        return self.offset(nq, nk) <= 0

    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        offset = self.offset(nq, nk)
        return ((left < 0) | (offset >= -left)) & ((right < 0) | (offset <= right))

    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return np.arange(nk) < key_lengths[:, None, None, None]

    def keep_scores(self, scores: Values, store: Format) -> Values:
        return scores

    def masked_activation(self, scores: Values, seen: Values, bias: float) -> Values:
        return self.activate(np.where(seen, scores, scores.dtype.type(-np.inf)))

    def activate(self, scores: Values) -> Values:
        return 1 / (1 + np.exp(-scores))

    def weighted_sum(self, p: Values, v: Values, store: Format) -> Values:
        return self.product(p, v)

    def weight_gradient(self, grad: Values, v: Values) -> Values:
        return self.product(grad, v.swapaxes(-1, -2))

    def score_gradient(self, p: Values, dp: Values, store: Format) -> Values:
        return p * (1 - p) * dp

    def mask_gradient(self, ds: Values, seen: Values) -> Values:
        return ds

    def query_gradient(self, ds: Values, k: Values, scale: float) -> Values:
        return self.product(ds, k) * ds.dtype.type(scale)

    def key_gradient(self, ds: Values, q: Values, scale: float) -> Values:
        return self.product(ds.swapaxes(-1, -2), q) * ds.dtype.type(scale)

    def value_gradient(self, p: Values, grad: Values) -> Values:
        return self.product(p.swapaxes(-1, -2), grad)

    def sum_groups(self, per_head: Values, group: int) -> Values:
        batch, heads, rows, columns = per_head.shape
        return per_head.reshape(batch, heads // group, group, rows, columns).sum(axis=2)

    def bias_gradient(self, ds: Values) -> Values:
        return np.asarray(ds.sum())

    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        per_head = -(ds * distance.astype(ds.dtype)).sum(axis=(-1, -2))
        return per_head if rank == 2 else per_head.sum(axis=0)


attention = SigmoidAttention()
