"""Line charts and rooflines draw whatever a record may hold, each value where it belongs, and their words are true."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import style
from matplotlib.axes import Axes as MatplotlibAxes

from conformance.records.schema import Axes, MeasurementRecord, Series, SystemRecord
from reports.charts.lines import LineChart
from reports.charts.roofline import AXES, Roof, RooflineChart
from reports.charts.speeds import growths, roofline_charts, scaling_charts
from reports.charts.studies import claim_chart, curve_charts
from reports.charts.style import INK, LOOKS, STYLE, short
from reports.charts.svg import as_svg
from reports.merge import merge
from reports.page import render
from reports.ranking import main_workload
from tests.reports import records_for_tests as made

positive = st.floats(1e-12, 1e12)


def line_chart(**changes: Any) -> LineChart:
    fields: dict[str, Any] = {
        "title": "T",
        "subtitle": "s",
        "axes": Axes("x", "y", "xy"),
        "lines": (Series("a", (1, 2, 3), (1, 2, 3)),),
    }
    return LineChart(**{**fields, **changes})


def drawn(chart: LineChart) -> MatplotlibAxes:
    with style.context(["default", STYLE]):
        return chart.figure().axes[0]


def check_axes(values: list[float], log: str) -> None:
    places = tuple(float(place) for place in range(1, len(values) + 1))
    series = Series("a", places, tuple(values))
    axes = drawn(line_chart(lines=(series,), axes=Axes("x", "y", log)))
    low, high = axes.get_ylim()
    (line,) = axes.lines
    assert list(line.get_xdata()) == list(places)
    assert tuple(line.get_ydata()) == series.y
    assert low <= min(series.y) <= max(series.y) <= high
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert len(ticks) >= 1
    assert ticks == sorted(ticks)
    assert len(set(axes.yaxis.get_major_formatter().format_ticks(ticks))) == len(ticks)


@settings(deadline=None, max_examples=15)
@given(st.lists(positive, min_size=1, max_size=6))
def test_a_logarithmic_axis_holds_all_values_and_has_ticks(values: list[float]) -> None:
    check_axes(values, "xy")


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=6))
def test_a_linear_axis_holds_all_values_and_has_ticks(values: list[float]) -> None:
    check_axes(values, "")


def test_what_a_logarithm_cannot_place_lies_on_the_edge() -> None:
    axes = drawn(line_chart(lines=(Series("a", (1, 2, 3, 4, 5), (1.0, 10.0, 0.0, -1.0, math.inf)),)))
    low, high = axes.get_ylim()
    assert 0 < low < 1
    assert 10 < high < math.inf
    assert list(axes.lines[0].get_ydata()) == [1.0, 10.0, low, low, high]


def test_a_linear_axis_begins_at_zero_where_the_values_nearly_do() -> None:
    near, far = ((3.0, 10.0), (9.0, 10.0))
    starts = [drawn(line_chart(lines=(Series("a", (1, 2), y),), axes=Axes("x", "y"))).get_ylim()[0] for y in (near, far)]
    assert starts[0] == 0
    assert starts[1] > 8


def test_measured_sizes_are_the_ticks() -> None:
    sizes = (64, 256, 1024, 4096)
    axes = drawn(line_chart(lines=(Series("a", sizes, (1, 2, 3, 4)),)))
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(size) for size in sizes]


def test_labels_of_powers_are_short() -> None:
    assert [short(x) for x in (1e-9, 5e-4, 2.5e-4, 0.02, 1, 512, 2000, 1e6)] == [
        *("10⁻⁹", "5·10⁻⁴", "2.5·10⁻⁴", "0.02", "1", "512", "2k", "1M")
    ]


@pytest.mark.parametrize("log", ["", "xy"])
@pytest.mark.parametrize(
    "lines",
    [
        (Series("one point", (5,), (5,)),),
        (Series("a band", tuple(range(40)), (2.0,) * 40, (1.0,) * 40, (3.0,) * 40),),
        (Series("zero and infinite", (0, 1, 2), (0, math.inf, -math.inf)),),
        (Series("nothing", (), ()), Series("something", (1, 2), (1, 2), (0.5, 1), (2, 3))),
        tuple(Series(f"number {n}", (1, 2), (n, n + 1)) for n in range(30)),
        (Series("no \ue000 glyph $x$ 漢字 " + "long " * 40, (1, 1, 1), (2, 2, 2)),),
        (Series("", tuple(range(1000)), tuple(float(n) for n in range(1000))),),
    ],
)
def test_lines_of_any_kind_are_drawn(log: str, lines: tuple[Series, ...]) -> None:
    chart = line_chart(lines=lines, axes=Axes("x", "y", log), title="T" * 300, subtitle="many words " * 60)
    svg = as_svg(chart.figure, chart.title)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert b"<text" not in svg
    assert chart.description


def test_intervals_are_bars_or_a_band() -> None:
    few = drawn(line_chart(lines=(Series("a", (1, 2), (2, 4), (1, 3), (3, 5)),)))
    ((_, bottom), (_, top)) = few.collections[0].get_segments()[1]
    assert (bottom, top) == (3, 5)
    many = drawn(line_chart(lines=(Series("a", tuple(range(1, 41)), (2.0,) * 40, (1.0,) * 40, (3.0,) * 40),)))
    heights = many.collections[0].get_paths()[0].vertices[:, 1]
    assert (min(heights), max(heights)) == (1, 3)


def test_no_two_lines_look_alike() -> None:
    axes = drawn(line_chart(lines=tuple(Series(f"number {n}", (1, 2), (n + 1, n + 2)) for n in range(28))))
    assert [line.get_color() for line in axes.lines] == [look["color"] for look in LOOKS]
    assert [line.get_marker() for line in axes.lines] == [look["marker"] for look in LOOKS]
    # Without colour as well: marker and dash alone tell them apart.
    assert len({(look["marker"], str(look["linestyle"])) for look in LOOKS}) == len(LOOKS) == 28


def test_a_value_changed_changes_the_drawing_and_the_words() -> None:
    one, other = (line_chart(lines=(Series("a", (1, 2), (3, y)),)) for y in (4, 5))
    assert as_svg(one.figure, "T") == as_svg(one.figure, "T")
    assert as_svg(one.figure, "T") != as_svg(other.figure, "T")
    lines = (Series("a", (1, 2), (3, 4)), Series("b", (8,), (0.5,)), Series("empty", (), ()))
    chart = line_chart(title="W", subtitle="", axes=Axes("length", "error"), lines=lines)
    assert chart.description == "W: error against length, 2 lines. a from 3.00 at 1 to 4.00 at 2 and b 0.500 at 8."


def test_lines_that_coincide_are_said_to() -> None:
    lines = (
        Series("a", (1, 2), (1.0, 1e6)),
        Series("b", (1, 2), (1.01, 1.01e6)),
        Series("c", (1, 2), (1.5, 1e6)),
        Series("d", (1, 3), (1.0, 1e6)),
    )
    chart = line_chart(lines=lines, axes=Axes("x", "y", "y"))
    assert chart.description.endswith(" d from 1.00 at 1 to 1.00e6 at 3. a and b coincide.")
    with style.context(["default", STYLE]):
        assert "s. a and b coincide" in [text.get_text() for text in chart.figure().texts]
    # What a logarithmic axis of six decades hides, a linear one from 0.9 to 1.1 shows.
    apart = line_chart(lines=(Series("a", (1, 2), (1.0, 1.1)), Series("b", (1, 2), (1.01, 1.11))), axes=Axes("x", "y"))
    assert apart.coinciding == []


def test_a_legend_has_every_label_once() -> None:
    labels = [f"{n}" + "a" * 30 for n in range(7)]
    with style.context(["default", STYLE]):
        (legend,) = line_chart(lines=tuple(Series(label, (1,), (n + 1,)) for n, label in enumerate(labels))).figure().legends
    assert [text.get_text() for text in legend.get_texts()] == labels


def test_the_roof_is_the_lower_of_its_ceilings() -> None:
    roof = Roof(bytes_per_s=100.0, flops_per_s=1000.0)
    assert roof.ridge == 10
    assert [roof.at(intensity) for intensity in (1, 10, 100)] == [100, 1000, 1000]


@pytest.mark.parametrize("intensities", [(1e-6,), (1.0, 2.0), (1e9,), (1e-6, 1e9)])
def test_rooflines_of_any_reach_are_drawn(intensities: tuple[float, ...]) -> None:
    lines = tuple(Series(f"n{place}", (i,), (1e9,)) for place, i in enumerate(intensities))
    roof = Roof(1e11, 1e12)
    chart = RooflineChart("T", "s", AXES, lines, roof)
    axes = drawn(chart)
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert low <= roof.ridge / 3 < roof.ridge * 3 <= high
    assert bottom <= 1e9 < roof.flops_per_s < top
    memory, arithmetic = (line for line in axes.lines if line.get_color() == INK and line.get_marker() == "")
    assert list(memory.get_ydata()) == [roof.at(low), roof.flops_per_s]
    assert list(arithmetic.get_ydata()) == [roof.flops_per_s] * 2
    assert ElementTree.fromstring(as_svg(chart.figure, "T")).tag.endswith("svg")


def evidence(tmp_path: Any, body: list[dict[str, Any]]) -> Any:
    from conformance.records.io import read

    return merge([("a.jsonl", read(made.write(tmp_path / "a.jsonl", body)))])


def system(name: str) -> SystemRecord:
    return next(SystemRecord(**s) for s in made.SYSTEMS if s["name"] == name)


def test_points_under_the_roof_are_where_their_measurements_say(tmp_path: Any) -> None:
    (chart,) = roofline_charts(evidence(tmp_path, made.cached_lines()), system("sigmoid_attention"))
    assert isinstance(chart, RooflineChart)
    assert chart.roof == Roof(4.1e10, 9.1e10)
    lines = {line.label: line for line in chart.lines}
    assert sum(len(line.x) for line in lines.values()) == 6
    # 4 operations for each of 8 heads, 64 dimensions and pair of positions; four tensors of 4 bytes.
    intensity = (4.0 * 8 * 64 * 1024**2) / (4.0 * 4 * 8 * 64 * 1024)
    speeds = dict(zip(lines["triton"].x, lines["triton"].y, strict=True))
    assert f"{speeds[intensity]:.3g}" == f"{0.1 * 8.1 * 9.1e10:.3g}"
    assert chart.subtitle == "float32 on cpu, warm cache, run A"


def test_scaling_has_a_chart_per_cache_and_a_line_per_implementation(tmp_path: Any) -> None:
    cold, warm = scaling_charts(evidence(tmp_path, made.cached_lines()), system("ademamix"))
    assert ("cold" in cold.subtitle, "warm" in warm.subtitle) == (True, True)
    for chart in (cold, warm):
        assert sorted(line.label for line in chart.lines) == ["optax", "torch", "triton"]
        for line in chart.lines:
            assert line.x == (1e3, 1e4, 1e5, 1e6)
            assert all(low < y < high for low, y, high in zip(line.low, line.y, line.high, strict=True))
    # Without a second scale there is no curve.
    one = [row for row in made.cached_lines() if row["workload"] == "step-1e3"]
    assert scaling_charts(evidence(tmp_path, one), system("ademamix")) == []


def chunked_lines() -> list[dict[str, Any]]:
    """The same text in chunks of 1 to 64, each of which costs 2 µs and a tenth more for every character."""
    found = []
    for size in (1, 4, 16, 64):
        amount, each = 16384 / size, 2e-6 + 2e-7 * size
        times = {
            "median_s": each * amount,
            "low_s": 0.9 * each * amount,
            "high_s": 1.2 * each * amount,
            "per_second": 1 / each,
        }
        scale = {"family": "stream", "scale": float(size), "scale_name": "characters per chunk", "cache": "warm"}
        of = {"system": "rig", "workload": f"stream-{size}", "amount": amount, "unit": "chunks", "dtype": ""}
        found.append(made.measurement("rig/reference", 1.0, **of, **times, **scale))
    return found


def test_of_work_cut_into_pieces_the_cost_of_one_is_drawn_and_no_growth_is_told(tmp_path: Any) -> None:
    found = evidence(tmp_path, chunked_lines())
    (chart,) = scaling_charts(found, system("rig"))
    (line,) = chart.lines
    assert (chart.axes.x, chart.axes.y) == ("characters per chunk", "µs per chunk")
    assert line.x == (1, 4, 16, 64)
    assert [f"{y:.3g}" for y in line.y] == ["2.2", "2.8", "5.2", "14.8"]
    assert all(low < y < high for low, y, high in zip(line.low, line.y, line.high, strict=True))
    assert growths(found, system("rig")) == []


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_slope_of_a_power_of_the_scale_is_its_exponent(power: float, tmp_path: Any) -> None:
    def times(row: dict[str, Any]) -> dict[str, float]:
        median = 1e-9 * row["scale"] ** power * (3.0 if row["scale"] == 1e6 else 1.0)
        return {"median_s": median, "low_s": 0.9 * median, "high_s": 1.1 * median}

    whole = [{**row, **times(row)} for row in made.cached_lines() if row.get("scale")]
    short = [row for row in whole if row["scale"] < 1e6]
    for found in growths(evidence(tmp_path, short), system("ademamix")):
        assert f"{found.slope:.9f}" == f"{found.steepest:.9f}" == f"{power:.9f}"
        # Of three points the outer two count, each as one over the distance between them.
        assert found.low is not None
        assert found.high is not None
        assert f"{found.high - found.low:.9f}" == f"{2 * math.log(1.1 / 0.9) / math.log(1e5 / 1e3):.9f}"
    for found in growths(evidence(tmp_path, whole), system("ademamix")):
        assert (found.first, found.last) == (1e3, 1e6)
        assert f"{found.steepest:.9f}" == f"{power + math.log10(3):.9f}"
        assert power < found.slope < found.steepest
    # Two points say nothing about what lies between them.
    assert growths(evidence(tmp_path, [row for row in whole if row["scale"] < 1e5]), system("ademamix")) == []
    assert {(g.label, g.family.cache) for g in growths(evidence(tmp_path, whole), system("ademamix"))} == {
        (label, cache) for label in ("torch", "triton", "optax") for cache in ("cold", "warm")
    }


def test_a_page_tells_how_time_grows(tmp_path: Any) -> None:
    page = render(evidence(tmp_path, made.cached_lines()))["pages/ademamix.md"].decode()
    assert "**Growth of the time with parameters: step on cpu, float32 (run A)**" in page
    row = next(line for line in page.split("Growth of the time")[1].splitlines() if line.startswith("| `triton`"))
    assert [cell.strip() for cell in row.split("|")[2:4]] == ["1.00 k", "1.00 M"]


def test_a_pair_beside_itself_is_no_second_line(tmp_path: Any) -> None:
    lines = [
        *made.cached_lines(),
        *({**row, "aa": True, "per_second": 1.0} for row in made.cached_lines() if not row.get("aa")),
    ]
    for chart in scaling_charts(evidence(tmp_path, lines), system("ademamix")):
        assert len(chart.lines) == 3
        assert all(len(line.x) == 4 and min(line.y) > 1 for line in chart.lines)


def test_the_cold_cache_is_the_one_that_is_compared(tmp_path: Any) -> None:
    main = main_workload(evidence(tmp_path, made.cached_lines()), "ademamix")
    assert main is not None
    assert (main.workload, main.cache) == ("step-1e6", "cold")


def test_claims_and_curves_draw_what_their_lines_hold(tmp_path: Any) -> None:
    found = evidence(tmp_path, [*made.claim_lines(), *made.curve_lines(), *made.verdict_lines()])
    charts = [claim_chart(claim) for claim in found.claims]
    assert [chart is not None for chart in charts] == [True, False, False, False]
    ((chart, traces),) = curve_charts(found, system("sigmoid_attention"))
    assert [line.label for line in chart.lines] == ["numpy", "torch", "x-transformers (differs)"]
    assert [trace.line.y[-1] for trace in traces] == [8e-7, 2e-6, 1e-2]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ({"verdict": "holds"}, {"verdict": "not run"}, ["holds"]),
        ({"verdict": "error"}, {"verdict": "does not hold"}, ["does not hold"]),
        ({"verdict": "holds", "quick": True}, {"verdict": "does not hold"}, ["does not hold"]),
        ({"verdict": "holds"}, {"verdict": "does not hold"}, ["holds", "does not hold"]),
        ({"verdict": "holds"}, {"verdict": "not run", "device": "cuda"}, ["holds", "not run"]),
    ],
)
def test_of_two_runs_of_a_claim_what_says_more_is_shown(
    tmp_path: Any, first: dict[str, Any], second: dict[str, Any], kept: list[str]
) -> None:
    from reports.merge import load

    one = made.write(tmp_path / "a.jsonl", [made.claim("ADM-C1", "ademamix", **first)])
    two = made.write(tmp_path / "b.jsonl", [made.claim("ADM-C1", "ademamix", **second)], started="2026-11-23T09:00:00Z")
    assert [claim.verdict for claim in load([two, one]).claims] == kept


@pytest.mark.parametrize(
    "line",
    [
        made.claim("ADM-C1", "ademamix", "holds", measured=True),
        made.claim("ADM-C1", "ademamix", "holds", series=[{"label": "a", "x": [1], "y": [1, 2]}]),
        made.claim("ADM-C1", "ademamix", "holds", series=[{"label": "a", "x": [None], "y": [1]}]),
        made.claim("ADM-C1", "ademamix", "holds", settings=["a"]),
        made.curve("ademamix/torch", [1.0], x=["many"]),
        {"record": "curve", "system": "ademamix"},
    ],
)
def test_lines_that_make_no_sense_are_refused(tmp_path: Any, line: dict[str, Any]) -> None:
    from conformance.records.fields import RecordError

    with pytest.raises(RecordError, match=r"a\.jsonl, line 2, a (claim|curve): .*(found|missing)"):
        evidence(tmp_path, [line])


def test_no_speed_is_drawn_for_a_measuring_fault() -> None:
    fault = MeasurementRecord(
        system="x", implementation="x/y", workload="w", verdict="measuring fault", median_s=1e-9, ratio=99.0
    )
    assert fault.speed is None
