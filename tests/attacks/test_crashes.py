"""Each attack that crashes, hangs or starves, a file of `crashes/`, has the outcome that it names, and harms nobody else.

OUTCOME is the worst verdict on what does this. Those in `crashes/alone` go for the suite's own processes: OUTCOME is the exit
status, and whether the records are whole. Those in `crashes/asking` call the function that comes with a text.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.attacks.attacking import CONFINED, HERE, LIMITS, attacks, can_confine, check, declared, outcomes

CRASHES = attacks("crashes")
CASE = "RIG-34-end"
CASES = f"{CASE} or RIG-03-one-line"
"""Two, for what shows in the next question."""
LEFT = "left-behind.txt"


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_crashes_or_starves_harms_itself_alone(tmp_path: Path) -> None:
    run = check(
        [*(f"rig={each.path}:attack" for each in CRASHES), f"rig={HERE}/crashes/honest.py:parse"],
        tmp_path,
        CASES,
        environment=LIMITS,
    )
    left = int((tmp_path / LEFT).read_text())
    try:
        assert outcomes(CRASHES, "rig", run) == declared(CRASHES)
        assert set(run.verdicts("rig/honest.parse").values()) == {"pass"}
        assert run.status == 1
        assert run.footer is not None
        assert is_running(left)  # which --confine=namespace prevents
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("name", [each.name for each in attacks("crashes/alone")])
def test_a_run_whose_own_processes_are_attacked_says_so(name: str, tmp_path: Path) -> None:
    (attack,) = (each for each in attacks("crashes/alone") if each.name == name)
    run = check([f"rig={attack.path}:attack"], tmp_path, CASE)
    records = "the records are whole" if run.footer else "no sealed records"
    assert f"status {run.status}, and {records}" == attack.outcome


def test_what_asks_without_end_is_ended(tmp_path: Path) -> None:
    asking = attacks("crashes/asking")
    run = check([f"rig={each.path}:attack" for each in asking], tmp_path, "RIG-66-one", environment=LIMITS)
    assert outcomes(asking, "rig", run) == declared(asking)
    assert run.footer is not None


def test_a_namespace_ends_what_is_left_behind_and_hides_the_suite(tmp_path: Path) -> None:
    if can_confine():
        names = ("child_in_its_own_session", "alone/kill_the_judge", "alone/stop_the_supervisor")
        plugs = [f"rig={HERE}/crashes/{each}.py:attack" for each in names]
        run = check(plugs, tmp_path, CASE, CONFINED)
        assert run.footer is not None
        assert set(run.verdicts("rig/kill_the_judge.attack").values()) == {"error"}
        until = time.monotonic() + 300
        while (left := running_files(names[0])) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left


def running_files(name: str) -> list[str]:
    """The processes that have this in their command line."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_text()
        except OSError:
            continue
        if name in words and "pytest" in words and "conformance" in words:
            found.append(words)
    return found
