"""What the first and the last line of a record file say, whichever command writes it."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from conformance.records.schema import (
    EnvironmentRecord,
    FooterRecord,
    HeaderRecord,
    ImplementationRecord,
    InteractionsRecord,
    OptionsRecord,
    OriginRecord,
    PlugFailureRecord,
    RequirementRecord,
    SystemRecord,
)
from impls.implementation import Implementation
from impls.systems import SYSTEMS


class Began:
    """The moment at which a run began: the header says when it was, the footer how long ago that is by then."""

    def __init__(self) -> None:
        self.at = _now()
        self._clock = time.monotonic()

    def footer(self, code: int) -> FooterRecord:
        """The footer of a run that ends now with this exit code."""
        return FooterRecord(finished=_now(), seconds=round(time.monotonic() - self._clock, 1), exit=code)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def header(
    began: Began,
    suite: str,
    environment: EnvironmentRecord,
    options: OptionsRecord,
    implementations: Iterable[Implementation] = (),
    plug_failures: Iterable[PlugFailureRecord] = (),
    requirements: Iterable[RequirementRecord] = (),
    cases: Mapping[str, int] | None = None,
    interactions: Iterable[InteractionsRecord] = (),
) -> HeaderRecord:
    """The header of a run. ``suite`` is its version, ``cases`` the number of test cases of each system."""
    return HeaderRecord(
        suite=suite,
        options=options,
        started=began.at,
        environment=environment,
        systems=tuple(SystemRecord(**asdict(system)) for system in SYSTEMS),
        requirements=tuple(requirements),
        implementations=tuple(map(described, implementations)),
        plug_failures=tuple(plug_failures),
        cases=dict(cases or {}),
        interactions=tuple(interactions),
    )


def described(implementation: Implementation) -> ImplementationRecord:
    """What a record file says of an implementation."""
    return ImplementationRecord(
        name=implementation.name,
        system=implementation.system,
        summary=implementation.summary,
        protocol=implementation.protocol,
        numerical_class=implementation.numerical_class,
        class_description=_class_description(implementation),
        dtypes=tuple(implementation.dtypes),
        devices=tuple(implementation.devices),
        features=_features(implementation),
        version=implementation.version(),
        origin=OriginRecord(kind=implementation.origin.kind, distribution=implementation.origin.distribution),
        documentation=implementation.documentation,
        selector=implementation.selector,
        missing=tuple(implementation.missing()),
        found=implementation.found,
        usage=usage(implementation),
    )


def usage(implementation: Implementation) -> str:
    """The line that imports an implementation from its own package; empty where one of our adapters is in between."""
    module, _, attribute = implementation.target.rpartition(":")
    if implementation.origin.kind != "package" or module.startswith("impls."):
        return ""
    return f"from {module} import {attribute}"


def _features(implementation: Implementation) -> tuple[str, ...] | None:
    declared = implementation.promised | (implementation.features or frozenset())
    return None if implementation.features is None and not declared else tuple(sorted(declared))


def _class_description(implementation: Implementation) -> str:
    """What the declared class (of a text reader: its profile) allows, in the reference's own words."""
    reference = importlib.import_module(f"reference.{implementation.system}")
    table = getattr(reference, "NUMERICAL_CLASSES", None) or reference.PROFILES
    declared = table.get(implementation.numerical_class) if implementation.numerical_class else next(iter(table.values()))
    return declared.description if declared is not None else ""
