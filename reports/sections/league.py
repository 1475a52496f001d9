"""Every implementation in one line: conforming ones first, the most comfortable margin on top."""

from __future__ import annotations

from conformance.verdict import Verdict
from reports.markup import code, plain, table
from reports.merging import Evidence, Implementation, System
from reports.numbers import margin, ratio, share
from reports.standing import STATUS_WORDS, MainWorkload, Standing, Status, main_workload, ranking_dtype, standings


def league(evidence: Evidence) -> str:
    """One table per system, and a list of what was not judged with its reason."""
    parts = [_system(evidence, system) for system in evidence.systems]
    return "\n\n".join(parts) or "The records name no system, so there is no table."


def _system(evidence: Evidence, system: System) -> str:
    heading = f"### League: {plain(system.title)}"
    rows = standings(evidence, system.name)
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


def _table(rows: list[Standing], main: MainWorkload | None, dtype: str) -> str:
    headers = ["Implementation", "Verdict", "Version", "Class", "Worst margin"]
    headers += [f"In {plain(dtype)}"] if dtype else []  # what the table is ranked by; see ranking_dtype
    headers += ["Pass", "Fail", "Error", "Unsup.", "Not run", "Coverage", "Speed"]
    body = []
    for row in rows:
        counts = row.counts
        verdict = STATUS_WORDS[row.status]
        order = (Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.UNSUPPORTED, Verdict.NOT_RUN)
        body.append(
            [
                code(row.implementation.slug),
                verdict if row.status is Status.CONFORMS else f"**{verdict}**",
                origin(row.implementation),
                plain(row.implementation.numerical_class) or "strict",
                margin(row.margin),
                *([_ranked(row, dtype)] if dtype else []),
                *(str(counts[key]) if counts[key] else "-" for key in order),
                share(row.judged_cases, row.all_cases),
                _speed(row.implementation.name, main),
            ]
        )
    return table(headers, body, "llll" + "r" * (len(headers) - 4))


def _ranked(row: Standing, dtype: str) -> str:
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
    return "-" if measured.speed is None else ratio(measured.speed, measured.ratio_low, measured.ratio_high)


def _speed_note(main: MainWorkload | None) -> str:
    if main is None:
        return "No speed was measured in these runs."
    baseline = code(main.baseline.partition("/")[2] or main.baseline)
    where = ", ".join(plain(part) for part in (main.device, main.dtype) if part)
    workload = f"{code(main.workload)} ({where}, run {main.run})"
    return f"Speed: ratio to {baseline} with its 95 % interval, on {workload}. More is faster."


def _classes(rows: list[Standing]) -> list[str]:
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
