"""Compare a long self-attention with the reference at some of its queries and keys: each is a small exact problem of its own.

Nothing is approximated. A query's output and gradient depend on the keys that it sees alone, a key's gradients on the queries
that see it; both are intervals, so that the reference computes one row or one column of scores without any mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.engine.comparison import Comparison, compare
from reference.sigmoid_attention import backward, backward_bounds, forward, forward_bound

Array = npt.NDArray[np.float64]

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
) -> Iterator[Comparison]:
    """``head`` has q, k, v (N, D) and output (N, D), and where gradients are compared grad, dq, dk and dv too."""
    n = len(head["q"])
    left, right = window or (-1, -1)
    if causal:
        right = 0
    options: dict[str, Any] = {"bias": bias}
    bounds: dict[str, Any] = {"dtype": dtype, "numerical_class": numerical_class, **options}
    for i in chosen:
        row, keys = slice(i, i + 1), _interval(i, left, right, n)
        one = (head["q"][_LIFT][:, :, row], head["k"][_LIFT][:, :, keys], head["v"][_LIFT][:, :, keys])
        yield compare(
            f"output, {where}, row {i}",
            head["output"][row],
            forward(*one, **options)[0, 0],
            forward_bound(*one, **bounds)[0, 0],
        )
        if "dq" in head:
            grad = head["grad"][_LIFT][:, :, row]
            expected, bound = backward(*one, grad, **options), backward_bounds(*one, grad, **bounds)
            yield compare(f"gradient of q, {where}, row {i}", head["dq"][row], expected.q[0, 0], bound.q[0, 0])
    for j in chosen if "dk" in head else ():
        key, rows = slice(j, j + 1), _interval(j, right, left, n)
        one = (head["q"][_LIFT][:, :, rows], head["k"][_LIFT][:, :, key], head["v"][_LIFT][:, :, key])
        grad = head["grad"][_LIFT][:, :, rows]
        expected, bound = backward(*one, grad, **options), backward_bounds(*one, grad, **bounds)
        yield compare(f"gradient of k, {where}, key {j}", head["dk"][key], expected.k[0, 0], bound.k[0, 0])
        yield compare(f"gradient of v, {where}, key {j}", head["dv"][key], expected.v[0, 0], bound.v[0, 0])


def _interval(place: int, left: int, right: int, length: int) -> slice:
    """The positions at most ``left`` before a place and ``right`` behind it, -1 for no limit."""
    return slice(0 if left < 0 else max(0, place - left), length if right < 0 else min(length, place + right + 1))
