"""Lines over two axes: told apart by colour, marker and dash at once, with their intervals."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes as MatplotlibAxes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conformance.records.schema import Axes, Series
from reports.charts.font import drawable
from reports.charts.style import finished, set_ticks
from reports.numbers import count, listing, significant

HEIGHT = 250.0
LONGEST, LONGEST_ROW = 34, 30
MOST_BARS = 24
"""Up to so many points of a line have markers and intervals of their own; a longer line has a band."""
MOST_SPELLED, MOST_SIZES, LEAST_GAP = 1_000_000, 9, 0.09
COINCIDE = 0.008
"""Lines that differ by no more than this part of the axis anywhere look the same on a chart."""


@dataclass(frozen=True)
class LineChart:
    title: str
    subtitle: str
    axes: Axes
    lines: tuple[Series, ...]

    @property
    def description(self) -> str:
        """The chart in words: what each line begins and ends with."""
        ends = []
        for line in self.lines:
            if line.x:
                points = sorted(zip(line.x, line.y, strict=True))
                words = [f"{significant(y)} at {_size(x)}" for x, y in (points[0], points[-1])]
                ends.append(f"{line.label} {words[0]}" if len(points) == 1 else f"{line.label} from {' to '.join(words)}")
        what = f"{self.title} ({self.subtitle})" if self.subtitle else self.title
        sentences = [f"{what}: {self.axes.y} against {self.axes.x}, {count(len(ends), 'line')}", listing(ends)]
        return ". ".join([*sentences, *self.coinciding]) + "."

    @property
    def coinciding(self) -> list[str]:
        """A sentence on each set of lines that lie on one another, without its full stop."""
        groups: list[list[Series]] = []
        with np.errstate(divide="ignore", invalid="ignore"):
            heights = {line: np.log10(line.y) if "y" in self.axes.log else np.asarray(line.y) for line in self.lines}
        finite = [y for height in heights.values() for y in height if math.isfinite(y)]
        near = COINCIDE * (max(finite, default=0.0) - min(finite, default=0.0))
        for line in self.lines:
            for group in groups:
                if group[0].x == line.x and _coincide(heights[group[0]], heights[line], near):
                    group.append(line)
                    break
            else:
                groups += [[line]] if line.x else []
        return [f"{listing(line.label for line in group)} coincide" for group in groups if len(group) > 1]

    def figure(self) -> Figure:
        subtitle = ". ".join(part for part in (self.subtitle, *self.coinciding) if part)
        figure = Figure()
        axes = figure.add_subplot()
        points = [point for line in self.lines for point in zip(line.x, line.y, strict=True) if all(map(math.isfinite, point))]
        for place, (name, set_scale) in enumerate((("x", axes.set_xscale), ("y", axes.set_yscale))):
            if name in self.axes.log and any(point[place] > 0 for point in points):
                set_scale("log")
        axes.set_xlabel(drawable(self.axes.x, 70))
        axes.set_ylabel("\n".join(textwrap.wrap(drawable(self.axes.y, 2 * LONGEST_ROW), LONGEST_ROW)))
        self.draw(axes)
        return finished(figure, self.title, subtitle, HEIGHT)

    def draw(self, axes: MatplotlibAxes) -> None:
        for line in self.lines:
            draw_line(axes, line)
        set_ticks(axes)
        sizes = sorted({x for line in self.lines for x in line.x})
        if axes.get_xscale() == "log" and _are_ticks(sizes):
            axes.set_xticks(sizes, [f"{x:.0f}" for x in sizes])


def _coincide(first: NDArray[np.float64], second: NDArray[np.float64], within: float) -> bool:
    """Whether two lines are nowhere further apart than this; inf and nan must be at the same points."""
    with np.errstate(invalid="ignore"):
        near = np.abs(first - second) <= within
    return bool(np.all((first == second) | near | (np.isnan(first) & np.isnan(second))))


def draw_line(axes: MatplotlibAxes, line: Series, **look: Any) -> None:
    """A line with its label, its markers, and its intervals where it has any."""
    order = np.argsort(line.x, kind="stable")
    x, y = (np.asarray(values, dtype=float)[order] for values in (line.x, line.y))
    step = max(1, math.ceil(len(x) / MOST_BARS))
    marked = [place for place in range(len(x)) if place % step == 0 or place == len(x) - 1]
    (drawn,) = axes.plot(x, y, label=drawable(line.label, LONGEST) or " ", markevery=marked, zorder=4, **look)
    if not line.low or not line.high:
        return
    low, high = (np.asarray(values, dtype=float)[order] for values in (line.low, line.high))
    if step > 1:
        axes.fill_between(x, low, high, color=drawn.get_color(), alpha=0.16, linewidth=0, zorder=2.5)
    else:
        axes.vlines(x, low, high, color=drawn.get_color(), linewidth=1.2, zorder=3)


def _are_ticks(sizes: Sequence[float]) -> bool:
    """Whether the measured sizes (512, 1024, ...) can be the ticks: they are few, whole and far enough apart."""
    if not 2 < len(sizes) <= MOST_SIZES or not all(x == round(x) and 1 <= x < MOST_SPELLED for x in sizes):
        return False
    return all(math.log(b / a) >= LEAST_GAP * math.log(sizes[-1] / sizes[0]) for a, b in pairwise(sizes))


def _size(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < MOST_SPELLED else significant(value)
