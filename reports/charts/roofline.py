"""Speeds under the roof: against arithmetic intensity where both ceilings are known."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes as MatplotlibAxes

from conformance.records.schema import Axes
from reports.charts.lines import LineChart, draw_line
from reports.charts.style import INK, set_ticks
from reports.numbers import percent, si, significant

ROOM = 1.6
"""By what factor the speed axis goes beyond the ceiling."""


@dataclass(frozen=True)
class Roof:
    """The two ceilings, measured in the same run as the speeds below them."""

    bytes_per_s: float
    flops_per_s: float

    @property
    def ridge(self) -> float:
        """FLOP per byte above which arithmetic is the ceiling, and below which memory is."""
        return self.flops_per_s / self.bytes_per_s

    def at(self, intensity: float) -> float:
        """FLOP/s that can be reached at this many FLOP per byte."""
        return min(self.flops_per_s, intensity * self.bytes_per_s)


AXES = Axes("arithmetic intensity, FLOP per byte that must be moved", "FLOP/s", "xy")


@dataclass(frozen=True)
class RooflineChart(LineChart):
    """FLOP/s against FLOP per byte: one line of unconnected points for each implementation."""

    roof: Roof

    @property
    def description(self) -> str:
        """The chart in words: where each implementation comes nearest to the ceiling."""
        words = []
        for line in self.lines:
            x, y = max(zip(line.x, line.y, strict=True), key=lambda point: point[1] / self.roof.at(point[0]))
            near = f"{line.label} at best {si(y, 'FLOP/s')} at {significant(x)} FLOP per byte"
            words.append(f"{near}, {percent(y / self.roof.at(x))} of the ceiling there")
        ceilings = f"{si(self.roof.bytes_per_s, 'B/s')} and {si(self.roof.flops_per_s, 'FLOP/s')}"
        what = f"{self.title}, {self.subtitle}: speed against arithmetic intensity under the measured ceilings"
        return f"{what} of {ceilings}. {'; '.join(words)}."

    def draw(self, axes: MatplotlibAxes) -> None:
        ridge, top = self.roof.ridge, self.roof.flops_per_s
        for line in self.lines:
            draw_line(axes, line, linestyle="none")
        axes.update_datalim([(ridge / 3, self.roof.at(ridge / 3)), (ridge * 3, ROOM * top)])
        set_ticks(axes)
        left, right = axes.get_xlim()
        memory, arithmetic = f"memory: {si(self.roof.bytes_per_s, 'B/s')}", f"arithmetic: {si(top, 'FLOP/s')}"
        for ends, dash, label in (((left, ridge), "-", memory), ((ridge, right), "--", arithmetic)):
            axes.plot(ends, [self.roof.at(x) for x in ends], color=INK, linestyle=dash, marker="", label=label, zorder=3)
