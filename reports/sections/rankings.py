"""Every implementation in one line: conforming ones first, the most comfortable margin on top."""

from __future__ import annotations

from conformance.records.schema import Verdict
from reports.markup import code, plain, table
from reports.merging import Evidence, Implementation, System
from reports.numbers import margin, percent, ratio
from reports.ranking import STATUS_WORDS, MainWorkload, RankingRow, Status, main_workload, ranking, ranking_dtype


def rankings(evidence: Evidence) -> str:
    """One table per system, and a list of what was not judged with its reason."""
    parts = [_system(evidence, system) for system in evidence.systems]
    return "\n\n".join(parts) or "The records name no system, so there is no table."


def _system(evidence: Evidence, system: System) -> str:
    heading = f"### League: {plain(system.title)}"
    rows = ranking(evidence, system.name)
    if not rows:
        return f"{heading}\n\nNo implementation of this system was selected in these runs."
    main = main_workload(evidence, system.name)
    judged = [row for row in rows if row.status is not Status.NOT_JUDGED]
    absent = [row for row in rows if row.status is Status.NOT_JUDGED]
    parts = [heading]
    if judged:
        parts.append(_table(judged, main, ranking_dtype(evidence, system.name)))
        parts.append(_speed_note(main))
        parts += _classes(judged)
    else:
        parts.append("No implementation of this system was judged in these runs.")
    if absent:
        listed = [[code(row.implementation.slug), origin(row.implementation), plain(row.reason)] for row in absent]
        parts.append("Not judged:\n\n" + table(["Implementation", "Version", "Reason"], listed))
    return "\n\n".join(parts)


COUNTED = {"Pass": Verdict.PASS, "Fail": Verdict.FAIL, "Error": Verdict.ERROR, "Unsup.": Verdict.UNSUPPORTED}
COUNTED |= {"Not run": Verdict.NOT_RUN}


def _table(rows: list[RankingRow], main: MainWorkload | None, dtype: str) -> str:
    """Columns in which nothing would stand are left out."""
    counted = {header: verdict for header, verdict in COUNTED.items() if any(row.counts[verdict] for row in rows)}
    classes = any(row.implementation.numerical_class for row in rows)
    headers = ["Implementation", "Verdict", *(["Class"] if classes else [])]
    words = len(headers)
    headers += [f"In {plain(dtype)}"] if dtype else []  # what the table is ranked by; see ranking_dtype
    headers += ["Worst margin", *([] if main is None else ["Speed"]), *counted, "Coverage"]
    body = []
    for row in rows:
        verdict = STATUS_WORDS[row.status]
        body.append(
            [
                f"{code(row.implementation.slug)} {plain(row.implementation.version or '')}".strip(),
                verdict if row.status is Status.CONFORMS else f"**{verdict}**",
                *([plain(row.implementation.numerical_class) or "strict"] if classes else []),
                *([_ranked(row, dtype)] if dtype else []),
                margin(row.margin),
                *([] if main is None else [_speed(row.implementation.name, main)]),
                *(str(row.counts[key]) if row.counts[key] else "-" for key in counted.values()),
                percent(row.judged_cases / row.all_cases) if row.all_cases else "-",
            ]
        )
    return table(headers, body, "l" * words + "r" * (len(headers) - words))


def _ranked(row: RankingRow, dtype: str) -> str:
    """The margin in the ranking dtype; a dash where it was not judged there, or fails anywhere."""
    return margin(row.ranked_margin) if row.ranked is not None and row.ranked.dtype == dtype and not row.failing else "-"


def origin(implementation: Implementation) -> str:
    """The version where there is one, else where it came from."""
    return plain(implementation.version or "") or plain(implementation.origin) or "-"


def _speed(name: str, main: MainWorkload | None) -> str:
    if main is None or name not in main.measurements:
        return "-"
    measured = main.measurements[name]
    if measured.is_baseline:
        return "1 (baseline)"
    return "-" if measured.speed is None else ratio(measured.speed)


def _speed_note(main: MainWorkload | None) -> str:
    if main is None:
        return "No speed was measured in these runs."
    baseline = code(main.baseline.partition("/")[2] or main.baseline)
    cache = f"{main.cache} cache" if main.cache else ""
    where = ", ".join(plain(part) for part in (main.device, main.dtype, cache) if part)
    workload = f"{code(main.workload)} ({where}, run {main.run})"
    return f"Speed: ratio to {baseline} on {workload}; more is faster, and the section on speed has the intervals."


def _classes(rows: list[RankingRow]) -> list[str]:
    """What the declared numerical classes mean, so that nobody buys leniency unseen."""
    classes = {
        row.implementation.numerical_class: row.implementation.class_description
        for row in reversed(rows)
        if row.implementation.numerical_class and row.implementation.class_description
    }
    if not classes:
        return []
    lines = [f"- {plain(name)}: {plain(text)}" for name, text in sorted(classes.items())]
    return ["Numerical classes other than the strict one:\n\n" + "\n".join(lines)]
