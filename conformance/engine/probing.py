"""Try out what a plug does not declare: say what was found, and judge that.

Only what was plugged in by path, module or entry point is tried out, and only where it is no `Implementation` record, which
declares everything. What the object declares in its attribute ``gaugeblock`` is not tried out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from conformance.engine.check import Case, Check, run_check
from conformance.engine.harness import connect, harness_of
from conformance.engine.other_classes import classes_that_fit, margins_of_class
from conformance.engine.outcome import outcome_of
from conformance.engine.runner import TestCase, has_cuda
from conformance.engine.selection import Options, checks_of, is_thorough, selected_cases
from conformance.records.schema import Verdict
from impls.implementation import Implementation, in_one_line

MOST_TRIED = 12
"""Cases that decide in which class a further dtype is judged."""


def probed(implementation: Implementation, declared: Collection[str]) -> tuple[Implementation, ...]:
    """The implementation with what its harness and the simplest cases found; ``found`` says it in sentences.

    ``declared`` names the fields that it declares itself. A dtype is accepted where the simplest case runs to its end, with a
    right answer or a wrong one: a wrong one is a failure, not a gap. Where none is accepted nothing changes, so that the
    errors show. Dtypes beyond those that its form makes sure (16 bits, for an optimizer) may round in a way that it would
    have to declare: then they are judged by the class that fits, as a second implementation whose name ends with ``-16bit``.
    A feature that the harness calls optional and whose simplest case raises an error is a gap.
    """
    harness = harness_of(implementation.system)
    probe = getattr(harness, "probe", None)
    if probe is not None:
        implementation = probe(implementation, declared)
    dtypes = getattr(harness, "DTYPES", {}).get(implementation.protocol, ())
    reasons = {dtype: _reason(implementation, *_simplest(implementation.system, [dtype]), dtype) for dtype in dtypes}
    if "" not in reasons.values():
        return (implementation,)
    own, *apart = (implementation,) if "dtypes" in declared else _by_dtype(implementation, declared, reasons)
    lacks = {} if own.features is not None else _refused_features(own, getattr(harness, "OPTIONAL", ()))
    words = (f"takes no {', '.join(f'{name} ({reason})' for name, reason in lacks.items())}",) if lacks else ()
    return replace(own, lacks=frozenset(lacks), found=own.found + words), *(replace(o, lacks=frozenset(lacks)) for o in apart)


def _by_dtype(
    implementation: Implementation, declared: Collection[str], reasons: Mapping[str, str]
) -> tuple[Implementation, ...]:
    """The implementation in the dtypes that it takes, and in 16 bits apart, where another class than the declared fits.

    ``reasons`` says why each dtype is not accepted, "" for one that is.
    """
    accepted = [dtype for dtype, reason in reasons.items() if not reason]
    refused = {dtype: reason for dtype, reason in reasons.items() if reason and dtype in implementation.dtypes}
    added = [dtype for dtype in accepted if dtype not in implementation.dtypes]
    if "float64" in added and not margins_of_class(implementation, _plain_cases(implementation, ["float64"])):
        # It takes float64 and computes in less, which is no wrong answer where it promises nothing.
        accepted.remove("float64")
        refused["float64"] = "its answers there are less exact"
    narrow = [dtype for dtype in added if dtype.endswith("16")]
    other = _class_for(implementation, narrow) if narrow and "numerical_class" not in declared else ""
    own = tuple(dtype for dtype in accepted if not other or dtype not in narrow)
    without = ", ".join(f"{dtype} ({reason})" for dtype, reason in refused.items())
    sentence = f"takes {', '.join(own)}" + (f", and no {without}" if without else "")
    main = replace(implementation, dtypes=own, found=(*implementation.found, sentence))
    if not other:
        return (main,)
    words = f"on {' and '.join(narrow)} parameters it rounds as the class {other} says, by which it is judged there"
    name = f"{implementation.name}-16bit"
    return main, replace(main, name=name, dtypes=tuple(narrow), numerical_class=other, found=(*implementation.found, words))


def _refused_features(implementation: Implementation, optional: Collection[str]) -> dict[str, str]:
    """Of these features those whose simplest case raises an error, with the reason; a feature after those that it needs too.

    What says what it lacks, in a way that the suite understands, shows it case by case.
    """
    names = set(optional) - implementation.promised
    simplest = {name: _simplest(implementation.system, implementation.dtypes, name) for name in names}
    works, refused = set(implementation.promised), {}
    for name, (check, case) in sorted(simplest.items(), key=lambda item: (len(item[1][1].needs), item[0])):
        dtype = next((dtype for dtype in implementation.dtypes if dtype in case.dtypes), "")
        if name in case.needs and case.needs - {name} <= works and dtype:
            reason = _reason(implementation, check, case, dtype, gaps=False)
            if reason:
                refused[name] = reason
            else:
                works.add(name)
    return refused


def _simplest(system: str, dtypes: Collection[str], feature: str = "") -> tuple[Check, Case]:
    """The first case in one of these dtypes that needs a feature and few others, one of ``--quick`` where there is one."""
    pairs = [(check, case) for check in checks_of(system) for case in check.cases if not is_thorough(case)]
    own = [pair for pair in pairs if set(dtypes) & set(pair[1].dtypes) and (not feature or feature in pair[1].needs)]
    return min(own or pairs, key=lambda pair: (len(pair[1].needs), not pair[1].quick))


def _reason(implementation: Implementation, check: Check, case: Case, dtype: str, gaps: bool = True) -> str:
    """Why a case does not run on the first device that is here; "" where it runs, or without ``gaps`` says what it lacks."""
    try:
        run_check(check, connect(implementation, _device(implementation)), case, dtype)
    except BaseException as error:
        verdict, message = outcome_of(error)
        if verdict is not Verdict.ERROR or isinstance(error, NotImplementedError):
            return message if gaps else ""
        return message or in_one_line(type(error).__name__)
    return ""


def _device(implementation: Implementation) -> str:
    return "cpu" if "cpu" in implementation.devices or not has_cuda() else "cuda"


def _class_for(implementation: Implementation, dtypes: Collection[str]) -> str:
    """The class that fits best where the declared one does not fit in these dtypes, and another does; else "".

    In 16 bits the bounds of an honest class may be wider than many steps. One case that proves something is enough: the others
    are inconclusive when they are judged, and no pass.
    """
    plain = _plain_cases(implementation, dtypes)
    if not plain or margins_of_class(implementation, plain):
        return ""
    return next((each.name for each in classes_that_fit(implementation, plain, conclusive=0)), "")


def _plain_cases(implementation: Implementation, dtypes: Collection[str]) -> list[TestCase]:
    """The first quick cases in these dtypes that need no feature."""
    return [
        TestCase(implementation, check, case, dtype, _device(implementation))
        for check, case, dtype in selected_cases(implementation.system, Options(quick=True, dtypes=tuple(dtypes)))
        if dtype and not case.needs
    ][:MOST_TRIED]
