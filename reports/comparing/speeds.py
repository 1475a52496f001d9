"""A speed changed when the intervals of two ratios do not overlap; on one machine and without noise that is proof."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reports.comparing.change import Change, shown
from reports.merging import Evidence, Measurement
from reports.numbers import ratio

Key = tuple[str, str, str, str, str]


@dataclass
class Speeds:
    slower: list[Change] = field(default_factory=list)
    faster: list[Change] = field(default_factory=list)
    other: list[Change] = field(default_factory=list)
    shared: int = 0


def compare_speeds(old: Evidence, new: Evidence) -> Speeds:
    """Every workload that both runs put to an implementation, on the same device and in the same dtype."""
    found = Speeds()
    before, after = _latest(old.measurements), _latest(new.measurements)
    for key in sorted(before.keys() & after.keys()):
        found.shared += 1
        _compare(found, old, new, before[key], after[key])
    return found


def _latest(measurements: Iterable[Measurement]) -> dict[Key, Measurement]:
    """Of several runs on one side the last one speaks; labels are in the order of the runs' start."""
    ordered = sorted(measurements, key=lambda m: (len(m.run), m.run))
    # The baseline's ratio is 1 in every run; its A/A line says how noisy the clock was, and nothing of its speed.
    return {(m.system, m.implementation, m.workload, m.dtype, m.device): m for m in ordered if not m.is_baseline}


def _compare(found: Speeds, old: Evidence, new: Evidence, before: Measurement, after: Measurement) -> None:
    where = " ".join(shown(word) for word in (after.workload, after.dtype, after.device) if word)
    words = f"{shown(after.implementation)} on {where}"
    if before.verdict != after.verdict:
        reason = f" ({shown(after.message)})" if after.message else ""
        text = f"{words}: was {shown(before.verdict)!s}, is now {shown(after.verdict)!s}{reason}"
        found.other.append(Change(text, worse=before.verdict == "measured" and after.verdict in ("wrong answer", "error")))
        return
    limits = (before.ratio_low, before.ratio_high, after.ratio_low, after.ratio_high)
    if before.speed is None or after.speed is None or None in limits:
        return
    if before.baseline != after.baseline:
        found.other.append(
            Change(f"{words}: the ratios are to {shown(before.baseline)} before and {shown(after.baseline)} now")
        )
        return
    low_before, high_before, low_after, high_after = (limit or 0.0 for limit in limits)
    if low_after <= high_before and low_before <= high_after:
        return
    slower = high_after < low_before
    text = f"{words}: {_ratio(before)} → {_ratio(after)} the speed of {shown(after.baseline)}"
    doubts = _doubts(old, new, before, after)
    if slower and not doubts and (after.low_s or 0.0) <= (before.high_s or 0.0):
        # Then the baseline became faster, and the implementation has not changed.
        doubts.append("its own time did not grow")
    if doubts:
        text += f"; not proven, {' and '.join(doubts)}"
    (found.slower if slower else found.faster).append(Change(text, worse=slower and not doubts))


def _doubts(old: Evidence, new: Evidence, before: Measurement, after: Measurement) -> list[str]:
    """Reasons for which two ratios may differ although the implementation is as fast as it was."""
    doubts = []
    if _machine(old, before.run) != _machine(new, after.run):
        doubts.append("the machines differ")
    for name, evidence, measured in (("first", old, before), ("second", new, after)):
        place = (measured.run, measured.workload, measured.dtype, measured.device)
        again = [m for m in evidence.measurements if m.again and (m.run, m.workload, m.dtype, m.device) == place]
        if any(m.noisy for m in again):
            doubts.append(f"the {name} run was noisy")
    return doubts


def _machine(evidence: Evidence, run: str) -> list[Any]:
    header = next((source.header for source in evidence.sources if source.label == run), {})
    environment = header.get("environment")
    environment = environment if isinstance(environment, dict) else {}
    gpu = environment.get("gpu")
    return [environment.get("cpu"), environment.get("cores"), gpu.get("name") if isinstance(gpu, dict) else gpu]


def _ratio(measurement: Measurement) -> str:
    return ratio(measurement.speed or 0.0, measurement.ratio_low, measurement.ratio_high)
