"""A speed of a text reader stands for work that was done under the clock, on texts that no memory answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.rag import workloads as rag_workloads
from conformance.rag.harness.subject import RagSubject
from conformance.rig import workloads as rig_workloads
from conformance.rig.harness.subject import RigSubject
from impls.rig.adapters.re import parse as annotations
from reference import rag

SYSTEMS: dict[str, tuple[Any, Any]] = {"rig": (rig_workloads, RigSubject), "rag": (rag_workloads, RagSubject)}
PARSERS: dict[str, Callable[[str], Any]] = {"rig": annotations, "rag": lambda text: list(rag.parse(text).queries)}
systems = pytest.mark.parametrize("system", SYSTEMS)


def prepared(monkeypatch: pytest.MonkeyPatch, system: str, parse: Callable[[str], Any]) -> Any:
    workloads, subject = SYSTEMS[system]
    monkeypatch.setattr(workloads, "connect", lambda implementation, device: subject(SimpleNamespace(parse=parse)))
    return workloads.prepare(None, workloads.WORKLOADS[0], "cpu")


def right(made: Any) -> bool:
    return all(comparison.passed for comparison in made.verify())


@systems
def test_an_honest_reader_is_verified_before_and_after_it_is_timed(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    made = prepared(monkeypatch, system, PARSERS[system])
    assert len(list(made.verify())) == 1
    made.run()
    assert len(list(made.verify())) == 3
    assert right(made)


@systems
@pytest.mark.parametrize("key", [len, lambda text: text[-100:]], ids=["length", "end"])
def test_an_answer_from_memory_is_a_wrong_one(monkeypatch: pytest.MonkeyPatch, system: str, key: Callable[[str], Any]) -> None:
    memory: dict[Any, Any] = {}
    assert not right(prepared(monkeypatch, system, lambda text: memory.setdefault(key(text), PARSERS[system](text))))


@systems
def test_a_timed_answer_with_less_in_it_is_seen_though_the_last_is_right(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    timing = threading.Event()
    made = prepared(monkeypatch, system, lambda text: PARSERS[system](text)[: 1 if timing.is_set() else None])
    timing.set()
    made.run()
    timing.clear()
    made.run()
    assert not right(made)


@systems
def test_a_wrong_answer_under_the_clock_is_seen(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    timing = threading.Event()
    made = prepared(monkeypatch, system, lambda text: PARSERS[system](text)[: 1 if timing.is_set() else None])
    assert right(made)
    timing.set()
    made.run()
    timing.clear()
    assert not right(made)


@systems
def test_a_list_that_works_when_it_is_read_is_read_under_the_clock(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    read: list[str] = []

    class Lazy(list[Any]):
        def __init__(self, text: str) -> None:
            self.text = text

        def __iter__(self) -> Any:
            read.append(self.text)
            return iter(PARSERS[system](self.text))

    made = prepared(monkeypatch, system, Lazy)
    read.clear()
    made.run()
    assert read
    assert right(made)
