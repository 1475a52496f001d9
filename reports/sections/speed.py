"""Speeds as ratios with intervals, beside the machine's own limits; no speed is shown for a wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from reports.gallery import Gallery
from reports.growth import Growth
from reports.markup import code, fold, plain, table
from reports.merging import Evidence, Measurement, System
from reports.numbers import listing, margin, percent, ratio, si
from reports.ranking import STATUS_WORDS, MainWorkload, Status, cache_order, main_workload, ranking
from reports.speed_data import growths

INTRODUCTION = (
    "A ratio is the baseline's time divided by the implementation's own, with its 95 % interval; above 1 is faster. *A/A* is "
    "the baseline timed against itself: what it differs from 1 is noise. The roofline share is the least time that the "
    "work could take on the machine's measured memory and matrix-product rates, divided by the time it took. With a *cold* "
    "cache each call finds its data in memory, with a *warm* one where the call before left it. No speed is "
    "shown for an answer that is wrong at the very shape and dtype that is timed, nor for one faster than the machine allows."
)

NOISY = (
    "**This run was noisy:** the baseline beside itself (A/A) shows a difference that its own interval takes for real. "
    "Differences of that size say nothing here."
)
GROWTH = (
    "Time grows about as the scale to the power of the *slope*, which is fitted to the logarithms of all sizes: 1 is in "
    "proportion, 2 with the square, below 1 fixed costs weigh at the small end. In brackets: where it would be if the times "
    "tilted it as far as their 95 % intervals allow. The *steepest step* is the largest slope between two neighbouring sizes. "
    "Who ends before the others has no speed at the next size; why stands there."
)
DECIDED = ("faster", "slower", "baseline")
"""Decisions that a ratio shows by itself."""


def speed(evidence: Evidence, gallery: Gallery) -> str:
    """Per system: the main workload, the plots, and the other workloads folded."""
    if not evidence.measurements:
        return "None of these runs measured a speed."
    parts = [INTRODUCTION]
    for system in evidence.systems:
        parts.append(f"### Speed: {plain(system.title)}")
        of_system = [m for m in evidence.measurements if m.system == system.name]
        if not of_system:
            parts.append("None of these runs measured this system.")
            continue
        main = main_workload(evidence, system.name)
        groups = [
            (key, list(group)) for key, group in groupby(of_system, key=lambda m: (m.run, m.device, m.workload, m.dtype))
        ]
        first = [group for key, group in groups if _is_main(key, main)]
        others = [(key, group) for key, group in groups if not _is_main(key, main)]
        parts += [f"#### {_heading(group[0])}\n\n{_workload(evidence, system, group)}" for group in first]
        if gallery.roofs.get(system.name):
            parts += [f"#### Under the roof: {plain(system.title)}"] + [p.markdown for p in gallery.roofs[system.name]]
        elif any(m.verdict == "measured" for m in of_system):
            parts.append(
                "No ceiling is claimed for this work, so there is no roofline: how little it could cost is not known."
            )
        if gallery.scaling.get(system.name):
            parts += [f"#### Against scale: {plain(system.title)}"] + [p.markdown for p in gallery.scaling[system.name]]
            parts += _growth(growths(evidence, system))
        for (run, device, workload, dtype), group in others:
            where = ", ".join(plain(part) for part in (device, dtype) if part)
            parts.append(fold(f"{plain(workload)} on {where} (run {run})", _workload(evidence, system, group)))
    return "\n\n".join(parts)


def _growth(found: list[Growth]) -> list[str]:
    """A table per family of workloads: the slopes, warm and cold side by side."""
    parts = [GROWTH] if found else []
    for where, of_family in groupby(found, key=lambda g: g.family[:4]):
        members = list(of_family)
        caches = list(dict.fromkeys(g.family.cache for g in members))
        rows: dict[str, dict[str, Growth]] = {}
        for g in members:
            rows.setdefault(g.label, {})[g.family.cache] = g
        headers = ["Implementation", "From", "To"]
        for cache in caches:
            headers += [f"{name}, {plain(cache)}" if cache else name for name in ("Slope", "Steepest step")]
        body = []
        for label, by_cache in rows.items():
            ends = min(g.first for g in by_cache.values()), max(g.last for g in by_cache.values())
            body.append([code(label), *(si(end, "").strip() for end in ends)])
            for cache in caches:
                body[-1] += _slope(by_cache[cache]) if cache in by_cache else ["-", "-"]
        run, device, family, dtype = where
        what = f"{plain(family)} on {', '.join(plain(part) for part in (device, dtype) if part)} (run {run})"
        title = f"Growth of the time with {plain(members[0].scale_name)}: {what}"
        parts.append(f"**{title}**\n\n{table(headers, body, 'l' + 'r' * (len(headers) - 1))}")
    return parts


def _slope(found: Growth) -> list[str]:
    interval = "" if found.low is None or found.high is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return [f"{found.slope:.2f}{interval}", f"{found.steepest:.2f}"]


def _is_main(key: tuple[str, str, str, str], main: MainWorkload | None) -> bool:
    return main is not None and key == (main.run, main.device, main.workload, main.dtype)


def _heading(m: Measurement) -> str:
    where = ", ".join(plain(part) for part in (m.device, m.dtype) if part)
    return f"{code(m.workload)} on {where} (run {m.run})"


def _workload(evidence: Evidence, system: System, rows: list[Measurement]) -> str:
    status = {row.implementation.name: row.status for row in ranking(evidence, system.name)}
    description = [plain(min(m.description for m in rows)).rstrip(".") + "."] if rows[0].description else []
    description.append(_limits(rows))
    parts = ["Workload: " + " ".join(text for text in description if text) if any(description) else ""]
    timed = [m for m in rows if m.verdict == "measured"]
    if timed:
        parts.append(_table(timed, status))
    else:
        parts.append("No implementation has a speed here.")
    if any(m.noisy for m in timed):
        parts.append(NOISY)
    parts.append(_warnings(rows))
    if timed:
        parts.append(fold("Intervals, decisions and their reasons, memory, compile time", _more(timed)))
    others = [m for m in rows if m.verdict != "measured"]
    if others:
        listed = [[_named(m), plain(m.verdict), _reason(m)] for m in _once(others)]
        parts.append(fold("No speed is shown for " + _names(others), table(["Implementation", "Outcome", "Reason"], listed)))
    return "\n\n".join(part for part in parts if part)


def _table(timed: list[Measurement], status: dict[str, Status]) -> str:
    """A row per implementation; its cold and its warm cache side by side."""
    caches = sorted({m.cache for m in timed}, key=cache_order)
    rows: dict[tuple[str, bool], dict[str, Measurement]] = {}
    for m in sorted(timed, key=lambda m: cache_order(m.cache)):
        # A further A/A pair has a row of its own; where it is the baseline's only line, it is its row.
        rows.setdefault((m.implementation, m.again), {})[m.cache] = m
    order = sorted(rows, key=lambda key: _order(rows[key], key))
    in_words = [f", {plain(cache)}" if len(caches) > 1 and cache else "" for cache in caches]
    headers = ["Implementation", *(f"Ratio{words}" for words in in_words), "Verdict"]
    headers += [f"{name}{words}" for name in ("Time", "Roofline share") for words in in_words]
    headers.append(f"Per second{in_words[0]}")
    body = []
    for key in order:
        by_cache = rows[key]
        m = next(iter(by_cache.values()))
        words = STATUS_WORDS[status.get(m.implementation, Status.NOT_JUDGED)]
        flagged = status.get(m.implementation) in (Status.FAILS, Status.CRASHES)
        found = [by_cache.get(cache) for cache in caches]
        body.append(
            [
                f"{code(slug(m))}, A/A" if m.again else code(slug(m)),
                *("-" if one is None else _ratio(one) for one in found),
                f"**{words}**" if flagged else words,
                *("-" if one is None or one.median_s is None else si(one.median_s, "s") for one in found),
                *("-" if one is None or one.roofline_share is None else percent(one.roofline_share) for one in found),
                "-" if m.per_second is None else si(m.per_second, f"{plain(m.unit)}/s"),
            ]
        )
    return _without_empty(headers, body, "l" + "r" * len(caches) + "l" + "r" * (len(headers) - len(caches) - 2))


def _order(by_cache: dict[str, Measurement], key: tuple[str, bool]) -> tuple[bool, float, str, bool]:
    first = next(iter(by_cache.values()))
    return (first.speed is None, -(first.speed or 0.0), *key)


def _ratio(m: Measurement) -> str:
    if m.ratio is None:
        return plain(m.decision) or "-"
    text = ratio(m.ratio, m.ratio_low, m.ratio_high)
    return text if not m.decision or (m.decision in DECIDED and not m.again) else f"{text} {plain(m.decision)}"


def _more(timed: list[Measurement]) -> str:
    headers = ["Implementation", "Cache", "Decision", "95 % interval of the time", "Samples", "Margin here"]
    headers += ["Compile time", "Peak memory", "Reason"]
    body = []
    for m in sorted(
        timed, key=lambda m: (m.speed is None, -(m.speed or 0.0), m.implementation, m.again, cache_order(m.cache))
    ):
        spread = "-" if m.low_s is None or m.high_s is None else f"[{si(m.low_s, 's')}, {si(m.high_s, 's')}]"
        samples = "-" if m.samples is None else f"{m.samples}{f' ({plain(m.stopped)})' if m.stopped else ''}"
        memory = f"{si(m.peak_memory_bytes, 'B')} {plain(m.memory_kind)}".strip() if m.peak_memory_bytes is not None else "-"
        body.append(
            [
                f"{code(slug(m))}, A/A" if m.again else code(slug(m)),
                plain(m.cache) or "-",
                plain(m.decision) or "-",
                spread,
                samples,
                margin(m.margin),
                "-" if m.compile_s is None else si(m.compile_s, "s"),
                memory,
                plain(m.reason) or "-",
            ]
        )
    return _without_empty(headers, body, "lllrrrrrl")


def _without_empty(headers: Sequence[str], body: Sequence[Sequence[str]], align: str) -> str:
    """The table without columns in which nothing stands."""
    kept = [place for place in range(len(headers)) if place < 1 or any(row[place] != "-" for row in body)]
    return table([headers[p] for p in kept], [[row[p] for p in kept] for row in body], "".join(align[p] for p in kept))


def _warnings(rows: list[Measurement]) -> str:
    said: dict[str, list[str]] = {}
    for m in rows:
        for warning in m.warnings:
            said.setdefault(warning, []).append(_named(m))
    if not said:
        return ""
    lines = [f"- {plain(warning).rstrip('.')}: {listing(dict.fromkeys(names))}." for warning, names in said.items()]
    return "**Warnings:**\n\n" + "\n".join(lines)


def _once(rows: list[Measurement]) -> list[Measurement]:
    """Without the second line of one that says the same of both caches."""
    return list({(m.implementation, m.verdict, m.message): m for m in reversed(rows)}.values())[::-1]


def _names(rows: list[Measurement]) -> str:
    return plain(listing(dict.fromkeys(slug(m) for m in rows)))


def _named(m: Measurement) -> str:
    return code(slug(m)) + (f" ({plain(m.cache)})" if m.cache else "")


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
        ("multiplies and adds in registers at", "FLOP/s", [m.multiply_add_flops_per_s for m in rows]),
    )
    words = []
    for verb, unit, found in rates:
        known = [rate for rate in found if rate is not None]
        words += [f"{verb} {si(max(known), unit)}"] if known else []
    return f"In the same run this machine {listing(words)}." if words else ""


def slug(measurement: Measurement) -> str:
    return measurement.implementation.removeprefix(f"{measurement.system}/")
