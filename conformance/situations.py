"""Which situations a run consists of: every check of a system with every case and dtype that its options leave in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conformance.check import Check, Checks


@dataclass(frozen=True)
class Options:
    """What a run was asked to do; ``dtypes`` empty means every dtype that a case has."""

    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = ()
    quick: bool = False
    thorough: bool = False
    """Also the cases that take long: thousands of steps, several processes, gigabytes."""


def is_thorough(case: Any) -> bool:
    """Whether a case is left to ``--thorough``: it carries a true ``thorough``; most have no such attribute."""
    return bool(getattr(case, "thorough", False))


def checks_of(system: str) -> Checks:
    """The checks of one system's room."""
    return importlib.import_module(f"conformance.{system}.checks").CHECKS


def situations(system: str, options: Options) -> Iterator[tuple[Check, Any, str]]:
    """Every check with every case and dtype that the options leave in; texts have the dtype ""."""
    for check in checks_of(system):
        for case in check.cases:
            if (options.quick and not case.quick) or (is_thorough(case) and not options.thorough):
                continue
            for dtype in case.dtypes or ("",):
                if not dtype or not options.dtypes or dtype in options.dtypes:
                    yield check, case, dtype
