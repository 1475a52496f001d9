"""The records of shards become those of one run: one file for each kind of machine, or a refusal that names the shard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.records import io as records
from conformance.records.io import RecordError, Run
from conformance.regression.speeds import figure_of, key_of
from conformance.runners.ray_cluster.shards import MEASURE, Plan, Shard

MACHINE = ("python", "platform", "cpu", "cores", "packages", "gpu", "commit")
"""What of the environment must be alike for records to stand under one header."""


@dataclass
class Done:
    """What came of a shard: the run that it wrote, or lines in its stead and the reason."""

    shard: Shard
    run: Run | None
    lines: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""


def merge(
    plan: Plan,
    listing: Mapping[str, Any],
    done: Sequence[Done],
    footer: Mapping[str, Any],
    started: str,
    own: Mapping[str, Any],
) -> list[Path]:
    """Write the merged files and name them. ``own`` is the environment here, for shards that no machine finished.

    Shards given in any order give the same lines. RecordError where two do not belong together.
    """
    records.refuse_strangers([(each.shard.title, each.run) for each in done if each.run is not None])
    groups: dict[str, list[Done]] = {}
    for each in done:
        if each.run is not None:
            groups.setdefault(_machine(each.run), []).append(each)
    ordered = [groups[key] for key in sorted(groups, key=lambda key: (-len(groups[key]), key))] or [[]]
    ordered[0] += [each for each in done if each.run is None]
    written = []
    for number, group in enumerate(ordered, start=1):
        target = plan.records if number == 1 else plan.records.with_stem(f"{plan.records.stem}-{number}")
        header = _header(plan, listing, group, started, own)
        records.write(target, header, _lines(group), footer)
        written.append(target)
    return written


def _machine(run: Run) -> str:
    environment = run.header.get("environment") or {}
    return json.dumps({word: environment.get(word) for word in MACHINE}, sort_keys=True)


def _header(
    plan: Plan, listing: Mapping[str, Any], group: Sequence[Done], started: str, own: Mapping[str, Any]
) -> dict[str, Any]:
    runs = [each.run for each in group if each.run is not None]
    first: dict[str, Any] = {
        key: value for key, value in (runs[0].header if runs else own).items() if key not in ("record", "schema")
    }
    rows: dict[str, dict[str, Any]] = {}
    for each in group:
        for row in each.run.header["implementations"] if each.run is not None else ():
            name = _renamed(each.shard, row["name"])
            # A shard of planted bugs selects all that is built in, and has judged none of it.
            if name == each.shard.name:
                rows[name] = {**row, "name": name}
    listed = listing["implementations"]
    return {
        **first,
        "options": {
            "quick": plan.quick,
            "thorough": plan.thorough,
            "device": list(plan.devices),
            "dtype": list(plan.dtypes),
            "impl": list(plan.specs),
            "benchmark": plan.benchmark,
            "keyword": "",
        },
        "started": started,
        "implementations": [
            rows.get(row["name"]) or {key: value for key, value in row.items() if key != "name_alone"} for row in listed
        ],
        "plug_failures": list(listing["failures"]),
    }


def _lines(group: Sequence[Done]) -> list[dict[str, Any]]:
    """The lines of all shards; each baseline once, with the noisiest of the pairs that the shards measured of it."""
    lines: list[dict[str, Any]] = []
    pairs: dict[Any, dict[str, Any]] = {}
    seen: dict[tuple[str, ...], str] = {}
    for each in group:
        for line in each.lines if each.run is None else each.run.lines:
            if "implementation" in line:
                line = {**line, "implementation": _renamed(each.shard, line["implementation"])}
            if each.shard.kind == MEASURE and line.get("aa"):
                pairs[key_of(line)] = max(pairs.get(key_of(line), line), line, key=_noise)
                continue
            identity = _identity(line)
            if identity in seen:
                raise RecordError(f"{each.shard.title}: {' '.join(identity[1:])} was judged by {seen[identity]} already")
            seen[identity] = each.shard.title
            lines.append(dict(line))
    return lines + list(pairs.values())


def _renamed(shard: Shard, name: str) -> str:
    """A plug that shares its name with another is numbered beside it, and not where a shard has it alone."""
    return shard.name if shard.name_alone and name == shard.name_alone else name


def _identity(line: Mapping[str, Any]) -> tuple[str, ...]:
    words = ("record", "implementation", "mutant", "requirement", "case", "workload", "dtype", "device", "cache")
    return tuple(str(line[word]) for word in words if line.get(word))


def _noise(line: Mapping[str, Any]) -> tuple[bool, float, str]:
    """A pair outweighs none; of two, the one that reaches further from 1."""
    figure = figure_of(line)
    return figure is not None, figure.excursion if figure else 0.0, records.dump(line)
