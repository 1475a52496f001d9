"""Each attack on the record file, a file of `records/`, has the outcome that it names.

Each comes with a parser that is wrong. ``kept``: the file holds the true verdicts, sealed. ``told``: the run does not end
well, and leaves no sealed file.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from conformance.records import io
from conformance.records.fields import RecordError
from tests.attacks.attacking import CONFINED, NOT_PREVENTED, attacks, can_confine, check

CASE = "RIG-03-one-line"
RECORDS = {each.name: each for each in attacks("records")}


def outcome(status: int, folder: Path) -> str:
    file = folder / "run.jsonl"
    try:
        whole = io.read(file) if file.is_file() and not file.is_symlink() else None
    except RecordError:
        whole = None
    if whole is None:
        return "told" if status else "hidden"
    wrong = {getattr(each, "verdict", None) for each in whole.records} <= {"fail", "error"}
    return "kept" if status and wrong and whole.records else "forged"


@pytest.mark.parametrize("name", [name for name, each in RECORDS.items() if NOT_PREVENTED not in each.outcome])
def test_what_was_judged_is_recorded_or_the_run_says_that_it_is_not(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    run = check([f"rig={RECORDS[name].path}:attack"], folder, CASE)
    assert outcome(run.status, folder) == RECORDS[name].outcome
    precious = folder / "precious.txt"
    assert not precious.exists() or precious.read_text() == "precious"


@pytest.mark.parametrize("confined", [False, True])
def test_what_outlives_a_run_can_forge_its_records_unless_it_is_confined(confined: bool, tmp_path: Path) -> None:
    if confined and not can_confine():
        return
    options = [CONFINED] if confined else []
    (attack,) = (each for each in RECORDS.values() if NOT_PREVENTED in each.outcome)
    run = check([f"rig={attack.path}:attack"], tmp_path, CASE, *options)
    until = time.monotonic() + (5 if confined else 300)
    while (found := outcome(run.status, tmp_path)) != "forged" and time.monotonic() < until:
        time.sleep(0.05)
    assert found == ("kept" if confined else "forged")
