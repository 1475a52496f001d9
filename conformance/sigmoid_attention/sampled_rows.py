"""Compare a long self-attention with the reference at some of its queries and keys: each is a small exact problem of its own.

Nothing is approximated. A query's output and gradient depend on the keys that it sees alone, a key's gradients on the queries
that see it; both are intervals.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.engine.comparison import Comparison, compare
from reference.sigmoid_attention import backward, backward_bounds, forward, forward_bound

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

_LIFT = (None, None)  # to a batch of one and one head


def places(length: int, count: int, rng: np.random.Generator) -> list[int]:
    """Both ends, the middle, and others at random: at most ``count`` places, sorted."""
    edges = {0, 1, length // 2 - 1, length // 2, length - 2, length - 1}
    return sorted({*edges, *rng.integers(length, size=count - len(edges)).tolist()})


def compare_places(
    head: Mapping[str, Array],
    chosen: Iterable[int],
    where: str,
    *,
    dtype: str,
    numerical_class: str,
    bias: float,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    span: int = 1,
) -> Iterator[Comparison]:
    """``head`` has q, k, v (N, D) and grad where gradients are compared; and what is compared of output, dq, dk and dv.

    Places within the same ``span`` positions are compared together, with all that any of them sees: fewer, larger problems.
    """
    n = len(head["q"])
    left, right = window or (-1, -1)
    if causal:
        right = 0
    options: dict[str, Any] = {"bias": bias, "window": (left, right)}
    kind: dict[str, Any] = {"dtype": dtype, "numerical_class": numerical_class}

    def compared(quantity: str, name: str, rows: Places, expected: Array, bound: Array) -> Comparison:
        found = compare(f"{quantity}, {where}, {_listed(rows)}", head[name][rows], expected[0, 0], bound[0, 0])
        row, comma, column = found.worst.strip("()").partition(",")
        return replace(found, worst=f"({rows[int(row)]}{comma}{column})") if row else found

    def taken(name: str, places: Places) -> Array:
        return head[name][_LIFT][:, :, places]

    for rows in _grouped(chosen, span):
        keys = _interval(rows, left, right, n)
        q, k, v = taken("q", rows), taken("k", keys), taken("v", keys)
        masked = {**options, "positions": (rows, keys)}
        if "output" in head:
            yield compared("output", "output", rows, forward(q, k, v, **masked), forward_bound(q, k, v, **kind, **masked))
        if "dq" in head:
            grad = taken("grad", rows)
            expected, bound = backward(q, k, v, grad, **masked), backward_bounds(q, k, v, grad, **kind, **masked)
            yield compared("gradient of q", "dq", rows, expected.q, bound.q)
    for keys in _grouped(chosen, span) if "dk" in head or "dv" in head else ():
        rows = _interval(keys, right, left, n)
        masked = {**options, "positions": (rows, keys)}
        q, k, v, grad = taken("q", rows), taken("k", keys), taken("v", keys), taken("grad", rows)
        expected, bound = backward(q, k, v, grad, **masked), backward_bounds(q, k, v, grad, **kind, **masked)
        if "dk" in head:
            yield compared("gradient of k", "dk", keys, expected.k, bound.k)
        if "dv" in head:
            yield compared("gradient of v", "dv", keys, expected.v, bound.v)


def compare_group(
    group: Mapping[str, Array],
    rows: npt.NDArray[np.intp],
    keys: npt.NDArray[np.intp],
    where: str,
    *,
    dtype: str,
    numerical_class: str,
    bias: float,
    causal: bool,
    span: int = 1,
) -> Iterator[Comparison]:
    """As `compare_places` for G query heads that share a head of keys: q, grad, output and dq are (G, Nq, D), the others not.

    Queries are the last positions. ``rows`` and ``keys`` are the places that are compared.
    """
    kind: dict[str, Any] = {"dtype": dtype, "numerical_class": numerical_class}
    options: dict[str, Any] = {"bias": bias, "window": (-1, 0 if causal else -1)}
    nq, nk = group["q"].shape[1], len(group["k"])
    late = nk - nq

    def taken(name: str, places: Places) -> Array:
        return group[name][None][:, :, places] if group[name].ndim == 3 else group[name][_LIFT][:, :, places]

    def compared(quantity: str, name: str, places: Places, expected: Array, bound: Array) -> Comparison:
        found = group[name][:, places] if group[name].ndim == 3 else group[name][None][:, places]
        return compare(f"{quantity}, {where}, {_listed(places)}", found, expected[0], bound[0])

    for chosen in _grouped(rows, span):
        seen = np.arange(nk if not causal else max(0, int(chosen[-1]) + late + 1))
        masked = {**options, "positions": (chosen + late, seen)}
        q, k, v = taken("q", chosen), taken("k", seen), taken("v", seen)
        if "output" in group:
            yield compared("output", "output", chosen, forward(q, k, v, **masked), forward_bound(q, k, v, **kind, **masked))
        if "dq" in group:
            grad = taken("grad", chosen)
            expected, bound = backward(q, k, v, grad, **masked), backward_bounds(q, k, v, grad, **kind, **masked)
            yield compared("gradient of q", "dq", chosen, expected.q, bound.q)
    for chosen in _grouped(keys, span) if "dk" in group else ():
        seeing = np.arange(max(0, int(chosen[0]) - late) if causal else 0, nq)
        masked = {**options, "positions": (seeing + late, chosen)}
        q, k, v, grad = taken("q", seeing), taken("k", chosen), taken("v", chosen), taken("grad", seeing)
        expected, bound = backward(q, k, v, grad, **masked), backward_bounds(q, k, v, grad, **kind, **masked)
        yield compared("gradient of k", "dk", chosen, expected.k, bound.k)
        yield compared("gradient of v", "dv", chosen, expected.v, bound.v)


def _grouped(chosen: Iterable[int], span: int) -> list[Places]:
    return [np.array(list(group)) for _, group in itertools.groupby(sorted(chosen), key=lambda place: place // span)]


def _listed(places: Places) -> str:
    return f"place {places[0]}" if len(places) == 1 else f"{len(places)} places from {places[0]} to {places[-1]}"


def _interval(places: Places, left: int, right: int, length: int) -> Places:
    """The positions at most ``left`` before the first place and ``right`` behind the last, -1 for no limit."""
    first, last = int(places[0]), int(places[-1])
    return np.arange(0 if left < 0 else max(0, first - left), length if right < 0 else min(length, last + right + 1))
