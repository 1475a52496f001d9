"""Run one test case: one implementation, check, case, dtype and device; and give its verdict."""

from __future__ import annotations

import functools
import math
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from conformance.engine.check import Case, Check, least_resolved_of, run_check, worst_of
from conformance.engine.comparison import Comparison, compare, equal
from conformance.engine.diagnosis import in_words, resembling
from conformance.engine.harness import connect
from conformance.engine.isolation import process_state_of
from conformance.engine.outcome import outcome_of
from conformance.engine.selection import Options, Turns, is_thorough, is_too_slow_interpreted, selected_cases
from conformance.records.schema import Verdict, VerdictRecord, passed
from impls.implementation import Implementation, NotRun, Unsupported

COMMAND = "GAUGEBLOCK_COMMAND"
"""The variable that the command gaugeblock sets for its runs: to what it is called when it tests."""


@dataclass(frozen=True)
class TestCase:
    """One implementation, one check, one case, one dtype, one device."""

    __test__ = False  # pytest must not take it for a class of tests

    implementation: Implementation
    check: Check
    case: Case
    dtype: str
    device: str
    quick: bool = False

    @property
    def id(self) -> str:
        """Requirement, case, dtype, device and implementation; unique within a system."""
        return "-".join(part for part in (self.case_id, self.implementation.name) if part)

    @property
    def case_id(self) -> str:
        """The part of the id that is the same for every implementation."""
        return "-".join(part for part in (self.check.requirement, self.case.id, self.dtype, self.device) if part)


def list_test_cases(system: str, implementations: Sequence[Implementation], options: Options) -> Iterator[TestCase]:
    """Every test case of a run, case by case, so that what a case costs to prepare is shared by all implementations."""
    own = [implementation for implementation in implementations if implementation.system == system]
    turns = Turns()
    for check, case, dtype in selected_cases(system, options):
        for device in options.devices:
            for implementation in own:
                if _interpreted(implementation, device) and is_too_slow_interpreted(case, options.thorough):
                    continue
                if every_dtype(implementation, device, options) or dtype == turns.of(check, case, implementation.dtypes):
                    yield TestCase(implementation, check, case, dtype, device, options.quick)


def every_dtype(implementation: Implementation, device: str, options: Options) -> bool:
    """Whether each case is run in all of its dtypes. Otherwise it is run in one, and the dtypes take turns.

    One is enough for a quick run, for kernels in Triton's interpreter, which is very slow, and for earlier releases, which are
    compared with each other.
    """
    one_in_turn = options.quick or _interpreted(implementation, device) or bool(implementation.settings.get("dtypes_in_turn"))
    return bool(options.dtypes) or options.thorough or not one_in_turn


def _interpreted(implementation: Implementation, device: str) -> bool:
    return device == "cpu" and bool(implementation.settings.get("interpreted_on_cpu"))


@dataclass(frozen=True)
class RuledOut:
    """The test cases of one implementation that cannot run: it declares a gap, or something is not installed."""

    implementation: Implementation
    test_cases: tuple[TestCase, ...]

    @property
    def id(self) -> str:
        """Unique within the system's test."""
        return f"left-out-{self.implementation.name}"


def divided(found: Iterable[TestCase]) -> tuple[list[TestCase], list[RuledOut]]:
    """Split test cases into those that can run, in order, and those that cannot, by implementation."""
    runnable: list[TestCase] = []
    absent: dict[str, list[TestCase]] = {}
    for t in found:
        ruled_out = declared_obstacle(t.implementation, t.device, t.dtype, t.case.needs, t.quick) is not None
        (absent.setdefault(t.implementation.name, []) if ruled_out else runnable).append(t)
    return runnable, [RuledOut(own[0].implementation, tuple(own)) for own in absent.values()]


def obstacle(implementation: Implementation, device: str, dtype: str, needs: frozenset[str], quick: bool) -> Exception | None:
    """Why this implementation cannot run such a case, as NotRun or Unsupported; None where it can."""
    declared = declared_obstacle(implementation, device, dtype, needs, quick)
    if declared is None and device == "cuda" and not has_cuda():
        return NotRun("needs a CUDA device, and torch finds none here")
    return declared


def not_installed(implementation: Implementation) -> NotRun | None:
    """Why nothing of this implementation can run here: a package is missing. None where it has all."""
    missing = implementation.missing()
    return NotRun(f"needs {', '.join(missing)}, not installed here; {_how_to_install(implementation)}") if missing else None


def declared_obstacle(
    implementation: Implementation, device: str, dtype: str, needs: frozenset[str], quick: bool
) -> Exception | None:
    """The part of `obstacle` that needs no import: what is declared, and what is installed."""
    absent = not_installed(implementation)
    if absent:
        return absent
    if device == "ptx" and "cuda" in implementation.devices:
        pass  # what is written for CUDA devices can be tried; where it launches no kernel, that is said
    elif device not in implementation.devices:
        return NotRun(f"runs on {', '.join(implementation.devices)} only, and this run tests on {device}; see --device")
    if dtype and dtype not in implementation.dtypes:
        return Unsupported(f"computes in {', '.join(implementation.dtypes)} only")
    lacking = needs - implementation.promised - (needs if implementation.features is None else implementation.features)
    if lacking:
        return Unsupported(f"declares no {', '.join(sorted(lacking))}")
    if needs & implementation.lacks:
        return Unsupported(f"was found to take no {', '.join(sorted(needs & implementation.lacks))}")
    if quick and implementation.slow_start:
        return NotRun(f"left out by --quick: {implementation.slow_start}")
    return None


def _how_to_install(implementation: Implementation) -> str:
    if implementation.installing:
        return implementation.installing
    if implementation.origin.kind == "package":
        return "python -m pip install -c constraints.txt '.[torch,peers]'"
    return "python -m pip install -c constraints.txt '.[torch]'"


@functools.lru_cache(maxsize=1)
def has_cuda() -> bool:
    """Whether torch finds a CUDA device here."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def unjudged(test_case: TestCase, verdict: Verdict, message: str = "") -> VerdictRecord:
    """The record of a test case that gave no margin, with the reason."""
    return VerdictRecord(
        implementation=test_case.implementation.name,
        system=test_case.implementation.system,
        requirement=test_case.check.requirement,
        case=test_case.case.id,
        dtype=test_case.dtype,
        device=test_case.device,
        verdict=verdict,
        message=message,
        reproduce=reproduction(test_case),
    )


def run_test_case(test_case: TestCase) -> VerdictRecord:
    """Run a test case and give the verdict. Every exception becomes a verdict, except an interrupt."""
    implementation, check, case = test_case.implementation, test_case.check, test_case.case
    blank = unjudged(test_case, Verdict.ERROR)
    try:
        hindrance = obstacle(implementation, test_case.device, test_case.dtype, case.needs, test_case.quick)
        if hindrance is not None:
            raise hindrance
        with process_state_of(implementation.selector):
            comparisons = run_check(check, connect(implementation, test_case.device), case, test_case.dtype)
        assure_wrong_fails()
    except BaseException as error:
        # SystemExit too, and what pytest.skip and pytest.fail raise: a verdict must never be missing.
        verdict, message = outcome_of(error)
        # A refusal is a gap where no features are declared. Where they are, it breaks a promise.
        gap = isinstance(error, NotImplementedError) and not isinstance(error, (Unsupported, NotRun))
        if gap and implementation.features is None and not case.needs & implementation.promised:
            verdict = Verdict.UNSUPPORTED
        return replace(blank, verdict=verdict, message=message)
    worst, least_resolved = worst_of(comparisons), least_resolved_of(comparisons)
    verdict = passed(least_resolved.resolution) if worst.passed else Verdict.FAIL
    judged = replace(
        blank,
        verdict=verdict,
        message=_tells_nothing(least_resolved) if verdict is Verdict.INCONCLUSIVE else "",
        resolution=least_resolved.resolution,
        margin=math.inf if math.isnan(worst.margin) else worst.margin,
        quantity=worst.quantity,
        worst=worst.worst,
        got=worst.got,
        expected=worst.expected,
        bound=worst.bound,
    )
    if judged.verdict is Verdict.FAIL:
        candidates = resembling(implementation.system, check, case, test_case.dtype, comparisons)
        judged = replace(judged, candidates=candidates, resembles=in_words(implementation.system, candidates))
    return judged


def _tells_nothing(comparison: Comparison) -> str:
    return f"{comparison.quantity}: the bound is up to {comparison.resolution:.3g} times the change, so no change would pass"


def reproduction(test_case: TestCase) -> str:
    """The command that runs this test case alone, quoted for a POSIX shell."""
    implementation = test_case.implementation
    alone = replace(test_case, implementation=replace(implementation, name=implementation.name_alone or implementation.name))
    node = f"conformance/{implementation.system}/test_{implementation.system}.py::test_conforms[{alone.id}]"
    node, selector = shlex.quote(node), shlex.quote(implementation.selector)
    command = os.environ.get(COMMAND)
    words = [command, selector, "--test", node] if command else ["pytest", node, "--impl", selector]
    if is_thorough(test_case.case):
        words.append("--thorough")
    if test_case.device != "cpu":
        words += ["--device", test_case.device]
    return " ".join(words)


def assure_wrong_fails() -> None:
    """Raise AssertionError where third-party code has broken the comparison in this process."""
    found = [
        compare("one of them wrong", (1.0, math.nan, 3.0), (1.0, math.nan, 1.0), 1.0),
        compare("right", (1.0, math.inf), (1.5, math.inf), 1.0),
        equal("right", "a", "a"),
    ]
    if [c.margin for c in found] != [2.0, 0.5, 0.0] or worst_of(found) is not found[0] or found[0].passed:
        raise AssertionError(
            "the suite no longer tells a wrong value from a right one: it, or something before it in this process, has "
            "replaced a part of NumPy or of the suite; test the others in a run without it"
        )
