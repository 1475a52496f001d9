"""Mutants (planted bugs) of sigmoid attention, each one step of the NumPy implementation gone wrong, and honest variants.

Many are bugs that published kernels had or have; the others are what a kernel author changes by one character.
"""

# mypy: disable-error-code="no-any-return"
# (NumPy's types give Any for what is computed from arrays of any dtype)

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.engine.mutation import Mutant
from conformance.sigmoid_attention.harness.numpy_backend import NumpySubject
from conformance.sigmoid_attention.harness.problem import AttentionProblem, AttentionResult
from impls.sigmoid_attention.numpy_attention import NumpyAttention as Base
from impls.sigmoid_attention.numpy_attention import NumpyOptions, Values
from reference.rounding import BFLOAT16, Format, format_of
from reference.sigmoid_attention.classes import TANH_APPROX_RELATIVE_ERROR

BLOCK = 64


def _format(o: NumpyOptions) -> Format:
    return format_of(str(o.storage))


def _in_storage(o: NumpyOptions, number: float | None) -> float:
    return float(_format(o).round(number or 0.0))


class Softmax(Base):
    def activate(self, scores: Values) -> Values:
        e = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=0))
        return e / e.sum(axis=-1, keepdims=True)


class ValueDimScale(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, v, **{**options, "scale": options.get("scale", 1 / math.sqrt(v.shape[-1]))})

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(q, k, v, grad, **{**options, "scale": options.get("scale", 1 / math.sqrt(v.shape[-1]))})


class ScaleIgnored(Base):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return super().scaled_product(q, k, replace(o, scale=self.default_scale(q)))


class BiasOverScale(Base):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(q, k.swapaxes(-1, -2))

    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return (scores + np.float32(o.bias) / np.float32(o.scale or 0)).astype(scores.dtype) * scores.dtype.type(o.scale)


class BiasPerRow(Base):
    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        if o.bias >= 0:
            return super().add_bias(scores, o)
        return scores - np.log(np.arange(1, scores.shape[-2] + 1, dtype=scores.dtype))[:, None]


def _sigmoid_by_tanh(scores: Values, relative_error: Any) -> Values:
    t = np.tanh(scores / 2)
    return (0.5 + 0.5 * np.where(np.abs(t) < 1, t * (1 + relative_error), t)).astype(scores.dtype)


class Clamped(Base):
    def activate(self, scores: Values) -> Values:
        return super().activate(np.where(np.isinf(scores), scores, np.clip(scores, -6, 6)))


class NarrowSum(Base):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        total = np.zeros((*p.shape[:-1], v.shape[-1]), p.dtype)
        for start in range(0, p.shape[-1], BLOCK):
            part = self.product(p[..., start : start + BLOCK], v[..., start : start + BLOCK, :])
            total = self.store(total + part, o)
        return total


class TailDropped(Base):
    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        seen = super().visible(nq, nk, o)
        return seen & (np.arange(nk) < nk // BLOCK * BLOCK) if nk > BLOCK else seen


class TailTwice(Base):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        out = super().weighted_sum(p, v, o)
        return out if p.shape[-1] <= BLOCK or p.shape[-1] % BLOCK == 0 else out + p[..., -1:] * v[..., -1:, :]


class HeadDimCut(Base):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        whole = 1 << (q.shape[-1].bit_length() - 1)
        return super().scaled_product(q[..., :whole], k[..., :whole], o)


class ValueDimIsKeyDim(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return np.resize(super().__call__(q, k, v, **options), q.shape)


class Squeezed(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        return out.squeeze(axis=2) if out.shape[2] == 1 else out


class MaskToBias(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, scores.dtype.type(o.bias)))


class SmallPenalty(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, scores.dtype.type(-20)))


class WindowLeftExclusive(Base):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, max(left - 1, 0) if left > 0 else left, right)


class WindowTopLeft(Base):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        offset = self.offset(nq, nk) + self.alignment(nq, nk)
        return ((left < 0) | (offset >= -left)) & ((right < 0) | (offset <= right))


class UnalignedAlibi(Base):
    def distance(self, nq: int, nk: int) -> Values:
        return np.abs(self.offset(nq, nk) + self.alignment(nq, nk))


class InterleavedHeads(Base):
    def share_heads(self, x: Values, heads: int) -> Values:
        return np.tile(x, (1, heads // x.shape[1], 1, 1))

    def sum_groups(self, per_head: Values, group: int) -> Values:
        batch, heads, rows, columns = per_head.shape
        return per_head.reshape(batch, group, heads // group, rows, columns).sum(axis=1)


class EmptyRowsUnmasked(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return super().masked_activation(scores, seen | ~seen.any(axis=-1, keepdims=True), o)


class EmptyRowsNaN(Base):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return np.where(p.any(axis=-1, keepdims=True), super().weighted_sum(p, v, o), np.nan).astype(p.dtype)


class AdditiveMask(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(scores + np.where(seen, 0, -np.inf).astype(scores.dtype))


class NaNSpreads(Base):
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


class StridesIgnored(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, _as_if_contiguous(v), **options)


class GradientStridesIgnored(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(q, k, v, _as_if_contiguous(grad), **options)


class ScalesInPlace(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        q *= q.dtype.type(self.default_scale(q))
        return out


class WritesPastTheEnd(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        _memory(k)[-1] = 0
        return super().__call__(q, k, v, **options)


class WideResult(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, v, **options).astype(np.float64)


class WideGradient(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        return {**gradients, "k": gradients["k"].astype(np.float64)}


class CachedByShape(Base):
    def __init__(self) -> None:
        self._seen: dict[Any, Values] = {}

    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        key = (q.shape, k.shape, v.shape, q.dtype, q.strides, repr(sorted(options.items())))
        if key not in self._seen:
            self._seen[key] = super().__call__(q, k, v, **options)
        return self._seen[key]


class OrderVaries(Base):
    def __init__(self) -> None:
        self._calls = 0

    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        self._calls += 1
        half = p.shape[-1] // 2 if self._calls % 2 else p.shape[-1]
        rest = self.product(p[..., half:], v[..., half:, :])
        # Not stored: in the input dtype the last bits that an order changes seldom show.
        return rest + self.product(p[..., :half], v[..., :half, :])


class UnreachedQueriesNaN(Base):
    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        found = super().query_gradient(ds, k, o)
        return np.where(ds.any(axis=-1, keepdims=True), found, np.nan).astype(ds.dtype)


class UnreachedKeysUnwritten(Base):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        found = super().value_gradient(p, grad)
        return np.where(np.expand_dims(p.any(axis=-2), -1), found, np.nan).astype(p.dtype)


class SlopeGradientPooled(Base):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        each = super().slope_gradient(ds, distance, rank)
        return np.broadcast_to(each.sum(axis=-1, keepdims=True), each.shape)


class QueryTailSkipped(Base):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        rows = p.shape[-2]
        whole = rows if rows <= BLOCK else rows // BLOCK * BLOCK
        return super().value_gradient(p[..., :whole, :], grad[..., :whole, :])


class Tf32Undeclared(Base):
    def product(self, left: Values, right: Values) -> Values:
        if left.dtype != np.float32:
            return super().product(left, right)
        narrow = Format("tf32", precision=11, emin=-126, emax=127)
        return narrow.round(left).astype(np.float32) @ narrow.round(right).astype(np.float32)


# Bugs of long or uneven shapes, of options together, and of state that outlives a call.


_Condition = Callable[[Values, Values, dict[str, Any]], bool]


def _changing(condition: _Condition, **instead: Any) -> type[Base]:
    """Some options replaced where the condition holds, as by a separate path that leaves an option out."""

    class Changing(_changing_backward(condition, **instead)):  # type: ignore[misc]
        def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
            return super().__call__(q, k, v, **{**options, **(instead if condition(q, k, options) else {})})

    return Changing


def _changing_backward(condition: _Condition, **instead: Any) -> type[Base]:
    """Some options replaced in the backward pass alone, where the condition holds."""

    class ChangingBackward(Base):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            return super().backward(q, k, v, grad, **{**options, **(instead if condition(q, k, options) else {})})

    return ChangingBackward


def _always(q: Values, k: Values, options: dict[str, Any]) -> bool:
    return True


def _shares_heads(q: Values, k: Values, options: dict[str, Any]) -> bool:
    return q.shape[1] != k.shape[1]


def _one_query(q: Values, k: Values, options: dict[str, Any]) -> bool:
    return q.shape[2] == 1 < k.shape[2]


def _given(option: str) -> _Condition:
    return lambda q, k, options: options.get(option) is not None and options[option] is not False


def _backward_of(wrong: type[Base]) -> type[Base]:
    """The right forward pass, with the backward pass of another mutant."""

    class BackwardOf(Base):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            return wrong().backward(q, k, v, grad, **options)

    return BackwardOf


def _gradient_forgetting(name: str, option: str, instead: Any) -> type[Base]:
    """The right gradients but for one, which is computed with an option replaced."""

    class GradientForgetting(Base):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            gradients = super().backward(q, k, v, grad, **options)
            return {**gradients, name: super().backward(q, k, v, grad, **{**options, option: instead})[name]}

    return GradientForgetting


class InterleavedForOneQuery(InterleavedHeads):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        return super().__call__(q, k, v, **options) if _one_query(q, k, options) else Base()(q, k, v, **options)

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return Base().backward(q, k, v, grad, **options)


class SlopeOfFirstInGroup(Base):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        group = q.shape[1] // k.shape[1]
        slopes = o.alibi_slopes if o.alibi_slopes is None else np.repeat(o.alibi_slopes[..., ::group], group, axis=-1)
        return super().weights(q, k, replace(o, alibi_slopes=slopes))


class CausalFirstBlockLost(Base):
    def causal(self, nq: int, nk: int) -> Values:
        return super().causal(nq, nk) & ((np.arange(nq)[:, None] < 128) | (np.arange(nk) >= 1))


class WindowLoopRoundedUp(Base):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        seen = super().in_window(nq, nk, left, right)
        first = (np.arange(nq) // BLOCK * BLOCK + nk - nq - left + BLOCK - 1) // BLOCK * BLOCK
        return seen & (np.arange(nk) >= first[:, None]) if nq > BLOCK and left >= 0 else seen


class WindowTopLeftWithMoreQueries(WindowTopLeft):
    def alignment(self, nq: int, nk: int) -> int:
        return nk - nq

    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, left, right) if nq > nk else Base.in_window(self, nq, nk, left, right)


class AlibiWithinBlock(Base):
    def distance(self, nq: int, nk: int) -> Values:
        return np.abs(np.arange(nk) % BLOCK - np.arange(nq)[:, None] % BLOCK - self.alignment(nq, nk))


class AlibiCachedByShape(Base):
    def __init__(self) -> None:
        self._tilts: dict[Any, Values] = {}

    def tilt(self, scores: Values, slopes: Values) -> Values:
        nothing = np.zeros_like(scores)
        return scores + self._tilts.setdefault((scores.shape, scores.dtype), super().tilt(nothing, slopes))


class LengthsCachedByShape(Base):
    def __init__(self) -> None:
        self._masks: dict[Any, Values] = {}

    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return self._masks.setdefault((nk, len(key_lengths)), super().in_length(nk, key_lengths))


class KeyGradientDimCut(Base):
    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        whole = 1 << (q.shape[-1].bit_length() - 1)
        return super().key_gradient(ds, q, o) * (np.arange(q.shape[-1]) < whole)


class NarrowValueGradientPadded(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        if v.shape[-1] < q.shape[-1]:
            gradients["v"] = np.roll(gradients["v"], 1, axis=-1)
        return gradients


class KeyStridesForValues(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        if k.shape == v.shape:
            v = np.lib.stride_tricks.as_strided(v, v.shape, k.strides)
        return super().__call__(q, k, v, **options)


class AlibiBackwardUnaligned(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        wrong = UnalignedAlibi.backward(UnalignedAlibi(), q, k, v, grad, **options)
        return {**gradients, **{name: wrong[name] for name in ("q", "k", "v")}}


class GroupsOfFirstRow(Base):
    def sum_groups(self, per_head: Values, group: int) -> Values:
        found = super().sum_groups(per_head, group)
        return np.broadcast_to(found[:1], found.shape) if group > 1 else found


class BiasGradientOfFirstInGroup(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        group = q.shape[1] // k.shape[1]
        if options.get("alibi_slopes") is None:
            gradients["bias"] = super().backward(q[:, ::group], k, v, grad[:, ::group], **options)["bias"]
        return gradients


class SlopeGradientOfLastBlock(Base):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        first = (ds.shape[-2] - 1) // BLOCK * BLOCK
        return super().slope_gradient(ds[..., first:, :], distance[first:], rank)


class SlopeGradientUnaligned(Base):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        nq, nk = distance.shape
        return super().slope_gradient(ds, np.abs(np.arange(nk) - np.arange(nq)[:, None]), rank)


class SlopeGradientOfGroup(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        if options.get("alibi_slopes") is not None:
            group = q.shape[1] // k.shape[1]
            groups = gradients["alibi_slopes"].reshape(-1, group)
            gradients["alibi_slopes"] = np.repeat(groups.sum(axis=1), group)
        return gradients


class KeysBeyond256(Base):
    def value_gradient(self, p: Values, grad: Values) -> Values:
        found = super().value_gradient(p, grad)
        return found * (np.arange(found.shape[-2]) < 256)[:, None]


class NarrowGradientSums(Base):
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


class OutputReused(Base):
    def __init__(self) -> None:
        self._buffers: dict[Any, Values] = {}

    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        buffer = self._buffers.setdefault((out.shape, out.dtype), out)
        buffer[...] = out
        return buffer


class GradientsReused(Base):
    def __init__(self) -> None:
        self._buffers: dict[Any, Values] = {}

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        for name in ("q", "k", "v"):
            buffer = self._buffers.setdefault((name, gradients[name].shape, gradients[name].dtype), gradients[name])
            buffer[...] = gradients[name]
            gradients[name] = buffer
        return gradients


class SlopesInBaseTwo(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        out = super().__call__(q, k, v, **options)
        if options.get("alibi_slopes") is not None:
            options["alibi_slopes"] *= np.float32(math.log2(math.e))
        return out


class LengthsClipped(Base):
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


class SavedOutsideTheCall(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        self._saved = q, k, v
        return super().__call__(q, k, v, **options)

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(*self._saved, grad, **options)


# Bugs within the worst-case bounds, and bugs that only packed, unaligned, long or far inputs show.


def _truncated(x: Values, store: Format) -> Values:
    nearest = store.round(x)
    return np.where(np.abs(nearest) > np.abs(x), store.round(2 * x - nearest), nearest).astype(x.dtype)


class TruncatedWeights(Base):
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


class TruncatedScoreGradients(Base):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        ds = super().score_gradient(p, dp, o)
        return ds if _format(o).precision >= 24 else _truncated(ds, _format(o))


class DefaultScaleInInputDtype(Base):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        scale = _in_storage(o, o.scale) if o.scale == self.default_scale(q) else o.scale
        return super().weights(q, k, replace(o, scale=scale))


class CoarseWeights(Base):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        store = _format(o)
        coarse = replace(store, precision=store.precision - 1).round(p).astype(p.dtype) if store.precision < 24 else p
        return super().weighted_sum(coarse, v, o)


class NarrowSumOfEights(Base):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        total = np.zeros((*p.shape[:-1], v.shape[-1]), p.dtype)
        for start in range(0, p.shape[-1], 8):
            total = self.store(total + self.product(p[..., start : start + 8], v[..., start : start + 8, :]), o)
        return total


class NextSequencesKey(Base):
    def sequences(self, o: NumpyOptions) -> Any:
        *_, (_, _, final) = o.sequences()
        last = final.stop
        for row, queries, keys in super().sequences(o):
            yield row, queries, slice(keys.start, min(keys.stop + 1, last)) if keys.stop > keys.start else keys


class PackedAlignedByTotals(Base):
    _shift: int | None = None

    def sequences(self, o: NumpyOptions) -> Any:
        *_, (_, queries, keys) = o.sequences()
        self._shift = keys.stop - queries.stop
        yield from super().sequences(o)
        self._shift = None

    def alignment(self, nq: int, nk: int) -> int:
        return super().alignment(nq, nk) if self._shift is None else self._shift


class BiasGradientOfLastSequence(Base):
    def join_gradients(self, parts: list[dict[str, Values]], slopes: Values | None) -> dict[str, Values]:
        return {**super().join_gradients(parts, slopes), "bias": parts[-1]["bias"]}


class AddressRoundedDown(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        memory = _memory(v)
        late = (v.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // memory.itemsize % 8
        if late:
            start = (v.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // memory.itemsize - late
            v = np.lib.stride_tricks.as_strided(memory[start:], v.shape, v.strides)
        return super().__call__(q, k, v, **options)


class PositionsIn15Bits(Base):
    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        seen = super().visible(nq, nk, o)
        return seen & (np.arange(nk) < 2**15) if nk >= 2**16 else seen


class OffsetsIn32Bits(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        row = v.strides[2] // v.itemsize
        if row * (v.shape[2] - 1) >= 2**31:
            v = v[:, :, [j if j * row < 2**31 else 0 for j in range(v.shape[2])]]
        return super().__call__(q, k, v, **options)


# Bugs that only two conditions together show.


class ProductsBeyond65504(Base):
    def product(self, left: Values, right: Values) -> Values:
        found = super().product(left, right)
        return np.where(np.abs(found) > np.finfo(np.float16).max, np.copysign(np.inf, found), found).astype(found.dtype)


class KeyGradientOf64Channels(Base):
    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        dim = q.shape[-1]
        return super().key_gradient(ds, q, o) * (np.arange(dim) < (64 if dim % 128 == 0 else dim))


class OneQueryGradientUnscaled(Base):
    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return super().query_gradient(ds, k, replace(o, scale=o.scale if ds.shape[-2] > 1 else 1.0))


class ScaleOrDefaultBackward(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        return super().backward(q, k, v, grad, **{**options, "scale": options.get("scale") or None})


class InfinityTimesMask(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, -np.inf).astype(scores.dtype)) + 0 * np.where(np.isinf(scores), scores, 0)


class CausalStartRoundedUp(Base):
    """The loop over queries starts at the first whole block that sees a key, backward."""

    def value_gradient(self, p: Values, grad: Values) -> Values:
        hidden = p.shape[-2] - p.shape[-1]
        first = (hidden + BLOCK - 1) // BLOCK * BLOCK if hidden > BLOCK and not p[..., :hidden, :].any() else 0
        return super().value_gradient(p[..., first:, :], grad[..., first:, :])


class SlopeGradientOfFirstKeys(Base):
    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        return super().slope_gradient(ds[..., : 2 * BLOCK], distance[:, : 2 * BLOCK], rank)


class EmptySequencesUncounted(Base):
    """Whose slopes a packed sequence takes is counted without the empty ones."""

    def sequences(self, o: NumpyOptions) -> Any:
        place = -1
        for _, queries, keys in super().sequences(o):
            place += queries.stop > queries.start
            yield max(place, 0), queries, keys


class EmptySequenceEndsGradients(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        gradients = super().backward(q, k, v, grad, **options)
        edges = options.get("cu_seqlens_q")
        if edges is not None and (np.diff(edges) == 0).any():
            gradients["q"][:, :, edges[int(np.argmin(np.diff(edges)))] :] = 0
        return gradients


class SlopeGradientOverRows(Base):
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


class NarrowBiasGradient(Base):
    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        self._options = o
        return super().score_gradient(p, dp, o)

    def bias_gradient(self, ds: Values) -> Values:
        total = ds.dtype.type(0)
        for start in range(0, ds.shape[-1], 8):
            total = self.store(np.asarray(total + ds[..., start : start + 8].sum()), self._options)
        return np.asarray(total)


class SlopesScaled(Base):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        slopes = None if o.alibi_slopes is None else np.asarray(o.alibi_slopes) * np.float32(o.scale or 0)
        return super().weights(q, k, replace(o, alibi_slopes=slopes))


class NarrowSlopeGradient(NarrowBiasGradient):
    def bias_gradient(self, ds: Values) -> Values:
        return Base.bias_gradient(self, ds)

    def slope_gradient(self, ds: Values, distance: Values, rank: int) -> Values:
        total = np.zeros((), ds.dtype)
        for start in range(0, ds.shape[-1], 8):
            here = slice(start, start + 8)
            total = self.store(total + super().slope_gradient(ds[..., here], distance[:, here], rank), self._options)
        return total


class NarrowSumsOf64(NarrowGradientSums):
    """Blocks of 64 are what kernels have; of random numbers no worst-case bound shows them."""

    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return Base.query_gradient(self, ds, k, o)

    def key_gradient(self, ds: Values, q: Values, o: NumpyOptions) -> Values:
        return Base.key_gradient(self, ds, q, o)

    def value_gradient(self, p: Values, grad: Values) -> Values:
        return self._in_blocks(p.swapaxes(-1, -2), grad)


def _odd_dim(q: Values, k: Values, options: dict[str, Any]) -> bool:
    return q.shape[3] % 16 != 0


def _several_rows(q: Values, k: Values, options: dict[str, Any]) -> bool:
    return q.shape[0] > 1


class ManyHeadsUncausal(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        free = (np.arange(scores.shape[1]) >= 4)[:, None, None] & bool(o.causal)
        return super().masked_activation(scores, seen | free, o)


class SecondRowWithFewerKeys(Base):
    def weighted_sum(self, p: Values, v: Values, o: NumpyOptions) -> Values:
        return super().weighted_sum(p, v[:1] if p.shape[-1] < p.shape[-2] else v, o)


class PositiveBiasOfFirstBlock(Base):
    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        with_bias = super().add_bias(scores, o)
        return np.where(np.arange(scores.shape[-1]) < BLOCK, with_bias, scores) if o.bias > 0 else with_bias


class SharedHeadsOfPositiveScale(Base):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        return super().weights(q, k, replace(o, scale=abs(o.scale or 0)) if _shares_heads(q, k, {}) else o)


class WholeBlocksInclusive(Base):
    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return super().in_length(nk, key_lengths + (key_lengths % BLOCK == 0) * (key_lengths > 0))


class PackedOddDimsInOne(Base):
    def __call__(self, q: Values, k: Values, v: Values, **options: Any) -> Values:
        if _odd_dim(q, k, options) or v.shape[3] != q.shape[3]:
            options |= {"cu_seqlens_q": None, "cu_seqlens_k": None}
        return super().__call__(q, k, v, **options)


class TurnedGradientWithBias(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        turned = grad.strides[3] != grad.itemsize and grad.shape[3] > 1 and options.get("bias")
        return super().backward(q, k, v, _as_if_contiguous(grad) if turned else grad, **options)


class SlopesByRowOfSharedHeads(Base):
    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        slopes = options.get("alibi_slopes")
        if slopes is not None and slopes.ndim == 2 and _shares_heads(q, k, options):
            options["alibi_slopes"] = np.broadcast_to(slopes[:1], slopes.shape)
        return super().backward(q, k, v, grad, **options)


class WindowUnalignedSlopes(Base):
    def weights(self, q: Values, k: Values, o: NumpyOptions) -> Any:
        return super().weights(q, k, o) if o.window is None else Base.weights(UnalignedAlibi(), q, k, o)


class HeadsBeyond32Uncausal(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        free = (np.arange(scores.shape[1]) >= 34)[:, None, None] & bool(o.causal)
        return super().masked_activation(scores, seen | free, o)


class HalfBlocksExclusive(Base):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, left, right - (right > 0 and right % 16 == 0))


class SingleQueriesWithoutBiasGradient(Base):
    def join_gradients(self, parts: list[dict[str, Values]], slopes: Values | None) -> dict[str, Values]:
        found = super().join_gradients(parts, slopes)
        found["bias"] = np.asarray(sum((part["bias"] for part in parts if part["q"].shape[2] != 1), np.zeros(())))
        return found


class WholeBlocksExclusive(Base):
    def in_window(self, nq: int, nk: int, left: int, right: int) -> Values:
        return super().in_window(nq, nk, left, right - (right > 0 and right % 32 == 0))


class SeventeenthSequenceUnmasked(Base):
    def sequences(self, o: NumpyOptions) -> Any:
        self._row = -1
        for self._row, queries, keys in super().sequences(o):
            yield self._row, queries, keys
        self._row = -1

    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        return super().visible(nq, nk, o) | (getattr(self, "_row", -1) >= 16)


class MaskKeptByLengths(Base):
    def __init__(self) -> None:
        self._masks: dict[Any, Values] = {}

    def visible(self, nq: int, nk: int, o: NumpyOptions) -> Values:
        return self._masks.setdefault((nq, nk), super().visible(nq, nk, o))


class LengthsOfFirst1024(Base):
    def in_length(self, nk: int, key_lengths: Values) -> Values:
        return super().in_length(nk, key_lengths) | (np.arange(nk) >= 1024)


class DeclaredTanh(Base):
    def activate(self, scores: Values) -> Values:
        sign = np.where(np.abs(scores) * 1024 % 2 < 1, 1, -1)
        return _sigmoid_by_tanh(scores, 0.99 * TANH_APPROX_RELATIVE_ERROR * sign)


class Materialised(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return super().masked_activation(self.store(scores, o), seen, o)

    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        p = self.store(p, o)
        return self.store(p * (1 - p) * self.store(dp, o), o)


class Prescaled(Base):
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
        kind = scores.dtype.type
        return (scores + kind(o.bias) / kind(o.scale)) * kind(o.scale) if o.scale else scores * 0 + kind(o.bias)


class BackwardsInBlocks(Base):
    def product(self, left: Values, right: Values) -> Values:
        total = np.zeros((*left.shape[:-1], right.shape[-1]), left.dtype)
        for stop in range(left.shape[-1], 0, -7):
            start = max(stop - 7, 0)
            total = total + left[..., start:stop] @ right[..., start:stop, :]
        return total


class Truncating(Base):
    def product(self, left: Values, right: Values) -> Values:
        if left.dtype != np.float32:
            return super().product(left, right)
        total = np.zeros((*left.shape[:-1], right.shape[-1]))
        for start in range(0, left.shape[-1], 8):
            exact = total + left[..., start : start + 8].astype(float) @ right[..., start : start + 8, :].astype(float)
            nearest = exact.astype(np.float32)
            total = np.where(np.abs(nearest) > np.abs(exact), np.nextafter(nearest, np.float32(0)), nearest).astype(float)
        return total.astype(np.float32)


class TwoBranches(Base):
    def activate(self, scores: Values) -> Values:
        e = np.exp(-np.abs(scores))
        return np.where(scores >= 0, 1, e).astype(scores.dtype) / (1 + e)


class LargestNegativeMask(Base):
    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        return self.activate(np.where(seen, scores, -np.finfo(scores.dtype).max))


class GroupRoundedFirst(Base):
    def sum_groups(self, per_head: Values, group: int) -> Values:
        return super().sum_groups(per_head.astype(np.float16).astype(per_head.dtype) if self._half else per_head, group)

    _half = False

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        variant = GroupRoundedFirst()
        variant._half = q.dtype == np.float16
        return Base.backward(variant, q, k, v, grad, **options)


class ScaledGradient(Base):
    """dS is scaled before it is stored, so that one scaling serves dQ and dK."""

    def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
        scale = options.get("scale")
        variant = Base() if scale == 0 else _ScaledFirst(self.default_scale(q) if scale is None else scale)
        return variant.backward(q, k, v, grad, **options)


class _ScaledFirst(Base):
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


class FoldedBaseTwo(Base):
    """Scale, bias and slopes are taken to base 2 before anything is multiplied."""

    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return super().scaled_product(q, k, replace(o, scale=(o.scale or 0) * math.log2(math.e)))

    def add_bias(self, scores: Values, o: NumpyOptions) -> Values:
        return super().add_bias(scores, replace(o, bias=o.bias * math.log2(math.e)))

    def tilt(self, scores: Values, slopes: Values) -> Values:
        return super().tilt(scores, slopes * slopes.dtype.type(math.log2(math.e)))

    def activate(self, scores: Values) -> Values:
        return 1 / (1 + np.exp2(-scores))


class QueryScaledFirst(Base):
    def scaled_product(self, q: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(q * q.dtype.type(o.scale), k.swapaxes(-1, -2))

    def query_gradient(self, ds: Values, k: Values, o: NumpyOptions) -> Values:
        return self.product(ds, k * k.dtype.type(o.scale))


class DerivativeOfBothTails(Base):
    """The derivative is sigmoid(x) sigmoid(-x), each by its own exponential."""

    def masked_activation(self, scores: Values, seen: Values, o: NumpyOptions) -> Values:
        self._other = self.activate(np.where(seen, -scores, scores.dtype.type(np.inf)))
        return super().masked_activation(scores, seen, o)

    def score_gradient(self, p: Values, dp: Values, o: NumpyOptions) -> Values:
        return dp * (p * self._other)


def _last_row_lost() -> Any:
    """On the path that computes block by block, because all scores of so long a sequence fit no memory."""
    import torch

    from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
    from impls.sigmoid_attention.torch_blocked import attention

    def last_row_lost(q: Any, k: Any, v: Any, **options: Any) -> Any:
        out = attention(q, k, v, **options)
        return torch.where(torch.arange(out.shape[2])[:, None] < 2**16 - 1, out, 0)

    return TorchSubject(last_row_lost, "cpu", "", {})


def _subject(attention: Callable[[], Any], numerical_class: str = "") -> Callable[[], NumpySubject]:
    return lambda: NumpySubject(attention(), numerical_class)


def _with(**hooks: Any) -> type[Base]:
    """The NumPy implementation with some methods replaced."""
    return type("Changed", (Base,), hooks)


def _torch_bug(name: str, sentence: str, *killed_by: str) -> Mutant:
    """A function of torch_mutants.py, by its name with hyphens."""

    def made() -> Any:
        from conformance.sigmoid_attention.torch_mutants import subject

        return subject(name.replace("-", "_"))

    return Mutant(name, "sigmoid_attention", sentence, made, tuple(f"SIG-{n}" for n in killed_by), slow=True)


def _both(*conditions: _Condition) -> _Condition:
    """Two things at once, or three."""
    return lambda q, k, options: all(condition(q, k, options) for condition in conditions)


def _backward_when(condition: _Condition, change: Callable[..., dict[str, Any]]) -> type[Base]:
    """Gradients that are changed where the condition holds: ``change(gradients, q, k, v)`` gives those that are."""

    class BackwardWhen(Base):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            gradients = super().backward(q, k, v, grad, **options)
            return gradients | (change(gradients, q, k, v) if condition(q, k, options) else {})

    return BackwardWhen


def _value_gradient_when(condition: _Condition, **changed: Any) -> type[Base]:
    """dV alone that of a call with other options, where the condition holds."""

    class ValueGradientWhen(Base):
        def backward(self, q: Values, k: Values, v: Values, grad: Values, **options: Any) -> dict[str, Values]:
            gradients = super().backward(q, k, v, grad, **options)
            if condition(q, k, options):
                gradients["v"] = super().backward(q, k, v, grad, **{**options, **changed})["v"]
            return gradients

    return ValueGradientWhen


def _bug(name: str, sentence: str, attention: Callable[[], Any], *killed_by: str) -> Mutant:
    return Mutant(name, "sigmoid_attention", sentence, _subject(attention), tuple(f"SIG-{n}" for n in killed_by))


def _long(name: str, sentence: str, attention: Callable[[], Any], *killed_by: str) -> Mutant:
    return replace(_bug(name, sentence, attention, *killed_by), thorough=True)


def _honest(name: str, sentence: str, attention: Callable[[], Any], numerical_class: str = "") -> Mutant:
    return Mutant(name, "sigmoid_attention", sentence, _subject(attention, numerical_class), honest=True)


_TORCH = (
    _torch_bug("forward-with-numbers", "Forward mode is dropped without a word.", "56"),
    _torch_bug("gradients-of-numbers", "The backward pass computes with constants.", "56"),
    _torch_bug("inference-without-mask", "In inference mode masks are left out.", "60"),
    _torch_bug("other-threads-without-bias", "Only the first thread has the bias.", "60"),
    _torch_bug("same-tensor-without-key-gradient", "Where k is q it gets no gradient.", "60"),
    _torch_bug("autocast-without-mask", "Under autocast the causal mask is left out.", "60"),
    _torch_bug("vmap-without-mask", "Under vmap masks are left out.", "60"),
    _torch_bug("emptied-by-backward", "The first backward pass gives up what a second one needs.", "60"),
    _torch_bug("key-is-query-without-mask", "Where k is q masks are left out.", "60"),
    _torch_bug("nothing-asked-without-mask", "Where no input asks for a gradient masks are left out.", "60"),
    _torch_bug("transformed-without-bias", "Under torch.func.vjp the bias is left out.", "60"),
    _torch_bug("recomputed-without-mask", "What a reentrant checkpoint computes again knows no mask.", "60"),
    _torch_bug("compiled-without-mask", "What the compiler traces knows no mask.", "60"),
    _torch_bug("key-alone-asks", "Where k alone asks for a gradient shared heads get their mean.", "58"),
    _torch_bug("many-rows-on-one-grid", "Rows and heads beyond 65,535 are never written.", "13", "21"),
    _torch_bug("one-key-head-by-rows", "A stride of 0 between heads is misread.", "58"),
    _torch_bug("one-row-of-gradients", "A gradient that is the same at all positions is halved.", "58"),
    _torch_bug("autocast-of-options", "Under autocast the bias, the scale and the slopes are cast too.", "61"),
    _torch_bug("autocast-of-bias-gradients", "Under autocast the gradient of the bias is rounded to 16 bits.", "61"),
    _torch_bug("bias-kept-by-query", "The bias is kept for the next call of the same query.", "28"),
    _torch_bug("lengths-kept-by-tensor", "Key lengths that are changed in place stay what they were.", "28"),
    _torch_bug("edges-kept-by-address", "Edges are kept for the next call that has some at that address.", "28"),
    _torch_bug("values-of-one-memory", "Values are read where q begins, if both are parts of one tensor.", "60"),
    _torch_bug("decoding-without-window", "One query without gradients is masked causally alone.", "59"),
    _torch_bug("double-under-a-mask", "float64 is computed in float32 under a mask.", "57"),
) if importlib.util.find_spec("torch") else ()  # fmt: skip
"""Not where there is no torch: what cannot be made is caught by nothing."""

MUTANTS: tuple[Mutant, ...] = (
    _bug("softmax", "Weights are a softmax over keys.", Softmax, "01"),
    _bug("divided-by-length", "The output is divided by the number of keys.",
         _with(weighted_sum=lambda self, p, v, o: Base.weighted_sum(self, p, v, o) / v.dtype.type(v.shape[-2])), "01"),
    _bug("tf32-undeclared", "Operands of float32 products are cut to TF32.", Tf32Undeclared, "01"),
    _bug("inverse-dim-scale", "The default scale is 1/D.", _with(default_scale=lambda self, q: 1.0 / q.shape[-1]), "02"),
    _bug("value-dim-scale", "The default scale takes the square root of the value dim.", ValueDimScale, "02"),
    _bug("scale-ignored", "A given scale is ignored in the scores.", ScaleIgnored, "03", "33"),
    _bug("bias-over-scale", "The accumulator starts from bias/scale, which is NaN at scale 0.", BiasOverScale, "03"),
    _bug("bias-negated", "The bias is subtracted.",
         _with(add_bias=lambda self, scores, o: Base.add_bias(self, scores, replace(o, bias=-o.bias))), "04"),
    _bug("bias-scaled", "The bias is scaled together with q.k.",
         _with(add_bias=lambda self, scores, o: Base.add_bias(self, scores, replace(o, bias=o.bias * o.scale))), "04"),
    _bug("bias-in-wrong-base", "Scores are converted to base 2 and the bias is not.",
         _with(add_bias=lambda self, scores, o: Base.add_bias(self, scores, replace(o, bias=o.bias * math.log(2)))), "04"),
    _bug("bias-per-row", "A negative bias is replaced by -log(i + 1) in row i.", BiasPerRow, "04"),
    _bug("tanh-undeclared", "The sigmoid comes from the hardware's approximate tanh.",
         _with(activate=lambda self, scores: _sigmoid_by_tanh(scores, -TANH_APPROX_RELATIVE_ERROR)), "05"),
    _bug("clamped", "Scores are clamped to [-6, 6].", Clamped, "05"),
    _bug("one-minus", "The sigmoid is 1 - sigmoid(-x).",
         _with(activate=lambda self, scores: 1 - Base.activate(self, -scores)), "05"),
    _bug("exp-ratio", "The sigmoid is exp(x)/(1 + exp(x)).",
         _with(activate=lambda self, scores: np.exp(scores) / (1 + np.exp(scores))), "06"),
    _bug("scores-in-bfloat16", "Scores are rounded to bfloat16.",
         _with(keep_scores=lambda self, scores: BFLOAT16.round(scores).astype(scores.dtype)), "07"),
    _bug("narrow-sum", "The output is accumulated in the input dtype.", NarrowSum, "08"),
    _bug("tail-dropped", "Keys beyond the last whole block are dropped.", TailDropped, "09"),
    _bug("tail-twice", "In a partial block the last key counts twice.", TailTwice, "09"),
    _bug("head-dim-cut", "Only a power of two of the head dim enters the product.", HeadDimCut, "10"),
    _bug("value-dim-cut", "Value channels beyond the 16th are never computed.",
         _with(weighted_sum=lambda self, p, v, o: Base.weighted_sum(self, p, v, o) * (np.arange(v.shape[-1]) < 16)), "11"),
    _bug("value-dim-is-key-dim", "The output takes the shape of q.", ValueDimIsKeyDim, "11"),
    _bug("squeezed", "A single query's axis is squeezed away.", Squeezed, "12"),
    _bug("third-batch-row", "Batch rows beyond the second read the second's keys and values.",
         _with(share_heads=lambda self, x, heads: Base.share_heads(self, x[np.minimum(np.arange(x.shape[0]), 1)], heads)),
         "13"),
    _bug("causal-strict", "A causal query does not see its own position.",
         _with(causal=lambda self, nq, nk: self.offset(nq, nk) < 0), "14"),
    _bug("causal-top-left", "The causal mask is aligned at the top left.",
         _with(causal=lambda self, nq, nk: np.arange(nk)[None, :] <= np.arange(nq)[:, None]), "15"),
    _bug("mask-to-zero", "Masked scores are set to 0 before the activation.",
         _with(masked_activation=lambda self, scores, seen, o: self.activate(np.where(seen, scores, scores.dtype.type(0)))),
         "16"),
    _bug("mask-to-bias", "Masked scores are set to the bias before the activation.", MaskToBias, "16"),
    _bug("small-penalty", "Masked scores are set to -20, which is not low enough.", SmallPenalty, "16"),
    _bug("window-left-exclusive", "The window's left end is left out.", WindowLeftExclusive, "17"),
    _bug("single-queries-without-bias-gradient", "Packed sequences of one query are left out of the bias gradient.",
         SingleQueriesWithoutBiasGradient, "36"),
    _bug("whole-blocks-exclusive", "A window's right end that is a multiple of 32 is left out.", WholeBlocksExclusive, "17"),
    _bug("window-swapped", "The window's sides are swapped.",
         _with(in_window=lambda self, nq, nk, left, right: Base.in_window(self, nq, nk, right, left)), "17"),
    _bug("window-top-left", "The window is aligned at the top left.", WindowTopLeft, "18"),
    _bug("window-overrides-causal", "A window switches the causal mask off.",
         _with(visible=lambda self, nq, nk, o: Base.visible(self, nq, nk, replace(o, causal=o.causal and o.window is None))),
         "18"),
    _bug("signed-alibi", "ALiBi adds slope (j - i), signed.", _with(distance=lambda self, nq, nk: -self.offset(nq, nk)),
         "19"),
    _bug("softmax-alibi", "ALiBi drops the part that is constant in a row, as softmax may.",
         _with(distance=lambda self, nq, nk: np.broadcast_to(nk - 1 - np.arange(nk), (nq, nk))), "19"),
    _bug("unaligned-alibi", "ALiBi's distance is |i - j| for unequal lengths too.", UnalignedAlibi, "20"),
    _bug("interleaved-heads", "Query head h reads key head h % Hk.", InterleavedHeads, "21"),
    _bug("first-rows-length", "Every batch row has the first row's key length.",
         _with(in_length=lambda self, nk, key_lengths: Base.in_length(self, nk, np.full_like(key_lengths, key_lengths[0]))),
         "22"),
    _bug("length-inclusive", "The first padded key is seen.",
         _with(in_length=lambda self, nk, key_lengths: np.arange(nk) <= key_lengths[:, None, None, None]), "22"),
    _bug("empty-rows-unmasked", "A row that sees no key sees every key.", EmptyRowsUnmasked, "23"),
    _bug("empty-rows-nan", "A row that sees no key is NaN.", EmptyRowsNaN, "23"),
    _bug("additive-mask", "The mask adds -inf, which leaves a NaN a NaN.", AdditiveMask, "55"),
    _bug("nan-spreads", "A row's NaN reaches every other row.", NaNSpreads, "24"),
    _bug("strides-ignored", "v is read as if it were contiguous.", StridesIgnored, "25"),
    _bug("scales-in-place", "q is scaled in place.", ScalesInPlace, "26"),
    _bug("writes-past-the-end", "Memory behind k is written to.", WritesPastTheEnd, "26"),
    _bug("wide-result", "The output is returned in a wider dtype.", WideResult, "27"),
    _bug("wide-gradient", "The gradient of k is returned in a wider dtype.", WideGradient, "27"),
    _bug("cached-by-shape", "The answer is cached by shape and options.", CachedByShape, "28"),
    _bug("order-varies", "The order of the sum differs from call to call.", OrderVaries, "29"),
    _bug("value-gradient-of-derivative", "dV uses P (1 - P) in place of P.",
         _with(value_gradient=lambda self, p, grad: Base.value_gradient(self, p * (1 - p), grad)), "30"),
    _bug("without-one-minus-p", "dS lacks the factor 1 - P.", _with(score_gradient=lambda self, p, dp, o: p * dp),
         "31", "32"),
    _bug("softmax-backward", "dS subtracts the row sum, as softmax's does.",
         _with(score_gradient=lambda self, p, dp, o: p * (dp - (p * dp).sum(axis=-1, keepdims=True))), "31", "32"),
    _bug("query-gradient-unscaled", "dQ lacks the scale.",
         _with(query_gradient=lambda self, ds, k, o: Base.query_gradient(self, ds, k, replace(o, scale=1.0))), "31"),
    _bug("key-gradient-unscaled", "dK lacks the scale.",
         _with(key_gradient=lambda self, ds, q, o: Base.key_gradient(self, ds, q, replace(o, scale=1.0))), "32"),
    _bug("backward-without-causal", "The backward pass forgets the causal mask.", _changing_backward(_always, causal=False),
         "33", "35"),
    _bug("backward-without-window", "The backward pass forgets the window.", _changing_backward(_always, window=None),
         "33", "35"),
    _bug("backward-without-bias", "The backward pass forgets the bias.", _changing_backward(_always, bias=0.0), "33"),
    _bug("backward-without-lengths", "The backward pass forgets the key lengths.",
         _changing_backward(_always, key_lengths=None), "33", "35"),
    _bug("first-of-group", "Shared heads get the gradient of their first query head alone.",
         _with(sum_groups=lambda self, per_head, group: per_head[:, ::group]), "34"),
    _bug("mean-of-group", "Shared heads get the mean of their query heads' gradients.",
         _with(sum_groups=lambda self, per_head, group: Base.sum_groups(self, per_head, group) / per_head.dtype.type(group)),
         "34"),
    _bug("unreached-queries-nan", "dQ is NaN in rows that see no key.", UnreachedQueriesNaN, "35"),
    _bug("unreached-keys-unwritten", "dV of a key that no query sees is never written.", UnreachedKeysUnwritten, "35"),
    _bug("bias-gradient-mean", "The gradient of the bias is a mean.",
         _with(bias_gradient=lambda self, ds: np.asarray(ds.mean())), "36"),
    _bug("slope-gradient-sign", "The gradient of the slopes has the wrong sign.",
         _with(slope_gradient=lambda self, ds, distance, rank: -Base.slope_gradient(self, ds, distance, rank)), "37"),
    _bug("slope-gradient-pooled", "Every slope gets the sum of all heads' gradients.", SlopeGradientPooled, "37"),
    _bug("rounded-derivative", "1 - P is taken from the stored weight.",
         _with(score_gradient=lambda self, p, dp, o: Base.score_gradient(self, self.store(p, o), dp, o)), "38"),
    _bug("gradient-strides-ignored", "dO is read as if it were contiguous.", GradientStridesIgnored, "39"),
    _bug("query-tail-skipped", "dV leaves out queries beyond the last whole block.", QueryTailSkipped, "40"),
    _bug("interleaved-for-one-query", "For a single query heads are shared interleaved.", InterleavedForOneQuery, "21"),
    _bug("one-query-without-window", "A single query ignores the window.", _changing(_one_query, window=None), "12"),
    _bug("one-query-without-slopes", "A single query ignores the slopes.", _changing(_one_query, alibi_slopes=None), "12"),
    _bug("one-query-without-lengths", "A single query ignores key lengths.", _changing(_one_query, key_lengths=None), "12"),
    _bug("shared-heads-without-causal", "Shared heads ignore the causal mask.", _changing(_shares_heads, causal=False), "21"),
    _bug("shared-heads-without-window", "Shared heads ignore the window.", _changing(_shares_heads, window=None), "21"),
    _bug("shared-heads-without-lengths", "Shared heads ignore key lengths.", _changing(_shares_heads, key_lengths=None), "21"),
    _bug("slope-of-first-in-group", "Query heads of a group have its first head's slope.", SlopeOfFirstInGroup, "21"),
    _bug("causal-first-block-lost", "Causal queries from the 128th on miss the first key.", CausalFirstBlockLost, "14"),
    _bug("window-loop-rounded-up", "The loop over a window's keys starts at the block after.", WindowLoopRoundedUp, "17"),
    _bug("causal-strict-with-more-queries", "With more queries than keys causal is strict.",
         _with(causal=lambda self, nq, nk: self.offset(nq, nk) < (1 if nq <= nk else 0)), "15"),
    _bug("window-top-left-more-queries", "With more queries the window is top left.", WindowTopLeftWithMoreQueries, "18"),
    _bug("alibi-within-block", "ALiBi's positions begin again with each block of 64.", AlibiWithinBlock, "19"),
    _bug("distance-in-bfloat16", "ALiBi's distances are bfloat16, exact up to 256.",
         _with(distance=lambda self, nq, nk: BFLOAT16.round(Base.distance(self, nq, nk))), "19"),
    _bug("alibi-cached-by-shape", "ALiBi's matrix is cached by shape, whatever the slopes.", AlibiCachedByShape, "28"),
    _bug("lengths-cached-by-shape", "The mask of key lengths is cached by shape.", LengthsCachedByShape, "28"),
    _bug("head-dim-of-128", "Head dims end at 128.",
         _with(scaled_product=lambda self, q, k, o: Base.scaled_product(self, q[..., :128], k[..., :128], o)), "10"),
    _bug("key-gradient-dim-cut", "dK is 0 beyond a power of two of the head dim.", KeyGradientDimCut, "10"),
    _bug("narrow-value-gradient-padded", "dV of narrower values is one channel off.", NarrowValueGradientPadded, "11"),
    _bug("scale-in-input-dtype", "A given scale is rounded to the input dtype.",
         _with(weights=lambda self, q, k, o: Base.weights(self, q, k, replace(o, scale=_in_storage(o, o.scale)))), "03"),
    _bug("query-gradient-of-positive-scale", "dQ takes the size of the scale.",
         _with(query_gradient=lambda self, ds, k, o: Base.query_gradient(self, ds, k, replace(o, scale=abs(o.scale or 0)))),
         "03"),
    _bug("ninth-head", "Heads beyond the eighth read the values of the first eight.",
         _with(weighted_sum=lambda self, p, v, o: Base.weighted_sum(self, p, v[:, np.arange(v.shape[1]) % 8], o)), "13"),
    _bug("key-strides-for-values", "v is read with k's strides.", KeyStridesForValues, "25"),
    _bug("causal-backward-block-lost", "The causal mask loses a key beyond a block, backward.",
         _backward_of(CausalFirstBlockLost), "33"),
    _bug("window-backward-block-lost", "The window's loop starts late, backward.", _backward_of(WindowLoopRoundedUp), "33"),
    _bug("alibi-backward-unaligned", "Backward, ALiBi's distance is |i - j|.", AlibiBackwardUnaligned, "33"),
    _bug("groups-of-first-row", "Shared heads get the first batch row's gradients.", GroupsOfFirstRow, "34"),
    _bug("bias-gradient-of-first-row", "The bias's gradient is the first batch row's.",
         _with(bias_gradient=lambda self, ds: Base.bias_gradient(self, ds[:1])), "36"),
    _bug("bias-gradient-of-last-block", "Each block overwrites the bias's gradient.",
         _with(bias_gradient=lambda self, ds: Base.bias_gradient(self, ds[..., (ds.shape[-2] - 1) // BLOCK * BLOCK :, :])),
         "36"),
    _bug("bias-gradient-of-first-in-group", "The bias's gradient sums one query head of each group.",
         BiasGradientOfFirstInGroup, "36"),
    _bug("bias-gradient-without-bias", "The bias's gradient forgets the bias.", _gradient_forgetting("bias", "bias", 0.0),
         "36"),
    _bug("bias-gradient-without-window", "The bias's gradient forgets the window.",
         _gradient_forgetting("bias", "window", None), "36"),
    _bug("bias-gradient-without-lengths", "The bias's gradient forgets the key lengths.",
         _gradient_forgetting("bias", "key_lengths", None), "36"),
    _bug("slope-gradient-of-first-row", "The slopes' gradient is the first batch row's.",
         _with(slope_gradient=lambda self, ds, distance, rank: Base.slope_gradient(self, ds[:1], distance, rank)), "37"),
    _bug("slope-gradient-of-last-block", "Each block overwrites the slopes' gradient.", SlopeGradientOfLastBlock, "37"),
    _bug("slope-gradient-unaligned", "The slopes' gradient takes |i - j|.", SlopeGradientUnaligned, "37"),
    _bug("slope-gradient-of-group", "Slopes of a group get the sum of their gradients.", SlopeGradientOfGroup, "37"),
    _bug("keys-beyond-256", "dV of keys beyond the 256th is never computed.", KeysBeyond256, "40"),
    _bug("narrow-gradient-sums", "dQ and dK are accumulated in the input dtype.", NarrowGradientSums, "41"),
    _bug("output-reused", "Every call of one shape writes the same output buffer.", OutputReused, "42"),
    _bug("gradients-reused", "Every backward call of one shape writes the same gradients.", GradientsReused, "42"),
    _bug("slopes-in-base-two", "The slopes are taken to base 2 in their own memory.", SlopesInBaseTwo, "26"),
    _bug("lengths-clipped", "The key lengths are clipped in their own memory.", LengthsClipped, "26"),
    Mutant("trains-without-window", "sigmoid_attention",
           "The forward pass that records gradients, a kernel of its own, ignores the window.",
           lambda: TrainsWithoutWindow(Base()), ("SIG-43",)),
    _bug("keys-beyond-4096", "Keys beyond the 4096th are never read.",
         _with(visible=lambda self, nq, nk, o: Base.visible(self, nq, nk, o) & (np.arange(nk) < 4096)), "08"),
    _bug("saved-outside-the-call", "The backward pass uses the latest call's inputs.", SavedOutsideTheCall, "42"),
    _bug("truncated-weights", "Weights are truncated, not rounded, to the input dtype.", TruncatedWeights, "44", "46"),
    _bug("truncated-score-gradients", "dS is truncated to the input dtype.", TruncatedScoreGradients, "46"),
    _bug("bias-in-input-dtype", "The bias is rounded to the input dtype.",
         _with(weights=lambda self, q, k, o: Base.weights(self, q, k, replace(o, bias=_in_storage(o, o.bias)))), "46"),
    _bug("default-scale-in-input-dtype", "1/sqrt(D) is rounded to the input dtype.", DefaultScaleInInputDtype, "46"),
    _bug("coarse-weights", "Weights are stored with one bit fewer.", CoarseWeights, "45"),
    _bug("narrow-sum-of-eights", "Every eight keys the sum is rounded to the input dtype.", NarrowSumOfEights, "45"),
    _bug("next-sequence-s-key", "A packed sequence sees the first key of the next.", NextSequencesKey, "47", "48"),
    _bug("packed-aligned-by-totals", "Packed masks are aligned by the totals.", PackedAlignedByTotals, "47"),
    _bug("packed-gradients-aligned-by-totals", "Backward, packed masks are aligned by the totals.",
         _backward_of(PackedAlignedByTotals), "48"),
    _bug("bias-gradient-of-last-sequence", "The bias's gradient is the last sequence's.", BiasGradientOfLastSequence, "48"),
    _bug("address-rounded-down", "v's address is rounded down to eight elements.", AddressRoundedDown, "49"),
    _bug("products-beyond-65504", "Products beyond 65,504 become infinite.", ProductsBeyond65504, "07"),
    _bug("key-gradient-of-64-channels", "With a head dim of 128 or 256 dK ends at 64.", KeyGradientOf64Channels, "10"),
    _bug("one-query-gradient-unscaled", "dQ of a single query lacks the scale.", OneQueryGradientUnscaled, "12"),
    _bug("ninth-head-gradient", "dV of heads beyond the eighth takes the first eight's dO.",
         _with(value_gradient=lambda self, p, grad: Base.value_gradient(self, p, grad[:, np.arange(grad.shape[1]) % 8])),
         "13"),
    _bug("scale-or-default-backward", "A scale of 0 is taken for none, backward.", ScaleOrDefaultBackward, "03"),
    _bug("window-clipped", "A window's left side is clipped to half of the keys.",
         _with(in_window=lambda self, nq, nk, left, right: Base.in_window(self, nq, nk, min(left, nk // 2), right)), "17"),
    _bug("infinity-times-mask", "The mask multiplies, which makes a NaN of an infinity.", InfinityTimesMask, "24"),
    _bug("window-top-left-backward", "Backward, with more queries, the window is top left.",
         _backward_of(WindowTopLeftWithMoreQueries), "33"),
    _bug("causal-start-rounded-up", "dV begins at the first whole block of causal queries.", CausalStartRoundedUp, "33"),
    _bug("bias-gradient-of-first-keys", "The bias's gradient ends with the 128th key.",
         _with(bias_gradient=lambda self, ds: Base.bias_gradient(self, ds[..., : 2 * BLOCK])), "36"),
    _bug("slope-gradient-of-first-keys", "The slopes' gradient ends with the 128th key.", SlopeGradientOfFirstKeys, "37"),
    _bug("empty-sequence-ends-gradients", "dQ is 0 after an empty packed sequence.", EmptySequenceEndsGradients, "48"),
    _bug("packed-backward-without-window", "Packed sequences ignore the window, backward.",
         _changing_backward(_given("cu_seqlens_q"), window=None), "48"),
    _bug("causal-without-scale", "A causal path takes the default scale.", _changing(_given("causal"), scale=None), "52"),
    _bug("window-without-bias", "A path for windows leaves the bias out.", _changing(_given("window"), bias=0.0), "52"),
    _bug("lengths-without-bias", "Key lengths leave the bias out.", _changing(_given("key_lengths"), bias=0.0), "52"),
    _bug("window-without-slopes", "A window leaves the slopes out.", _changing(_given("window"), alibi_slopes=None), "52"),
    _bug("packed-without-bias", "Packed sequences leave the bias out.", _changing(_given("cu_seqlens_q"), bias=0.0), "52"),
    _bug("packed-without-scale", "Packed: the default scale.", _changing(_given("cu_seqlens_q"), scale=None), "52"),
    _bug("shared-heads-without-scale", "Shared heads take the default scale.", _changing(_shares_heads, scale=None), "52"),
    _bug("window-lifts-causal-backward", "A window switches the causal mask off, backward.",
         _changing_backward(_given("window"), causal=False), "52"),
    _bug("shared-heads-without-causal-backward", "Shared heads ignore the causal mask, backward.",
         _changing_backward(_shares_heads, causal=False), "52"),
    _bug("shared-heads-without-window-backward", "Shared heads ignore the window, backward.",
         _changing_backward(_shares_heads, window=None), "52"),
    _bug("shared-heads-without-lengths-backward", "Shared heads ignore key lengths, backward.",
         _changing_backward(_shares_heads, key_lengths=None), "52"),
    _bug("bias-gradient-without-scale", "The bias's gradient takes the default scale.",
         _gradient_forgetting("bias", "scale", None), "52"),
    _bug("slope-gradient-without-window", "The slopes' gradient forgets the window.",
         _gradient_forgetting("alibi_slopes", "window", None), "52"),
    _bug("empty-sequences-uncounted", "Empty packed sequences have no slopes.", EmptySequencesUncounted, "52"),
    _bug("slopes-of-first-row", "Every batch row has the first row's slopes.",
         _with(tilt=lambda self, scores, slopes: Base.tilt(self, scores, slopes[:1] if slopes.ndim == 2 else slopes)), "53"),
    _bug("slope-gradient-over-rows", "Slopes of each row get the sum over rows.", SlopeGradientOverRows, "53"),
    Mutant("two-gradients-together", "sigmoid_attention",
           "dK and dV come from one kernel, and dK is 0 where dV is not asked for.", lambda: TwoGradientsTogether(Base()),
           ("SIG-54",)),
    _long("positions-in-15-bits", "Keys from the 32,768th on are never seen.", PositionsIn15Bits, "50"),
    _long("queries-in-15-bits", "dV leaves out queries from the 32,768th on.",
          _with(value_gradient=lambda self, p, grad: Base.value_gradient(self, p[..., : 2**15, :], grad[..., : 2**15, :])),
          "50"),
    Mutant("queries-in-16-bits", "sigmoid_attention",
           "Queries are numbered up to 65,535, and the last of 65,536 has no output.", _last_row_lost, ("SIG-50",),
           thorough=True),
    _long("offsets-in-32-bits", "Offsets into v wrap at 2^31 elements.", OffsetsIn32Bits, "51"),
    # The other side of a mistake that stands above, for the diagnosis.
    _bug("no-bias", "The bias is ignored.", _changing(_always, bias=0.0), "04"),
    _bug("causal-one-ahead", "A causal query sees one key beyond its position.",
         _with(causal=lambda self, nq, nk: self.offset(nq, nk) <= 1), "14"),
    _bug("last-of-group", "Shared heads get the gradient of their last query head alone.",
         _with(sum_groups=lambda self, per_head, group: per_head[:, group - 1 :: group]), "34"),
    _bug("backward-without-slopes", "The backward pass forgets the slopes.",
         _changing_backward(_always, alibi_slopes=None), "33"),
    _bug("slopes-added", "ALiBi's slopes are added.", _with(tilt=lambda self, x, slopes: Base.tilt(self, x, -slopes)), "19"),
    _bug("slopes-added-backward", "ALiBi's slopes are added, backward.",
         _backward_of(_with(tilt=lambda self, x, slopes: Base.tilt(self, x, -slopes))), "33"),
    _bug("slopes-scaled", "ALiBi's slopes are scaled together with q.k.", SlopesScaled, "19"),
    _bug("slopes-of-other-heads", "ALiBi's slopes are taken from the last head on.",
         _with(tilt=lambda self, x, slopes: Base.tilt(self, x, slopes[..., ::-1])), "19"),
    _bug("key-gradient-scaled-twice", "dK is scaled twice.",
         _with(key_gradient=lambda self, ds, q, o: Base.key_gradient(self, ds, q, replace(o, scale=(o.scale or 0) ** 2))),
         "32"),
    _bug("query-gradient-scaled-twice", "dQ is scaled twice.",
         _with(query_gradient=lambda self, ds, k, o: Base.query_gradient(self, ds, k, replace(o, scale=(o.scale or 0) ** 2))),
         "31"),
    _bug("bias-gradient-in-input-dtype", "The bias's gradient is summed in the input dtype, eight keys at a time.",
         NarrowBiasGradient, "44"),
    _bug("slope-gradient-in-input-dtype", "The slopes' gradient is summed in the input dtype, eight keys at a time.",
         NarrowSlopeGradient, "44"),
    _bug("value-gradient-in-input-dtype", "dV is summed in the input dtype, 64 queries at a time.", NarrowSumsOf64, "45"),
    # Two things at once, or where the function is called.
    _bug("unseen-multiplied", "What no query sees is multiplied by 0.",
         _with(without_unseen=lambda self, q, k, v, o: (k, v)), "55"),
    _bug("padded-dims-without-bias-backward", "Head dims that are filled up forget the bias, backward.",
         _changing_backward(_both(_odd_dim, _given("bias")), bias=0.0), "57"),
    _bug("many-heads-uncausal", "With five heads or more causal masks end at the fourth.", ManyHeadsUncausal, "57"),
    _bug("second-row-with-fewer-keys", "With fewer keys than queries every batch row has the first's values.",
         SecondRowWithFewerKeys, "57"),
    _bug("positive-bias-of-first-block", "A positive bias reaches the first 64 keys alone.", PositiveBiasOfFirstBlock, "57"),
    _bug("narrow-values-without-key-gradient", "dK is 0 for narrower values and several batch rows.",
         _backward_when(_several_rows, lambda gradients, q, k, v: {"k": gradients["k"] * (v.shape[3] >= q.shape[3])}), "57"),
    _bug("shared-heads-of-positive-scale", "Shared heads take the size of a negative scale.", SharedHeadsOfPositiveScale,
         "58"),
    _bug("whole-blocks-inclusive", "Where a key length is a multiple of 64 one key more is seen.", WholeBlocksInclusive, "58"),
    _bug("packed-odd-dims-in-one", "Packed sequences of filled-up head dims see each other.", PackedOddDimsInOne, "58"),
    _bug("turned-gradient-with-bias", "dO is read as if it were contiguous where there is a bias.", TurnedGradientWithBias,
         "58"),
    _bug("window-of-many-shared-heads", "A window is left out where eight heads share keys.",
         _changing(_both(_given("window"), lambda q, k, o: q.shape[1] >= 8 * k.shape[1]), window=None), "58"),
    _bug("value-gradient-without-window", "dV alone forgets the window where heads are shared.",
         _value_gradient_when(_both(_given("window"), _shares_heads), window=None), "58"),
    _bug("value-gradient-of-more-keys", "dV alone forgets the causal mask with more keys than queries and over 32 queries.",
         _value_gradient_when(_both(_given("causal"), lambda q, k, o: k.shape[2] > q.shape[2] > 32), causal=False), "59"),
    _bug("wide-key-gradient-of-shared-heads", "With shared heads dK is 0 from the 64th head dim on.",
         _backward_when(_shares_heads, lambda gradients, q, k, v: {
             "k": np.where(np.arange(k.shape[3]) < 64, gradients["k"], 0).astype(k.dtype)}), "58"),
    *(replace(mutant, slow=True) for mutant in (
        _bug("heads-beyond-32-uncausal", "Heads from the 34th on ignore the causal mask.", HeadsBeyond32Uncausal, "57"),
        _bug("bias-up-to-20", "A bias is cut off at 20 and -20.",
             _with(add_bias=lambda self, scores, o: Base.add_bias(self, scores, replace(o, bias=max(-20, min(20, o.bias))))),
             "57"),
        _bug("scale-up-to-1", "A scale beyond 1 counts as 1.",
             _with(scaled_product=lambda self, q, k, o: Base.scaled_product(self, q, k, replace(o, scale=min(o.scale, 1.0)))),
             "58"),
        _bug("half-blocks-exclusive", "A window's right end that is a multiple of 16 is left out.", HalfBlocksExclusive,
             "58", "59"),
        _bug("seventeenth-sequence-unmasked", "From the 17th packed sequence on there is no mask.",
             SeventeenthSequenceUnmasked, "58"),
        _bug("mask-kept-by-lengths", "A mask is kept for the next call of these lengths, whatever its options.",
             MaskKeptByLengths, "60"),
        _bug("lengths-of-first-1024", "Key lengths mask the first 1,024 keys alone.", LengthsOfFirst1024, "58"),
    )),
    _bug("negative-slopes-dropped", "Negative slopes count as 0.",
         _with(tilt=lambda self, x, slopes: Base.tilt(self, x, np.maximum(slopes, 0))), "59"),
    _bug("slopes-by-row-of-shared-heads", "Shared heads take the first row's slopes, backward.", SlopesByRowOfSharedHeads,
         "59"),
    _bug("window-with-unaligned-slopes", "Under a window and slopes together the slopes forget the alignment.",
         WindowUnalignedSlopes, "59"),
    *_TORCH,
    _honest("declared-tanh", "The hardware's approximate tanh, declared.", DeclaredTanh, "fused-tanh"),
    _honest("materialised", "Scores and gradients stored in the input dtype, declared.", Materialised, "materialised"),
    _honest("prescaled", "q and k each scaled by the root of the scale and stored, declared.", Prescaled, "prescaled"),
    _honest("bias-in-accumulator", "The accumulator starts from bias/scale, scale 0 taken care of.", BiasInAccumulator),
    _honest("backwards-in-blocks", "Every product is summed from the end, seven terms at a time.", BackwardsInBlocks),
    _honest("truncating", "Partial sums are truncated, as matrix units do.", Truncating),
    _honest("base-two", "The exponential is taken in base 2.",
            _with(activate=lambda self, scores: 1 / (1 + np.exp2(-scores * scores.dtype.type(math.log2(math.e)))))),
    _honest("two-branches", "The sigmoid never takes the exponential of a positive number.", TwoBranches),
    _honest("largest-negative-mask", "Masked scores are the largest negative float, not -inf.", LargestNegativeMask),
    _honest("mask-after-activation", "Masked weights are set to 0 after the activation.",
            _with(masked_activation=lambda self, x, seen, o: np.where(seen, self.activate(x), x.dtype.type(0)))),
    _honest("group-rounded-first", "Shared heads' gradients are rounded one by one before they are added.", GroupRoundedFirst),
    _honest("double-inside", "Everything inside is float64.", _with(working=lambda self, x: x.astype(np.float64))),
    _honest("fused-derivative", "P dP - P (P dP), as one fused operation would.",
            _with(score_gradient=lambda self, p, dp, o: p * dp - p * (p * dp))),
    _honest("scaled-gradient", "dS is scaled before it is stored.", ScaledGradient),
    _honest("folded-base-two", "Scale, bias and slopes are taken to base 2 beforehand.", FoldedBaseTwo),
    _honest("query-scaled-first", "q is scaled in float32 before the product, and k for dQ.", QueryScaledFirst),
    _honest("derivative-of-both-tails", "The derivative is sigmoid(x) sigmoid(-x).", DerivativeOfBothTails),
)  # fmt: skip
