"""Putting one case to one implementation, and saying what came of it."""

from __future__ import annotations

import functools
import importlib
import math
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.check import Check, Checks
from conformance.comparison import Comparison
from conformance.requirement import Requirement
from conformance.verdict import Judgement, Verdict
from impls.contract import Implementation, NotRun, Unsupported
from impls.systems import SYSTEMS


@dataclass(frozen=True)
class Options:
    """What a run was asked to do; ``dtypes`` empty means every dtype that a case has."""

    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = ()
    quick: bool = False


@dataclass(frozen=True)
class Examination:
    """One implementation, one check, one case, one dtype, one device."""

    implementation: Implementation
    check: Check
    case: Any
    dtype: str
    device: str
    quick: bool = False

    @property
    def id(self) -> str:
        """Unique within the system's test; it reads from the requirement to the implementation."""
        return "-".join(part for part in (self.case_id, self.implementation.name) if part)

    @property
    def case_id(self) -> str:
        """The same for every implementation."""
        return "-".join(part for part in (self.check.requirement, self.case.id, self.dtype, self.device) if part)


def checks_of(system: str) -> Checks:
    """The checks of one system's room."""
    return importlib.import_module(f"conformance.{system}.checks").CHECKS


@functools.cache
def requirements_of(system: str) -> dict[str, Requirement]:
    """The requirements of one system's room, by id."""
    return {r.id: r for r in importlib.import_module(f"conformance.{system}.requirements").REQUIREMENTS}


def examinations(system: str, implementations: Sequence[Implementation], options: Options) -> Iterator[Examination]:
    """Every examination of a run, case by case, so that what a case costs to prepare is shared by all who sit it."""
    own = [implementation for implementation in implementations if implementation.system == system]
    for check, case, dtype in situations(system, options):
        for device in options.devices:
            for implementation in own:
                yield Examination(implementation, check, case, dtype, device, options.quick)


def situations(system: str, options: Options) -> Iterator[tuple[Check, Any, str]]:
    """Every check with every case and dtype that the options leave in; texts have the dtype ""."""
    for check in checks_of(system):
        for case in check.cases:
            if options.quick and not case.quick:
                continue
            for dtype in case.dtypes or ("",):
                if not dtype or not options.dtypes or dtype in options.dtypes:
                    yield check, case, dtype


@functools.lru_cache(maxsize=256)
def _connect(system: str, name: str, device: str, holder: _ByName) -> Any:
    with warnings.catch_warnings():
        # What a peer's own imports warn of is not ours to show a hundred times.
        warnings.simplefilter("ignore")
        return importlib.import_module(f"impls.{system}.driver").connect(holder.implementation, device)


@dataclass(frozen=True)
class _ByName:
    """Lets an implementation, whose settings cannot be hashed, be part of a cache key by its name."""

    implementation: Implementation

    def __hash__(self) -> int:
        return hash(self.implementation.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByName) and other.implementation == self.implementation


def connect(implementation: Implementation, device: str) -> Any:
    """The room's subject for this implementation on this device, made once."""
    return _connect(implementation.system, implementation.name, device, _ByName(implementation))


def obstacle(implementation: Implementation, device: str, dtype: str, needs: frozenset[str], quick: bool) -> Exception | None:
    """Why this cannot be put to this implementation at all, as NotRun or Unsupported; None where nothing stands in the way."""
    missing = implementation.missing()
    if missing:
        return NotRun(f"needs {', '.join(missing)}, not installed here; {_how_to_install(implementation)}")
    if device not in implementation.devices:
        return NotRun(f"runs on {', '.join(implementation.devices)} only, and this run judges on {device}; see --device")
    if dtype and dtype not in implementation.dtypes:
        return Unsupported(f"computes in {', '.join(implementation.dtypes)} only")
    if implementation.features is not None and needs - implementation.features:
        return Unsupported(f"declares no {', '.join(sorted(needs - implementation.features))}")
    if quick and implementation.slow_start:
        return NotRun(f"left out by --quick: {implementation.slow_start}")
    if device == "cuda" and not _has_cuda():
        return NotRun("needs a CUDA device, and torch finds none here")
    return None


def _how_to_install(implementation: Implementation) -> str:
    if implementation.origin.kind == "package":
        return "python -m pip install -c constraints.txt '.[torch,peers]'"
    return "python -m pip install -c constraints.txt '.[torch]'"


@functools.lru_cache(maxsize=1)
def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def run_check(check: Check, subject: Any, case: Any, dtype: str) -> list[Comparison]:
    """The comparisons of one check on one subject; an empty list would be a check that cannot fail, and is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        comparisons = list(check.run(subject, case, dtype))
    if not comparisons:
        raise AssertionError(f"the check of {check.requirement} compared nothing on case {case.id}")
    return comparisons


def worst_of(comparisons: Iterable[Comparison]) -> Comparison:
    """The comparison with the largest margin; a margin that is not a number counts as infinite."""
    return max(comparisons, key=lambda c: math.inf if math.isnan(c.margin) else c.margin)


def examine(examination: Examination) -> Judgement:
    """Put the case, and judge. Every exception of the implementation becomes a verdict; only an interrupt passes through."""
    implementation, check, case = examination.implementation, examination.check, examination.case
    blank = Judgement(
        implementation=implementation.name,
        system=implementation.system,
        requirement=check.requirement,
        case=case.id,
        dtype=examination.dtype,
        device=examination.device,
        verdict=Verdict.ERROR,
        reproduce=reproduction(examination),
    )
    try:
        hindrance = obstacle(implementation, examination.device, examination.dtype, case.needs, examination.quick)
        if hindrance is not None:
            raise hindrance
        comparisons = run_check(check, connect(implementation, examination.device), case, examination.dtype)
    except Unsupported as reason:
        return replace(blank, verdict=Verdict.UNSUPPORTED, message=str(reason))
    except NotRun as reason:
        return replace(blank, verdict=Verdict.NOT_RUN, message=str(reason))
    except NotImplementedError as error:
        # How a stranger, who declared nothing, declares a gap. Somebody who declared the feature has broken his word instead.
        verdict = Verdict.UNSUPPORTED if implementation.features is None else Verdict.ERROR
        return replace(blank, verdict=verdict, message=last_line(error))
    except (Exception, SystemExit) as error:
        return replace(blank, verdict=Verdict.ERROR, message=last_line(error))
    worst = worst_of(comparisons)
    judged = replace(
        blank,
        verdict=Verdict.PASS if worst.passed else Verdict.FAIL,
        margin=math.inf if math.isnan(worst.margin) else worst.margin,
        quantity=worst.quantity,
        worst=worst.worst,
        got=worst.got,
        expected=worst.expected,
        bound=worst.bound,
    )
    if judged.verdict is Verdict.FAIL:
        from conformance.diagnosis import resembling

        judged = replace(judged, resembles=resembling(implementation.system, check, case, examination.dtype, comparisons))
    return judged


def last_line(error: BaseException) -> str:
    """``file:line: Type: message`` of the innermost frame, with only the file's name: the same on every machine."""
    text = "".join(traceback.format_exception_only(error)).strip().split("\n")[-1]
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    file = frames[-1].filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{file}:{frames[-1].lineno}: {text}"


def reproduction(examination: Examination) -> str:
    """The one-line command that puts just this case to just this implementation."""
    system = examination.implementation.system
    words = [
        "pytest",
        f'"conformance/{system}/test_{system}.py::test_conforms[{examination.id}]"',
        "--impl",
        f"'{examination.implementation.selector}'",
    ]
    if examination.device != "cpu":
        words += ["--device", examination.device]
    return " ".join(words)


def explain(judgement: Judgement) -> str:
    """A failure in words: what was judged, where it is worst, by how much, the likeliest reason, and how to see it again."""
    requirement = requirements_of(judgement.system)[judgement.requirement]
    system = next(s for s in SYSTEMS if s.name == judgement.system)
    rows = [
        ("implementation", judgement.implementation),
        ("case", " ".join(part for part in (judgement.case, judgement.dtype, judgement.device) if part)),
    ]
    if judgement.verdict is Verdict.FAIL:
        margin = judgement.margin if judgement.margin is not None else math.nan
        rows += [
            ("quantity", judgement.quantity),
            ("worst at", judgement.worst or "-"),
            ("got", judgement.got),
            ("expected", judgement.expected),
            ("bound", judgement.bound),
            ("margin", f"{margin:.3g} (|error| / bound; passes up to 1)"),
            ("resembles", judgement.resembles or "no planted bug"),
        ]
    else:
        rows.append(("error", judgement.message))
    rows += [("catches", requirement.catches), ("reproduce", judgement.reproduce)]
    width = max(len(name) for name, _ in rows)
    head = (
        f"{judgement.verdict.value.upper()} {requirement.id}: {requirement.statement} [{system.paper}, {requirement.source}]"
    )
    return "\n".join([head, *(f"  {name:<{width}}  {value}" for name, value in rows)])
