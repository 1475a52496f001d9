"""Merge the records of shards into those of one run: one file for each kind of machine, or a refusal that names the shard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conformance.records import io
from conformance.records.fields import Record, RecordError
from conformance.records.io import Run
from conformance.records.schema import (
    FooterRecord,
    HeaderRecord,
    ImplementationRecord,
    MeasurementRecord,
    OptionsRecord,
    PlugFailureRecord,
    VerdictRecord,
)
from conformance.runners.ray_cluster.shards import MEASURE, Plan, Shard

MACHINE = ("python", "platform", "cpu", "cores", "packages", "gpu", "commit")
"""The fields of the environment that must be equal for records to share a header."""


@dataclass(frozen=True)
class Done:
    """The result of a shard: the run that it wrote, or records in its place and the reason."""

    shard: Shard
    run: Run | None
    instead: tuple[Record, ...] = ()
    problem: str = ""

    @property
    def records(self) -> tuple[Record, ...]:
        return self.run.records if self.run else self.instead


def merge(
    plan: Plan,
    listing: Mapping[str, Any],
    done: Sequence[Done],
    footer: FooterRecord,
    started: str,
    own: HeaderRecord | None,
) -> list[Path]:
    """Write the merged files and name them. ``own`` is the header from here, for shards that no machine finished.

    Shards given in any order give the same lines. RecordError where two do not belong together.
    """
    io.refuse_other_suites([(each.shard.title, each.run) for each in done if each.run is not None])
    groups: dict[str, list[Done]] = {}
    for each in done:
        if each.run is not None:
            groups.setdefault(_machine(each.run), []).append(each)
    ordered = [groups[key] for key in sorted(groups, key=lambda key: (-len(groups[key]), key))] or [[]]
    ordered[0] += [each for each in done if each.run is None]
    written = []
    for number, group in enumerate(ordered, start=1):
        target = plan.records if number == 1 else plan.records.with_stem(f"{plan.records.stem}-{number}")
        first = next((each.run.header for each in group if each.run is not None), own)
        assert first is not None  # `own` is given where no shard has a run
        io.write(target, _header(plan, listing, group, replace(first, started=started)), _records(group), footer)
        written.append(target)
    return written


def _machine(run: Run) -> str:
    environment = run.header.environment.to_json()
    return json.dumps({word: environment[word] for word in MACHINE}, sort_keys=True)


def _header(plan: Plan, listing: Mapping[str, Any], group: Sequence[Done], first: HeaderRecord) -> HeaderRecord:
    rows: dict[str, ImplementationRecord] = {}
    for each in group:
        for row in each.run.header.implementations if each.run is not None else ():
            name = _renamed(each.shard, row.name)
            # A shard of mutants selects all that is built in, and has tested none of it.
            if name == each.shard.name:
                rows[name] = replace(row, name=name)
    listed = [ImplementationRecord.from_json(row) for row in listing["implementations"]]
    return replace(
        first,
        options=OptionsRecord(
            quick=plan.quick,
            thorough=plan.thorough,
            device=plan.devices,
            dtype=plan.dtypes,
            impl=plan.specs,
            benchmark=plan.benchmark,
            keyword="",
        ),
        implementations=tuple(rows.get(row.name, row) for row in listed),
        plug_failures=tuple(PlugFailureRecord.from_json(failure) for failure in listing["failures"]),
    )


def _records(group: Sequence[Done]) -> list[Record]:
    """The records of all shards; of each baseline only the noisiest A/A pair."""
    merged: list[Record] = []
    pairs: dict[tuple[str, ...], MeasurementRecord] = {}
    seen: dict[tuple[str, ...], str] = {}
    for each in group:
        for record in each.records:
            if isinstance(record, (VerdictRecord, MeasurementRecord)):
                record = replace(record, implementation=_renamed(each.shard, record.implementation))
            if each.shard.kind == MEASURE and isinstance(record, MeasurementRecord) and record.again:
                pairs[record.key] = max(pairs.get(record.key, record), record, key=_noise)
                continue
            identity = _identity(record)
            if identity in seen:
                raise RecordError(f"{each.shard.title}: {' '.join(identity[1:])} was tested by {seen[identity]} already")
            seen[identity] = each.shard.title
            merged.append(record)
    return [*merged, *pairs.values()]


def _renamed(shard: Shard, name: str) -> str:
    """Restore the number in the name of a plug: a shard that runs it alone gives it none."""
    return shard.name if shard.name_alone and name == shard.name_alone else name


def _identity(record: Record) -> tuple[str, ...]:
    words = ("implementation", "mutant", "requirement", "case", "workload", "dtype", "device", "cache")
    return (record.KIND, *(str(value) for word in words if (value := getattr(record, word, ""))))


def _noise(pair: MeasurementRecord) -> tuple[float, str]:
    """Of two pairs the one that reaches further from 1 counts; a record without a ratio counts least."""
    return pair.excursion, io.dump(pair.to_json())
