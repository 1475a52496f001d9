"""Each attack of a numeric program that is tested with ``cmd:``, a file of `numeric_programs/`, has the outcome that it names.

OUTCOME is the worst verdict on the program.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.attacks.attacking import HERE, LIMITS, attacks, check, declared, worst

PROGRAMS = attacks("numeric_programs")
HONEST = HERE / "numeric_programs/honest.py"
NAME = "sigmoid_attention/cmd."


def test_a_numeric_program_that_attacks_harms_itself_alone(tmp_path: Path) -> None:
    files = [*(each.path for each in PROGRAMS), HONEST]
    plugs = [f"sigmoid_attention=cmd:{sys.executable} {each}" for each in files]
    run = check(plugs, tmp_path, "SIG-01-square", "--dtype", "float32", environment=LIMITS)
    found = {each.name: worst(run.verdicts(f"{NAME}{each.path.name}").values()) for each in PROGRAMS}
    assert found == declared(PROGRAMS)
    assert set(run.verdicts(f"{NAME}honest.py").values()) == {"pass"}
    assert "\x1b" not in run.output
    assert (tmp_path / "run.jsonl").stat().st_size < 1_000_000
