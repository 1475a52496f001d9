"""Speeds as ratios with intervals, beside the machine's own limits; no speed is shown for a wrong answer."""

from __future__ import annotations

from itertools import groupby

from reports.markup import code, plain, table
from reports.merging import Evidence, Measurement, System
from reports.numbers import listing, margin, percent, ratio, si
from reports.standing import STATUS_WORDS, Status, standings

INTRODUCTION = (
    "A ratio is the baseline's time divided by the implementation's own, with its 95 % interval; above 1 is faster. *A/A* is "
    "the baseline timed against itself: what it differs from 1 is noise. The roofline share is the least time that the "
    "work could take on the machine's measured memory and matrix-product rates, divided by the time it took. No speed is "
    "shown for an answer that is wrong at the very shape and dtype that is timed."
)

NOISY = (
    "**This run was noisy:** the baseline beside itself (A/A) shows a difference that its own interval takes for real. "
    "Differences of that size say nothing here."
)


def speed(evidence: Evidence) -> str:
    """One table per system, run, workload, device and dtype."""
    if not evidence.measurements:
        return "None of these runs measured a speed."
    parts = [INTRODUCTION]
    for system in evidence.systems:
        of_system = [m for m in evidence.measurements if m.system == system.name]
        parts.append(f"### Speed: {plain(system.title)}")
        if not of_system:
            parts.append("None of these runs measured this system.")
        for _, group in groupby(of_system, key=lambda m: (m.run, m.device, m.workload, m.dtype)):
            parts.append(_workload(evidence, system, list(group)))
    return "\n\n".join(parts)


def _workload(evidence: Evidence, system: System, rows: list[Measurement]) -> str:
    status = {row.implementation.name: row.status for row in standings(evidence, system.name)}
    first = rows[0]
    where = ", ".join(plain(part) for part in (first.device, first.dtype) if part)
    parts = [f"#### {code(first.workload)} on {where} (run {first.run})"]
    description = [plain(min(m.description for m in rows)).rstrip(".") + "."] if first.description else []
    description.append(_limits(rows))
    parts.append("Workload: " + " ".join(text for text in description if text) if any(description) else "")
    timed = [m for m in rows if m.verdict == "measured"]
    if timed:
        headers = ["Implementation", "Verdict", "Ratio", "Decision", "Median time", "95 % interval"]
        headers += ["Per second", "Roofline share", "Margin here", "First call"]
        parts.append(table(headers, [_timed(m, status) for m in timed], "llrlrrrrrr"))
    else:
        parts.append("No implementation has a speed here.")
    if any(m.noisy for m in timed):
        parts.append(NOISY)
    others = [m for m in rows if m.verdict != "measured"]
    if others:
        listed = [[code(slug(m)), plain(m.verdict), _reason(m)] for m in others]
        parts.append("No speed is shown for:\n\n" + table(["Implementation", "Outcome", "Reason"], listed))
    return "\n\n".join(part for part in parts if part)


def _timed(m: Measurement, status: dict[str, Status]) -> list[str]:
    standing = status.get(m.implementation, Status.NOT_JUDGED)
    words = STATUS_WORDS[standing]
    spread = "-"
    if m.low_s is not None and m.high_s is not None:
        spread = f"[{si(m.low_s, 's')}, {si(m.high_s, 's')}]"
    return [
        f"{code(slug(m))}, A/A" if m.again else code(slug(m)),
        f"**{words}**" if standing in (Status.FAILS, Status.CRASHES) else words,
        "-" if m.ratio is None else ratio(m.ratio, m.ratio_low, m.ratio_high),
        plain(m.decision) or "-",
        "-" if m.median_s is None else si(m.median_s, "s"),
        spread,
        "-" if m.per_second is None else si(m.per_second, f"{plain(m.unit)}/s"),
        "-" if m.roofline_share is None else percent(m.roofline_share),
        margin(m.margin),
        "-" if m.first_call_s is None else si(m.first_call_s, "s"),
    ]


def _reason(m: Measurement) -> str:
    words = [plain(m.message)] if m.message else []
    if m.verdict == "wrong answer" and m.margin is not None:
        words.append(f"its answer at this shape and dtype has margin {margin(m.margin)}")
    return "; ".join(words) or "no reason was recorded"


def _limits(rows: list[Measurement]) -> str:
    rates = (
        ("copies", "B/s", [m.copy_bytes_per_s for m in rows]),
        ("updates in place", "B/s", [m.update_bytes_per_s for m in rows]),
        ("multiplies matrices at", "FLOP/s", [m.matmul_flops_per_s for m in rows]),
    )
    words = []
    for verb, unit, found in rates:
        known = [rate for rate in found if rate is not None]
        words += [f"{verb} {si(max(known), unit)}"] if known else []
    return f"In the same run this machine {listing(words)}." if words else ""


def slug(measurement: Measurement) -> str:
    return measurement.implementation.removeprefix(f"{measurement.system}/")
