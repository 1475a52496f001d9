"""Margin and speed of each implementation of a system, a row for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conformance.records.schema import SystemRecord
from reports.charts.style import (
    BLACK,
    BLUE,
    CARD,
    FAIL_GROUND,
    QUIET,
    ROW,
    TEXT_SIZE,
    VERMILLION,
    finished,
    power_of_ten,
    rows,
    set_ticks,
)
from reports.evidence import Evidence
from reports.numbers import count, listing, margin, significant
from reports.ranking import (
    RIGHT,
    STATUS_WORDS,
    MainWorkload,
    RankingRow,
    Status,
    current,
    main_workload,
    ranking,
    ranking_dtype,
)

LOOKS: dict[Status, dict[str, Any]] = {
    Status.RIGHT: {"marker": "o", "color": BLUE, "markersize": 7.5},
    Status.WRONG: {"marker": "X", "color": VERMILLION, "markersize": 8},
    Status.CRASHES: {"marker": "s", "color": BLACK, "markerfacecolor": CARD, "markeredgecolor": BLACK, "markeredgewidth": 1.5},
}
"""Told apart by shape and by colour."""
VERBS = {
    Status.RIGHT: "that compute the paper are drawn",
    Status.WRONG: "that differ from it are drawn",
    Status.CRASHES: "that crash are drawn",
}
HALF, BESIDE = 0.5, 0.3
"""The axis of passing margins begins at ``HALF`` or below; with a margin of 0 it goes beyond 0 by this part of its linear
range."""
BEYOND, MOST_DECADES, MOST_FAIL_TICKS = 1.15, 308, 2
"""The axis of failing margins has more decades than the largest margin, by this factor, to leave room for infinity."""
FEW = 30.0
"""Where the ends of a narrow axis differ by this factor or more, only powers of ten have a tick."""
LEAST_REACH = 2.4
"""The speed axis reaches at least this factor to either side of 1, so that a few per cent of noise do not fill it."""


@dataclass(frozen=True)
class Point:
    label: str
    status: Status
    margin: float
    speed: float | None
    speed_low: float | None
    speed_high: float | None
    baseline: bool


@dataclass(frozen=True)
class MarginChart:
    """``points`` are in the order of the ranking; ``left_out`` were judged too little in that dtype."""

    system: str
    title: str
    subtitle: str
    points: tuple[Point, ...]
    left_out: tuple[str, ...]
    where: str = ""
    """What was timed."""

    @property
    def description(self) -> str:
        """What the chart shows, in sentences."""
        sentences = []
        for status, verb in VERBS.items():
            found = [point for point in self.points if point.status is status]
            if found:
                names = listing(f"{point.label} ({margin(point.margin)})" for point in found)
                sentences.append(f"{count(len(found), 'implementation')} of {self.title} {verb}, with these margins: {names}.")
        timed = sorted((point for point in self.points if _drawn(point.speed)), key=lambda point: -(point.speed or 0.0))
        if timed:
            ratios = listing(f"{point.label} {significant(point.speed or 0.0)}" for point in timed)
            sentences.append(f"On {self.where} their speeds are these multiples of the baseline's: {ratios}.")
        if self.left_out:
            sentences.append(f"Judged too little in this dtype were {listing(self.left_out)}.")
        return " ".join(sentences)

    def figure(self) -> Figure:
        left_out = f"; judged too little in it: {', '.join(self.left_out)}" if self.left_out else ""
        timed = any(_drawn(point.speed) for point in self.points)
        failed = any(point.margin > 1 for point in self.points)
        figure = Figure()
        widths = (4, *(3,) * failed, *(3,) * timed)
        panels = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
        body = rows(panels[0], [f"{p.label}{' (baseline)' if p.baseline and timed else ''}" for p in self.points])
        _draw_passes(panels[0], self.points)
        if failed:
            _draw_fails(panels[1], self.points)
        if timed:
            _draw_speeds(panels[-1], self.points)
        for status in sorted({point.status for point in self.points}):
            panels[0].plot([], [], linestyle="none", label=STATUS_WORDS[status], **LOOKS[status])
        return finished(figure, self.title, self.subtitle + left_out, body + ROW)


def margin_chart(evidence: Evidence, system: SystemRecord) -> MarginChart | None:
    """The chart of one system; None where no implementation has a margin, or all are exact and none was timed."""
    main = main_workload(evidence, system.name)
    rows = sorted(
        current(ranking(evidence, system.name), evidence), key=lambda row: (not row.is_ranked, row.status, row.margin or 0)
    )
    shown = [
        row for row in rows if row.margin is not None and (row.is_ranked or (row.status in LOOKS and row.status not in RIGHT))
    ]
    points = tuple(_point(row, main) for row in shown)
    timed = main is not None and any(point.speed is not None for point in points)
    if not points or (not timed and all(point.margin == 0 for point in points)):
        return None
    dtype = ranking_dtype(evidence, system.name)
    where = ", ".join(p for p in (main.workload, main.device, main.dtype) if p) if main is not None and timed else ""
    return MarginChart(
        system=system.name,
        title=system.title,
        subtitle=f"margin of the definition{f' in {dtype}' if dtype else ''}" + (f", and speed on {where}" if timed else ""),
        points=points,
        left_out=tuple(row.implementation.slug for row in rows if row.status < Status.PARTLY and row not in shown),
        where=where,
    )


def _point(row: RankingRow, main: MainWorkload | None) -> Point:
    name = row.implementation.name
    measured = main.measurements.get(name) if main is not None else None
    speeds = (None, None, None) if measured is None else (measured.speed, measured.ratio_low, measured.ratio_high)
    status = Status.RIGHT if row.status in RIGHT else row.status
    elsewhere = " (in another dtype)" if status is Status.WRONG and (row.margin or 0.0) <= 1 else ""
    return Point(
        f"{row.implementation.slug}{elsewhere}", status, row.margin or 0.0, *speeds, main is not None and name == main.baseline
    )


def _drawn(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value) and value > 0


def _draw_passes(axes: Axes, points: Sequence[Point]) -> None:
    """Margins up to 1 on a logarithmic axis, which is linear near 0 where there is a margin of 0."""
    least = min((point.margin for point in points if point.margin > 0), default=1.0)
    if any(point.margin <= 0 for point in points):
        linear = min(least, HALF)
        axes.set_xscale("symlog", linthresh=linear)
        axes.set_xlim(-BESIDE * linear, 1)
    else:
        axes.set(xscale="log", xlim=(min(0.9 * least, HALF), 1))
    axes.set_title("passes", color=BLUE, size=TEXT_SIZE)
    axes.set_xlabel("margin")
    _mark(axes, points, [point.margin if point.margin <= 1 else None for point in points])
    axes.axvline(1, color=VERMILLION)


def _draw_fails(axes: Axes, points: Sequence[Point]) -> None:
    """Margins above 1 on a logarithmic axis, with infinity on its edge."""
    largest = max((point.margin for point in points if point.margin < math.inf), default=1.0)
    decades = min(math.ceil(BEYOND * math.log10(max(largest, 10.0))), MOST_DECADES)
    powers = range(0, decades, math.ceil(decades / MOST_FAIL_TICKS))
    infinite = [10.0**decades] if any(math.isinf(point.margin) for point in points) else []
    axes.set(xscale="log", xlim=(1, 10.0**decades), facecolor=FAIL_GROUND)
    axes.set_xticks([*(10.0**power for power in powers), *infinite], [*map(power_of_ten, powers), *("inf" for _ in infinite)])
    axes.set_title("fails", color=VERMILLION, size=TEXT_SIZE)
    _mark(axes, points, [point.margin if point.margin > 1 else None for point in points])
    axes.axvline(1, color=VERMILLION)


def _draw_speeds(axes: Axes, points: Sequence[Point]) -> None:
    """Ratios to the baseline on a logarithmic axis, with their 95 % intervals."""
    axes.set(xscale="log", xlabel="× baseline")
    axes.set_title("speed", size=TEXT_SIZE)
    axes.axvline(1, color=QUIET, linewidth=1.1, linestyle=(0, (5, 3)))
    axes.update_datalim([(1 / LEAST_REACH, 0), (LEAST_REACH, 0)])
    _mark(axes, points, [point.speed if _drawn(point.speed) else None for point in points])
    for row, point in enumerate(points):
        ends = [end for end in (point.speed_low, point.speed_high) if _drawn(end) and _drawn(point.speed)]
        if ends:
            axes.hlines(row, min(ends), max(ends), color=LOOKS[point.status]["color"], linewidth=1.5)


def _mark(axes: Axes, points: Sequence[Point], values: Sequence[float | None]) -> None:
    """A mark for each point that has a value here, in the point's row."""
    for row, (point, value) in enumerate(zip(points, values, strict=True)):
        if value is not None:
            axes.plot([value], [row], linestyle="none", zorder=5, **LOOKS[point.status])
    set_ticks(axes, many=FEW)
