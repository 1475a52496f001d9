"""A speed changed where the rule for regressions says so; on one machine and without noise that is proof.

The rule stands in conformance/regression/speeds.py. Records cannot be measured again, so a loss beyond the rule's threshold
counts here as it is, unless the second run took it again itself (`--against`) and one of those takes does not show it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from conformance.records.schema import MeasurementRecord
from conformance.regression import speeds
from conformance.regression.speeds import Figure
from reports.comparing.change import Change, shown
from reports.evidence import Evidence
from reports.numbers import ratio

Key = tuple[str, str, str, str, str]


@dataclass
class Speeds:
    slower: list[Change] = field(default_factory=list)
    faster: list[Change] = field(default_factory=list)
    other: list[Change] = field(default_factory=list)
    shared: int = 0


def compare_speeds(old: Evidence, new: Evidence) -> Speeds:
    """Every workload that both runs put to an implementation, on the same device, in the same dtype and state of the cache."""
    found = Speeds()
    before, after = _latest(old.measurements), _latest(new.measurements)
    shared = sorted(before.keys() & after.keys())
    found.shared = len(shared)
    comparable = [key for key in shared if _comparable(found, before[key], after[key])]
    pairs = [_pairs(evidence.measurements) for evidence in (old, new)]
    earlier, now = (
        [_figure(side[key]) for key in comparable] + [pair for place, pair in noise.items()]
        for side, noise in ((before, pairs[0]), (after, pairs[1]))
    )
    again = {_figure(after[key]).key: speeds.takes_of(after[key]) for key in comparable}
    changes = {change.now.key: change for change in speeds.compare([earlier], now, again)}
    for key in comparable:
        _tell(found, old, new, before[key], after[key], changes[_figure(after[key]).key])
    return found


def _pairs(measurements: Iterable[MeasurementRecord]) -> dict[speeds.Place, Figure]:
    """The A/A pairs of one side, at each place the noisiest."""
    pairs: dict[speeds.Place, Figure] = {}
    for measured in measurements:
        if measured.again and _timed(measured):
            figure = _figure(measured)
            pairs[figure.place] = max(pairs.get(figure.place, figure), figure, key=lambda one: one.excursion)
    return pairs


def _figure(measured: MeasurementRecord) -> Figure:
    return Figure(
        measured.implementation,
        measured.workload,
        measured.dtype,
        measured.device,
        measured.cache or "warm",
        measured.ratio or 1.0,
        measured.ratio_low or 1.0,
        measured.ratio_high or 1.0,
        measured.median_s or 1.0,
        measured.samples or 0,
        measured.again,
    )


def _timed(measured: MeasurementRecord) -> bool:
    numbers = (measured.ratio, measured.ratio_low, measured.ratio_high, measured.median_s)
    return measured.verdict == "measured" and all(number is not None and math.isfinite(number) for number in numbers)


def _latest(measurements: Iterable[MeasurementRecord]) -> dict[Key, MeasurementRecord]:
    """Of several runs on one side the last one speaks; labels are in the order of the runs' start."""
    ordered = sorted(measurements, key=lambda m: (len(m.run), m.run))
    # The baseline's ratio is 1 in every run; its A/A line says how noisy the clock was, and nothing of its speed.
    return {(m.implementation, m.workload, m.dtype, m.device, m.cache or "warm"): m for m in ordered if not m.is_baseline}


LOST = ("wrong answer", "error", "measuring fault")


def _comparable(found: Speeds, before: MeasurementRecord, after: MeasurementRecord) -> bool:
    """Whether there are two speeds beside one baseline; where there are not, what there is instead is told."""
    if before.verdict != after.verdict:
        reason = f" ({shown(after.message)})" if after.message else ""
        text = f"{_words(after)}: was {shown(before.verdict)!s}, is now {shown(after.verdict)!s}{reason}"
        found.other.append(Change(text, worse=before.verdict == "measured" and after.verdict in LOST))
        return False
    if not _timed(before) or not _timed(after):
        return False
    if before.baseline != after.baseline:
        text = f"the ratios are to {shown(before.baseline)} before and {shown(after.baseline)} now"
        found.other.append(Change(f"{_words(after)}: {text}"))
        return False
    return True


def _words(measured: MeasurementRecord) -> str:
    cache = f"{measured.cache} cache" if measured.cache else ""
    where = " ".join(shown(word) for word in (measured.workload, measured.dtype, measured.device, cache) if word)
    return f"{shown(measured.implementation)} on {where}"


def _tell(
    found: Speeds, old: Evidence, new: Evidence, before: MeasurementRecord, after: MeasurementRecord, change: speeds.Change
) -> None:
    apart = (after.ratio_high or 0.0) < (before.ratio_low or 0.0) or (before.ratio_high or 0.0) < (after.ratio_low or 0.0)
    proven = change.word in ("slower", "faster")
    if not apart and not proven:
        return
    text = f"{_words(after)}: {_ratio(before)} → {_ratio(after)} the speed of {shown(after.baseline)}"
    if change.takes > 1:
        text += f" (in {change.takes} takes, {change.now.ratio:.3g} at best)"
    doubts = ["the machines differ"] if _machine(old, before.run) != _machine(new, after.run) else []
    if change.reason:
        doubts.append(change.reason)
    elif not proven:
        doubts.append(_doubt(change))
    if doubts:
        text += f"; not proven, {' and '.join(doubts)}"
    slower = (after.ratio or 0.0) < (before.ratio or 0.0)
    (found.slower if slower else found.faster).append(Change(text, worse=slower and proven and not doubts))


def _doubt(change: speeds.Change) -> str:
    """Which part of the rule a change whose intervals lie apart does not pass."""
    if change.takes > 1:
        return "measured again it was not slower"
    limit = f"a change of {math.exp(change.threshold):.2f}x"
    if change.noise == max(change.noise, change.chance, change.scatter):
        return f"the baseline beside itself is so noisy that {limit} could be chance"
    if change.scatter > change.chance:
        return f"what nobody changed moved so much that {limit} could be chance"
    return f"of so many figures {limit} could be chance"


def _machine(evidence: Evidence, run: str) -> list[Any]:
    environment = next(source.header.environment for source in evidence.sources if source.label == run)
    return [environment.cpu, environment.cores, environment.gpu and environment.gpu.name]


def _ratio(measurement: MeasurementRecord) -> str:
    return ratio(measurement.speed or 0.0, measurement.ratio_low, measurement.ratio_high)
