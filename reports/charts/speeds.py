"""The charts of speed: under the roof, and against scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from conformance.records.schema import Axes, MeasurementRecord, Series, SystemRecord
from reports.charts.lines import LineChart
from reports.charts.roofline import AXES, Roof, RooflineChart
from reports.evidence import Evidence
from reports.growth import Family, Growth, cut_into_pieces, growth
from reports.ranking import RankingRow, Status, cache_order, ranking

FEWEST_SCALES = 2
FEWEST_SCALES_OF_A_SLOPE = 3
"""A fit needs three points: two always have a slope."""


def own_lines(measurements: Iterable[MeasurementRecord]) -> list[MeasurementRecord]:
    """Measured ones, one per implementation, workload and cache: a baseline's A/A pair only where it has no other line."""
    best: dict[tuple[str, ...], MeasurementRecord] = {}
    for m in measurements:
        if m.verdict == "measured" and m.median_s is not None:
            key = (m.run, m.device, m.dtype, m.workload, m.cache, m.implementation)
            if key not in best or best[key].again:
                best[key] = m
    return list(best.values())


def roofline_charts(evidence: Evidence, system: SystemRecord) -> list[RooflineChart]:
    """A roofline per run, device and dtype where both ceilings are known."""
    timed = own_lines(m for m in evidence.measurements if m.system == system.name)
    found = ranking(evidence, system.name)
    charts: list[RooflineChart] = []
    groups: dict[tuple[str, str, str], list[MeasurementRecord]] = {}
    for m in timed:
        if m.flops and m.bytes_moved and _operation_rate(m) and _memory_rate(m):
            groups.setdefault((m.run, m.device, m.dtype), []).append(m)
    for (run, device, dtype), members in sorted(groups.items()):
        cache = min((m.cache for m in members), key=cache_order)
        chosen = [m for m in members if m.cache == cache]
        roof = Roof(max(_memory_rate(m) for m in chosen), max(_operation_rate(m) for m in chosen))
        lines = tuple(_roofline_line(labelled(own[0].implementation, found), own) for own in _lines_of(chosen, found))
        subtitle = where(f"{dtype} on {device}" if dtype else f"on {device}", f"{cache} cache" if cache else "", f"run {run}")
        charts.append(RooflineChart(f"{system.title}: speed under the roof", subtitle, AXES, lines, roof))
    return charts


def scaling_charts(evidence: Evidence, system: SystemRecord) -> list[LineChart]:
    """A chart per family of workloads, run, device, dtype and cache, where it has more than one scale.

    It shows a rate. Where a smaller scale cuts the work into more pieces, it shows the cost of one piece.
    """
    found = ranking(evidence, system.name)
    charts = []
    for (run, device, family, dtype, cache), members in _families(evidence, system).items():
        pieces = cut_into_pieces(members)
        lines = tuple(_scaling_line(labelled(own[0].implementation, found), own, pieces) for own in _lines_of(members, found))
        scale, unit = members[0].scale_name or "scale", members[0].unit
        axes = Axes(scale, f"µs per {unit.removesuffix('s')}" if pieces else f"{unit} per second", "xy")
        title = f"{system.title}: {'cost' if pieces else 'rate'} against {scale}, {family}"
        charts.append(LineChart(title, where(dtype, device, f"{cache} cache" if cache else "", f"run {run}"), axes, lines))
    return charts


def growths(evidence: Evidence, system: SystemRecord) -> list[Growth]:
    """How the time of each implementation grows along each family that has three scales or more and is not cut into pieces."""
    rows = ranking(evidence, system.name)
    return [
        growth(family, labelled(own[0].implementation, rows), own)
        for family, members in _families(evidence, system).items()
        if not cut_into_pieces(members)
        for own in _lines_of([m for m in members if m.scale and m.scale > 0 and m.median_s and m.median_s > 0], rows)
        if len({m.scale for m in own}) >= FEWEST_SCALES_OF_A_SLOPE
    ]


def _families(evidence: Evidence, system: SystemRecord) -> dict[Family, list[MeasurementRecord]]:
    """What was timed at more than one scale, by run, device, family, dtype and cache, in this order."""
    groups: dict[Family, list[MeasurementRecord]] = {}
    for m in own_lines(m for m in evidence.measurements if m.system == system.name and m.family and m.scale is not None):
        if m.per_second is not None:
            groups.setdefault(Family(m.run, m.device, m.family, m.dtype, m.cache), []).append(m)
    ordered = sorted(groups.items(), key=lambda item: (*item[0][:4], cache_order(item[0].cache)))
    return {family: members for family, members in ordered if len({m.scale for m in members}) >= FEWEST_SCALES}


def _lines_of(members: Sequence[MeasurementRecord], rows: Sequence[RankingRow]) -> list[list[MeasurementRecord]]:
    """The measurements of each implementation, in the order of the ranking and of their scales."""
    ordered = _ranked(members, rows)
    return [[m for m in ordered if m.implementation == name] for name in dict.fromkeys(m.implementation for m in ordered)]


def labelled(name: str, rows: Sequence[RankingRow]) -> str:
    """An implementation's name in a legend, which says where its results do not conform."""
    status = {row.implementation.name: row.status for row in rows}.get(name, Status.NOT_JUDGED)
    slug = name.partition("/")[2] or name
    return {Status.WRONG: f"{slug} (differs)", Status.CRASHES: f"{slug} (crashes)"}.get(status, slug)


def _ranked(measurements: Sequence[MeasurementRecord], rows: Sequence[RankingRow]) -> list[MeasurementRecord]:
    """In the order of the ranking, then by cache and scale, so that each implementation keeps one place."""
    rank = {row.implementation.name: place for place, row in enumerate(rows)}
    return sorted(
        measurements,
        key=lambda m: (
            rank.get(m.implementation, len(rank)),
            m.implementation,
            cache_order(m.cache),
            m.scale or 0.0,
            m.workload,
        ),
    )


def _memory_rate(m: MeasurementRecord) -> float:
    return max(m.roofline.copy_bytes_per_s or 0.0, m.roofline.update_bytes_per_s or 0.0)


def _operation_rate(m: MeasurementRecord) -> float:
    return max(m.roofline.matmul_flops_per_s or 0.0, m.roofline.multiply_add_flops_per_s or 0.0)


def _roofline_line(label: str, measurements: Sequence[MeasurementRecord]) -> Series:
    """FLOP/s against FLOP per byte."""
    flops = [m.flops or 0.0 for m in measurements]
    x = tuple(done / (m.bytes_moved or math.inf) for done, m in zip(flops, measurements, strict=True))
    return Series(label, x, tuple(done / (m.median_s or math.inf) for done, m in zip(flops, measurements, strict=True)))


def _scaling_line(label: str, measurements: Sequence[MeasurementRecord], pieces: bool) -> Series:
    """``measurements`` in the order of their scales: what is done in a second, or how many microseconds a piece takes."""

    def shown(m: MeasurementRecord, seconds: float | None) -> float:
        return 1e6 * (seconds or 0.0) / m.amount if pieces else m.amount / (seconds or 1.0)

    y = tuple(shown(m, m.median_s) if pieces else m.per_second or 0.0 for m in measurements)
    low, high = tuple(shown(m, m.low_s) for m in measurements), tuple(shown(m, m.high_s) for m in measurements)
    low, high = (low, high) if pieces else (high, low)
    ends = all(m.low_s and m.high_s for m in measurements)
    return Series(label, tuple(m.scale or 0.0 for m in measurements), y, low if ends else (), high if ends else ())


def where(*parts: str) -> str:
    """The parts that are not empty, as a chart's second line."""
    return ", ".join(part for part in parts if part)
