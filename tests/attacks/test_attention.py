"""Each attack on the verdict on attention, a file `verdicts/attention_*.py`, has the outcome that it names.

They run as in a test of conformance, each in a process of its own, on a few cases. OUTCOME is the worst verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.engine.remote_subject import Isolated
from conformance.engine.runner import TestCase, run_test_case
from conformance.engine.selection import Options, selected_cases
from impls.implementation import Implementation, Origin
from tests.attacks.attacking import HERE, NOT_PREVENTED, attacks, by_system, worst

ATTACKS = {each.name: each for each in by_system(attacks("verdicts"))["sigmoid_attention"]}
HONEST = HERE / "verdicts/honest_attention.py"
CASES = ("SIG-01-square", "SIG-09-67x67", "SIG-26-forward", "SIG-28-three-calls", "SIG-30-square", "SIG-42-forward")


@pytest.fixture(scope="module")
def isolated() -> Iterator[Isolated]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        processes = Isolated()
        yield processes
        processes.close()


def verdicts(isolated: Isolated, file: Path, attribute: str) -> dict[str, str]:
    """By requirement and case."""
    target = f"{file}:{attribute}"
    # Declared, not tried out: that would take longer than all of the cases.
    implementation = Implementation(
        name=f"sigmoid_attention/{file.stem}.{attribute}", system="sigmoid_attention", target=target, protocol="torch",
        summary="", requires=("torch",), origin=Origin("path"), spec=f"sigmoid_attention={target}",
    )  # fmt: skip
    isolated.keep_apart([implementation])
    found = {}
    for check, case, dtype in selected_cases("sigmoid_attention", Options(dtypes=("float32",))):
        if (name := f"{check.requirement}-{case.id}") in CASES:
            found[name] = str(run_test_case(TestCase(implementation, check, case, dtype, "cpu")).verdict)
    return found


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attention_gets_a_better_verdict(name: str, isolated: Isolated) -> None:
    attack = ATTACKS[name]
    found = worst(verdicts(isolated, attack.path, "attack").values())
    assert found == ("pass" if attack.outcome == NOT_PREVENTED else attack.outcome)


@pytest.mark.parametrize(("attribute", "outcome"), [("attention", "pass"), ("wrong", "fail")])
def test_what_does_not_attack_is_judged_as_ever(attribute: str, outcome: str, isolated: Isolated) -> None:
    found = verdicts(isolated, HONEST, attribute)
    assert set(found) == set(CASES)
    assert worst(found.values()) == outcome
