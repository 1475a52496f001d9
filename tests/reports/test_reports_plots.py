"""Marks stand where their margins and speeds say, and labels neither leave the chart nor lie on each other."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.records.schema import MutantRecord, SystemRecord
from reports.bug_chart import bug_chart
from reports.bug_chart import draw as draw_bugs
from reports.chart_data import Chart, Point
from reports.evidence import Evidence
from reports.placing import Anchor, Box, place
from reports.plots import draw
from reports.ranking import Status
from reports.scales import margin_scale, power_of_ten, ratio_scale

margins = st.lists(st.floats(min_value=0, max_value=math.inf, allow_nan=False, allow_subnormal=False), min_size=1, max_size=8)


@settings(deadline=None)
@given(margins)
def test_the_line_at_one_separates_and_the_order_is_kept(values: list[float]) -> None:
    left, right = 0.0, 700.0
    scale = margin_scale(values, left, right)
    placed = [(value, scale.x(value)) for value in sorted(values)]
    for value, x in placed:
        assert left <= x <= right
        assert (x > scale.threshold) <= (value > 1)
        assert (x < scale.threshold) <= (value < 1)
    assert [x for _, x in placed] == sorted(x for _, x in placed)
    positions = [x for x, _ in scale.ticks()]
    assert all(left <= x <= right for x in positions)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=1e-9, max_value=1e9), min_size=1, max_size=8))
def test_ratios_keep_their_order_and_the_axis_has_ticks(values: list[float]) -> None:
    bottom, top = 0.0, 300.0
    scale = ratio_scale(values, bottom, top)
    heights = [scale.y(value) for value in sorted(values)]
    assert heights == sorted(heights)
    assert all(bottom < y < top for y in heights)
    assert scale.ticks()
    assert all(bottom <= y <= top for y, _ in scale.ticks())


@pytest.mark.parametrize("values", [[1.0], [0.98, 1.0, 1.03]])
def test_noise_does_not_fill_the_chart(values: list[float]) -> None:
    labels = [label for _, label in ratio_scale(values, 0.0, 300.0).ticks()]
    assert labels == ["0.5×", "1×", "2×"]


def test_powers_of_ten() -> None:
    assert [power_of_ten(power) for power in (-2, 0, 3, 4, -12)] == ["0.01", "1", "1000", "10⁴", "10⁻¹²"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 260)), min_size=1, max_size=12, unique=True))
def test_a_dozen_labels_find_room(points: list[tuple[float, float]]) -> None:
    frame = Box(0, 0, 700, 300)
    anchors = [Anchor(x, y, 60, 11) for x, y in points]
    boxes = place(anchors, [], frame)
    for index, box in enumerate(boxes):
        assert box.outside(frame) == 0
        assert all(box.overlap(other) == 0 for other in boxes[:index])


def chart(points: tuple[Point, ...], **changes: object) -> Chart:
    fields = {"system": "x", "title": "X", "subtitle": "s", "speed_label": "speed", "left_out": (), "description": "d"}
    return Chart(points=points, **{**fields, **changes})  # type: ignore[arg-type]


def test_extreme_points_are_drawn() -> None:
    points = (
        Point("exact", Status.CONFORMS, 0.0, 1.0, None, None, True),
        Point("tiny", Status.CONFORMS, 5e-300, 1e-12, 0.0, math.inf, False),
        Point("at the line", Status.CONFORMS, 1.0, 1e12, 1e11, 1e13, False),
        Point("huge", Status.FAILS, 1e300, math.inf, None, None, False),
        Point("wrong", Status.FAILS, math.inf, 0.0, None, None, False),
        Point("no \ue000 glyph $x$ 漢字", Status.CRASHES, 0.5, None, None, None, False),
    )
    svg = draw(chart(points, left_out=("gone",)))
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert b"<date" not in svg
    assert b"<dc:date" not in svg
    assert b"<text" not in svg  # glyphs are paths: no reader needs the font


def planted(name: str, expected: tuple[str, ...], killers: dict[str, float | Literal["error"]]) -> MutantRecord:
    ids = ("R-1", "R-2", "R-3")
    return MutantRecord(
        system="x",
        mutant=name,
        sentence="Wrong.",
        honest=False,
        expected_killers=expected,
        killers=killers,
        checked=ids,
        verdict="killed" if killers else "survived",
    )


def evidence_of(*bugs: MutantRecord) -> Evidence:
    return Evidence("0", (), (SystemRecord(name="x", title="X", paper="", requirement_prefix="R"),), (), (), (), bugs, ())


def test_bugs_stand_in_the_order_of_what_catches_them() -> None:
    bugs = (planted("x/a", ("R-3",), {"R-3": 2.0}), planted("x/b", ("R-1",), {"R-1": 2.0, "R-3": 2.0}), planted("x/c", (), {}))
    evidence = evidence_of(*bugs)
    grid = bug_chart(evidence, evidence.systems[0])
    assert grid is not None
    assert [bug.mutant for bug in grid.bugs] == ["x/b", "x/a", "x/c"]
    assert grid.idle == {"R-2"}
    assert "Survived: c." in grid.description


def test_meant_caught_as_well_and_missed_look_different() -> None:
    grids = [
        bug_chart(evidence, evidence.systems[0])
        for evidence in (
            evidence_of(planted("x/a", ("R-1",), {"R-1": 2.0})),
            evidence_of(planted("x/a", (), {"R-1": 2.0})),
            evidence_of(planted("x/a", ("R-1",), {"R-2": 2.0})),
        )
    ]
    drawn = [draw_bugs(grid) for grid in grids if grid is not None]
    assert len(set(drawn)) == len(grids)


def test_one_more_implementation_changes_the_chart() -> None:
    one = Point("one", Status.CONFORMS, 0.5, None, None, None, False)
    two = Point("two", Status.FAILS, 1.5, None, None, None, False)
    assert draw(chart((one,))) == draw(chart((one,)))
    assert draw(chart((one,))) != draw(chart((one, two)))
