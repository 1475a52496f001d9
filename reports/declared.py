"""Fill in what records of earlier versions lack from what is declared today: levels, families and lines that import."""

from __future__ import annotations

import functools
import importlib
from dataclasses import asdict, replace

from conformance.engine.discovery import listed
from conformance.records.header import usage
from conformance.records.schema import ImplementationRecord, RequirementRecord, SystemRecord
from impls.systems import SYSTEMS

OTHER = "Other"
"""The family of a requirement that has none."""


def requirement(record: RequirementRecord) -> RequirementRecord:
    """With today's level and family where ids match: an id never changes its meaning."""
    if record.level is not None and record.family:
        return record
    today = _requirements(record.system).get(record.id)
    level, family = (today.level, today.family) if today else (None, "")
    return replace(record, level=record.level or level, family=record.family or family or OTHER)


def implementation(record: ImplementationRecord) -> ImplementationRecord:
    """With the line that imports the implementation of this name today."""
    return record if record.usage else replace(record, usage=_usages().get(record.name, ""))


def system(record: SystemRecord) -> SystemRecord:
    """With the line that imports our own implementation today."""
    return record if record.usage else replace(record, usage={each.name: each.usage for each in SYSTEMS}.get(record.name, ""))


def by_id(id_: str) -> RequirementRecord | None:
    """The requirement of that id as it is declared today."""
    return next((found for each in SYSTEMS if (found := _requirements(each.name).get(id_))), None)


@functools.cache
def _requirements(name: str) -> dict[str, RequirementRecord]:
    if name not in {each.name for each in SYSTEMS}:
        return {}
    module = importlib.import_module(f"conformance.{name}.requirements")
    return {rule.id: RequirementRecord(system=name, **asdict(rule)) for rule in module.REQUIREMENTS}


@functools.cache
def _usages() -> dict[str, str]:
    return {each.name: usage(each) for each in listed()}
