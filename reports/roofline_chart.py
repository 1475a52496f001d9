"""Speeds under the roof: against arithmetic intensity where both ceilings are known, as shares of the ceiling otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from conformance.records.schema import Axes
from reports.axes import axis
from reports.canvas import FAINT, INK, PASS_GROUND, QUIET, RULE, Canvas, as_svg, drawable, own_settings, text_width
from reports.line_chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    LEGEND_ROW,
    LONGEST,
    RIGHT,
    TEXT,
    TICK,
    TITLE,
    WIDTH,
    frame,
    heading,
    legend,
    legend_rows,
    mark,
    style,
    wrapped,
)
from reports.numbers import percent, si, significant

ROW, LEGEND_MARK = 22.0, 24.0
PERCENT = 100.0


@dataclass(frozen=True)
class Roof:
    """The two ceilings, measured in the run whose speeds stand under them."""

    bytes_per_s: float
    flops_per_s: float

    @property
    def ridge(self) -> float:
        """FLOP per byte from which on the arithmetic is the ceiling, and no longer the memory."""
        return self.flops_per_s / self.bytes_per_s

    def at(self, intensity: float) -> float:
        return min(self.flops_per_s, intensity * self.bytes_per_s)


@dataclass(frozen=True)
class Spot:
    label: str
    intensity: float
    flops_per_s: float
    workload: str


@dataclass(frozen=True)
class RooflineChart:
    title: str
    subtitle: str
    roof: Roof
    spots: tuple[Spot, ...]
    description: str


@dataclass(frozen=True)
class Share:
    """How much of the ceiling one implementation reaches; ``kind`` is the condition (a workload or a cache) it stands for."""

    label: str
    kind: str
    share: float


@dataclass(frozen=True)
class ShareChart:
    title: str
    subtitle: str
    shares: tuple[Share, ...]
    description: str


def draw_roofline(chart: RooflineChart) -> bytes:
    """The chart as SVG."""
    with own_settings():
        return as_svg(_roofline(chart), chart.title)


def draw_shares(chart: ShareChart) -> bytes:
    """The chart as SVG."""
    with own_settings():
        return as_svg(_shares(chart), chart.title)


def _roofline(chart: RooflineChart) -> Figure:
    names = list(dict.fromkeys(spot.label for spot in chart.spots))
    labels = [drawable(name, LONGEST) for name in names]
    rows = legend_rows(labels)
    title = wrapped(drawable(chart.title, 160), WIDTH - 40, TITLE, bold=True)[:3]
    subtitle = wrapped(drawable(chart.subtitle, 220), WIDTH - 40, TICK)[:3]
    height = BOTTOM + HEIGHT + 20 + 18 * len(title) + 15 * len(subtitle) + LEGEND_ROW * len(rows) + 16
    canvas = Canvas(WIDTH, height)
    canvas.card(WIDTH, height)
    y = heading(canvas, height, title, subtitle)
    legend(canvas, y, labels, rows, lined=False)
    ridge = chart.roof.ridge
    across = axis([*(spot.intensity for spot in chart.spots), ridge / 3, ridge * 3], True, LEFT, WIDTH - RIGHT)
    left, right = 10.0**across.low, 10.0**across.high
    heights = [spot.flops_per_s for spot in chart.spots]
    up = axis([*heights, chart.roof.flops_per_s * 1.6, min([*heights, chart.roof.at(left)])], True, BOTTOM, BOTTOM + HEIGHT)
    frame(canvas, across, up, Axes("arithmetic intensity, FLOP per byte that must be moved", "FLOP/s"))
    ends = [(left, chart.roof.at(left)), (ridge, chart.roof.flops_per_s), (right, chart.roof.flops_per_s)]
    canvas.axes.plot([across.at(x) for x, _ in ends], [up.at(y) for _, y in ends], color=INK, linewidth=1.8, zorder=3)
    flat = f"matrix product: {si(chart.roof.flops_per_s, 'FLOP/s')}"
    canvas.text(across.stop - 4, up.at(chart.roof.flops_per_s) + 5, flat, TICK, ha="right")
    slope = f"memory: {si(chart.roof.bytes_per_s, 'B/s')}"
    start = (across.at(left), up.at(chart.roof.at(left)))
    end = (across.at(ridge), up.at(chart.roof.flops_per_s))
    if math.dist(start, end) > text_width(slope, TICK) + 20:
        angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
        middle = ((start[0] + end[0]) / 2 - 6, (start[1] + end[1]) / 2 + 6)
        canvas.text(*middle, slope, TICK, ha="center", va="bottom", rotation=angle, rotation_mode="anchor")
    else:
        canvas.text(start[0] + 4, up.stop - 12, slope, TICK)
    for place, name in enumerate(names):
        own = [spot for spot in chart.spots if spot.label == name]
        mark(canvas, [across.at(s.intensity) for s in own], [up.at(s.flops_per_s) for s in own], style(place), 7.5)
    return canvas.figure


def _shares(chart: ShareChart) -> Figure:
    """A row per implementation on one logarithmic axis up to the ceiling."""
    kinds = list(dict.fromkeys(share.kind for share in chart.shares))
    names = list(dict.fromkeys(share.label for share in chart.shares))
    labels = [drawable(name, LONGEST) for name in names]
    keys = [drawable(kind, LONGEST) for kind in kinds]
    rows = legend_rows(keys) if len(kinds) > 1 else []
    title = wrapped(drawable(chart.title, 160), WIDTH - 40, TITLE, bold=True)[:3]
    subtitle = wrapped(drawable(chart.subtitle, 220), WIDTH - 40, TICK)[:3]
    body = ROW * len(names)
    height = BOTTOM + body + 20 + 18 * len(title) + 15 * len(subtitle) + LEGEND_ROW * len(rows) + 16
    canvas = Canvas(WIDTH, height)
    canvas.card(WIDTH, height)
    y = heading(canvas, height, title, subtitle)
    legend(canvas, y, keys, rows, lined=False)
    left = min(40 + max(text_width(text, TEXT) for text in labels), 0.5 * WIDTH)
    values = [PERCENT * share.share for share in chart.shares]
    scale = axis([*values, PERCENT, min([*values, 10.0])], True, left, WIDTH - RIGHT - 24)
    top = BOTTOM + body
    canvas.area(left, BOTTOM, scale.stop, top, PASS_GROUND)
    for x, text in scale.ticks(40):
        canvas.line((x, x), (BOTTOM, top), FAINT, 1.0, zorder=1)
        canvas.text(x, BOTTOM - 16, text, TICK, ha="center", color=QUIET)
    ceiling = scale.at(PERCENT)
    canvas.line((ceiling, ceiling), (BOTTOM, top), INK, 1.8, zorder=3)
    canvas.text(
        (left + scale.stop) / 2,
        BOTTOM - 38,
        "% of the ceiling (at 100 nothing can be faster)",
        TICK,
        ha="center",
    )
    for place, (name, text) in enumerate(zip(names, labels, strict=True)):
        middle = top - ROW * (place + 0.5)
        canvas.line((left, scale.stop), (middle, middle), RULE, 0.6, zorder=1)
        canvas.text(left - 10, middle, text, TEXT, ha="right", va="center")
        for share in chart.shares:
            if share.label == name:
                mark(canvas, [scale.at(PERCENT * share.share)], [middle], style(kinds.index(share.kind)), 7.5)
    return canvas.figure


def roofline_words(chart_title: str, roof: Roof, spots: Sequence[Spot]) -> str:
    """The roofline plot in words."""
    best: dict[str, Spot] = {}
    for spot in spots:
        known = best.get(spot.label)
        if known is None or spot.flops_per_s / roof.at(spot.intensity) > known.flops_per_s / roof.at(known.intensity):
            best[spot.label] = spot
    told = "; ".join(
        f"{name} at best {si(spot.flops_per_s, 'FLOP/s')} at {significant(spot.intensity)} FLOP per byte, "
        f"{percent(spot.flops_per_s / roof.at(spot.intensity))} of the ceiling there"
        for name, spot in best.items()
    )
    return (
        f"{chart_title}: speed against arithmetic intensity under the measured ceilings of {si(roof.bytes_per_s, 'B/s')} and "
        f"{si(roof.flops_per_s, 'FLOP/s')}. {told}."
    )


def share_words(chart_title: str, shares: Sequence[Share]) -> str:
    """The plot of shares in words."""
    told = "; ".join(f"{share.label}{f' ({share.kind})' if share.kind else ''} {percent(share.share)}" for share in shares)
    return f"{chart_title}: how much of the measured ceiling each implementation reaches. {told}."
