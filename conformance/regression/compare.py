"""What an earlier run passed and this one does not, and what is proven slower: named one by one, with the way to see it.

A verdict is held against the latest earlier run that judged the same case; a speed against every earlier run that measured
it on the same machine. The rule for speeds stands in conformance/regression/speeds.py.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.engine import discovery
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
from conformance.regression import speeds as regression
from conformance.regression.speeds import Change, Figure, Key, figure_of, takes_of

Case = tuple[str, str, str, str, str]

SHOWN = 3
"""So many of the cases lost to one requirement are named; the rest are counted."""


@dataclass(frozen=True)
class Selected:
    """What this run was asked for: its ``--impl`` arguments, and whether it put all of their cases."""

    specs: tuple[str, ...]
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
    """The earlier runs, of files or folders of them, in the order of their start. RecordError names what does not belong."""
    found: dict[str, Run] = {}
    for name in names:
        for file in _files(name):
            run = io.read(file)
            if run.header.suite != suite:
                raise RecordError(
                    f"{file}: was written by suite {run.header.suite}, but this is suite {suite}, whose cases and "
                    f"workloads may differ; run the earlier code with suite {suite}, and give its records"
                )
            # The same file given twice, under whatever names, is one run.
            found.setdefault(run.footer.sha256, run)
    return tuple(sorted(found.values(), key=lambda run: (run.header.started, run.footer.sha256)))


def _files(name: str) -> list[Path]:
    path = Path(name)
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise RecordError(f"{name}: found no *.jsonl in this folder; expected record files, written by --records=FILE")
    return files


def other_machine(before: EnvironmentRecord, now: EnvironmentRecord, device: str) -> str:
    """Why speeds of two machines cannot be compared on this device; empty where they can."""
    for word, was, is_ in (
        ("CPU", before.cpu, now.cpu),
        ("number of cores", before.cores, now.cores),
        ("number of threads", _threads(before), _threads(now)),
    ):
        if was != is_:
            return f"the {word} was {was}, and is {is_}"
    if device != "cpu":
        was, is_ = (each.gpu.name if each.gpu else None for each in (before, now))
        if was != is_:
            return f"the GPU was {was}, and is {is_}"
    return ""


def _threads(environment: EnvironmentRecord) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(environment.threads.items())) or "as the libraries choose"


_WORKLOAD = ("description", "amount", "unit", "bytes_moved", "flops", "baseline")
"""The fields of a measurement line by which one workload is the same in two runs."""


@dataclass(frozen=True)
class Speeds:
    """The figures of this run, and of each earlier run those that may be held against them."""

    earlier: tuple[tuple[Figure, ...], ...]
    now: tuple[Figure, ...]
    again: Mapping[Key, Sequence[Figure]]
    reasons: tuple[str, ...]
    """Why some of the earlier figures may not."""

    def changes(self) -> list[Change]:
        return regression.compare(self.earlier, self.now, self.again)


def speeds(earlier: Sequence[Run], header: HeaderRecord, measurements: Iterable[MeasurementRecord]) -> Speeds:
    """What of the earlier runs' speeds belongs beside this run's."""
    now = {record.key: record for record in measurements}
    reasons: dict[str, None] = {}
    kept = []
    for run in earlier:
        figures = []
        for record in run.of(MeasurementRecord):
            figure, beside = figure_of(record), now.get(record.key)
            if figure is None:
                continue
            if why := other_machine(run.header.environment, header.environment, figure.device):
                reasons[f"{_name(run)}: speeds on {figure.device} are not compared: {why}"] = None
            elif beside is not None and (other := [w for w in _WORKLOAD if getattr(record, w) != getattr(beside, w)]):
                reasons[f"{_name(run)}: {figure.workload} is not compared: its {_and(other)} differs"] = None
            else:
                figures.append(figure)
        kept.append(tuple(figures))
    return Speeds(
        tuple(kept),
        regression.figures_of(now.values()),
        {key: takes_of(record) for key, record in now.items()},
        tuple(reasons),
    )


def findings(
    earlier: Sequence[Run],
    header: HeaderRecord,
    records: Sequence[Record],
    selected: Selected,
    forgiven: Iterable[VerdictRecord] = (),
) -> Findings:
    """Everything there is to say. ``forgiven`` are verdicts that ``--xfails`` expects to be red."""
    found = Findings()
    _verdicts(found, earlier, header, records, selected, {record.key for record in forgiven})
    _figures(found, earlier, header, records, selected)
    _gone(found, earlier, header, selected)
    return found


def _verdicts(
    found: Findings,
    earlier: Sequence[Run],
    header: HeaderRecord,
    records: Sequence[Record],
    selected: Selected,
    forgiven: Collection[Case],
) -> None:
    before = {each.key: each for run in earlier for each in run.of(VerdictRecord) if each.verdict is not Verdict.NOT_RUN}
    now = {each.key: each for each in records if isinstance(each, VerdictRecord)}
    if not before or not now:
        return
    reread = _reread(earlier, header)
    lost: dict[tuple[str, str, str], list[tuple[VerdictRecord, VerdictRecord]]] = {}
    won = pardoned = ruled_out = 0
    for case, line in now.items():
        old = before.get(case)
        if old is None or case[1] in reread:
            continue
        if old.verdict != "pass":
            won += line.verdict == "pass"
        elif line.verdict == "not run" and selected.quick:
            ruled_out += 1
        elif line.verdict != "pass" and case in forgiven:
            pardoned += 1
        elif line.verdict != "pass":
            lost.setdefault((case[0], case[1], str(line.verdict)), []).append((old, line))
    found.lost += [_lost(header, earlier, pairs) for pairs in lost.values()]
    shared = sum(case in before for case in now)
    remarks = [f"{shared} verdicts compared"]
    remarks += [f"{sum(map(len, lost.values()))} lost"] + ([f"{pardoned} lost as --xfails expects"] if pardoned else [])
    remarks += [f"{won} won"] + ([f"{ruled_out} left out by --quick"] if ruled_out else [])
    judged = {line.implementation for line in now.values()}
    unput = sum(line.verdict == "pass" and case not in now for case, line in before.items() if case[0] in judged)
    remarks += [f"{unput} that passed were not put this time"] if unput else []
    found.remarks.append(", ".join(remarks))
    if reread:
        found.remarks.append(f"not compared, since they read differently: {', '.join(sorted(reread))}")


def _reread(earlier: Sequence[Run], header: HeaderRecord) -> set[str]:
    """The requirements whose text is not what it was: a verdict on another rule can be neither lost nor won."""
    now = {row.id: row.statement for row in header.requirements}
    before = [(row.id, row.statement) for run in earlier for row in run.header.requirements]
    return {id_ for id_, statement in before if id_ in now and now[id_] != statement}


def _lost(header: HeaderRecord, earlier: Sequence[Run], pairs: Sequence[tuple[VerdictRecord, VerdictRecord]]) -> str:
    old, new = max(pairs, key=lambda pair: (_margin(pair[1].margin), pair[1].case))
    ordered = [new] + [line for _, line in pairs if line is not new]
    cases = [" ".join(part for part in (line.case, line.dtype, line.device) if part) for line in ordered]
    named = ", ".join(cases[:SHOWN]) + (f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else "")
    reason = f" ({new.message})" if new.message else ""
    margins = f", margin {_margin(old.margin):.3g} before, {_margin(new.margin):.3g} now" if new.margin else ""
    return _shown(
        f"LOST {new.implementation}{_versions(header, earlier, new.implementation)} {new.requirement} in {named}: "
        f"pass before, {new.verdict} now{margins}{reason}; see: {new.reproduce or '-'}"
    )


def _margin(margin: float | None) -> float:
    return -1.0 if margin is None else margin


def _figures(
    found: Findings, earlier: Sequence[Run], header: HeaderRecord, records: Sequence[Record], selected: Selected
) -> None:
    before = {each.key: each for run in earlier for each in run.of(MeasurementRecord) if each.verdict == "measured"}
    now = {each.key: each for each in records if isinstance(each, MeasurementRecord)}
    if not before or not now:
        return
    rows = {row.name: row for row in header.implementations}
    for key, line in now.items():
        if key in before and line.verdict != "measured":
            reason = f" ({line.message})" if line.message else ""
            found.lost.append(
                _shown(
                    f"LOST {_where(key)}: a speed before, {line.verdict} now{reason}; see: {_command(rows.get(key[0]), key)}"
                )
            )
    measured = {key[0] for key in now}
    if unmeasured := sum(key[0] in measured and key not in now for key in before):
        found.remarks.append(f"{unmeasured} speeds of the earlier runs were not measured this time")
    held = speeds(earlier, header, now.values())
    changes = held.changes()
    for change in changes:
        if change.proven:
            found.slower.append(_slower(header, earlier, rows, change))
    found.remarks += held.reasons
    if not changes:
        found.remarks.append("no speed could be compared")
        return
    words = Counter(
        "slower" if change.proven else change.word for change in changes if change.proven or change.word != "slower"
    )
    suspected = [change for change in changes if change.word == "slower" and not change.proven]
    told = [f"{number} {_SAID[word]}" for word in ("slower", "faster", "same", "undecided") if (number := words[word])]
    told += [f"{len(suspected)} suspected of being slower and not measured again"] if suspected else []
    hidden = sorted(math.exp(change.threshold) for change in changes)[len(changes) // 2]
    found.remarks.append(f"{len(changes)} speeds compared: {', '.join(told)}; half of them would show a loss of {hidden:.2f}x")
    found.remarks += [_shown(f"faster: {_factors(change)}") for change in changes if change.word == "faster"]
    found.remarks += [_shown(f"not proven: {_factors(change)}: {change.reason}") for change in changes if change.reason]
    found.remarks += [_shown(f"suspected: {_factors(change)}") for change in suspected]
    found.remarks += _baselines(changes)


_SAID = {"slower": "proven slower", "faster": "faster", "same": "the same within a tenth", "undecided": "undecided"}


def _slower(header: HeaderRecord, earlier: Sequence[Run], rows: Mapping[str, ImplementationRecord], change: Change) -> str:
    key = change.now.key
    return _shown(
        f"SLOWER {_factors(change)}{_versions(header, earlier, key[0])}; "
        f"{math.exp(change.threshold):.2f}x could be noise; see: {_command(rows.get(key[0]), key)}"
    )


def _factors(change: Change) -> str:
    by = math.exp(abs(change.loss))
    return (
        f"{_where(change.now.key)}: {by:.2f}x {'slower' if change.loss > 0 else 'faster'} "
        f"({change.before.ratio:.3g} before, {change.now.ratio:.3g} now, beside the baseline, "
        f"in {change.takes} take{'s' * (change.takes > 1)})"
    )


def _baselines(changes: Sequence[Change]) -> list[str]:
    """Several implementations that all got faster on one workload may owe it to a baseline that got slower."""
    by_place: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        by_place.setdefault(change.now.place, []).append(change)
    return [
        f"{' '.join(part for part in place if part)}: all {len(own)} got faster, or the baseline, which has no figure, slower"
        for place, own in by_place.items()
        if len(own) > 1 and all(change.word == "faster" for change in own)
    ]


def _where(key: Key) -> str:
    implementation, workload, dtype, device, cache = key
    return f"{implementation} on {workload} {' '.join(part for part in (dtype, device) if part)}, {cache} cache"


def _command(row: ImplementationRecord | None, key: Key) -> str:
    words = [
        "pytest",
        "--benchmark-only",
        "--impl",
        shlex.quote((row and row.selector) or key[0]),
        "-k",
        shlex.quote(key[1]),
    ]
    return " ".join(words + (["--device", key[3]] if key[3] != "cpu" else []))


def _versions(header: HeaderRecord, earlier: Sequence[Run], implementation: str) -> str:
    """Told where another version of a package is tested now."""
    row = header.implementation(implementation)
    now = row.version if row else None
    rows = [run.header.implementation(implementation) for run in earlier]
    before = [row.version for row in rows if row and row.version]
    return f" (version {before[-1]} before, {now} now)" if now and before and before[-1] != now else ""


def _gone(found: Findings, earlier: Sequence[Run], header: HeaderRecord, selected: Selected) -> None:
    """An implementation that this run asked for, by a name, glob or plug, and that is there no longer."""
    present = {row.name for row in header.implementations}
    good = "measured" if header.options.benchmark else "pass"
    kind: type[MeasurementRecord] | type[VerdictRecord] = MeasurementRecord if header.options.benchmark else VerdictRecord
    gone: dict[str, tuple[int, ImplementationRecord]] = {}
    for run in earlier:
        rows = {row.name: row for row in run.header.implementations if row.name not in present}
        for each in run.of(kind):
            name = each.implementation
            if each.verdict == good and name in rows:
                gone[name] = (gone[name][0] + 1 if name in gone else 1, rows[name])
    asked = {name for name, (_, row) in gone.items() if selected.whole and _asked_for(row, selected.specs)}
    found.lost += [
        _shown(f"LOST {name}: {number} times {good!r} before, and not there now, though selected; see: pytest --list-impls")
        for name, (number, _) in sorted(gone.items())
        if name in asked
    ]
    if others := len(gone) - len(asked):
        found.remarks.append(f"{others} implementation{'s' * (others > 1)} of the earlier run not selected this time")


def _asked_for(row: ImplementationRecord, specs: Sequence[str]) -> bool:
    selector = row.selector or row.name
    if selector in specs:
        return True
    # A plug is tested where it is given, and only there.
    if selector != row.name:
        return False
    return any(discovery.names(spec, row.name, row.origin.kind) for spec in specs or ["*"])


def _name(run: Run) -> str:
    return Path(run.path).name


def _and(words: Sequence[str]) -> str:
    return " and ".join(word.replace("_", " ") for word in words)


def _shown(text: str) -> str:
    """On one line of a terminal, which a record can neither clear nor colour."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
