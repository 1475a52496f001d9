"""Speeds as ratios with intervals, beside the machine's own limits; no speed is shown for a wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from conformance.records.schema import MeasurementRecord, SystemRecord
from reports.charts.gallery import Gallery
from reports.charts.speeds import growths
from reports.document import Block, BulletList, Code, Details, Emphasis, Inline, Number, Section, Strong, Table, inline, series
from reports.evidence import Evidence, is_noisy
from reports.growth import Growth
from reports.numbers import listing, margin, percent, ratio, si
from reports.ranking import STATUS_WORDS, MainWorkload, Status, cache_order, main_workload, ranking, short_name

INTRODUCTION = inline(
    "A ratio is the baseline's time divided by the implementation's own, with its 95 % interval; above 1 is faster. {} is "
    "the baseline timed against itself: its difference from 1 is noise. The roofline share is the least time that the "
    "work could take on the machine's measured memory and matrix-product rates, divided by the time it took. With a {} "
    "cache each call finds its data in memory, with a {} one where the call before left it. No speed is "
    "shown for an answer that is wrong at the very shape and dtype that is timed, nor for one faster than the machine allows.",
    *(Emphasis("A/A"), Emphasis("cold"), Emphasis("warm")),
)
NOISY = (
    Strong("This run was noisy:"),
    " the baseline beside itself (A/A) shows a difference that its own interval takes for real. Differences of that size say "
    "nothing here.",
)
GROWTH = inline(
    "Time grows about as the scale to the power of the {}, which is fitted to the logarithms of all sizes: 1 is in "
    "proportion, 2 is with the square, and below 1 fixed costs dominate small sizes. In brackets: the least and the largest "
    "exponent that the 95 % intervals of the times allow. The {} is the largest slope between two neighbouring sizes. "
    "Where an implementation ends before the others, it has no speed at the next size, and the reason is given there.",
    *(Emphasis("slope"), Emphasis("steepest step")),
)
NO_CEILING = "No ceiling is claimed for this work, so there is no roofline: its least cost is not known."
DECIDED = ("faster", "slower", "baseline")
"""Decisions that a ratio shows by itself."""


def speed(evidence: Evidence, system: SystemRecord, gallery: Gallery) -> list[Block]:
    """The main workload, the plots, and the other workloads folded."""
    timed = [m for m in evidence.measurements if m.system == system.name]
    if not timed:
        return ["None of these runs measured this system."]
    main = main_workload(evidence, system.name)
    status = {row.implementation.name: row.words for row in ranking(evidence, system.name)}
    first: list[Block] = [INTRODUCTION]
    folded: list[Block] = []
    for _, group in groupby(timed, key=lambda m: (m.run, m.device, m.workload, m.dtype)):
        rows = list(group)
        place = f" on {_place(rows[0])} (run {rows[0].run})"
        if _is_of(rows[0], main):
            first.append(Section((Code(rows[0].workload), place), _workload(rows, status)))
        else:
            folded.append(Details(f"{rows[0].workload}{place}", _workload(rows, status)))
    if gallery.roofs.get(system.name):
        first.append(Section("Under the roof", gallery.roofs[system.name]))
    elif not any(m.roofline_share for m in timed):
        first.append(NO_CEILING)
    if gallery.scaling.get(system.name):
        body = [*gallery.scaling[system.name], *_growth(growths(evidence, system))]
        first.append(Section("Against scale", body))
    return first + folded


def _growth(found: list[Growth]) -> list[Block]:
    """A table per family of workloads: the slopes, warm and cold side by side."""
    parts: list[Block] = [GROWTH] if found else []
    for (run, device, family, dtype), of_family in groupby(found, key=lambda g: g.family[:4]):
        members = list(of_family)
        by_place = {(g.label, g.family.cache): g for g in members}
        caches = list(dict.fromkeys(g.family.cache for g in members))
        headers = ["Implementation", "From", "To"]
        for cache in caches:
            headers += [f"{name}, {cache}" if cache else name for name in ("Slope", "Steepest step")]
        body: list[list[Inline]] = []
        for label in dict.fromkeys(g.label for g in members):
            own = [g for g in members if g.label == label]
            ends = min(g.first for g in own), max(g.last for g in own)
            slopes = [cell for cache in caches for cell in _slope(by_place.get((label, cache)))]
            body.append([Code(label), *(si(end, "").strip() for end in ends), *slopes])
        where = ", ".join(filter(None, (device, dtype)))
        title = f"Growth of the time with {members[0].scale_name}: {family} on {where} (run {run})"
        parts += [Strong(title), Table(headers, body, "l" + "r" * (len(headers) - 1))]
    return parts


def _slope(found: Growth | None) -> list[Inline]:
    if found is None:
        return ["-", "-"]
    interval = "" if found.low is None or found.high is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return [Number(f"{found.slope:.2f}{interval}"), f"{found.steepest:.2f}"]


def _is_of(m: MeasurementRecord, main: MainWorkload | None) -> bool:
    return main is not None and (m.run, m.device, m.workload, m.dtype) == (main.run, main.device, main.workload, main.dtype)


def _place(m: MeasurementRecord) -> str:
    return ", ".join(filter(None, (m.device, m.dtype)))


def _workload(rows: list[MeasurementRecord], status: dict[str, str]) -> list[Block]:
    said = [min(m.description for m in rows).rstrip(".") + "."] if rows[0].description else []
    said += _limits(rows)
    parts: list[Block] = [f"Workload: {' '.join(said)}"] if said else []
    timed = [m for m in rows if m.verdict == "measured"]
    parts.append(_table(timed, status) if timed else "No implementation has a speed here.")
    parts += [NOISY] if any(map(is_noisy, timed)) else []
    parts += _warnings(rows)
    if timed:
        parts.append(Details("Intervals, decisions and their reasons, memory, compile time", [_more(timed)]))
    # An implementation that says the same of both caches gets one line.
    others = {(m.implementation, m.verdict, m.message): m for m in reversed(rows) if m.verdict != "measured"}
    if others:
        absent = list(others.values())[::-1]
        listed: list[list[Inline]] = [[_named(m), m.verdict, _reason(m)] for m in absent]
        names = listing(dict.fromkeys(short_name(m.implementation) for m in absent))
        parts.append(Details(f"No speed is shown for {names}", [Table(["Implementation", "Outcome", "Reason"], listed)]))
    return parts


def _table(timed: list[MeasurementRecord], status: dict[str, str]) -> Table:
    """A row per implementation; its cold and its warm cache side by side."""
    caches = sorted({m.cache for m in timed}, key=cache_order)
    rows: dict[tuple[str, bool], dict[str, MeasurementRecord]] = {}
    for m in sorted(timed, key=lambda m: cache_order(m.cache)):
        # A further A/A pair has a row of its own; where it is the baseline's only line, it is its row.
        rows.setdefault((m.implementation, m.again), {})[m.cache] = m
    in_words = [f", {cache}" if len(caches) > 1 and cache else "" for cache in caches]
    headers = ["Implementation", *(f"Ratio{words}" for words in in_words), "Verdict"]
    headers += [f"{name}{words}" for name in ("Time", "Roofline share") for words in in_words]
    headers.append(f"Per second{in_words[0]}")
    body: list[list[Inline]] = []
    for m, by_cache in sorted(((next(iter(each.values())), each) for each in rows.values()), key=lambda row: _order(row[0])):
        found = [by_cache.get(cache) for cache in caches]
        words = status.get(m.implementation, STATUS_WORDS[Status.NOT_JUDGED])
        red = words not in (STATUS_WORDS[Status.RIGHT], STATUS_WORDS[Status.NOT_JUDGED])
        body.append(
            [
                _name(m),
                *("-" if one is None else _ratio(one) for one in found),
                Strong(words) if red else words,
                *("-" if one is None or one.median_s is None else si(one.median_s, "s") for one in found),
                *("-" if one is None or one.roofline_share is None else percent(one.roofline_share) for one in found),
                "-" if m.per_second is None else si(m.per_second, f"{m.unit}/s"),
            ]
        )
    return _without_empty(headers, body, "l" + "r" * len(caches) + "l" + "r" * (len(headers) - len(caches) - 2))


def _order(m: MeasurementRecord) -> tuple[bool, float, str, bool, int]:
    """The fastest first, and of one implementation the cold cache."""
    return m.speed is None, -(m.speed or 0.0), m.implementation, m.again, cache_order(m.cache)


def _ratio(m: MeasurementRecord) -> Inline:
    if m.ratio is None:
        return m.decision or "-"
    text = Number(ratio(m.ratio, m.ratio_low, m.ratio_high))
    return text if not m.decision or (m.decision in DECIDED and not m.again) else (text, f" {m.decision}")


def _more(timed: list[MeasurementRecord]) -> Table:
    headers = ["Implementation", "Cache", "Decision", "95 % interval of the time", "Samples", "Margin here"]
    headers += ["Compile time", "Peak memory", "Reason"]
    body: list[list[Inline]] = [
        [
            _name(m),
            m.cache or "-",
            m.decision or "-",
            "-" if m.low_s is None or m.high_s is None else Number(f"[{si(m.low_s, 's')}, {si(m.high_s, 's')}]"),
            "-" if m.samples is None else f"{m.samples}{f' ({m.stopped})' if m.stopped else ''}",
            margin(m.margin),
            "-" if m.compile_s is None else si(m.compile_s, "s"),
            "-" if m.peak_memory_bytes is None else f"{si(m.peak_memory_bytes, 'B')} {m.memory_kind}".strip(),
            m.reason or "-",
        ]
        for m in sorted(timed, key=_order)
    ]
    return _without_empty(headers, body, "lllrrrrrl")


def _without_empty(headers: Sequence[Inline], body: Sequence[Sequence[Inline]], align: str) -> Table:
    """The table without empty columns."""
    kept = [place for place in range(len(headers)) if place < 1 or any(row[place] != "-" for row in body)]
    return Table([headers[p] for p in kept], [[row[p] for p in kept] for row in body], "".join(align[p] for p in kept))


def _warnings(rows: list[MeasurementRecord]) -> list[Block]:
    said: dict[str, dict[Inline, None]] = {}
    for m in rows:
        for warning in m.warnings:
            said.setdefault(warning, {})[_named(m)] = None
    lines = [(f"{warning.rstrip('.')}: ", series(names), ".") for warning, names in said.items()]
    return [Details("Warnings of this measurement", [BulletList(lines)])] if said else []


def _name(m: MeasurementRecord) -> Inline:
    return Code(short_name(m.implementation)), ", A/A" if m.again else ""


def _named(m: MeasurementRecord) -> Inline:
    return Code(short_name(m.implementation)), f" ({m.cache})" if m.cache else ""


def _reason(m: MeasurementRecord) -> str:
    words = [m.message] if m.message else []
    if m.verdict == "wrong answer" and m.margin is not None:
        words.append(f"its answer at this shape and dtype has margin {margin(m.margin)}")
    return "; ".join(words) or "no reason was recorded"


def _limits(rows: list[MeasurementRecord]) -> list[str]:
    rates = (
        ("copies", "B/s", [m.roofline.copy_bytes_per_s for m in rows]),
        ("updates in place", "B/s", [m.roofline.update_bytes_per_s for m in rows]),
        ("multiplies matrices at", "FLOP/s", [m.roofline.matmul_flops_per_s for m in rows]),
        ("multiplies and adds in registers at", "FLOP/s", [m.roofline.multiply_add_flops_per_s for m in rows]),
    )
    known = [(verb, unit, [rate for rate in found if rate is not None]) for verb, unit, found in rates]
    words = [f"{verb} {si(max(found), unit)}" for verb, unit, found in known if found]
    return [f"In the same run this machine {listing(words)}."] if words else []
