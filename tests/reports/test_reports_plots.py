"""Marks are where their margins and speeds say, and no text leaves a chart or lies on another."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.charts.gallery import Chart
from reports.charts.margins import LEAST_REACH, LOOKS, MarginChart, Point, margin_chart
from reports.charts.speeds import roofline_charts, scaling_charts
from reports.charts.studies import claim_chart, curve_charts
from reports.charts.style import STYLE, VERMILLION, power_of_ten
from reports.charts.svg import as_svg
from reports.evidence import Evidence
from reports.merge import load
from reports.ranking import Status
from tests.reports import records_for_tests as made

margins = st.lists(st.floats(0, 1e307, allow_subnormal=False) | st.just(math.inf), min_size=1, max_size=8)


def drawn(chart: Chart) -> Figure:
    with style.context(["default", STYLE]):
        return chart.figure()


def chart(points: tuple[Point, ...], left_out: tuple[str, ...] = ()) -> MarginChart:
    return MarginChart("x", "X", "s", points, left_out)


def marks(axes: Axes) -> dict[int, float]:
    """Where the mark of each row is."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xydata())]
    return {int(y): float(x) for line in lines for x, y in line.get_xydata()}


@settings(deadline=None, max_examples=15)
@given(margins)
def test_the_line_at_one_separates_and_the_order_is_kept(values: list[float]) -> None:
    points = tuple(
        Point(str(n), Status.WRONG if m > 1 else Status.RIGHT, m, None, None, None, False) for n, m in enumerate(values)
    )
    panels = drawn(chart(points)).axes
    assert [panel.get_title() for panel in panels] == ["passes", "fails"][: 1 + (max(values) > 1)]
    for panel, inside in zip(panels, (lambda m: m <= 1, lambda m: m > 1), strict=False):
        places = marks(panel)
        assert sorted(places) == [row for row, value in enumerate(values) if inside(value)]
        ordered = [places[row] for row in sorted(places, key=lambda row: values[row])]
        low, high = panel.get_xlim()
        assert ordered == sorted(ordered)
        assert all(low <= x <= high for x in ordered)
        assert all(places[row] == values[row] for row in places if math.isfinite(values[row]))
        assert 1 in (low, high)
        lines = [line for line in panel.lines if line.get_color() == VERMILLION and line.get_linestyle() != "None"]
        assert [list(line.get_xdata()) for line in lines] == [[1, 1]]


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(min_value=1e-9, max_value=1e9), min_size=1, max_size=8))
def test_speeds_keep_their_order_and_the_axis_has_ticks(values: list[float]) -> None:
    points = tuple(Point(str(n), Status.RIGHT, 0.5, speed, None, None, False) for n, speed in enumerate(values))
    panel = drawn(chart(points)).axes[-1]
    low, high = panel.get_xlim()
    assert [marks(panel)[row] for row in range(len(values))] == values
    assert all(low < value < high for value in values)
    assert [tick for tick in panel.get_xticks() if low <= tick <= high]


@pytest.mark.parametrize("values", [[1.0], [0.98, 1.0, 1.03]])
def test_noise_does_not_fill_the_chart(values: list[float]) -> None:
    points = tuple(Point(str(n), Status.RIGHT, 0.5, speed, None, None, False) for n, speed in enumerate(values))
    low, high = drawn(chart(points)).axes[-1].get_xlim()
    assert low <= 1 / LEAST_REACH < LEAST_REACH <= high


def test_marks_tell_the_status_and_intervals_are_drawn() -> None:
    points = (
        Point("right", Status.RIGHT, 0.5, 2.0, 1.5, 2.5, True),
        Point("wrong", Status.WRONG, 2.0, 3.0, None, None, False),
        Point("crashing", Status.CRASHES, 0.25, None, None, None, False),
    )
    figure = drawn(chart(points, left_out=("gone",)))
    passes, fails, speeds = figure.axes
    assert marks(passes) == {0: 0.5, 2: 0.25}
    assert marks(fails) == {1: 2.0}
    assert marks(speeds) == {0: 2.0, 1: 3.0}
    for panel in figure.axes:
        for line in panel.lines:
            if line.get_linestyle() == "None" and len(line.get_ydata()):
                look = LOOKS[points[int(line.get_ydata()[0])].status]
                assert (line.get_marker(), line.get_color()) == (look["marker"], look["color"])
    (interval,) = speeds.collections
    assert interval.get_segments()[0].tolist() == [[1.5, 0], [2.5, 0]]
    assert [label.get_text() for label in passes.get_yticklabels()] == ["right (baseline)", "wrong", "crashing"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "computes the paper",
        "differs from the paper",
        "crashes",
    ]
    assert any("judged too little in it: gone" in text.get_text().replace("\n", " ") for text in figure.texts)


def test_powers_of_ten() -> None:
    assert [power_of_ten(power) for power in (-2, 0, 3, 4, -12)] == ["0.01", "1", "1000", "10⁴", "10⁻¹²"]


def test_extreme_points_are_drawn() -> None:
    points = (
        Point("exact", Status.RIGHT, 0.0, 1.0, None, None, True),
        Point("tiny", Status.RIGHT, 5e-300, 1e-12, 0.0, math.inf, False),
        Point("at the line", Status.RIGHT, 1.0, 1e12, 1e11, 1e13, False),
        Point("huge", Status.WRONG, 1e300, math.inf, None, None, False),
        Point("wrong", Status.WRONG, math.inf, 0.0, None, None, False),
        Point("no \ue000 glyph $x$ 漢字", Status.CRASHES, 0.5, None, None, None, False),
    )
    svg = as_svg(chart(points, left_out=("gone",)).figure, "X")
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert b"<date" not in svg
    assert b"<dc:date" not in svg
    assert b"<text" not in svg  # glyphs are paths: no reader needs the font
    passes, fails, speeds = drawn(chart(points)).axes
    assert marks(passes) == {0: 0.0, 1: 5e-300, 2: 1.0, 5: 0.5}
    assert marks(fails)[3] == 1e300
    assert marks(fails)[3] < marks(fails)[4] == fails.get_xlim()[1]
    assert fails.get_xticklabels()[-1].get_text() == "inf"
    assert sorted(marks(speeds)) == [0, 1, 2]


def every_chart(evidence: Evidence) -> list[Chart]:
    found: list[Chart | None] = [claim_chart(claim) for claim in evidence.claims]
    for system in evidence.systems:
        found += [margin_chart(evidence, system)]
        found += [*roofline_charts(evidence, system), *scaling_charts(evidence, system)]
        found += [curve for curve, _ in curve_charts(evidence, system)]
    return [one for one in found if one is not None]


def test_no_text_leaves_its_chart_or_lies_on_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[Text] = []
    draw = Text.draw
    monkeypatch.setattr(Text, "draw", lambda self, renderer: (texts.append(self), draw(self, renderer)))
    records = [made.write(tmp_path / "a"), made.write_gpu_run(tmp_path / "b"), made.write_studies(tmp_path / "c")]
    charts = every_chart(load(records))
    assert len(charts) > 7
    for one in charts:
        texts.clear()
        with style.context(["default", STYLE]):
            figure = one.figure()
            figure.draw_without_rendering()
        boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_visible() and t.get_text().strip()]
        assert any(text.startswith(one.title[:10]) for text, _ in boxes)
        outside = [text for text, box in boxes if figure.bbox.padded(1).count_contains(box.corners()) < 4]
        assert not outside, one.title
        for (text, box), (other, other_box) in combinations(boxes, 2):
            assert not box.padded(-1).overlaps(other_box.padded(-1)), (one.title, text, other)


def test_one_more_implementation_changes_the_chart() -> None:
    one = Point("one", Status.RIGHT, 0.5, None, None, None, False)
    two = Point("two", Status.WRONG, 1.5, None, None, None, False)
    assert as_svg(chart((one,)).figure, "X") == as_svg(chart((one,)).figure, "X")
    assert as_svg(chart((one,)).figure, "X") != as_svg(chart((one, two)).figure, "X")
