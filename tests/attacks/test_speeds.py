"""Each attack on the measurement of speed, a file of `speeds/`, has the outcome that it names; without it, it is timed.

An attack's docstring says what it tries. ``attack`` or ``Attack`` is what a user would plug in, WORKLOAD what it is timed on,
OUTCOME the start of what the suite must say, and ``finish()`` what goes on once the clock has stopped.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from conformance.benchmark.measurement import WrongAnswer, _verified
from conformance.benchmark.workload import Prepared
from impls.implementation import Implementation, Unsupported

FOLDER = Path(__file__).parent / "speeds"
ATTACKS = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("honest", "__init__"))
ATTENTION = "fwd-full-B1-H4-N256-D64-float32"
CALLS = 9


def prepared(module: ModuleType, attribute: str) -> Prepared:
    system, protocol = ("ademamix", "torch-optimizer") if attribute == "Attack" else ("sigmoid_attention", "torch")
    # Declared, not tried out: that would use up the calls in which an attack does its work.
    implementation = Implementation(
        name=f"{system}/attack", system=system, target=f"{module.__name__}:{attribute}", summary="", protocol=protocol
    )
    workloads = importlib.import_module(f"conformance.{system}.workloads")
    (workload,) = (each for each in workloads.WORKLOADS if each.id == getattr(module, "WORKLOAD", ATTENTION))
    made: Prepared = workloads.prepare(implementation, workload, "cpu")
    return made


def outcome(ready: Callable[[], Prepared], finish: Callable[[], None]) -> str:
    """What is found out in the order in which a measurement goes on."""
    try:
        made = ready()
        made.run()
        _verified(made)
        for number in range(CALLS):
            if made.renew is not None:
                made.renew(number)
            made.run()
        finish()
        _verified(made, timed=True)
        _verified(made)
    except (WrongAnswer, Unsupported) as found:
        return f"{type(found).__name__}: {found}"
    return ""


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gets_no_speed(name: str) -> None:
    module = importlib.import_module(f"tests.attacks.speeds.{name}")
    attribute = "Attack" if hasattr(module, "Attack") else "attack"
    assert outcome(lambda: prepared(module, attribute), getattr(module, "finish", lambda: None)).startswith(module.OUTCOME)


@pytest.mark.parametrize("attribute", ["attention"])
def test_what_does_its_work_gets_one(attribute: str) -> None:
    honest = importlib.import_module("tests.attacks.speeds.honest")
    assert outcome(lambda: prepared(honest, attribute), lambda: None) == ""


def test_every_attack_says_what_it_tries() -> None:
    for name in ATTACKS:
        module = importlib.import_module(f"tests.attacks.speeds.{name}")
        assert (module.__doc__ or "").endswith(".")
