"""Whatever ends a run, nothing that was judged is lost, nothing that is lost is claimed, and no part looks like a whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("GAUGEBLOCK_KILLS") or 6)
"""So many runs are killed at random moments."""


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What runs that died in some way have left; see dying_runs.py."""
    command = [sys.executable, "-m", "tests.core.dying_runs", str(tmp_path_factory.mktemp("dying")), str(KILLS)]
    if os.geteuid() == 0 and shutil.which("setpriv"):  # root may write where nobody may
        command[:0] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["whole"]["code"], found["whole"]["cut short"]) == (0, False)
    assert found["whole"]["seen"] == found["whole"]["held"] > 20
    return found


def test_a_run_that_is_killed_keeps_what_it_judged_and_claims_no_more(dead: dict[str, Any]) -> None:
    assert dead["killed"][0]["code"]
    for each in dead["killed"]:
        assert each["code"] or not each["cut short"], each
        assert (each["lost"], each["made up"]) == (0, []), each
        assert each["earlier kept"] or not each["cut short"], each


def test_a_full_disk_keeps_what_it_took_and_fails_the_run(dead: dict[str, Any]) -> None:
    full = dead["full"]
    assert (full["code"], full["cut short"], full["made up"], full["earlier kept"]) == (3, True, [], True), full
    assert 0 < full["held"] < full["seen"], full
    assert "not written: [Errno 27] File too large; the file holds what could be recorded until then" in full["said"]


def test_a_folder_that_may_no_longer_be_written_keeps_all_that_was_judged(dead: dict[str, Any]) -> None:
    forbidden = dead["forbidden"]
    assert (forbidden["lost"], forbidden["made up"]) == (0, []), forbidden
    # A run of root, whom no permission binds, ends whole.
    assert (forbidden["code"], forbidden["cut short"]) in ((3, True), (0, False)), forbidden
