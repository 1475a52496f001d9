"""Test the suite itself: on mutants (planted bugs), which it must catch, and on honest variants, which it must not accuse."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from conformance.engine.check import Case, Check, last_line, run_check, worst_of
from conformance.engine.comparison import Comparison
from conformance.engine.harness import AnySubject
from conformance.engine.selection import Options, Turns, is_combined, is_large, is_thorough, selected_cases
from conformance.records.schema import MutantRecord
from impls.implementation import NotRun, Unsupported


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation (a planted bug), described in one sentence; or, if ``honest``, a right but unusual one.

    ``subject`` makes its subject. ``killed_by`` names the requirements that must catch it.
    ``equivalent`` is the proof, in words, that no case can tell it from a correct one; such a mutant may survive.
    """

    name: str
    system: str
    sentence: str
    subject: Callable[[], AnySubject]
    killed_by: tuple[str, ...] = ()
    honest: bool = False
    equivalent: str = ""
    thorough: bool = False
    """Whether only a case of ``--thorough`` can catch it. Such a mutant is tested in such runs alone."""
    slow: bool = False
    """Whether it is tested on the requirements that must catch it alone, because it takes long."""
    by_chance: bool = False
    """Whether its wrong values differ from run to run, so that no failure can be told to be its own."""

    def __post_init__(self) -> None:
        if not self.honest and not self.equivalent and not self.killed_by:
            raise ValueError(f"mutant {self.name!r} names no requirement that must catch it")


@dataclass(frozen=True)
class MutantResult:
    """The result of every check on a mutant. ``killers`` maps requirement ids to worst margins (inf: it crashed)."""

    mutant: Mutant
    killers: dict[str, float]
    checked: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """killed, survived, equivalent, honest or false alarm."""
        if self.mutant.honest:
            return "false alarm" if self.killers else "honest"
        if self.killers:
            return "killed"
        return "equivalent" if self.mutant.equivalent else "survived"

    @property
    def missed(self) -> tuple[str, ...]:
        """The requirements that had to catch it and did not."""
        return tuple(requirement for requirement in self.mutant.killed_by if requirement not in self.killers)

    def record(self) -> MutantRecord:
        """The record of it."""
        return MutantRecord(
            system=self.mutant.system,
            mutant=self.mutant.name,
            sentence=self.mutant.sentence,
            honest=self.mutant.honest,
            equivalent=self.mutant.equivalent,
            expected_killers=tuple(self.mutant.killed_by),
            killers=dict(sorted(self.killers.items())),
            checked=self.checked,
            verdict=self.verdict,
        )


def mutants_of(system: str) -> tuple[Mutant, ...]:
    """The mutants and honest variants of one system."""
    mutants: tuple[Mutant, ...] = importlib.import_module(f"conformance.{system}.mutants").MUTANTS
    return mutants


OnFailure = Callable[[Mutant, Check, Case, str, list[Comparison]], object]


def concerns(mutant: Mutant, check: Check, case: Case) -> bool:
    """Whether to run a case: rows of a covering array, and large cases, on honest variants and the mutants they must catch.

    One that takes long is run on the mutants that were made for such cases, and that it must catch.
    """
    if is_thorough(case) and not mutant.thorough:
        return False
    if mutant.honest or check.requirement in mutant.killed_by:
        return True
    return not (mutant.slow or is_combined(case) or is_thorough(case) or is_large(case))


def is_essential(mutant: Mutant, check: Check, case: Case) -> bool:
    """Whether a case is run where time is short: a bug on the requirements that must catch it, an honest variant on all,
    but on those rows of a covering array alone that hold the most pairs."""
    if mutant.honest:
        return case.quick or not is_combined(case)
    return check.requirement in mutant.killed_by


def run_mutant(
    mutant: Mutant,
    every_dtype: bool = True,
    on_failure: OnFailure = lambda *failure: None,
    *,
    every_check: bool = True,
) -> MutantResult:
    """Run every check and case of its system on a mutant. A crash counts as a kill with margin inf.

    Without ``every_dtype`` each case runs in one dtype, in turn, which takes a third of the time; without ``every_check`` what
    `is_essential` alone. A case that takes long is left out where its requirement has caught the bug already. Each has a
    subject made anew, so that no verdict depends on the order. ``on_failure`` is called with each failure that is no crash.
    """
    turns = Turns()
    killers: dict[str, float] = {}
    checked: dict[str, None] = {}
    for check, case, dtype in selected_cases(mutant.system, Options(thorough=mutant.thorough)):
        in_turn = every_dtype or dtype == turns.of(check, case, case.dtypes)
        wanted = concerns(mutant, check, case) and (every_check or is_essential(mutant, check, case))
        caught = check.requirement in killers and not mutant.honest
        if not (in_turn and wanted) or (caught and is_thorough(case)):
            continue
        try:
            worst = worst_of(comparisons := run_check(check, mutant.subject(), case, dtype))
        except (Unsupported, NotRun):
            continue
        except Exception as error:
            if mutant.honest:
                raise AssertionError(f"{mutant.name} crashed on {check.requirement}, {case.id}: {last_line(error)}") from error
            margin, passed = math.inf, False
        else:
            margin, passed = (math.inf if math.isnan(worst.margin) else worst.margin), worst.passed
            if not passed:
                on_failure(mutant, check, case, dtype, comparisons)
        checked[check.requirement] = None
        if not passed:
            killers[check.requirement] = max(margin, killers.get(check.requirement, 0.0))
    return MutantResult(mutant, killers, tuple(checked))
