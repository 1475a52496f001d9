"""Each attack of a program that is tested with ``cmd:``, a file of `programs/`, has the outcome that it names.

OUTCOME is the worst verdict on the program.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.attacks.attacking import (
    CONFINED,
    HERE,
    LIMITS,
    NOT_PREVENTED,
    Attack,
    Run,
    attacks,
    can_confine,
    check,
    declared,
    worst,
)

PROGRAMS = attacks("programs")
CASES = "RIG-34-end or RIG-03-one-line"
HONEST = HERE / "programs/honest.py"


def plug(file: Path) -> str:
    return f"rig=cmd:{sys.executable} {file}"


def verdict(attack: Attack, run: Run) -> str:
    found = worst(run.verdicts(f"rig/cmd.{attack.path.name}").values())
    return attack.outcome if found == "pass" and NOT_PREVENTED in attack.outcome else found


def test_a_program_that_attacks_harms_itself_alone(tmp_path: Path) -> None:
    run = check([*(plug(each.path) for each in PROGRAMS), plug(HONEST)], tmp_path, CASES, environment=LIMITS)
    assert {each.name: verdict(each, run) for each in PROGRAMS} == declared(PROGRAMS)
    assert set(run.verdicts("rig/cmd.honest.py").values()) == {"pass"}
    assert not {"\x1b", "\x9b", "\u202e"} & set(run.output)


def test_what_a_namespace_prevents_it_prevents(tmp_path: Path) -> None:
    if can_confine():
        run = check([plug(HERE / "programs/expected_values.py"), plug(HONEST)], tmp_path, CASES, CONFINED)
        assert set(run.verdicts("rig/cmd.honest.py").values()) == {"pass"}
        assert worst(run.verdicts("rig/cmd.expected_values.py").values()) == "fail"
