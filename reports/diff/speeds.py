"""Say which speeds changed between two runs; on one machine and without noise, a change by the rule is proven.

The rule is in conformance/regression/speeds.py. Records cannot be measured again, so a loss beyond the rule's threshold
counts here as it is, unless the second run took it again itself (`--against`) and one of those takes does not show it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance.records.schema import MeasurementRecord
from conformance.regression import speeds
from conformance.regression.pairs import compare_speeds as changes_between
from conformance.regression.speeds import speed_of
from reports.diff.change import Change, shown
from reports.evidence import Evidence
from reports.numbers import ratio


@dataclass
class Speeds:
    slower: list[Change] = field(default_factory=list)
    faster: list[Change] = field(default_factory=list)
    other: list[Change] = field(default_factory=list)
    shared: int = 0


def compare_speeds(old: Evidence, new: Evidence) -> Speeds:
    """Every workload that both runs measured on an implementation, on the same device, in the same dtype and cache state."""
    found = Speeds()
    before, after = _latest(old.measurements), _latest(new.measurements)
    shared = sorted(before.keys() & after.keys())
    found.shared = len(shared)
    comparable = [key for key in shared if _comparable(found, before[key], after[key])]
    earlier = [before[key] for key in comparable] + _noisiest(old.measurements)
    now = [after[key] for key in comparable] + _noisiest(new.measurements)
    changes = {change.now.key: change for change in changes_between([earlier], now)}
    for key in comparable:
        machines = [_machine(evidence, side[key].run) for evidence, side in ((old, before), (new, after))]
        _tell(found, before[key], after[key], changes[key], machines[0] == machines[1])
    return found


def _latest(measurements: Iterable[MeasurementRecord]) -> dict[speeds.Key, MeasurementRecord]:
    """Of several runs on one side the last one counts; labels are in the order of the runs' start."""
    ordered = sorted(measurements, key=lambda m: (len(m.run), m.run))
    # The baseline's ratio is 1 in every run; its A/A line says how noisy the clock was, and nothing of its speed.
    return {measured.key: measured for measured in ordered if not measured.is_baseline}


def _noisiest(measurements: Iterable[MeasurementRecord]) -> list[MeasurementRecord]:
    """The noisiest A/A pair of one side at each place."""
    pairs: dict[speeds.Place, MeasurementRecord] = {}
    for pair in measurements:
        if pair.again and speed_of(pair) is not None:
            place = pair.key[1:]
            pairs[place] = max(pairs.get(place, pair), pair, key=lambda one: one.excursion)
    return list(pairs.values())


LOST = ("wrong answer", "error", "measuring fault")


def _comparable(found: Speeds, before: MeasurementRecord, after: MeasurementRecord) -> bool:
    """Whether there are two speeds beside one baseline; otherwise say what there is instead."""
    if before.verdict != after.verdict:
        reason = f" ({shown(after.message)})" if after.message else ""
        text = f"{_words(after)}: was {shown(before.verdict)!s}, is now {shown(after.verdict)!s}{reason}"
        found.other.append(Change(text, worse=before.verdict == "measured" and after.verdict in LOST))
        return False
    if speed_of(before) is None or speed_of(after) is None:
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
    found: Speeds, before: MeasurementRecord, after: MeasurementRecord, change: speeds.SpeedChange, same_machine: bool
) -> None:
    apart = (after.ratio_high or 0.0) < (before.ratio_low or 0.0) or (before.ratio_high or 0.0) < (after.ratio_low or 0.0)
    proven = change.word in ("slower", "faster")
    if not apart and not proven:
        return
    text = f"{_words(after)}: {_ratio(before)} → {_ratio(after)} the speed of {shown(after.baseline)}"
    if change.takes > 1:
        text += f" (in {change.takes} takes, {change.now.ratio:.3g} at best)"
    doubts = [] if same_machine else ["the machines differ"]
    if change.reason:
        doubts.append(change.reason)
    elif not proven:
        doubts.append(_doubt(change))
    if doubts:
        text += f"; not proven, {' and '.join(doubts)}"
    slower = (after.ratio or 0.0) < (before.ratio or 0.0)
    (found.slower if slower else found.faster).append(Change(text, worse=slower and proven and not doubts))


def _doubt(change: speeds.SpeedChange) -> str:
    """The part of the rule that a change fails although its intervals lie apart."""
    if change.takes > 1:
        return "measured again it was not slower"
    limit = f"a change of {math.exp(change.threshold):.2f}x"
    if change.noise == max(change.noise, change.chance, change.scatter):
        return f"the baseline beside itself is so noisy that {limit} could be chance"
    if change.scatter > change.chance:
        return f"unchanged speeds moved so much that {limit} could be chance"
    return f"among so many speeds {limit} could be chance"


def _machine(evidence: Evidence, run: str) -> tuple[object, ...]:
    environment = next(source.header.environment for source in evidence.sources if source.label == run)
    return environment.cpu, environment.cores, environment.gpu and environment.gpu.name


def _ratio(measurement: MeasurementRecord) -> str:
    return ratio(measurement.speed or 0.0, measurement.ratio_low, measurement.ratio_high)
