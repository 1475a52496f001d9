"""Mutants (planted bugs) of sigmoid attention, each one step of the NumPy implementation gone wrong, and honest variants.

Many are bugs that published kernels had or have; the others are what a kernel author changes by one character.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy's types give Any for what is computed from arrays of any dtype)

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.engine.mutation import Mutant
from conformance.sigmoid_attention.harness.numpy_backend import NumpySubject
from conformance.sigmoid_attention.harness.problem import AttentionProblem, AttentionResult
from impls.sigmoid_attention.numpy_attention import NumpyAttention, NumpyOptions, Values
from reference.rounding import BFLOAT16, Format, format_of
from reference.sigmoid_attention.classes import TANH_APPROX_RELATIVE_ERROR

BLOCK = 64


def _format(o: NumpyOptions) -> Format:
    return format_of(str(o.storage))


def _in_storage(o: NumpyOptions, number: float | None) -> float:
    return float(_format(o).round(number or 0.0))


class Softmax(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        e = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=0))
        return e / e.sum(axis=-1, keepdims=True)


class DividedByLength(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return super().weighted_sum(p, v, o) / v.dtype.type(v.shape[-2])


class InverseDimScale(NumpyAttention):
    def default_scale(self, q: Values) -> float:
        return 1.0 / q.shape[-1]


class ValueDimScale(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, v, **{**options, "scale": options.get("scale", 1 / math.sqrt(v.shape[-1]))})

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(q, k, v, grad, **{**options, "scale": options.get("scale", 1 / math.sqrt(v.shape[-1]))})


class ScaleIgnored(NumpyAttention):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return super().scaled_product(q, k, replace(o, scale=self.default_scale(q)))


class BiasOverScale(NumpyAttention):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(q, k.swapaxes(-1, -2))

    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return (scores + np.float32(o.bias) / np.float32(o.scale or 0)).astype(scores.dtype) * scores.dtype.type(o.scale)


class BiasNegated(NumpyAttention):
    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return super().add_bias(scores, replace(o, bias=-o.bias))


class BiasScaled(NumpyAttention):
    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return super().add_bias(scores, replace(o, bias=o.bias * o.scale))


class BiasInWrongBase(NumpyAttention):
    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return super().add_bias(scores, replace(o, bias=o.bias * math.log(2)))


class BiasPerRow(NumpyAttention):
    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        if o.bias >= 0:
            return super().add_bias(scores, o)
        return scores - np.log(np.arange(1, scores.shape[-2] + 1, dtype=scores.dtype))[:, None]


def _sigmoid_by_tanh(scores: Values, relative_error: Any) -> Values:
    t = np.tanh(scores / 2)
    return (0.5 + 0.5 * np.where(np.abs(t) < 1, t * (1 + relative_error), t)).astype(scores.dtype)


class TanhUndeclared(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        return _sigmoid_by_tanh(scores, -TANH_APPROX_RELATIVE_ERROR)


class Clamped(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        return super().activate(np.where(np.isinf(scores), scores, np.clip(scores, -6, 6)))


class OneMinus(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        return 1 - super().activate(-scores)


class ExpRatio(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        return np.exp(scores) / (1 + np.exp(scores))


class ScoresInBfloat16(NumpyAttention):
    def keep_scores(self, scores: Values) -> Values:
        return BFLOAT16.round(scores).astype(scores.dtype)


class NarrowSum(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        total = np.zeros((*p.shape[:-1], v.shape[-1]), p.dtype)
        for start in range(0, p.shape[-1], BLOCK):
            part = self.product(p[..., start : start + BLOCK], v[..., start : start + BLOCK, :])
            total = self.store(total + part, o)
        return total


class TailDropped(NumpyAttention):
    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        seen = super().visible(nq, nk, o)
        return seen & (np.arange(nk) < nk // BLOCK * BLOCK) if nk > BLOCK else seen


class TailTwice(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        out = super().weighted_sum(p, v, o)
        return out if p.shape[-1] <= BLOCK or p.shape[-1] % BLOCK == 0 else out + p[..., -1:] * v[..., -1:, :]


class HeadDimCut(NumpyAttention):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        whole = 1 << (q.shape[-1].bit_length() - 1)
        return super().scaled_product(q[..., :whole], k[..., :whole], o)


class ValueDimCut(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return super().weighted_sum(p, v, o) * (np.arange(v.shape[-1]) < 16)


class ValueDimIsKeyDim(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return np.resize(super().__call__(q, k, v, **options), q.shape)


class Squeezed(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        return out.squeeze(axis=2) if out.shape[2] == 1 else out


class ThirdBatchRow(NumpyAttention):
    def share_heads(self, x: Values, heads: int) -> Values:
        return super().share_heads(x[np.minimum(np.arange(x.shape[0]), 1)], heads)


class CausalStrict(NumpyAttention):
    def causal(self, nq: int, nk: int) -> Values:
        return self.offset(nq, nk) < 0


class CausalTopLeft(NumpyAttention):
    def causal(self, nq: int, nk: int) -> Values:
        return np.arange(nk)[None, :] <= np.arange(nq)[:, None]


class MaskToZero(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, scores.dtype.type(0)))


class MaskToBias(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, scores.dtype.type(o.bias)))


class SmallPenalty(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, scores.dtype.type(-20)))


class WindowLeftExclusive(NumpyAttention):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, max(left - 1, 0) if left > 0 else left, right)


class WindowSwapped(NumpyAttention):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, right, left)


class WindowTopLeft(NumpyAttention):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        offset = self.offset(nq, nk) + self.alignment(nq, nk)
        return ((left < 0) | (offset >= -left)) & ((right < 0) | (offset <= right))


class WindowOverridesCausal(NumpyAttention):
    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        return super().visible(nq, nk, replace(o, causal=o.causal and o.window is None))


class SignedAlibi(NumpyAttention):
    def distance(self, nq: int, nk: int) -> Values:
        return -self.offset(nq, nk)


class SoftmaxAlibi(NumpyAttention):
    def distance(self, nq: int, nk: int) -> Values:
        return np.broadcast_to(nk - 1 - np.arange(nk), (nq, nk))


class UnalignedAlibi(NumpyAttention):
    def distance(self, nq: int, nk: int) -> Values:
        return np.abs(self.offset(nq, nk) + self.alignment(nq, nk))


class InterleavedHeads(NumpyAttention):
    def share_heads(self, x: Values, heads: int) -> Values:
        return np.tile(x, (1, heads // x.shape[1], 1, 1))

    def sum_groups(self, per_head: Values, group: int) -> Values:
        batch, heads, rows, columns = per_head.shape
        return per_head.reshape(batch, group, heads // group, rows, columns).sum(axis=1)


class FirstRowsLength(NumpyAttention):
    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return super().in_length(nk, np.full_like(key_lengths, key_lengths[0]))


class LengthInclusive(NumpyAttention):
    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return np.arange(nk) <= key_lengths[:, None, None, None]


class EmptyRowsUnmasked(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return super().masked_activation(scores, seen | ~seen.any(axis=-1, keepdims=True), o)


class EmptyRowsNaN(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return np.where(p.any(axis=-1, keepdims=True), super().weighted_sum(p, v, o), np.nan).astype(p.dtype)


class AdditiveMask(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(scores + np.where(seen, 0, -np.inf).astype(scores.dtype))


class NaNSpreads(NumpyAttention):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        scores = super().scaled_product(q, k, o)
        return scores + 0 * scores.sum(axis=-2, keepdims=True)


def _memory(x: Values) -> Values:
    """The whole buffer that a view looks into."""
    held: Any = x
    # as_strided puts a holder object between a view and its buffer.
    while not isinstance(held, np.ndarray) or held.base is not None:
        held = held.base
    return held.reshape(-1)


def _as_if_contiguous(x: Values) -> Values:
    memory = _memory(x)
    start = (x.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // memory.itemsize
    return np.resize(memory[start:], x.shape)


class StridesIgnored(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, _as_if_contiguous(v), **options)


class GradientStridesIgnored(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(q, k, v, _as_if_contiguous(grad), **options)


class ScalesInPlace(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        q *= q.dtype.type(self.default_scale(q))
        return out


class WritesPastTheEnd(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        _memory(k)[-1] = 0
        return super().__call__(q, k, v, **options)


class WideResult(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, v, **options).astype(np.float64)


class WideGradient(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        return {**gradients, "k": gradients["k"].astype(np.float64)}


class CachedByShape(NumpyAttention):
    def __init__(self) -> None:
        self._seen: dict[Any, Values] = {}

    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        key = (q.shape, k.shape, v.shape, q.dtype, q.strides, repr(sorted(options.items())))
        if key not in self._seen:
            self._seen[key] = super().__call__(q, k, v, **options)
        return self._seen[key]


class OrderVaries(NumpyAttention):
    def __init__(self) -> None:
        self._calls = 0

    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        self._calls += 1
        half = p.shape[-1] // 2 if self._calls % 2 else p.shape[-1]
        rest = self.product(p[..., half:], v[..., half:, :])
        # Not stored: in the input dtype the last bits that an order changes seldom show.
        return rest + self.product(p[..., :half], v[..., :half, :])


class ValueGradientOfDerivative(NumpyAttention):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        return super().value_gradient(p * (1 - p), grad)


class WithoutOneMinusP(NumpyAttention):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        return p * dp


class SoftmaxBackward(NumpyAttention):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        return p * (dp - (p * dp).sum(axis=-1, keepdims=True))


class QueryGradientUnscaled(NumpyAttention):
    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return super().query_gradient(ds, k, replace(o, scale=1.0))


class KeyGradientUnscaled(NumpyAttention):
    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        return super().key_gradient(ds, q, replace(o, scale=1.0))


def _forgetting(option: str, instead: Any) -> type[NumpyAttention]:
    class Forgetting(NumpyAttention):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            return super().backward(q, k, v, grad, **{**options, option: instead})

    return Forgetting


class FirstOfGroup(NumpyAttention):
    def sum_groups(self, per_head: Values, group: int) -> Values:
        return per_head[:, ::group]


class MeanOfGroup(NumpyAttention):
    def sum_groups(self, per_head: Values, group: int) -> Values:
        return super().sum_groups(per_head, group) / per_head.dtype.type(group)


class UnreachedQueriesNaN(NumpyAttention):
    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        found = super().query_gradient(ds, k, o)
        return np.where(ds.any(axis=-1, keepdims=True), found, np.nan).astype(ds.dtype)


class UnreachedKeysUnwritten(NumpyAttention):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        found = super().value_gradient(p, grad)
        return np.where(np.expand_dims(p.any(axis=-2), -1), found, np.nan).astype(p.dtype)


class BiasGradientMean(NumpyAttention):
    def bias_gradient(self, ds: Values) -> Values:
        return np.asarray(ds.mean())


class SlopeGradientSign(NumpyAttention):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        return -super().slope_gradient(ds, distance, rank)


class SlopeGradientPooled(NumpyAttention):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        each = super().slope_gradient(ds, distance, rank)
        return np.broadcast_to(each.sum(axis=-1, keepdims=True), each.shape)


class RoundedDerivative(NumpyAttention):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        return super().score_gradient(self.store(p, o), dp, o)


class QueryTailSkipped(NumpyAttention):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        rows = p.shape[-2]
        whole = rows if rows <= BLOCK else rows // BLOCK * BLOCK
        return super().value_gradient(p[..., :whole, :], grad[..., :whole, :])


class Tf32Undeclared(NumpyAttention):
    def product(self, left: Values, right: Values) -> Values:
        if left.dtype != np.float32:
            return super().product(left, right)
        narrow = Format("tf32", precision=11, emin=-126, emax=127)
        return narrow.round(left).astype(np.float32) @ narrow.round(right).astype(np.float32)


# Bugs of long or lopsided shapes, of options together, and of what outlives a call.


_Condition = Callable[[Values, Values, dict[str, Any]], bool]


def _changing(condition: _Condition, **instead: Any) -> type[NumpyAttention]:
    """Other options where shapes or options meet the condition: what a path of their own may leave out."""

    class Changing(_changing_backward(condition, **instead)):  # type: ignore[misc]
        def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
            return super().__call__(q, k, v, **{**options, **(instead if condition(q, k, options) else {})})

    return Changing


def _changing_backward(condition: _Condition, **instead: Any) -> type[NumpyAttention]:
    """The same in the backward pass alone."""

    class ChangingBackward(NumpyAttention):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            return super().backward(q, k, v, grad, **{**options, **(instead if condition(q, k, options) else {})})

    return ChangingBackward


def _shares_heads(q: Values, k: Values, options: dict[str, Any]) -> bool:
    return q.shape[1] != k.shape[1]


def _one_query(q: Values, k: Values, options: dict[str, Any]) -> bool:
    return q.shape[2] == 1 < k.shape[2]


def _given(option: str) -> _Condition:
    return lambda q, k, options: options.get(option) is not None and options[option] is not False


def _backward_of(wrong: type[NumpyAttention]) -> type[NumpyAttention]:
    """The forward pass is right, the backward pass another mutant's."""

    class BackwardOf(NumpyAttention):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            return wrong().backward(q, k, v, grad, **options)

    return BackwardOf


def _gradient_forgetting(name: str, option: str, instead: Any) -> type[NumpyAttention]:
    """One gradient alone is computed with another option."""

    class GradientForgetting(NumpyAttention):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            gradients = super().backward(q, k, v, grad, **options)
            return {**gradients, name: super().backward(q, k, v, grad, **{**options, option: instead})[name]}

    return GradientForgetting


class InterleavedForOneQuery(InterleavedHeads):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, v, **options) if _one_query(q, k, options) else NumpyAttention()(q, k, v, **options)

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return NumpyAttention().backward(q, k, v, grad, **options)


class SlopeOfFirstInGroup(NumpyAttention):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        group = q.shape[1] // k.shape[1]
        slopes = o.alibi_slopes if o.alibi_slopes is None else np.repeat(o.alibi_slopes[..., ::group], group, axis=-1)
        return super().weights(q, k, replace(o, alibi_slopes=slopes))


class CausalFirstBlockLost(NumpyAttention):
    def causal(self, nq: int, nk: int) -> Values:
        return super().causal(nq, nk) & ((np.arange(nq)[:, None] < 128) | (np.arange(nk) >= 1))


class WindowLoopRoundedUp(NumpyAttention):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        seen = super().in_window(nq, nk, left, right)
        first = (np.arange(nq) // BLOCK * BLOCK + nk - nq - left + BLOCK - 1) // BLOCK * BLOCK
        return seen & (np.arange(nk) >= first[:, None]) if nq > BLOCK and left >= 0 else seen


class CausalStrictWithMoreQueries(NumpyAttention):
    def causal(self, nq: int, nk: int) -> Values:
        return self.offset(nq, nk) < (1 if nq <= nk else 0)


class WindowTopLeftWithMoreQueries(WindowTopLeft):
    def alignment(self, nq: int, nk: int) -> int:
        return nk - nq

    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, left, right) if nq > nk else NumpyAttention.in_window(self, nq, nk, left, right)


class AlibiWithinBlock(NumpyAttention):
    def distance(self, nq: int, nk: int) -> Values:
        return np.abs(np.arange(nk) % BLOCK - np.arange(nq)[:, None] % BLOCK - self.alignment(nq, nk))


class DistanceInBfloat16(NumpyAttention):
    def distance(self, nq: int, nk: int) -> Values:
        return BFLOAT16.round(super().distance(nq, nk))


class AlibiCachedByShape(NumpyAttention):
    def __init__(self) -> None:
        self._tilts: dict[Any, Values] = {}

    def tilt(self, scores: Values, slopes: Values) -> Values:
        nothing = np.zeros_like(scores)
        return scores + self._tilts.setdefault((scores.shape, scores.dtype), super().tilt(nothing, slopes))


class LengthsCachedByShape(NumpyAttention):
    def __init__(self) -> None:
        self._masks: dict[Any, Values] = {}

    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return self._masks.setdefault((nk, len(key_lengths)), super().in_length(nk, key_lengths))


class HeadDimOf128(NumpyAttention):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return super().scaled_product(q[..., :128], k[..., :128], o)


class KeyGradientDimCut(NumpyAttention):
    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        whole = 1 << (q.shape[-1].bit_length() - 1)
        return super().key_gradient(ds, q, o) * (np.arange(q.shape[-1]) < whole)


class NarrowValueGradientPadded(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        if v.shape[-1] < q.shape[-1]:
            gradients["v"] = np.roll(gradients["v"], 1, axis=-1)
        return gradients


class ScaleInInputDtype(NumpyAttention):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        return super().weights(q, k, replace(o, scale=_in_storage(o, o.scale)))


class QueryGradientOfPositiveScale(NumpyAttention):
    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return super().query_gradient(ds, k, replace(o, scale=abs(o.scale or 0)))


class NinthHead(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return super().weighted_sum(p, v[:, np.arange(v.shape[1]) % 8], o)


class KeyStridesForValues(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        if k.shape == v.shape:
            v = np.lib.stride_tricks.as_strided(v, v.shape, k.strides)
        return super().__call__(q, k, v, **options)


class AlibiBackwardUnaligned(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        wrong = UnalignedAlibi.backward(UnalignedAlibi(), q, k, v, grad, **options)
        return {**gradients, **{name: wrong[name] for name in ("q", "k", "v")}}


class GroupsOfFirstRow(NumpyAttention):
    def sum_groups(self, per_head: Values, group: int) -> Values:
        found = super().sum_groups(per_head, group)
        return np.broadcast_to(found[:1], found.shape) if group > 1 else found


class BiasGradientOfFirstRow(NumpyAttention):
    def bias_gradient(self, ds: Values) -> Values:
        return super().bias_gradient(ds[:1])


class BiasGradientOfLastBlock(NumpyAttention):
    def bias_gradient(self, ds: Values) -> Values:
        return super().bias_gradient(ds[..., (ds.shape[-2] - 1) // BLOCK * BLOCK :, :])


class BiasGradientOfFirstInGroup(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        group = q.shape[1] // k.shape[1]
        if options.get("alibi_slopes") is None:
            gradients["bias"] = super().backward(q[:, ::group], k, v, grad[:, ::group], **options)["bias"]
        return gradients


class SlopeGradientOfFirstRow(NumpyAttention):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        return super().slope_gradient(ds[:1], distance, rank)


class SlopeGradientOfLastBlock(NumpyAttention):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        first = (ds.shape[-2] - 1) // BLOCK * BLOCK
        return super().slope_gradient(ds[..., first:, :], distance[first:], rank)


class SlopeGradientUnaligned(NumpyAttention):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        nq, nk = distance.shape
        return super().slope_gradient(ds, np.abs(np.arange(nk) - np.arange(nq)[:, None]), rank)


class SlopeGradientOfGroup(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        if options.get("alibi_slopes") is not None:
            group = q.shape[1] // k.shape[1]
            groups = gradients["alibi_slopes"].reshape(-1, group)
            gradients["alibi_slopes"] = np.repeat(groups.sum(axis=1), group)
        return gradients


class KeysBeyond256(NumpyAttention):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        found = super().value_gradient(p, grad)
        return found * (np.arange(found.shape[-2]) < 256)[:, None]


class NarrowGradientSums(NumpyAttention):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        self._options = o
        return super().score_gradient(p, dp, o)

    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return self._in_blocks(ds, k) * ds.dtype.type(o.scale)

    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        return self._in_blocks(ds.swapaxes(-1, -2), q) * ds.dtype.type(o.scale)

    def _in_blocks(self, left: Values, right: Values) -> Values:
        total = np.zeros((*left.shape[:-1], right.shape[-1]), left.dtype)
        for start in range(0, left.shape[-1], BLOCK):
            part = left[..., start : start + BLOCK] @ right[..., start : start + BLOCK, :]
            total = self.store(total + part, self._options)
        return total


class OutputReused(NumpyAttention):
    def __init__(self) -> None:
        self._buffers: dict[Any, Values] = {}

    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        buffer = self._buffers.setdefault((out.shape, out.dtype), out)
        buffer[...] = out
        return buffer


class GradientsReused(NumpyAttention):
    def __init__(self) -> None:
        self._buffers: dict[Any, Values] = {}

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        for name in ("q", "k", "v"):
            buffer = self._buffers.setdefault((name, gradients[name].shape, gradients[name].dtype), gradients[name])
            buffer[...] = gradients[name]
            gradients[name] = buffer
        return gradients


class SlopesInBaseTwo(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        if options.get("alibi_slopes") is not None:
            options["alibi_slopes"] *= np.float32(math.log2(math.e))
        return out


class LengthsClipped(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        if options.get("key_lengths") is not None:
            np.minimum(options["key_lengths"], q.shape[2] // 2, out=options["key_lengths"])
        return out


class TrainsWithoutWindow(NumpySubject):
    """A subject, because what a NumPy function is called for it is not told."""

    def forward_backward(self, problem: AttentionProblem) -> AttentionResult:
        output = self.forward(replace(problem, options=replace(problem.options, window=None))).output
        return replace(super().forward_backward(problem), output=output)


class KeysBeyond4096(NumpyAttention):
    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        return super().visible(nq, nk, o) & (np.arange(nk) < 4096)


class SavedOutsideTheCall(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        self._saved = q, k, v
        return super().__call__(q, k, v, **options)

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(*self._saved, grad, **options)


# What hides under a worst-case bound, and what only packed, unaligned, long or far-flung input shows.


def _truncated(x: Values, store: Format) -> Values:
    nearest = store.round(x)
    return np.where(np.abs(nearest) > np.abs(x), store.round(2 * x - nearest), nearest).astype(x.dtype)


class TruncatedWeights(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return super().weighted_sum(self._weights, v, o)

    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        self._weights = super().masked_activation(scores, seen, o)
        return self._weights

    def store(self, x: Values, o: NumpyOptions) -> Values:
        if _format(o).precision < 24 and x is getattr(self, "_weights", None):
            self._weights = _truncated(x, _format(o))
            return self._weights
        return super().store(x, o)


class TruncatedScoreGradients(NumpyAttention):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        ds = super().score_gradient(p, dp, o)
        return ds if _format(o).precision >= 24 else _truncated(ds, _format(o))


class BiasInInputDtype(NumpyAttention):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        return super().weights(q, k, replace(o, bias=_in_storage(o, o.bias)))


class DefaultScaleInInputDtype(NumpyAttention):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        scale = _in_storage(o, o.scale) if o.scale == self.default_scale(q) else o.scale
        return super().weights(q, k, replace(o, scale=scale))


class CoarseWeights(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        store = _format(o)
        coarse = replace(store, precision=store.precision - 1).round(p).astype(p.dtype) if store.precision < 24 else p
        return super().weighted_sum(coarse, v, o)


class NarrowSumOfEights(NumpyAttention):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        total = np.zeros((*p.shape[:-1], v.shape[-1]), p.dtype)
        for start in range(0, p.shape[-1], 8):
            total = self.store(total + self.product(p[..., start : start + 8], v[..., start : start + 8, :]), o)
        return total


class NextSequencesKey(NumpyAttention):
    def sequences(self, o: NumpyOptions) -> Any:
        *_, (_, _, final) = o.sequences()
        last = final.stop
        for row, queries, keys in super().sequences(o):
            yield row, queries, slice(keys.start, min(keys.stop + 1, last)) if keys.stop > keys.start else keys


class PackedAlignedByTotals(NumpyAttention):
    _shift: int | None = None

    def sequences(self, o: NumpyOptions) -> Any:
        *_, (_, queries, keys) = o.sequences()
        self._shift = keys.stop - queries.stop
        yield from super().sequences(o)
        self._shift = None

    def alignment(self, nq: int, nk: int) -> int:
        return super().alignment(nq, nk) if self._shift is None else self._shift


class BiasGradientOfLastSequence(NumpyAttention):
    def join_gradients(self, parts: list[dict[str, Values]], slopes: Values | None) -> dict[str, Values]:
        return {**super().join_gradients(parts, slopes), "bias": parts[-1]["bias"]}


class AddressRoundedDown(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        memory = _memory(v)
        late = (v.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // memory.itemsize % 8
        if late:
            start = (v.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // memory.itemsize - late
            v = np.lib.stride_tricks.as_strided(memory[start:], v.shape, v.strides)
        return super().__call__(q, k, v, **options)


class PositionsIn15Bits(NumpyAttention):
    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        seen = super().visible(nq, nk, o)
        return seen & (np.arange(nk) < 2**15) if nk >= 2**16 else seen


class QueriesIn15Bits(NumpyAttention):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        return super().value_gradient(p[..., : 2**15, :], grad[..., : 2**15, :])


class OffsetsIn32Bits(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        row = v.strides[2] // v.itemsize
        if row * (v.shape[2] - 1) >= 2**31:
            v = v[:, :, [j if j * row < 2**31 else 0 for j in range(v.shape[2])]]
        return super().__call__(q, k, v, **options)


# What only two things together show.


class ProductsBeyond65504(NumpyAttention):
    def product(self, left: Values, right: Values) -> Values:
        found = super().product(left, right)
        return np.where(np.abs(found) > np.finfo(np.float16).max, np.copysign(np.inf, found), found).astype(found.dtype)


class KeyGradientOf64Channels(NumpyAttention):
    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        dim = q.shape[-1]
        return super().key_gradient(ds, q, o) * (np.arange(dim) < (64 if dim % 128 == 0 else dim))


class OneQueryGradientUnscaled(NumpyAttention):
    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return super().query_gradient(ds, k, replace(o, scale=o.scale if ds.shape[-2] > 1 else 1.0))


class NinthHeadGradient(NumpyAttention):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        return super().value_gradient(p, grad[:, np.arange(grad.shape[1]) % 8])


class ScaleOrDefaultBackward(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(q, k, v, grad, **{**options, "scale": options.get("scale") or None})


class WindowClipped(NumpyAttention):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, min(left, nk // 2), right)


class InfinityTimesMask(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, -np.inf).astype(scores.dtype)) + 0 * np.where(np.isinf(scores), scores, 0)


class CausalStartRoundedUp(NumpyAttention):
    """The loop over queries starts at the first whole block that sees a key, backward."""

    def value_gradient(self, p: Values, grad: Values) -> Values:
        hidden = p.shape[-2] - p.shape[-1]
        first = (hidden + BLOCK - 1) // BLOCK * BLOCK if hidden > BLOCK and not p[..., :hidden, :].any() else 0
        return super().value_gradient(p[..., first:, :], grad[..., first:, :])


class BiasGradientOfFirstKeys(NumpyAttention):
    def bias_gradient(self, ds: Values) -> Values:
        return super().bias_gradient(ds[..., : 2 * BLOCK])


class SlopeGradientOfFirstKeys(NumpyAttention):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        return super().slope_gradient(ds[..., : 2 * BLOCK], distance[:, : 2 * BLOCK], rank)


class EmptySequencesUncounted(NumpyAttention):
    """Whose slopes a packed sequence takes is counted without the empty ones."""

    def sequences(self, o: NumpyOptions) -> Any:
        place = -1
        for _, queries, keys in super().sequences(o):
            place += queries.stop > queries.start
            yield max(place, 0), queries, keys


class EmptySequenceEndsGradients(NumpyAttention):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        edges = options.get("cu_seqlens_q")
        if edges is not None and (np.diff(edges) == 0).any():
            gradients["q"][:, :, edges[int(np.argmin(np.diff(edges)))] :] = 0
        return gradients


class SlopesOfFirstRow(NumpyAttention):
    def tilt(self, scores: Values, slopes: Values) -> Values:
        return super().tilt(scores, slopes[:1] if slopes.ndim == 2 else slopes)


class SlopeGradientOverRows(NumpyAttention):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        each = super().slope_gradient(ds, distance, rank)
        return np.broadcast_to(each.sum(axis=0, keepdims=True), each.shape) if rank == 2 else each


class TwoGradientsTogether(NumpySubject):
    """A subject, because what a NumPy function is called for it is not told."""

    def forward_backward(self, problem: AttentionProblem) -> AttentionResult:
        result = super().forward_backward(problem)
        if "v" in problem.frozen and "k" in result.gradients:
            return replace(result, gradients={**result.gradients, "k": 0 * result.gradients["k"]})
        return result


class DeclaredTanh(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        sign = np.where(np.abs(scores) * 1024 % 2 < 1, 1, -1)
        return _sigmoid_by_tanh(scores, 0.99 * TANH_APPROX_RELATIVE_ERROR * sign)


class Materialised(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return super().masked_activation(self.store(scores, o), seen, o)

    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        p = self.store(p, o)
        return self.store(p * (1 - p) * self.store(dp, o), o)


class Prescaled(NumpyAttention):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        q, k, options = self._scaled(q, k, options)
        return super().__call__(q, k, v, **options)

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        root = abs(options.get("scale") or self.default_scale(q)) ** 0.5
        zero = options.get("scale") == 0
        q, k, options = self._scaled(q, k, options)
        gradients = super().backward(q, k, v, grad, **options)
        if not zero:
            for name in ("q", "k"):
                gradients[name] = self._stored(gradients[name] * gradients[name].dtype.type(root), options)
        return gradients

    def _scaled(self, q: Values, k: Values, options: dict[str, Any]) -> tuple[Values, Values, dict[str, Any]]:
        scale = options.get("scale", self.default_scale(q))
        if scale == 0:
            return q, k, options
        root = q.dtype.type(abs(scale) ** 0.5)
        return self._stored(q * root, options), self._stored(k * root, options), {**options, "scale": math.copysign(1, scale)}

    def _stored(self, x: Values, options: dict[str, Any]) -> Values:
        return BFLOAT16.round(x).astype(x.dtype) if options.get("storage") == "bfloat16" else x


class BiasInAccumulator(BiasOverScale):
    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return super().add_bias(scores, o) if o.scale else scores * 0 + scores.dtype.type(o.bias)


class BackwardsInBlocks(NumpyAttention):
    def product(self, left: Values, right: Values) -> Values:
        total = np.zeros((*left.shape[:-1], right.shape[-1]), left.dtype)
        for stop in range(left.shape[-1], 0, -7):
            start = max(stop - 7, 0)
            total = total + left[..., start:stop] @ right[..., start:stop, :]
        return total


class Truncating(NumpyAttention):
    def product(self, left: Values, right: Values) -> Values:
        if left.dtype != np.float32:
            return super().product(left, right)
        total = np.zeros((*left.shape[:-1], right.shape[-1]))
        for start in range(0, left.shape[-1], 8):
            exact = total + left[..., start : start + 8].astype(float) @ right[..., start : start + 8, :].astype(float)
            nearest = exact.astype(np.float32)
            total = np.where(np.abs(nearest) > np.abs(exact), np.nextafter(nearest, np.float32(0)), nearest).astype(float)
        return total.astype(np.float32)


class BaseTwo(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        return 1 / (1 + np.exp2(-scores * scores.dtype.type(math.log2(math.e))))


class TwoBranches(NumpyAttention):
    def activate(self, scores: Values) -> Values:
        e = np.exp(-np.abs(scores))
        return np.where(scores >= 0, 1, e).astype(scores.dtype) / (1 + e)


class LargestNegativeMask(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, -np.finfo(scores.dtype).max))


class MaskAfterActivation(NumpyAttention):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return np.where(seen, self.activate(scores), scores.dtype.type(0))


class GroupRoundedFirst(NumpyAttention):
    def sum_groups(self, per_head: Values, group: int) -> Values:
        return super().sum_groups(per_head.astype(np.float16).astype(per_head.dtype) if self._half else per_head, group)

    _half = False

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        variant = GroupRoundedFirst()
        variant._half = q.dtype == np.float16
        return NumpyAttention.backward(variant, q, k, v, grad, **options)


class DoubleInside(NumpyAttention):
    def working(self, x: Values) -> Values:
        return x.astype(np.float64)


class FusedDerivative(NumpyAttention):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        return p * dp - p * (p * dp)


class ScaledGradient(NumpyAttention):
    """dS is scaled before it is stored, so that one scaling serves dQ and dK."""

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        scale = options.get("scale")
        variant = _ScaledFirst(self.default_scale(q) if scale is None else scale)
        return variant.backward(q, k, v, grad, **options)


class _ScaledFirst(NumpyAttention):
    def __init__(self, scale: float) -> None:
        self._scale = scale

    def mask_gradient(self, ds: Values, seen: Values) -> Values:
        return ds * ds.dtype.type(self._scale)

    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return super().query_gradient(ds, k, replace(o, scale=1.0))

    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        return super().key_gradient(ds, q, replace(o, scale=1.0))

    def bias_gradient(self, ds: Values) -> Values:
        return super().bias_gradient(ds) / self._scale

    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        return super().slope_gradient(ds, distance, rank) / self._scale


class FoldedBaseTwo(NumpyAttention):
    """Scale, bias and slopes are taken to base 2 before anything is multiplied."""

    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return super().scaled_product(q, k, replace(o, scale=(o.scale or 0) * math.log2(math.e)))

    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return super().add_bias(scores, replace(o, bias=o.bias * math.log2(math.e)))

    def tilt(self, scores: Values, slopes: Values) -> Values:
        return super().tilt(scores, slopes * slopes.dtype.type(math.log2(math.e)))

    def activate(self, scores: Values) -> Values:
        return 1 / (1 + np.exp2(-scores))


class QueryScaledFirst(NumpyAttention):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(q * q.dtype.type(o.scale), k.swapaxes(-1, -2))

    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(ds, k * k.dtype.type(o.scale))


class DerivativeOfBothTails(NumpyAttention):
    """The derivative is sigmoid(x) sigmoid(-x), each by its own exponential."""

    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        self._other = self.activate(np.where(seen, -scores, scores.dtype.type(np.inf)))
        return super().masked_activation(scores, seen, o)

    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        return dp * (p * self._other)


def _last_row_lost() -> Any:
    """Of tiles, because nothing that holds all scores takes sequences so long."""
    import torch

    from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
    from impls.sigmoid_attention.torch_blocked import attention

    def last_row_lost(q: Any, k: Any, v: Any, **options: Any) -> Any:
        out = attention(q, k, v, **options)
        return torch.where(torch.arange(out.shape[2])[:, None] < 2**16 - 1, out, 0)

    return TorchSubject(last_row_lost, "cpu", "", {})


def _subject(attention: Callable[[], Any], numerical_class: str = "") -> Callable[[], NumpySubject]:
    return lambda: NumpySubject(attention(), numerical_class)


def _bug(name: str, attention: Callable[[], Any], sentence: str, *killed_by: str) -> Mutant:
    return Mutant(name, "sigmoid_attention", sentence, _subject(attention), tuple(f"SIG-{n}" for n in killed_by))


def _long(name: str, attention: Callable[[], Any], sentence: str, *killed_by: str) -> Mutant:
    return replace(_bug(name, attention, sentence, *killed_by), thorough=True)


def _honest(name: str, attention: Callable[[], Any], sentence: str, numerical_class: str = "") -> Mutant:
    return Mutant(name, "sigmoid_attention", sentence, _subject(attention, numerical_class), honest=True)


MUTANTS: tuple[Mutant, ...] = (
    _bug("softmax", Softmax, "Weights are a softmax over keys.", "01"),
    _bug("divided-by-length", DividedByLength, "The output is divided by the number of keys.", "01"),
    _bug("tf32-undeclared", Tf32Undeclared, "Operands of float32 products are cut to TF32.", "01"),
    _bug("inverse-dim-scale", InverseDimScale, "The default scale is 1/D.", "02"),
    _bug("value-dim-scale", ValueDimScale, "The default scale takes the square root of the value dim.", "02"),
    _bug("scale-ignored", ScaleIgnored, "A given scale is ignored in the scores.", "03", "33"),
    _bug("bias-over-scale", BiasOverScale, "The accumulator starts from bias/scale, which is NaN at scale 0.", "03"),
    _bug("bias-negated", BiasNegated, "The bias is subtracted.", "04"),
    _bug("bias-scaled", BiasScaled, "The bias is scaled together with q.k.", "04"),
    _bug("bias-in-wrong-base", BiasInWrongBase, "Scores are converted to base 2 and the bias is not.", "04"),
    _bug("bias-per-row", BiasPerRow, "A negative bias is replaced by -log(i + 1) in row i.", "04"),
    _bug("tanh-undeclared", TanhUndeclared, "The sigmoid comes from the hardware's approximate tanh.", "05"),
    _bug("clamped", Clamped, "Scores are clamped to [-6, 6].", "05"),
    _bug("one-minus", OneMinus, "The sigmoid is 1 - sigmoid(-x).", "05"),
    _bug("exp-ratio", ExpRatio, "The sigmoid is exp(x)/(1 + exp(x)).", "06"),
    _bug("scores-in-bfloat16", ScoresInBfloat16, "Scores are rounded to bfloat16.", "07"),
    _bug("narrow-sum", NarrowSum, "The output is accumulated in the input dtype.", "08"),
    _bug("tail-dropped", TailDropped, "Keys beyond the last whole block are dropped.", "09"),
    _bug("tail-twice", TailTwice, "In a partial block the last key counts twice.", "09"),
    _bug("head-dim-cut", HeadDimCut, "Only a power of two of the head dim enters the product.", "10"),
    _bug("value-dim-cut", ValueDimCut, "Value channels beyond the 16th are never computed.", "11"),
    _bug("value-dim-is-key-dim", ValueDimIsKeyDim, "The output takes the shape of q.", "11"),
    _bug("squeezed", Squeezed, "A single query's axis is squeezed away.", "12"),
    _bug("third-batch-row", ThirdBatchRow, "Batch rows beyond the second read the second's keys and values.", "13"),
    _bug("causal-strict", CausalStrict, "A causal query does not see its own position.", "14"),
    _bug("causal-top-left", CausalTopLeft, "The causal mask is aligned at the top left.", "15"),
    _bug("mask-to-zero", MaskToZero, "Masked scores are set to 0 before the activation.", "16"),
    _bug("mask-to-bias", MaskToBias, "Masked scores are set to the bias before the activation.", "16"),
    _bug("small-penalty", SmallPenalty, "Masked scores are set to -20, which is not low enough.", "16"),
    _bug("window-left-exclusive", WindowLeftExclusive, "The window's left end is left out.", "17"),
    _bug("window-swapped", WindowSwapped, "The window's sides are swapped.", "17"),
    _bug("window-top-left", WindowTopLeft, "The window is aligned at the top left.", "18"),
    _bug("window-overrides-causal", WindowOverridesCausal, "A window switches the causal mask off.", "18"),
    _bug("signed-alibi", SignedAlibi, "ALiBi adds slope (j - i), signed.", "19"),
    _bug("softmax-alibi", SoftmaxAlibi, "ALiBi drops the part that is constant in a row, as softmax may.", "19"),
    _bug("unaligned-alibi", UnalignedAlibi, "ALiBi's distance is |i - j| for unequal lengths too.", "20"),
    _bug("interleaved-heads", InterleavedHeads, "Query head h reads key head h % Hk.", "21"),
    _bug("first-rows-length", FirstRowsLength, "Every batch row has the first row's key length.", "22"),
    _bug("length-inclusive", LengthInclusive, "The first padded key is seen.", "22"),
    _bug("empty-rows-unmasked", EmptyRowsUnmasked, "A row that sees no key sees every key.", "23"),
    _bug("empty-rows-nan", EmptyRowsNaN, "A row that sees no key is NaN.", "23"),
    _bug("additive-mask", AdditiveMask, "The mask adds -inf, which leaves a NaN a NaN.", "24"),
    _bug("nan-spreads", NaNSpreads, "A row's NaN reaches every other row.", "24"),
    _bug("strides-ignored", StridesIgnored, "v is read as if it were contiguous.", "25"),
    _bug("scales-in-place", ScalesInPlace, "q is scaled in place.", "26"),
    _bug("writes-past-the-end", WritesPastTheEnd, "Memory behind k is written to.", "26"),
    _bug("wide-result", WideResult, "The output is returned in a wider dtype.", "27"),
    _bug("wide-gradient", WideGradient, "The gradient of k is returned in a wider dtype.", "27"),
    _bug("cached-by-shape", CachedByShape, "The answer is cached by shape and options.", "28"),
    _bug("order-varies", OrderVaries, "The order of the sum differs from call to call.", "29"),
    _bug("value-gradient-of-derivative", ValueGradientOfDerivative, "dV uses P (1 - P) in place of P.", "30"),
    _bug("without-one-minus-p", WithoutOneMinusP, "dS lacks the factor 1 - P.", "31", "32"),
    _bug("softmax-backward", SoftmaxBackward, "dS subtracts the row sum, as softmax's does.", "31", "32"),
    _bug("query-gradient-unscaled", QueryGradientUnscaled, "dQ lacks the scale.", "31"),
    _bug("key-gradient-unscaled", KeyGradientUnscaled, "dK lacks the scale.", "32"),
    _bug("backward-without-causal", _forgetting("causal", False), "The backward pass forgets the causal mask.", "33", "35"),
    _bug("backward-without-window", _forgetting("window", None), "The backward pass forgets the window.", "33", "35"),
    _bug("backward-without-bias", _forgetting("bias", 0.0), "The backward pass forgets the bias.", "33"),
    _bug(
        "backward-without-lengths", _forgetting("key_lengths", None), "The backward pass forgets the key lengths.", "33", "35"
    ),
    _bug("first-of-group", FirstOfGroup, "Shared heads get the gradient of their first query head alone.", "34"),
    _bug("mean-of-group", MeanOfGroup, "Shared heads get the mean of their query heads' gradients.", "34"),
    _bug("unreached-queries-nan", UnreachedQueriesNaN, "dQ is NaN in rows that see no key.", "35"),
    _bug("unreached-keys-unwritten", UnreachedKeysUnwritten, "dV of a key that no query sees is never written.", "35"),
    _bug("bias-gradient-mean", BiasGradientMean, "The gradient of the bias is a mean.", "36"),
    _bug("slope-gradient-sign", SlopeGradientSign, "The gradient of the slopes has the wrong sign.", "37"),
    _bug("slope-gradient-pooled", SlopeGradientPooled, "Every slope gets the sum of all heads' gradients.", "37"),
    _bug("rounded-derivative", RoundedDerivative, "1 - P is taken from the stored weight.", "38"),
    _bug("gradient-strides-ignored", GradientStridesIgnored, "dO is read as if it were contiguous.", "39"),
    _bug("query-tail-skipped", QueryTailSkipped, "dV leaves out queries beyond the last whole block.", "40"),
    _bug("interleaved-for-one-query", InterleavedForOneQuery, "For a single query heads are shared interleaved.", "21"),
    _bug("one-query-without-window", _changing(_one_query, window=None), "A single query ignores the window.", "12"),
    _bug("one-query-without-slopes", _changing(_one_query, alibi_slopes=None), "A single query ignores the slopes.", "12"),
    _bug("one-query-without-lengths", _changing(_one_query, key_lengths=None), "A single query ignores key lengths.", "12"),
    _bug("shared-heads-without-causal", _changing(_shares_heads, causal=False), "Shared heads ignore the causal mask.", "21"),
    _bug("shared-heads-without-window", _changing(_shares_heads, window=None), "Shared heads ignore the window.", "21"),
    _bug("shared-heads-without-lengths", _changing(_shares_heads, key_lengths=None), "Shared heads ignore key lengths.", "21"),
    _bug("slope-of-first-in-group", SlopeOfFirstInGroup, "Query heads of a group have its first head's slope.", "21"),
    _bug("causal-first-block-lost", CausalFirstBlockLost, "Causal queries from the 128th on miss the first key.", "14"),
    _bug("window-loop-rounded-up", WindowLoopRoundedUp, "The loop over a window's keys starts at the block after.", "17"),
    _bug(
        "causal-strict-with-more-queries", CausalStrictWithMoreQueries, "With more queries than keys causal is strict.", "15"
    ),
    _bug("window-top-left-more-queries", WindowTopLeftWithMoreQueries, "With more queries the window is top left.", "18"),
    _bug("alibi-within-block", AlibiWithinBlock, "ALiBi's positions begin again with each block of 64.", "19"),
    _bug("distance-in-bfloat16", DistanceInBfloat16, "ALiBi's distances are bfloat16, exact up to 256.", "19"),
    _bug("alibi-cached-by-shape", AlibiCachedByShape, "ALiBi's matrix is cached by shape, whatever the slopes.", "28"),
    _bug("lengths-cached-by-shape", LengthsCachedByShape, "The mask of key lengths is cached by shape.", "28"),
    _bug("head-dim-of-128", HeadDimOf128, "Head dims end at 128.", "10"),
    _bug("key-gradient-dim-cut", KeyGradientDimCut, "dK is 0 beyond a power of two of the head dim.", "10"),
    _bug("narrow-value-gradient-padded", NarrowValueGradientPadded, "dV of narrower values is one channel off.", "11"),
    _bug("scale-in-input-dtype", ScaleInInputDtype, "A given scale is rounded to the input dtype.", "03"),
    _bug("query-gradient-of-positive-scale", QueryGradientOfPositiveScale, "dQ takes the size of the scale.", "03"),
    _bug("ninth-head", NinthHead, "Heads beyond the eighth read the values of the first eight.", "13"),
    _bug("key-strides-for-values", KeyStridesForValues, "v is read with k's strides.", "25"),
    _bug(
        "causal-backward-block-lost",
        _backward_of(CausalFirstBlockLost),
        "The causal mask loses a key beyond a block, backward.",
        "33",
    ),
    _bug("window-backward-block-lost", _backward_of(WindowLoopRoundedUp), "The window's loop starts late, backward.", "33"),
    _bug("alibi-backward-unaligned", AlibiBackwardUnaligned, "Backward, ALiBi's distance is |i - j|.", "33"),
    _bug("groups-of-first-row", GroupsOfFirstRow, "Shared heads get the first batch row's gradients.", "34"),
    _bug("bias-gradient-of-first-row", BiasGradientOfFirstRow, "The bias's gradient is the first batch row's.", "36"),
    _bug("bias-gradient-of-last-block", BiasGradientOfLastBlock, "Each block overwrites the bias's gradient.", "36"),
    _bug(
        "bias-gradient-of-first-in-group",
        BiasGradientOfFirstInGroup,
        "The bias's gradient sums one query head of each group.",
        "36",
    ),
    _bug(
        "bias-gradient-without-bias", _gradient_forgetting("bias", "bias", 0.0), "The bias's gradient forgets the bias.", "36"
    ),
    _bug(
        "bias-gradient-without-window",
        _gradient_forgetting("bias", "window", None),
        "The bias's gradient forgets the window.",
        "36",
    ),
    _bug(
        "bias-gradient-without-lengths",
        _gradient_forgetting("bias", "key_lengths", None),
        "The bias's gradient forgets the key lengths.",
        "36",
    ),
    _bug("slope-gradient-of-first-row", SlopeGradientOfFirstRow, "The slopes' gradient is the first batch row's.", "37"),
    _bug("slope-gradient-of-last-block", SlopeGradientOfLastBlock, "Each block overwrites the slopes' gradient.", "37"),
    _bug("slope-gradient-unaligned", SlopeGradientUnaligned, "The slopes' gradient takes |i - j|.", "37"),
    _bug("slope-gradient-of-group", SlopeGradientOfGroup, "Slopes of a group get the sum of their gradients.", "37"),
    _bug("keys-beyond-256", KeysBeyond256, "dV of keys beyond the 256th is never computed.", "40"),
    _bug("narrow-gradient-sums", NarrowGradientSums, "dQ and dK are accumulated in the input dtype.", "41"),
    _bug("output-reused", OutputReused, "Every call of one shape writes the same output buffer.", "42"),
    _bug("gradients-reused", GradientsReused, "Every backward call of one shape writes the same gradients.", "42"),
    _bug("slopes-in-base-two", SlopesInBaseTwo, "The slopes are taken to base 2 in their own memory.", "26"),
    _bug("lengths-clipped", LengthsClipped, "The key lengths are clipped in their own memory.", "26"),
    Mutant(
        "trains-without-window",
        "sigmoid_attention",
        "The forward pass that records gradients, a kernel of its own, ignores the window.",
        lambda: TrainsWithoutWindow(NumpyAttention()),
        ("SIG-43",),
    ),
    _bug("keys-beyond-4096", KeysBeyond4096, "Keys beyond the 4096th are never read.", "08"),
    _bug("saved-outside-the-call", SavedOutsideTheCall, "The backward pass uses the latest call's inputs.", "42"),
    _bug("truncated-weights", TruncatedWeights, "Weights are truncated, not rounded, to the input dtype.", "44", "46"),
    _bug("truncated-score-gradients", TruncatedScoreGradients, "dS is truncated to the input dtype.", "46"),
    _bug("bias-in-input-dtype", BiasInInputDtype, "The bias is rounded to the input dtype.", "46"),
    _bug("default-scale-in-input-dtype", DefaultScaleInInputDtype, "1/sqrt(D) is rounded to the input dtype.", "46"),
    _bug("coarse-weights", CoarseWeights, "Weights are stored with one bit fewer.", "45"),
    _bug("narrow-sum-of-eights", NarrowSumOfEights, "Every eight keys the sum is rounded to the input dtype.", "45"),
    _bug("next-sequence-s-key", NextSequencesKey, "A packed sequence sees the first key of the next.", "47", "48"),
    _bug("packed-aligned-by-totals", PackedAlignedByTotals, "Packed masks are aligned by the totals.", "47"),
    _bug(
        "packed-gradients-aligned-by-totals",
        _backward_of(PackedAlignedByTotals),
        "Backward, packed masks are aligned by the totals.",
        "48",
    ),
    _bug("bias-gradient-of-last-sequence", BiasGradientOfLastSequence, "The bias's gradient is the last sequence's.", "48"),
    _bug("address-rounded-down", AddressRoundedDown, "v's address is rounded down to eight elements.", "49"),
    _bug("products-beyond-65504", ProductsBeyond65504, "Products beyond 65,504 become infinite.", "07"),
    _bug("key-gradient-of-64-channels", KeyGradientOf64Channels, "With a head dim of 128 or 256 dK ends at 64.", "10"),
    _bug("one-query-gradient-unscaled", OneQueryGradientUnscaled, "dQ of a single query lacks the scale.", "12"),
    _bug("ninth-head-gradient", NinthHeadGradient, "dV of heads beyond the eighth takes the first eight's dO.", "13"),
    _bug("scale-or-default-backward", ScaleOrDefaultBackward, "A scale of 0 is taken for none, backward.", "03"),
    _bug("window-clipped", WindowClipped, "A window's left side is clipped to half of the keys.", "17"),
    _bug("infinity-times-mask", InfinityTimesMask, "The mask multiplies, which makes a NaN of an infinity.", "24"),
    _bug(
        "window-top-left-backward",
        _backward_of(WindowTopLeftWithMoreQueries),
        "Backward, with more queries, the window is top left.",
        "33",
    ),
    _bug("causal-start-rounded-up", CausalStartRoundedUp, "dV begins at the first whole block of causal queries.", "33"),
    _bug("bias-gradient-of-first-keys", BiasGradientOfFirstKeys, "The bias's gradient ends with the 128th key.", "36"),
    _bug("slope-gradient-of-first-keys", SlopeGradientOfFirstKeys, "The slopes' gradient ends with the 128th key.", "37"),
    _bug("empty-sequence-ends-gradients", EmptySequenceEndsGradients, "dQ is 0 after an empty packed sequence.", "48"),
    _bug(
        "packed-backward-without-window",
        _changing_backward(_given("cu_seqlens_q"), window=None),
        "Packed sequences ignore the window, backward.",
        "48",
    ),
    _bug("causal-without-scale", _changing(_given("causal"), scale=None), "A causal path takes the default scale.", "52"),
    _bug("window-without-bias", _changing(_given("window"), bias=0.0), "A path for windows leaves the bias out.", "52"),
    _bug("lengths-without-bias", _changing(_given("key_lengths"), bias=0.0), "Key lengths leave the bias out.", "52"),
    _bug("window-without-slopes", _changing(_given("window"), alibi_slopes=None), "A window leaves the slopes out.", "52"),
    _bug("packed-without-bias", _changing(_given("cu_seqlens_q"), bias=0.0), "Packed sequences leave the bias out.", "52"),
    _bug("packed-without-scale", _changing(_given("cu_seqlens_q"), scale=None), "Packed: the default scale.", "52"),
    _bug("shared-heads-without-scale", _changing(_shares_heads, scale=None), "Shared heads take the default scale.", "52"),
    _bug(
        "window-lifts-causal-backward",
        _changing_backward(_given("window"), causal=False),
        "A window switches the causal mask off, backward.",
        "52",
    ),
    _bug(
        "shared-heads-without-causal-backward",
        _changing_backward(_shares_heads, causal=False),
        "Shared heads ignore the causal mask, backward.",
        "52",
    ),
    _bug(
        "shared-heads-without-window-backward",
        _changing_backward(_shares_heads, window=None),
        "Shared heads ignore the window, backward.",
        "52",
    ),
    _bug(
        "shared-heads-without-lengths-backward",
        _changing_backward(_shares_heads, key_lengths=None),
        "Shared heads ignore key lengths, backward.",
        "52",
    ),
    _bug(
        "bias-gradient-without-scale",
        _gradient_forgetting("bias", "scale", None),
        "The bias's gradient takes the default scale.",
        "52",
    ),
    _bug(
        "slope-gradient-without-window",
        _gradient_forgetting("alibi_slopes", "window", None),
        "The slopes' gradient forgets the window.",
        "52",
    ),
    _bug("empty-sequences-uncounted", EmptySequencesUncounted, "Empty packed sequences have no slopes.", "52"),
    _bug("slopes-of-first-row", SlopesOfFirstRow, "Every batch row has the first row's slopes.", "53"),
    _bug("slope-gradient-over-rows", SlopeGradientOverRows, "Slopes of each row get the sum over rows.", "53"),
    Mutant(
        "two-gradients-together",
        "sigmoid_attention",
        "dK and dV come from one kernel, and dK is 0 where dV is not asked for.",
        lambda: TwoGradientsTogether(NumpyAttention()),
        ("SIG-54",),
    ),
    _long("positions-in-15-bits", PositionsIn15Bits, "Keys from the 32,768th on are never seen.", "50"),
    _long("queries-in-15-bits", QueriesIn15Bits, "dV leaves out queries from the 32,768th on.", "50"),
    Mutant(
        "queries-in-16-bits",
        "sigmoid_attention",
        "Queries are numbered up to 65,535, and the last of 65,536 has no output.",
        _last_row_lost,
        ("SIG-50",),
        thorough=True,
    ),
    _long("offsets-in-32-bits", OffsetsIn32Bits, "Offsets into v wrap at 2^31 elements.", "51"),
    _honest("declared-tanh", DeclaredTanh, "The hardware's approximate tanh, declared.", "fused-tanh"),
    _honest("materialised", Materialised, "Scores and gradients stored in the input dtype, declared.", "materialised"),
    _honest("prescaled", Prescaled, "q and k each scaled by the root of the scale and stored, declared.", "prescaled"),
    _honest("bias-in-accumulator", BiasInAccumulator, "The accumulator starts from bias/scale, scale 0 taken care of."),
    _honest("backwards-in-blocks", BackwardsInBlocks, "Every product is summed from the end, seven terms at a time."),
    _honest("truncating", Truncating, "Partial sums are truncated, as matrix units do."),
    _honest("base-two", BaseTwo, "The exponential is taken in base 2."),
    _honest("two-branches", TwoBranches, "The sigmoid never takes the exponential of a positive number."),
    _honest("largest-negative-mask", LargestNegativeMask, "Masked scores are the largest negative float, not -inf."),
    _honest("mask-after-activation", MaskAfterActivation, "Masked weights are set to 0 after the activation."),
    _honest("group-rounded-first", GroupRoundedFirst, "Shared heads' gradients are rounded one by one before they are added."),
    _honest("double-inside", DoubleInside, "Everything inside is float64."),
    _honest("fused-derivative", FusedDerivative, "P dP - P (P dP), as one fused operation would."),
    _honest("scaled-gradient", ScaledGradient, "dS is scaled before it is stored."),
    _honest("folded-base-two", FoldedBaseTwo, "Scale, bias and slopes are taken to base 2 beforehand."),
    _honest("query-scaled-first", QueryScaledFirst, "q is scaled in float32 before the product, and k for dQ."),
    _honest("derivative-of-both-tails", DerivativeOfBothTails, "The derivative is sigmoid(x) sigmoid(-x)."),
)
