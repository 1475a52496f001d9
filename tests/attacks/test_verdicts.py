"""Each attack on the verdict, a file of `verdicts/`, has the outcome that it names, and its neighbours are judged as ever.

An attack's docstring says what it tries; ``attack`` is what a user would plug in. OUTCOME is the worst verdict on it. One that
is wrong must fail in every case in which the same mistake fails without an attack.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.attacking import (
    CONFINED,
    HERE,
    NOT_PREVENTED,
    attacks,
    by_system,
    can_confine,
    check,
    declared,
    outcomes,
    worst,
)

ATTACKS = by_system(attacks("verdicts"))
HONEST = HERE / "verdicts/honest.py"
TEXTS = "RIG-03-one-line or RIG-34-end or RIG-66-one"
STEPS = "ADM-01-burst or ADM-39"


def test_no_parser_gets_a_better_verdict(tmp_path: Path) -> None:
    texts = ATTACKS["rig"]
    plugs = [f"rig={each.path}:attack" for each in texts]
    run = check([*plugs, f"rig={HONEST}:parse", f"rig={HONEST}:wrong"], tmp_path, TEXTS)
    assert outcomes(texts, "rig", run) == declared(texts)
    wrong = {case for case, verdict in run.verdicts("rig/honest.wrong").items() if verdict == "fail"}
    for each in texts:
        if each.outcome == "fail" and each.name not in ("fetch_opened", "equal_offsets"):
            verdicts = run.verdicts(f"rig/{each.name}.attack")
            assert {verdicts[case] for case in wrong} <= {"fail", "error"}, each.name
    assert wrong
    assert set(run.verdicts("rig/honest.parse").values()) <= {"pass", "unsupported"}
    assert not (tmp_path / "reached.txt").exists()
    assert run.status == 1


def test_no_optimizer_gets_a_better_verdict(tmp_path: Path) -> None:
    optimizers = ATTACKS["ademamix"]
    run = check([f"ademamix={each.path}:attack" for each in optimizers], tmp_path, STEPS, "--dtype", "float32")
    assert outcomes(optimizers, "ademamix", run) == declared(optimizers)


@pytest.mark.parametrize("name", [each.name for each in attacks("verdicts/alone")])
def test_a_declaration_that_lies_ends_the_run_before_anything_is_tested(name: str, tmp_path: Path) -> None:
    (attack,) = (each for each in attacks("verdicts/alone") if each.name == name)
    run = check([f"rig={attack.path}:attack"], tmp_path, TEXTS)
    assert (f"status {run.status}; refused", run.records) == (attack.outcome, ())


def test_what_a_namespace_prevents_it_prevents(tmp_path: Path) -> None:
    reaching = [each for each in ATTACKS["rig"] if NOT_PREVENTED in each.outcome and "namespace" in each.outcome]
    if can_confine():
        run = check([f"rig={each.path}:attack" for each in reaching], tmp_path, TEXTS, CONFINED)
        passed = [each.name for each in reaching if worst(run.verdicts(f"rig/{each.name}.attack").values()) == "pass"]
        assert (passed, len(run.records) > len(reaching)) == ([], True)
