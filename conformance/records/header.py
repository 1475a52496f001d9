"""What the first and the last line of a record file say, whichever command writes it."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from conformance.benchmark import environment
from impls.implementation import Implementation
from impls.systems import SYSTEMS


class Began:
    """The moment at which a run began: the header says when it was, the footer how long ago that is by then."""

    def __init__(self) -> None:
        self.at = _now()
        self._clock = time.monotonic()

    def footer(self, code: int) -> dict[str, Any]:
        """The fields of a run that ends now with this exit code."""
        return {"finished": _now(), "seconds": round(time.monotonic() - self._clock, 1), "exit": code}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def header(
    began: Began,
    options: Mapping[str, Any],
    implementations: Iterable[Mapping[str, Any]],
    plug_failures: Iterable[Mapping[str, str]] = (),
    requirements: Iterable[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The fields of a header. ``options`` names at least the devices; ``implementations`` are rows of `described`."""
    return {
        "suite": environment.suite_version(),
        "options": dict(options),
        "started": began.at,
        "environment": environment.describe(with_gpu="cuda" in options["device"]),
        "systems": [asdict(system) for system in SYSTEMS],
        "requirements": list(requirements),
        "implementations": list(implementations),
        "plug_failures": list(plug_failures),
    }


def described(implementation: Implementation) -> dict[str, Any]:
    """What a record file says of an implementation."""
    return {
        "name": implementation.name,
        "system": implementation.system,
        "summary": implementation.summary,
        "protocol": implementation.protocol,
        "numerical_class": implementation.numerical_class,
        "class_description": _class_description(implementation),
        "dtypes": list(implementation.dtypes),
        "devices": list(implementation.devices),
        "features": None if implementation.features is None else sorted(implementation.features),
        "version": implementation.version(),
        "origin": {"kind": implementation.origin.kind, "distribution": implementation.origin.distribution},
        "documentation": implementation.documentation,
        "selector": implementation.selector,
        "missing": list(implementation.missing()),
    }


def _class_description(implementation: Implementation) -> str:
    """What the declared class (of a text reader: its profile) allows, in the reference's own words."""
    room = importlib.import_module(f"reference.{implementation.system}")
    table = getattr(room, "NUMERICAL_CLASSES", None) or room.PROFILES
    declared = table.get(implementation.numerical_class) if implementation.numerical_class else next(iter(table.values()))
    return declared.description if declared is not None else ""
