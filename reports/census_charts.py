"""The two charts of the census: what goes wrong most, and what a difference does to a training run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from conformance.records.schema import Axes, Series
from reports.census_training import EVERY
from reports.charts.lines import LineChart
from reports.charts.style import VERMILLION, finished, rows
from reports.charts.svg import as_svg

TITLES = {
    "differences": "What goes wrong most: implementations by what differs",
    "training": "What each difference does to a training run",
}
KINDS = {
    "numerator-corrected": "bias correction of the slow EMA too",
    "beta3-linear": "beta3 itself grows linearly",
    "epsilon-in-logarithm": "1e-8 in a logarithm, as published",
    "half-life-of-the-authors": "1e-8 in a logarithm, as published",
    "coupled-decay": "decay goes into the gradient",
    "eps-as-floor": "eps is a floor",
    "scores-in-bfloat16": "scores rounded to 16 bits",
}
"""What a failure resembles, in a few words, by the name of the mutant."""
MOST_LINES = 6


def differences(kinds: Counter[str]) -> bytes:
    """A bar for each kind, the longest on top."""
    ordered = sorted(kinds.items(), key=lambda each: (-each[1], each[0]))

    def draw() -> Figure:
        figure = Figure()
        axes = figure.add_subplot()
        height = rows(axes, [name for name, _ in ordered])
        axes.barh(range(len(ordered)), [number for _, number in ordered], color=VERMILLION, height=0.6)
        axes.set_xlabel("implementations, each copy counted")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for place, (_, number) in enumerate(ordered):
            axes.annotate(str(number), (number, place), (3, 0), textcoords="offset points", va="center")
        return finished(figure, TITLES["differences"], "", height)

    return as_svg(draw, TITLES["differences"])


def training(curves: Mapping[str, Any]) -> bytes:
    """The losses of the runs that end farthest from the paper's, beside the paper's own."""
    told = {name: curve for name, curve in curves.items() if isinstance(curve, dict)}
    others = sorted((name for name in told if "apart" in told[name]), key=lambda name: -told[name]["apart"][-1])
    names = [*(name for name in told if "apart" not in told[name]), *others[:MOST_LINES]]
    lines = tuple(
        Series(label=name.split("/")[0] if "/" in name else name, x=steps(told[name]), y=tuple(told[name]["losses"]))
        for name in names
    )
    axes = Axes(x="step", y="loss, nats a character")
    subtitle = "A character model in float64: the same text, seed, batches and first parameters in each run"
    return as_svg(LineChart(TITLES["training"], subtitle, axes, lines).figure, TITLES["training"])


def steps(curve: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(float(EVERY * place) for place in range(len(curve["losses"])))
