"""Select the cases of a run: every check of a system, with the cases and dtypes that the options allow."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from conformance.engine.check import Case, Check
from conformance.engine.requirement import Requirement, Requirements


@dataclass(frozen=True)
class Options:
    """What a run was asked to do; ``dtypes`` empty means every dtype that a case has."""

    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = ()
    quick: bool = False
    thorough: bool = False
    """Also the cases that take long: thousands of steps, several processes, gigabytes."""
    workloads: str = ""
    """The file whose workloads are measured in place of the listed ones."""


def is_thorough(case: Case) -> bool:
    """Whether a case runs under ``--thorough`` only. Most cases have no attribute ``thorough``."""
    return bool(getattr(case, "thorough", False))


COMBINED = "mixed-"
"""How the ids of cases begin that are rows of a covering array (`conformance.engine.interactions`)."""


def is_combined(case: Case) -> bool:
    """Whether a case is a row of a covering array."""
    return getattr(case, "combination", None) is not None


def is_large(case: Case) -> bool:
    """Whether a failure of this case is compared with the mutants alone that it must catch: each result fills megabytes."""
    return bool(getattr(case, "large", False))


def is_too_slow_interpreted(case: Case, thorough: bool) -> bool:
    """Whether Triton's interpreter leaves a case out, which says so by an attribute ``interpreted``: "thorough" or "never"."""
    return getattr(case, "interpreted", "always") not in (("always", "thorough") if thorough else ("always",))


class Turns:
    """Choose one dtype for each case. The dtypes take turns from case to case, so that each is used."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, str], int] = {}

    def of(self, check: Check, case: Case, dtypes: Collection[str]) -> str:
        """The one dtype to run this case in; its first where it has none of ``dtypes``."""
        turn = self._turns.setdefault((check.requirement, case.id), len(self._turns))
        common: list[str] = [dtype for dtype in case.dtypes if dtype in dtypes] or [*case.dtypes[:1], ""][:1]
        return common[turn % len(common)]


def _declared(system: str) -> Requirements:
    declared: Requirements = importlib.import_module(f"conformance.{system}.requirements").REQUIREMENTS
    return declared


def checks_of(system: str) -> tuple[Check, ...]:
    """The checks of one system, in the order of their registration."""
    return _declared(system).checks


def requirements_of(system: str) -> dict[str, Requirement]:
    """The requirements of one system by id."""
    return _declared(system).by_id


def selected_cases(system: str, options: Options) -> Iterator[tuple[Check, Case, str]]:
    """Every check with every case and dtype that the options allow; texts have the dtype ""."""
    for check in checks_of(system):
        for case in check.cases:
            if (options.quick and not case.quick) or (is_thorough(case) and not options.thorough):
                continue
            for dtype in case.dtypes or ("",):
                if not dtype or not options.dtypes or dtype in options.dtypes:
                    yield check, case, dtype
