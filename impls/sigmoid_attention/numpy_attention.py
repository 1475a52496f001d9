"""Sigmoid attention in NumPy at working precision, in small steps that can be replaced one by one.

float16, float32 and float64 arrays compute in float32, float32 and float64. ``storage="bfloat16"`` takes float32 arrays
of bfloat16 values and stores what a kernel would store in bfloat16. It is written to be read and to be broken: every
step is a method, and each mutant of the suite (a planted bug) overrides one.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy's types give Any for what is computed from arrays of any dtype)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from impls.implementation import Unsupported
from impls.sigmoid_attention.options import AttentionOptions

Values = npt.NDArray[Any]

MOST_SCORES = 2**28
"""Scores of one head beyond which they are not computed, since all of them are held in memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NumpyOptions(AttentionOptions):
    """With ``storage``, the dtype in which a kernel stores weights, score gradients and results; None is q's."""

    storage: str | None = None


class NumpyAttention:
    """``attention(q, k, v, bias=...)`` is the output; ``attention.backward(q, k, v, grad, bias=...)`` the gradients."""

    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        """The output, (B, H, Nq, Dv), in q's dtype. Options: the fields of `NumpyOptions`."""
        o = NumpyOptions(**options)
        if o.cu_seqlens_q is not None:
            parts = [
                self(q[:, :, queries], k[:, :, keys], v[:, :, keys], **vars(o.of_sequence(row)))
                for row, queries, keys in self.sequences(o)
            ]
            return np.concatenate(parts, axis=2)
        dtype, o = q.dtype, self.completed(q, o)
        q, k, v = (self.working(x) for x in (q, k, v))
        k, v = self.without_unseen(q, k, v, o)
        with np.errstate(over="ignore", invalid="ignore"):
            p, _ = self.weights(q, k, o)
            out = self.weighted_sum(self.store(p, o), self.share_heads(v, q.shape[1]), o)
        return self.store(out, o).astype(dtype)

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        """Gradients by input: q, k and v in q's dtype, bias and alibi_slopes (where given) in the working dtype."""
        o = NumpyOptions(**options)
        if o.cu_seqlens_q is not None:
            parts = [
                self.backward(q[:, :, queries], k[:, :, keys], v[:, :, keys], grad[:, :, queries], **vars(o.of_sequence(row)))
                for row, queries, keys in self.sequences(o)
            ]
            return self.join_gradients(parts, o.alibi_slopes)
        dtype, o = q.dtype, self.completed(q, o)
        q, k, v, grad = (self.working(x) for x in (q, k, v, grad))
        k, v = self.without_unseen(q, k, v, o)
        heads, group = q.shape[1], q.shape[1] // k.shape[1]
        keys, values = self.share_heads(k, heads), self.share_heads(v, heads)
        with np.errstate(over="ignore", invalid="ignore"):
            p, seen = self.weights(q, k, o)
            ds = self.mask_gradient(self.score_gradient(p, self.weight_gradient(grad, values), o), seen)
            kept = self.store(ds, o)
            gradients = {
                "q": self.query_gradient(kept, keys, o),
                "k": self.sum_groups(self.key_gradient(kept, q, o), group),
                "v": self.sum_groups(self.value_gradient(self.store(p, o), grad), group),
            }
        gradients = {name: self.store(x, o).astype(dtype) for name, x in gradients.items()}
        gradients["bias"] = self.bias_gradient(ds)
        if o.alibi_slopes is not None:
            gradients["alibi_slopes"] = self.slope_gradient(ds, self.distance(*ds.shape[-2:]), np.asarray(o.alibi_slopes).ndim)
        return gradients

    # Packed sequences, each by itself.

    def sequences(self, o: NumpyOptions) -> Iterator[tuple[int, slice, slice]]:
        return o.sequences()

    def join_gradients(self, parts: list[dict[str, Values]], slopes: Values | None) -> dict[str, Values]:
        found = {name: np.concatenate([part[name] for part in parts], axis=2) for name in ("q", "k", "v")}
        found["bias"] = np.asarray(sum(part["bias"] for part in parts))
        if slopes is not None:
            each = [part["alibi_slopes"] for part in parts]
            found["alibi_slopes"] = np.asarray(sum(each)) if slopes.ndim == 1 else np.concatenate(each)
        return found

    # The steps, in the order in which they run. Options are complete: scale and storage are given.

    def completed(self, q: Values, o: NumpyOptions) -> NumpyOptions:
        return replace(o, scale=self.default_scale(q) if o.scale is None else o.scale, storage=o.storage or q.dtype.name)

    def working(self, x: Values) -> Values:
        return x.astype(np.float64 if x.dtype == np.float64 else np.float32)

    def store(self, x: Values, o: NumpyOptions) -> Values:
        """The values that x takes where a kernel stores it in the input dtype; the array stays in working precision."""
        return stored(x, o.storage or "")

    def default_scale(self, q: Values) -> float:
        return AttentionOptions().scale_for(q.shape[-1])

    def without_unseen(self, q: Values, k: Values, v: Values, o: NumpyOptions) -> tuple[Values, Values]:
        """0 for what is not finite in keys and values that no query sees: 0 times it would be NaN."""
        if np.isfinite(k).all() and np.isfinite(v).all():
            return k, v
        seen = np.expand_dims(self.visible(q.shape[2], k.shape[2], o).any(axis=-2), -1)
        return np.where(seen | np.isfinite(k), k, 0).astype(k.dtype), np.where(seen | np.isfinite(v), v, 0).astype(v.dtype)

    def share_heads(self, x: Values, heads: int) -> Values:
        return np.repeat(x, heads // x.shape[1], axis=1)

    def weights(self, q: Values, k: Values, o: NumpyOptions) -> tuple[Values, Values]:
        if q.shape[2] * k.shape[2] > MOST_SCORES:
            raise Unsupported("holds all scores of a head in memory")
        scores = self.add_bias(self.scaled_product(q, self.share_heads(k, q.shape[1]), o), o)
        if o.alibi_slopes is not None:
            scores = self.tilt(scores, np.asarray(o.alibi_slopes).astype(scores.dtype))
        seen = self.visible(scores.shape[-2], scores.shape[-1], o)
        return self.masked_activation(self.keep_scores(scores), seen, o), seen

    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(q, k.swapaxes(-1, -2)) * q.dtype.type(o.scale)

    def product(self, left: Values, right: Values) -> Values:
        return left @ right

    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return scores + scores.dtype.type(o.bias)

    def tilt(self, scores: Values, slopes: Values) -> Values:
        return scores - slopes[..., None, None] * self.distance(*scores.shape[-2:]).astype(scores.dtype)

    def distance(self, nq: int, nk: int) -> Values:
        return np.abs(self.offset(nq, nk))

    def offset(self, nq: int, nk: int) -> Values:
        """Key position less query position, bottom-right aligned."""
        return np.arange(nk)[None, :] - np.arange(nq)[:, None] - self.alignment(nq, nk)

    def alignment(self, nq: int, nk: int) -> int:
        return nk - nq

    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        seen = np.ones((1, 1, nq, nk), dtype=bool)
        if o.causal:
            seen = seen & self.causal(nq, nk)
        if o.window is not None:
            seen = seen & self.in_window(nq, nk, *o.window)
        if o.key_lengths is not None:
            seen = seen & self.in_length(nk, np.asarray(o.key_lengths))
        return seen

    def causal(self, nq: int, nk: int) -> Values:
        return self.offset(nq, nk) <= 0

    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return ~AttentionOptions(window=(left, right)).hides(self.offset(nq, nk))

    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return np.arange(nk) < key_lengths[:, None, None, None]

    def keep_scores(self, scores: Values) -> Values:
        return scores

    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, scores.dtype.type(-np.inf)))

    def activate(self, scores: Values) -> Values:
        return 1 / (1 + np.exp(-scores))

    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return self.product(p, v)

    def weight_gradient(self, grad: Values, v: Values) -> Values:
        return self.product(grad, v.swapaxes(-1, -2))

    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        return p * (1 - p) * dp

    def mask_gradient(self, ds: Values, seen: Values) -> Values:
        return ds

    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(ds, k) * ds.dtype.type(o.scale)

    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        return self.product(ds.swapaxes(-1, -2), q) * ds.dtype.type(o.scale)

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


def stored(x: Values, dtype: str) -> Values:
    """``x`` rounded to float16 or bfloat16, to nearest even with subnormals; other dtypes hold it as it is."""
    if dtype not in ("float16", "bfloat16"):
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == "float16":
            return x.astype(np.float16).astype(x.dtype)
        wide = x.astype(np.float64)
        _, exponent = np.frexp(wide)
        step = np.ldexp(1.0, np.maximum(exponent - 8, -133))  # 8 significant bits, the last subnormal 2^-133
        nearest = np.rint(wide / step) * step
        return np.where(np.abs(nearest) >= 2.0**128, np.copysign(np.inf, nearest), nearest).astype(x.dtype)


attention = NumpyAttention()
