"""A table for the terminal: on each workload who is fastest, beside the baseline, and with what margin the answer is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from conformance.benchmark.cache import CONDITIONS
from conformance.records.schema import MeasurementRecord, Verdict
from conformance.records.verdict_table import aligned

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
LEFT_OUT = (Verdict.UNSUPPORTED, Verdict.NOT_RUN)


@dataclass(frozen=True)
class SpeedEntry:
    """One implementation on one workload, with its record in each state of the cache."""

    name: str
    records: Mapping[str, MeasurementRecord]

    @property
    def cold(self) -> MeasurementRecord:
        """The record that ranks it. A cold cache is what a step of training or a call of a server meets."""
        return self.records.get("cold") or next(iter(self.records.values()))


def speed_table(records: Iterable[MeasurementRecord], grammars: Mapping[str, str]) -> Iterator[str]:
    """Lines, grouped by workload and device, the fastest first.

    ``grammars`` gives the grammar of each reader of texts. Readers of different grammars do different work: each grammar has
    an order of its own, and ratios only where the baseline reads it too.
    """
    groups: dict[tuple[str, str, str], dict[str, dict[str, MeasurementRecord]]] = {}
    for record in records:
        members = groups.setdefault((record.system, record.workload, record.device), {})
        members.setdefault(record.implementation, {})[record.cache] = record
    for (system, workload, device), members in groups.items():
        entries = [SpeedEntry(name, own) for name, own in members.items()]
        if any(entry.cold.verdict not in LEFT_OUT for entry in entries):
            yield from ("", f"{system} {workload} on {device}: {entries[0].cold.description}")
            for grammar in sorted({grammars.get(entry.name, "") for entry in entries}):
                timed = [e for e in entries if e.cold.verdict == "measured" and grammars.get(e.name, "") == grammar]
                baseline = entries[0].cold.baseline if grammars.get(entries[0].cold.baseline, "") == grammar else ""
                yield from _rows(timed, baseline, grammar)
            yield from _without_speed(entries)


def _rows(timed: list[SpeedEntry], baseline: str, grammar: str) -> list[str]:
    caches = [*reversed(CONDITIONS)] if baseline else []
    title = f"{grammar} grammar" if grammar else ""
    rows = [[title, "time", *(f"beside {baseline.partition('/')[2]}, {cache}" for cache in caches), "margin"]]
    for entry in sorted(timed, key=lambda each: each.cold.median_s or 0.0):
        ratios = [_ratio(entry.records.get(cache)) for cache in caches]
        margin = "-" if entry.cold.margin is None else f"{entry.cold.margin:.2g}"
        rows.append([entry.name.partition("/")[2], _time(entry.cold.median_s), *ratios, margin])
    return [f"  {line}" for line in aligned(rows) if timed]


def _ratio(record: MeasurementRecord | None) -> str:
    """``1.32x faster [1.3, 1.35]``; of the baseline, its name for itself."""
    if record is None or record.ratio is None or record.verdict != "measured":
        return "-"
    if record.is_baseline:
        return "the baseline"
    if record.speed is None or record.ratio_low is None or record.ratio_high is None:
        return "undecided"
    return f"{record.ratio:.3g}x {record.decision} [{record.ratio_low:.3g}, {record.ratio_high:.3g}]"


def _without_speed(entries: list[SpeedEntry]) -> Iterator[str]:
    """A line for each reason why some have no speed, and one that counts what is unsupported or was not run."""
    reasons: dict[str, list[str]] = {}
    for entry in entries:
        if entry.cold.verdict not in ("measured", *LEFT_OUT):
            reason = f"{entry.cold.verdict.upper()}, so no speed: {entry.cold.message}"
            reasons.setdefault(reason, []).append(entry.name.partition("/")[2])
    for reason, names in reasons.items():
        yield f"  {', '.join(names)}: {reason}"
    counts = Counter(entry.cold.verdict for entry in entries if entry.cold.verdict in LEFT_OUT)
    if counts:
        yield f"  {', '.join(f'{number} {verdict}' for verdict, number in sorted(counts.items(), reverse=True))}"


def _time(seconds: float | None) -> str:
    """Three digits with a unit, such as ``1.23 ms``."""
    if seconds is None:
        return "-"
    size, unit = next((each for each in UNITS if seconds >= each[0]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"
