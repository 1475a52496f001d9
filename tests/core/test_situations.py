"""What an option leaves out is left out, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conformance import situations as module
from conformance.check import Check
from conformance.judging import Examination, reproduction
from conformance.situations import Options, situations
from impls.contract import Implementation


@dataclass(frozen=True)
class Plain:
    id: str
    quick: bool = False
    needs: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = ("float32", "bfloat16")


@dataclass(frozen=True)
class Long(Plain):
    thorough: bool = True


CHECK = Check("ADM-01", lambda subject, case, dtype: [], (Plain("fast", quick=True), Plain("ordinary"), Long("long")))


def chosen(monkeypatch: pytest.MonkeyPatch, options: Options) -> list[tuple[str, str]]:
    monkeypatch.setattr(module, "checks_of", lambda system: [CHECK])
    return [(case.id, dtype) for _, case, dtype in situations("ademamix", options)]


def test_long_cases_are_left_to_thorough_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ("float32", "bfloat16")
    assert chosen(monkeypatch, Options()) == [(c, d) for c in ("fast", "ordinary") for d in both]
    assert chosen(monkeypatch, Options(thorough=True)) == [(c, d) for c in ("fast", "ordinary", "long") for d in both]
    assert chosen(monkeypatch, Options(quick=True)) == [("fast", d) for d in both]
    assert chosen(monkeypatch, Options(thorough=True, dtypes=("float32",)))[-1:] == [("long", "float32")]


def test_a_long_case_is_reproduced_by_a_thorough_run() -> None:
    implementation = Implementation(name="ademamix/x", system="ademamix", target="m:a", protocol="", summary="")
    commands = [reproduction(Examination(implementation, CHECK, case, "float32", "cpu", False)) for case in CHECK.cases]
    assert ["--thorough" in command for command in commands] == [False, False, True]
