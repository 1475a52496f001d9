"""How the elements of a tensor may lie in memory, the same for every framework."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]

LAYOUTS = (
    "", "every second place", "rows apart", "at an offset", "transposed", "axes reversed", "channels last",
    "last axis expanded", "first axis expanded", "one value", "overlapping",
)  # fmt: skip
"""Names of layouts; "" is in order, without gaps.

rows apart           columns of a wider matrix: gaps after each slice of the first axis
at an offset         in order, from the fourth element of a larger memory on
transposed           the last two axes the other way round
channels last        the second axis innermost
last axis expanded   elements along it share one place, as after ``expand``; first: a vector expanded over a batch
one value            all elements share one place, as in the gradient of a sum
overlapping          elements with the same sum of indices share a place, as in windows of a signal
"""

SHARING = frozenset(LAYOUTS[-4:])
"""Those in which elements share memory."""

OWN = tuple(name for name in LAYOUTS if name not in SHARING)
"""Those in which each element has a place of its own, as a parameter's have."""

IN_ORDER = frozenset({"", "at an offset"})
"""Those which torch calls contiguous."""


@dataclass(frozen=True)
class Layout:
    """``size`` elements of memory; the first element of the tensor lies at ``offset``. Strides count elements."""

    size: int
    offset: int
    strides: tuple[int, ...]

    def places(self, shape: Sequence[int]) -> Places:
        """Where each element lies, in the tensor's shape."""
        found: Places = np.full(tuple(shape), self.offset, dtype=np.int64)
        for axis, stride in enumerate(self.strides):
            found += stride * np.arange(shape[axis]).reshape([-1 if each == axis else 1 for each in range(len(shape))])
        return found

    def unused(self, shape: Sequence[int]) -> Places:
        """The places that hold no element."""
        free = np.ones(self.size, dtype=bool)
        free[self.places(shape)] = False
        return np.flatnonzero(free)


def layout_of(name: str, shape: Sequence[int]) -> Layout:
    """The layout of that name for a shape; one that has too few axes for it lies in order."""
    axes, count = len(shape), math.prod(shape)
    order = list(range(axes))
    if name == "at an offset":
        return Layout(count + 8, 3, _dense(shape, order))
    if name == "transposed" and axes > 1:
        order[-2:] = order[:-3:-1]
    elif name == "axes reversed":
        order.reverse()
    elif name == "channels last" and axes > 2:
        order = [0, *order[2:], 1]
    strides = _dense(shape, order)
    return _with_gaps(name, shape, strides) if axes and count else Layout(count, 0, strides)


def _with_gaps(name: str, shape: Sequence[int], strides: tuple[int, ...]) -> Layout:
    count = math.prod(shape)
    if name == "every second place":
        return Layout(2 * count, 0, tuple(2 * stride for stride in strides))
    if name == "rows apart":
        return Layout(count + 3 * shape[0], 0, (strides[0] + 3, *strides[1:]))
    if name == "last axis expanded":
        return Layout(2 * count, 0, (*(2 * stride for stride in strides[:-1]), 0))
    if name == "first axis expanded":
        return Layout(count + 1, 0, (0, *strides[1:]))
    if name == "one value":
        return Layout(count + 1, 0, (0,) * len(shape))
    if name == "overlapping":
        return Layout(sum(shape) + 3, 0, (1,) * len(shape))
    return Layout(count, 0, strides)


def _dense(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """The strides of a tensor without gaps whose axes lie in this order, the outermost first."""
    strides, step = [1] * len(shape), 1
    for axis in reversed(order):
        strides[axis], step = step, step * max(shape[axis], 1)
    return tuple(strides)


def fewest_axes(name: str) -> int:
    """How many axes a tensor must have, to lie in this layout and in no other of fewer axes."""
    return {"": 0, "at an offset": 0, "transposed": 2, "axes reversed": 3, "channels last": 3, "overlapping": 2}.get(name, 1)


def relaid(name: str) -> str:
    """How a tensor that had this layout lies in a model that was converted meanwhile."""
    return "axes reversed" if name in IN_ORDER else ""


def order_of(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The axes as they lie in memory, the outermost first."""
    strides = layout_of(name, shape).strides
    return tuple(sorted(range(len(shape)), key=lambda axis: -strides[axis]))


def as_shown(name: str, values: Any) -> Any:
    """The values that a tensor of this layout shows after these were written to it: where places are shared, the last."""
    if name not in SHARING:
        return values
    layout = layout_of(name, values.shape)
    memory, places = np.zeros(layout.size), layout.places(values.shape)
    memory[places.ravel()] = values.ravel()
    return memory[places]


def array_of(name: str, values: Any) -> Any:
    """A copy of an array in that layout, NaN between and around its elements."""
    layout = layout_of(name, values.shape)
    memory = np.full(max(layout.size, 1), np.nan, dtype=values.dtype)
    memory[layout.places(values.shape).ravel()] = values.ravel()
    strides = [stride * memory.itemsize for stride in layout.strides]
    return np.ndarray(values.shape, values.dtype, memory, layout.offset * memory.itemsize, strides)
