"""What a system's chart shows, as plain data: drawing it is another module's work, and saying it in words is done here."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.records.schema import SystemRecord
from reports.evidence import Evidence
from reports.numbers import count, listing, margin, significant
from reports.ranking import MainWorkload, RankingRow, Status, main_workload, ranking, ranking_dtype


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
class Chart:
    """``points`` are in the order of the ranking."""

    system: str
    title: str
    subtitle: str
    speed_label: str
    points: tuple[Point, ...]
    left_out: tuple[str, ...]
    """Judged, but without any margin: crashed in every case."""
    description: str
    """The chart in words."""


def chart(evidence: Evidence, system: SystemRecord) -> Chart | None:
    """The chart of one system; None where no implementation has a margin."""
    rows = [row for row in ranking(evidence, system.name) if row.status is not Status.NOT_JUDGED]
    main = main_workload(evidence, system.name)
    points = tuple(_point(row, main) for row in rows if row.ranked_margin is not None)
    dtype = ranking_dtype(evidence, system.name)
    if not points:
        return None
    timed = main is not None and any(point.speed is not None for point in points)
    where = "" if main is None or not timed else ", ".join(p for p in (main.workload, main.device, main.dtype) if p)
    baseline = "" if main is None else main.baseline.partition("/")[2]
    left_out = tuple(row.implementation.slug for row in rows if row.ranked_margin is None)
    return Chart(
        system=system.name,
        title=system.title,
        subtitle="left is more accurate"
        + (f" (in {dtype})" if dtype else "")
        + (f", up is faster (on {where})" if timed else ""),
        speed_label=f"speed, times that of {baseline}" if baseline else "speed, times that of the baseline",
        points=points,
        left_out=left_out,
        description=_describe(system, points, where, left_out),
    )


def _point(row: RankingRow, main: MainWorkload | None) -> Point:
    assert row.ranked_margin is not None
    measured = main.measurements.get(row.implementation.name) if main is not None else None
    name = row.implementation.slug
    is_baseline = main is not None and row.implementation.name == main.baseline
    if measured is None:
        return Point(name, row.status, row.ranked_margin, None, None, None, is_baseline)
    return Point(name, row.status, row.ranked_margin, measured.speed, measured.ratio_low, measured.ratio_high, is_baseline)


_VERBS = {Status.CONFORMS: "conform", Status.FAILS: "do not conform", Status.CRASHES: "crash"}


def _describe(system: SystemRecord, points: tuple[Point, ...], where: str, left_out: tuple[str, ...]) -> str:
    """Everything the chart says, as text."""
    sentences = [f"Worst margin and speed of {count(len(points), 'implementation')} of {system.title}"]
    if where:
        sentences[0] += f", speed on {where}"
    for status, verb in _VERBS.items():
        names = [_words(point) for point in points if point.status is status]
        if names:
            sentences.append(f"{verb.capitalize()}: {listing(names)}")
    if left_out:
        sentences.append(f"Crashed in every case: {listing(left_out)}")
    return ". ".join(sentences) + "."


def _words(point: Point) -> str:
    speed = "no speed" if point.speed is None else f"speed {significant(point.speed)} times the baseline"
    return f"{point.label} (margin {margin(point.margin)}, {speed})"
