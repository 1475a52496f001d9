"""Every implementation of a system in one line: those with a rank first, the smallest margin on top."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.records.schema import ImplementationRecord, Level, SystemRecord, Verdict
from reports.anchors import implementation_page
from reports.charts.gallery import Gallery
from reports.document import Block, BulletList, Code, Details, Inline, Link, Number, Strong, Table, inline, page
from reports.evidence import Evidence
from reports.numbers import margin, percent, ratio, share
from reports.ranking import (
    RIGHT,
    MainWorkload,
    RankingRow,
    Status,
    covers,
    latest_of,
    main_workload,
    ranking,
    ranking_dtype,
    short_name,
)

INTRODUCTION = (
    "Ranked is who computes the paper, by the largest margin of the definition's requirements in the dtype in which speeds "
    "were measured too. Beside it stands how much of the definition was judged there; below half there is no rank. "
    "A margin is relative to the bound of its class, and equal margins share a rank. Earlier releases are on another page."
)
FEW = Strong("These runs asked less than half of the suite's cases, so nobody has a rank.")
STEPS = ("below 0.001", "0.001 to 0.01", "0.01 to 0.1", "0.1 to 1", "1 or more: inconclusive", "not recorded")


def ranking_of(evidence: Evidence, system: SystemRecord, gallery: Gallery) -> list[Block]:
    """The table, its chart, what was not judged with the reason, and how sharp the passes are."""
    rows = [row for row in ranking(evidence, system.name) if latest_of(evidence, row.implementation) is None]
    main = main_workload(evidence, system.name)
    dtype = ranking_dtype(evidence, system.name)
    judged = [row for row in rows if row.status is not Status.NOT_JUDGED]
    absent = [row for row in rows if row.status is Status.NOT_JUDGED]
    parts: list[Block] = ["No implementation of this system was judged in these runs."]
    if judged:
        few = [] if covers(evidence, system.name) else [FEW]
        parts = [INTRODUCTION, *few, _table(judged, main, dtype), _speed_note(main), *_classes(judged)]
    parts += [gallery.margins[system.name]] if system.name in gallery.margins else []
    if absent:
        listed: list[list[Inline]] = [[_name(row), origin(row.implementation), row.reason] for row in absent]
        parts += ["Not judged:", Table(["Implementation", "Version", "Reason"], listed)]
    return [*parts, *_resolutions(evidence, system)]


def _table(rows: Sequence[RankingRow], main: MainWorkload | None, dtype: str) -> Table:
    """Without columns that would be empty."""
    classes = any(row.implementation.numerical_class for row in rows)
    words = ["Rank", "Implementation", "Verdict", *(["Class"] if classes else [])]
    numbers = [f"Margin, {dtype}" if dtype else "Margin", "Judged there"]
    numbers += [] if main is None else [f"Speed, {main.dtype}" if main.dtype else "Speed"]
    numbers += [level.value.capitalize() for level in Level]
    body: list[list[Inline]] = []
    for row in rows:
        better = sum(
            other.is_ranked and (other.margin or 0) < (row.margin or 0) for other in rows if _shown(other) != _shown(row)
        )
        cells: list[Inline] = [
            str(1 + better) if row.is_ranked else "-",
            (_name(row), f" {row.implementation.version or ''}"),
            row.words if row.status in RIGHT or row.is_aside else Strong(row.words),
            *([row.implementation.numerical_class or "strict"] if classes else []),
            _shown(row),
            percent(row.share) if row.share else "-",
            *([] if main is None else [_speed(row.implementation.name, main)]),
            *(
                f"{len(v.broken)} of {v.requirements} not met"
                if v.broken
                else f"{v.requirements} met"
                if v.requirements
                else "-"
                for v in row.levels
            ),
        ]
        body.append(cells)
    return Table([*words, *numbers], body, "l" * len(words) + "r" * len(numbers))


def _shown(row: RankingRow) -> str:
    return margin(row.margin)


def _name(row: RankingRow) -> Inline:
    return Link(Code(row.implementation.slug), page(implementation_page(row.implementation.name)))


def origin(implementation: ImplementationRecord) -> str:
    """The version where there is one, else where it came from."""
    return implementation.version or implementation.origin.kind or "-"


def _speed(name: str, main: MainWorkload) -> Inline:
    measured = main.measurements.get(name)
    if measured is None or measured.speed is None:
        return "-"
    return "1 (baseline)" if measured.is_baseline else Number(ratio(measured.speed))


def _speed_note(main: MainWorkload | None) -> Inline:
    if main is None:
        return "No speed was measured in these runs."
    if not main.baseline:
        return "There is no baseline to compare speeds with; the section on speed has the times."
    return inline(
        "Speed: ratio to {} on {} ({}); more is faster, and the section on speed has the intervals.",
        *(Code(short_name(main.baseline)), Code(main.workload), main.place),
    )


def _classes(rows: Sequence[RankingRow]) -> list[Block]:
    """Explain each relaxed numerical class."""
    told = {row.implementation.numerical_class: row.implementation.class_description for row in reversed(rows)}
    lines = [f"{name}: {text}" for name, text in sorted(told.items()) if name and text]
    return [Details("Numerical classes other than the strict one", [BulletList(lines)])] if lines else []


def _resolutions(evidence: Evidence, system: SystemRecord) -> list[Block]:
    """How many passes have a bound that is small beside the change it judges."""
    passed = [
        result
        for each in evidence.implementations_of(system.name)
        for result in evidence.judgements_of(each.name)
        if result.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    ]
    if all(result.resolution is None for result in passed):
        return []
    found = [_step(result.resolution) for result in passed]
    rows: list[list[Inline]] = [[step, share(found.count(step), len(found))] for step in STEPS if step in found]
    said = "How sharp the passes are: the resolution is the bound divided by the change that it judges; below 1 it can tell."
    return [
        Details("Resolution of the passes", [said, Table(["Resolution", "Of all passes", ""], [[*row, ""] for row in rows])])
    ]


def _step(resolution: float | None) -> str:
    if resolution is None:
        return STEPS[-1]
    return next((step for limit, step in zip((0.001, 0.01, 0.1, 1.0), STEPS, strict=False) if resolution < limit), STEPS[-2])
