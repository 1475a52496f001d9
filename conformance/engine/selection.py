"""Which cases a run consists of: every check of a system with every case and dtype that its options leave in."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from conformance.engine.check import Check
from conformance.engine.requirement import Requirements


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


class Turns:
    """Gives each case one of its dtypes: those that are asked for take turns from case to case, so that each is looked at."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, str], int] = {}

    def of(self, check: Check, case: Any, dtypes: Collection[str]) -> str:
        """The dtype in which this case is put where it is put in one only; its first where none of ``dtypes`` is its own."""
        turn = self._turns.setdefault((check.requirement, case.id), len(self._turns))
        common = [dtype for dtype in case.dtypes if dtype in dtypes] or [*case.dtypes[:1], ""][:1]
        return common[turn % len(common)]


def checks_of(system: str) -> Iterable[Check]:
    """The checks of one system."""
    declared = importlib.import_module(f"conformance.{system}.requirements").REQUIREMENTS
    if isinstance(declared, Requirements):
        return declared.checks
    checks: Iterable[Check] = importlib.import_module(f"conformance.{system}.checks").CHECKS
    return checks


def selected_cases(system: str, options: Options) -> Iterator[tuple[Check, Any, str]]:
    """Every check with every case and dtype that the options leave in; texts have the dtype ""."""
    for check in checks_of(system):
        for case in check.cases:
            if (options.quick and not case.quick) or (is_thorough(case) and not options.thorough):
                continue
            for dtype in case.dtypes or ("",):
                if not dtype or not options.dtypes or dtype in options.dtypes:
                    yield check, case, dtype
