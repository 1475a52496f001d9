"""Name lost verdicts and proven slowdowns, each with the command that shows it.

A verdict is compared with the latest earlier run that tested the same case; a speed with every earlier run that measured
it on the same machine. The rule for speeds is in conformance/regression/speeds.py.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.records import io
from conformance.records.fields import Record, RecordError
from conformance.records.io import Run
from conformance.records.schema import (
    EnvironmentRecord,
    HeaderRecord,
    ImplementationRecord,
    MeasurementRecord,
    Verdict,
    VerdictRecord,
)
from conformance.regression.pairs import VerdictChange, VerdictPair, compare_speeds, pair_verdicts
from conformance.regression.speeds import Key, SpeedChange, speed_of

SHOWN = 3
"""So many lost cases of one requirement are named; the rest are counted."""


@dataclass(frozen=True)
class Selected:
    """What this run was asked for.

    ``asked_for`` says whether its ``--impl`` arguments select an implementation; ``whole`` whether it ran all of their cases.
    """

    asked_for: Callable[[ImplementationRecord], bool]
    whole: bool
    quick: bool


@dataclass
class Findings:
    """Lines for the terminal. Only what was lost, or is proven slower, makes a run worse."""

    lost: list[str] = field(default_factory=list)
    slower: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def worse(self) -> bool:
        return bool(self.lost or self.slower)


def read(names: Sequence[str], suite: str) -> tuple[Run, ...]:
    """Read earlier runs from files or folders, in the order of their start. RecordError names a file that does not fit."""
    found: dict[str, Run] = {}
    for file in (file for name in names for file in record_files(name)):
        run = io.read(file)
        if run.header.suite != suite:
            raise RecordError(
                f"{file}: was written by suite {run.header.suite}, but this is suite {suite}, whose cases and "
                f"workloads may differ; run the earlier code with suite {suite}, and give its records"
            )
        # The same file given twice, under whatever names, is one run.
        found.setdefault(run.footer.sha256, run)
    return tuple(sorted(found.values(), key=lambda run: (run.header.started, run.footer.sha256)))


def record_files(name: str) -> list[Path]:
    """A record file, or all of a folder. RecordError where the folder holds none."""
    path = Path(name)
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise RecordError(f"{name}: found no *.jsonl in this folder; expected record files, written by --records=FILE")
    return files


def findings(
    earlier: Sequence[Run],
    header: HeaderRecord,
    records: Sequence[Record],
    selected: Selected,
    forgiven: Iterable[VerdictRecord] = (),
) -> Findings:
    """Compare everything. ``forgiven`` are verdicts that ``--xfails`` expects to be red."""
    found = Findings()
    verdicts = [record for record in records if isinstance(record, VerdictRecord)]
    measurements = [record for record in records if isinstance(record, MeasurementRecord)]
    _compare_verdicts(found, earlier, header, verdicts, selected, {record.key for record in forgiven})
    _compare_speeds(found, earlier, header, measurements)
    _find_gone(found, earlier, header, selected)
    return found


def _compare_verdicts(
    found: Findings,
    earlier: Sequence[Run],
    header: HeaderRecord,
    now: Sequence[VerdictRecord],
    selected: Selected,
    forgiven: Collection[Key],
) -> None:
    before = {each.key: each for run in earlier for each in run.of(VerdictRecord) if each.verdict is not Verdict.NOT_RUN}
    if not before or not now:
        return
    reworded = _reworded(earlier, header)
    pairs = pair_verdicts(before.values(), now)
    lost: dict[tuple[str, str, str], list[VerdictPair]] = {}
    counts: Counter[str] = Counter()
    for pair in pairs:
        word = "" if pair.now.requirement in reworded else _word(pair, selected.quick, forgiven)
        counts[word] += 1
        if word == "lost":
            lost.setdefault((pair.now.implementation, pair.now.requirement, pair.now.verdict), []).append(pair)
    found.lost += [_lost(header, earlier, own) for own in lost.values()]
    tested, known = {each.implementation for each in now}, {each.key for each in now}
    counts["that passed were not tested this time"] = sum(
        each.verdict is Verdict.PASS and each.key not in known and each.implementation in tested for each in before.values()
    )
    remarks = [f"{len(pairs)} verdicts compared"]
    for word in ("lost", "lost as --xfails expects", "won", "left out by --quick", "that passed were not tested this time"):
        remarks += [f"{counts[word]} {word}"] if counts[word] or word in ("lost", "won") else []
    found.remarks.append(", ".join(remarks))
    if reworded:
        found.remarks.append(f"not compared, since they read differently: {', '.join(sorted(reworded))}")


def _word(pair: VerdictPair, quick: bool, forgiven: Collection[Key]) -> str:
    if pair.change is VerdictChange.WON:
        return "won"
    if pair.before.verdict is not Verdict.PASS or pair.now.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE):
        return ""
    if quick and pair.change is VerdictChange.NOT_RUN:
        return "left out by --quick"
    return "lost as --xfails expects" if pair.now.key in forgiven else "lost"


def _reworded(earlier: Sequence[Run], header: HeaderRecord) -> set[str]:
    """The requirements whose text changed. A verdict on another text can be neither lost nor won."""
    now = {row.id: row.statement for row in header.requirements}
    before = [(row.id, row.statement) for run in earlier for row in run.header.requirements]
    return {id_ for id_, statement in before if id_ in now and now[id_] != statement}


def _lost(header: HeaderRecord, earlier: Sequence[Run], pairs: Sequence[VerdictPair]) -> str:
    worst = max(pairs, key=lambda pair: (_margin(pair.now), pair.now.case))
    old, new = worst.before, worst.now
    ordered = [new] + [pair.now for pair in pairs if pair is not worst]
    cases = [" ".join(filter(None, (each.case, each.dtype, each.device))) for each in ordered]
    named = ", ".join(cases[:SHOWN]) + (f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else "")
    reason = f" ({new.message})" if new.message else ""
    margins = f", margin {_margin(old):.3g} before, {_margin(new):.3g} now" if new.margin else ""
    return _shown(
        f"LOST {new.implementation}{_versions(header, earlier, new.implementation)} {new.requirement} in {named}: "
        f"pass before, {new.verdict} now{margins}{reason}; see: {new.reproduce or '-'}"
    )


def _margin(record: VerdictRecord) -> float:
    return -1.0 if record.margin is None else record.margin


@dataclass(frozen=True)
class SpeedChanges:
    """The changes of speed, and why some earlier speeds were not compared."""

    changes: list[SpeedChange]
    reasons: tuple[str, ...]


_WORKLOAD = ("description", "amount", "unit", "bytes_moved", "flops", "baseline")
"""Fields of a measurement that must be equal for two runs to have timed the same workload."""


def speeds(earlier: Sequence[Run], header: HeaderRecord, now: Sequence[MeasurementRecord]) -> SpeedChanges:
    """Compare the speeds of this run with those of earlier runs of the same workloads on the same machine."""
    by_key = {record.key: record for record in now}
    reasons: dict[str, None] = {}
    kept: list[list[MeasurementRecord]] = []
    for run in earlier:
        kept.append([])
        for record in run.of(MeasurementRecord):
            if speed_of(record) is None:
                continue
            reason = _other(run.header.environment, header.environment, record, by_key.get(record.key))
            if reason:
                reasons[f"{Path(run.path).name}: {reason}"] = None
            else:
                kept[-1].append(record)
    return SpeedChanges(compare_speeds(kept, list(by_key.values())), tuple(reasons))


def _other(
    before: EnvironmentRecord, now: EnvironmentRecord, record: MeasurementRecord, beside: MeasurementRecord | None
) -> str:
    """Why an earlier speed cannot be compared; empty where it can."""
    if machine := other_machine(before, now, record.device):
        return f"speeds on {record.device} are not compared: {machine}"
    other = [word for word in _WORKLOAD if beside is not None and getattr(record, word) != getattr(beside, word)]
    named = " and ".join(word.replace("_", " ") for word in other)
    return f"{record.workload} is not compared: its {named} differs" if other else ""


def other_machine(before: EnvironmentRecord, now: EnvironmentRecord, device: str) -> str:
    """Why speeds of two machines cannot be compared on this device; empty where they can."""
    facts: list[tuple[str, object, object]] = [
        ("CPU", before.cpu, now.cpu),
        ("number of cores", before.cores, now.cores),
        ("number of threads", _threads(before), _threads(now)),
    ]
    if device != "cpu":
        facts.append(("GPU", before.gpu and before.gpu.name, now.gpu and now.gpu.name))
    return next((f"the {word} was {was}, and is {is_}" for word, was, is_ in facts if was != is_), "")


def _threads(environment: EnvironmentRecord) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(environment.threads.items())) or "as the libraries choose"


def _compare_speeds(found: Findings, earlier: Sequence[Run], header: HeaderRecord, now: Sequence[MeasurementRecord]) -> None:
    before = {each.key for run in earlier for each in run.of(MeasurementRecord) if each.verdict == "measured"}
    if not before or not now:
        return
    for record in now:
        if record.key in before and record.verdict != "measured":
            said = f"{record.verdict} now" + (f" ({record.message})" if record.message else "")
            found.lost.append(
                _shown(f"LOST {_where(record.key)}: a speed before, {said}; see: {_command(header, record.key)}")
            )
    measured, known = {record.implementation for record in now}, {record.key for record in now}
    if unmeasured := sum(key[0] in measured and key not in known for key in before):
        found.remarks.append(f"{unmeasured} speeds of the earlier runs were not measured this time")
    compared = speeds(earlier, header, now)
    found.slower += [_slower(header, earlier, change) for change in compared.changes if change.proven]
    found.remarks += [*compared.reasons, *(_summary(compared.changes) or ["no speed could be compared"])]


def _summary(changes: Sequence[SpeedChange]) -> list[str]:
    """Count the compared speeds, and list those that are worth a line without being proven slower."""
    if not changes:
        return []
    suspected = [change for change in changes if change.word == "slower" and not change.proven]
    words = Counter(change.word for change in changes if change not in suspected)
    said = {"slower": "proven slower", "faster": "faster", "same": "the same within a tenth", "undecided": "undecided"}
    told = [f"{words[word]} {meaning}" for word, meaning in said.items() if words[word]]
    told += [f"{len(suspected)} suspected of being slower and not measured again"] if suspected else []
    hidden = sorted(math.exp(change.threshold) for change in changes)[len(changes) // 2]
    return [
        f"{len(changes)} speeds compared: {', '.join(told)}; half of them would show a loss of {hidden:.2f}x",
        *(_shown(f"faster: {_factors(change)}") for change in changes if change.word == "faster"),
        *(_shown(f"not proven: {_factors(change)}: {change.reason}") for change in changes if change.reason),
        *(_shown(f"suspected: {_factors(change)}") for change in suspected),
        *_baselines(changes),
    ]


def _slower(header: HeaderRecord, earlier: Sequence[Run], change: SpeedChange) -> str:
    key = change.now.key
    return _shown(
        f"SLOWER {_factors(change)}{_versions(header, earlier, key[0])}; "
        f"{math.exp(change.threshold):.2f}x could be noise; see: {_command(header, key)}"
    )


def _factors(change: SpeedChange) -> str:
    by = math.exp(abs(change.loss))
    return (
        f"{_where(change.now.key)}: {by:.2f}x {'slower' if change.loss > 0 else 'faster'} "
        f"({change.before.ratio:.3g} before, {change.now.ratio:.3g} now, beside the baseline, "
        f"in {change.takes} take{'s' * (change.takes > 1)})"
    )


def _baselines(changes: Sequence[SpeedChange]) -> list[str]:
    """Name the workloads on which all implementations got faster: their baseline may have got slower."""
    by_place: dict[tuple[str, ...], list[SpeedChange]] = {}
    for change in changes:
        by_place.setdefault(change.now.place, []).append(change)
    return [
        f"{' '.join(filter(None, place))}: all {len(own)} got faster, or the baseline, whose speed is not compared, got slower"
        for place, own in by_place.items()
        if len(own) > 1 and all(change.word == "faster" for change in own)
    ]


def _where(key: Key) -> str:
    implementation, workload, dtype, device, cache = key
    return f"{implementation} on {workload} {' '.join(filter(None, (dtype, device)))}, {cache} cache"


def _command(header: HeaderRecord, key: Key) -> str:
    row = header.implementation(key[0])
    words = ["pytest", "--benchmark-only", "--impl", (row and row.selector) or key[0], "--thorough", "-k", key[1]]
    return shlex.join(words + (["--device", key[3]] if key[3] != "cpu" else []))


def _versions(header: HeaderRecord, earlier: Sequence[Run], implementation: str) -> str:
    """The two versions of its package, where they differ."""
    row = header.implementation(implementation)
    now = row.version if row else None
    rows = [run.header.implementation(implementation) for run in earlier]
    before = [row.version for row in rows if row and row.version]
    return f" (version {before[-1]} before, {now} now)" if now and before and before[-1] != now else ""


def _find_gone(found: Findings, earlier: Sequence[Run], header: HeaderRecord, selected: Selected) -> None:
    """Name each implementation that this run selects, by a name, glob or plug, and that no longer exists."""
    good = "measured" if header.options.benchmark else "pass"
    kind: type[MeasurementRecord] | type[VerdictRecord] = MeasurementRecord if header.options.benchmark else VerdictRecord
    counts: Counter[str] = Counter()
    rows: dict[str, ImplementationRecord] = {}
    for run in earlier:
        gone = {row.name: row for row in run.header.implementations if header.implementation(row.name) is None}
        counts.update(each.implementation for each in run.of(kind) if each.verdict == good and each.implementation in gone)
        rows |= {name: row for name, row in gone.items() if counts[name]}
    asked = [name for name in sorted(counts) if selected.whole and selected.asked_for(rows[name])]
    found.lost += [
        _shown(
            f"LOST {name}: {counts[name]} times {good!r} before, and not there now, though selected; see: pytest --list-impls"
        )
        for name in asked
    ]
    if others := len(counts) - len(asked):
        found.remarks.append(f"{others} implementation{'s' * (others > 1)} of the earlier run not selected this time")


def _shown(text: str) -> str:
    """Sanitise the text of a record for one line of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
