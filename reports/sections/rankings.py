"""Every implementation in one line: conforming ones first, the smallest margin on top."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.records.schema import ImplementationRecord, SystemRecord, Verdict
from reports.document import Block, BulletList, Code, Inline, Number, Section, Strong, Table, inline, slug
from reports.evidence import Evidence
from reports.numbers import margin, percent, ratio
from reports.ranking import STATUS_WORDS, MainWorkload, RankingRow, Status, main_workload, ranking, ranking_dtype, short_name

COUNTED = {"Pass": Verdict.PASS, "Fail": Verdict.FAIL, "Error": Verdict.ERROR, "Unsup.": Verdict.UNSUPPORTED}
COUNTED |= {"Not run": Verdict.NOT_RUN}


def rankings(evidence: Evidence) -> list[Block]:
    """One table per system, and a list of what was not judged with its reason."""
    sections = [
        Section(f"Ranking: {system.title}", _system(evidence, system), [slug(f"League: {system.title}")])
        for system in evidence.systems
    ]
    return [*sections] or ["The records name no system, so there is no table."]


def _system(evidence: Evidence, system: SystemRecord) -> list[Block]:
    rows = ranking(evidence, system.name)
    if not rows:
        return ["No implementation of this system was selected in these runs."]
    main = main_workload(evidence, system.name)
    judged = [row for row in rows if row.status is not Status.NOT_JUDGED]
    absent = [row for row in rows if row.status is Status.NOT_JUDGED]
    parts: list[Block] = ["No implementation of this system was judged in these runs."]
    if judged:
        parts = [_table(judged, main, ranking_dtype(evidence, system.name)), _speed_note(main), *_classes(judged)]
    if absent:
        listed: list[list[Inline]] = [
            [Code(row.implementation.slug), origin(row.implementation), row.reason] for row in absent
        ]
        parts += ["Not judged:", Table(["Implementation", "Version", "Reason"], listed)]
    return parts


def _table(rows: Sequence[RankingRow], main: MainWorkload | None, dtype: str) -> Table:
    """Without columns that would be empty."""
    counted = {header: verdict for header, verdict in COUNTED.items() if any(row.counts[verdict] for row in rows)}
    classes = any(row.implementation.numerical_class for row in rows)
    words = ["Implementation", "Verdict", *(["Class"] if classes else [])]
    numbers = [f"In {dtype}"] if dtype else []  # the table is ranked by this; see ranking_dtype
    numbers += ["Worst margin", *([] if main is None else ["Speed"]), *counted, "Coverage"]
    body: list[list[Inline]] = [
        [
            (Code(row.implementation.slug), f" {row.implementation.version or ''}"),
            STATUS_WORDS[row.status] if row.status is Status.CONFORMS else Strong(STATUS_WORDS[row.status]),
            *([row.implementation.numerical_class or "strict"] if classes else []),
            *([_ranked(row, dtype)] if dtype else []),
            margin(row.margin),
            *([] if main is None else [_speed(row.implementation.name, main)]),
            *(str(row.counts[key] or "-") for key in counted.values()),
            percent(row.judged_cases / row.all_cases) if row.all_cases else "-",
        ]
        for row in rows
    ]
    return Table([*words, *numbers], body, "l" * len(words) + "r" * len(numbers))


def _ranked(row: RankingRow, dtype: str) -> str:
    """The margin in the ranking dtype; a dash where it was not judged there, or fails anywhere."""
    return margin(row.ranked_margin) if row.ranked is not None and row.ranked.dtype == dtype and not row.failing else "-"


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
    return inline(
        "Speed: ratio to {} on {} ({}); more is faster, and the section on speed has the intervals.",
        *(Code(short_name(main.baseline)), Code(main.workload), main.place),
    )


def _classes(rows: Sequence[RankingRow]) -> list[Block]:
    """Explain each relaxed numerical class."""
    told = {row.implementation.numerical_class: row.implementation.class_description for row in reversed(rows)}
    lines = [f"{name}: {text}" for name, text in sorted(told.items()) if name and text]
    return ["Numerical classes other than the strict one:", BulletList(lines)] if lines else []
