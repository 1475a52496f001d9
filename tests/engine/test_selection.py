"""What an option leaves out is left out, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from conformance.engine import selection as module
from conformance.engine.check import Check
from conformance.engine.runner import TestCase, divided, list_test_cases, reproduction, run_test_case
from conformance.engine.selection import Options, selected_cases
from conformance.records.schema import Verdict
from impls.implementation import Implementation


@dataclass(frozen=True)
class SampleCase:
    id: str
    quick: bool = False
    needs: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = ("float32", "bfloat16")


@dataclass(frozen=True)
class LongCase(SampleCase):
    thorough: bool = True


CHECK = Check(
    "ADM-01", lambda subject, case, dtype: [], (SampleCase("fast", quick=True), SampleCase("ordinary"), LongCase("long"))
)


def chosen(monkeypatch: pytest.MonkeyPatch, options: Options) -> list[tuple[str, str]]:
    monkeypatch.setattr(module, "checks_of", lambda system: [CHECK])
    return [(case.id, dtype) for _, case, dtype in selected_cases("ademamix", options)]


def test_long_cases_are_left_to_thorough_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ("float32", "bfloat16")
    assert chosen(monkeypatch, Options()) == [(c, d) for c in ("fast", "ordinary") for d in both]
    assert chosen(monkeypatch, Options(thorough=True)) == [(c, d) for c in ("fast", "ordinary", "long") for d in both]
    assert chosen(monkeypatch, Options(quick=True)) == [("fast", d) for d in both]
    assert chosen(monkeypatch, Options(thorough=True, dtypes=("float32",)))[-1:] == [("long", "float32")]


def test_a_long_case_is_reproduced_by_a_thorough_run() -> None:
    implementation = Implementation(name="ademamix/x", system="ademamix", target="m:a", protocol="", summary="")
    commands = [reproduction(TestCase(implementation, CHECK, case, "float32", "cpu", False)) for case in CHECK.cases]
    assert ["--thorough" in command for command in commands] == [False, False, True]


def named(name: str, dtypes: tuple[str, ...]) -> Implementation:
    return Implementation(name=f"ademamix/{name}", system="ademamix", target="m:a", protocol="", summary="", dtypes=dtypes)


def test_a_quick_run_puts_each_case_in_one_dtype_and_the_dtypes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = tuple(SampleCase(f"case-{number}", quick=True) for number in range(4))
    monkeypatch.setattr(module, "checks_of", lambda system: [Check("ADM-01", CHECK.run, cases)])
    both, narrow, other = (
        named("both", ("float32", "bfloat16")),
        named("narrow", ("bfloat16",)),
        named("other", ("float64",)),
    )

    def dtypes(implementation: Implementation, options: Options) -> list[str]:
        return [e.dtype for e in list_test_cases("ademamix", [implementation], options)]

    assert dtypes(both, Options(quick=True)) == ["float32", "bfloat16", "float32", "bfloat16"]
    assert dtypes(narrow, Options(quick=True)) == ["bfloat16"] * 4
    assert len(dtypes(other, Options(quick=True))) == 4, "what it cannot do is said once for each case, not kept silent"
    assert dtypes(both, Options(quick=True, dtypes=("float32",))) == ["float32"] * 4
    assert dtypes(both, Options()) == ["float32", "bfloat16"] * 4
    slow = replace(both, settings={"interpreted_on_cpu": True})
    assert dtypes(slow, Options()) == ["float32", "bfloat16"] * 2
    earlier = replace(both, settings={"dtypes_in_turn": True})
    assert dtypes(earlier, Options()) == dtypes(earlier, Options(devices=("cuda",))) == ["float32", "bfloat16"] * 2
    assert dtypes(earlier, Options(thorough=True)) == ["float32", "bfloat16"] * 4
    assert dtypes(slow, Options(thorough=True)) == dtypes(slow, Options(devices=("cuda",))) == ["float32", "bfloat16"] * 4


def test_what_a_declaration_rules_out_is_gathered_and_nothing_of_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "checks_of", lambda system: [CHECK])
    implementations = [named("both", ("float32", "bfloat16")), named("narrow", ("bfloat16",))]
    found = list(list_test_cases("ademamix", implementations, Options(thorough=True)))
    runnable, ruled_out = divided(found)
    assert [(e.implementation.name, e.dtype) for e in runnable if e.case.id == "fast"] == [
        ("ademamix/both", "float32"),
        ("ademamix/both", "bfloat16"),
        ("ademamix/narrow", "bfloat16"),
    ]
    (absent,) = ruled_out
    assert (absent.id, [e.dtype for e in absent.test_cases]) == ("left-out-ademamix/narrow", ["float32"] * 3)
    assert len(runnable) + len(absent.test_cases) == len(found)
    assert {run_test_case(e).verdict for e in absent.test_cases} == {Verdict.UNSUPPORTED}
