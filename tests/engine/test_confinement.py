"""What ``--confine`` takes out of the reach of an implementation, tried by one that reaches for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reference
from conformance.engine import confinement
from conformance.engine.confinement import Confinement
from conformance.engine.discovery import select
from conformance.engine.harness import connect
from conformance.engine.remote_subject import Isolated

ROOT = Path(__file__).resolve().parents[2]

REACHES = """
import ctypes, importlib, json, os, socket, sys
from pathlib import Path

def tried(reach):
    try:
        return reach()
    except BaseException as error:
        return f"{type(error).__name__}"

def parse(text):
    if not text.startswith("{"):
        return []  # asked what it is
    asked = json.loads(text)
    found = {
        "folder": sorted(os.listdir()),
        "secret": os.environ.get("A_SECRET_OF_SOMEBODY"),
        "user": os.getuid(),
        "suite": tried(lambda: os.kill(asked["suite"], 0)),
        "memory": tried(lambda: open(f"/proc/{asked['suite']}/mem", "rb").close()),
        "reference": [tried(lambda: len(open(each).read())) for each in asked["reference"]],
        "import": tried(lambda: importlib.import_module("reference.rig.parser").parse and "imported"),
        "record": tried(lambda: open(asked["record"]).read()),
        "write": [tried(lambda: open(each, "ab").close()) for each in (asked["record"], __file__)],
        "unmount": tried(lambda: ctypes.CDLL(None, use_errno=True).umount(asked["reference"][0].encode())),
        "cache": tried(lambda: Path(os.environ["HOME"], "cache").write_text("x")),
    }
    return [(json.dumps(found), os.environ["HOME"], 0, 1)]
"""
FILES = [str(Path(reference.__file__).parent / name) for name in ("rig/parser.py", "ademamix/bounds.py", "rounding.py")]


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Tries everything in a process that is confined so; gives what was found, and the obstacle where it cannot be."""
    monkeypatch.setenv("A_SECRET_OF_SOMEBODY", "known")
    place = tempfile.TemporaryDirectory()
    os.chmod(place.name, 0o755)  # pytest's own folders are for one user alone
    record, plug = Path(place.name, "run.jsonl"), Path(place.name, "reaches.py")
    record.write_text("expected values")
    plug.write_text(REACHES)
    started: list[Isolated] = []

    def reach(*kinds: str) -> tuple[dict[str, Any], str]:
        confined = Confinement(frozenset(kinds), (record,))
        if obstacle := confined.obstacle():
            return {}, obstacle
        isolated = Isolated(confined)
        started.append(isolated)
        (implementation,) = select([f"rig={plug}:parse"], isolated.describe).implementations
        asked = {"suite": os.getpid(), "reference": FILES, "record": str(record)}
        ((text, folder, *_),) = connect(implementation, "cpu").parse(json.dumps(asked))
        assert Path(folder, "cache").exists()
        isolated.close()
        assert not Path(folder).exists(), "its folder is left"
        return json.loads(text), ""

    yield reach
    for isolated in started:
        isolated.close()
    place.cleanup()


def test_a_folder_and_an_environment_of_its_own(reached: Any) -> None:
    found, obstacle = reached("folder", "environment")
    assert not obstacle
    assert (found["folder"], found["secret"]) == ([], None)
    found, _ = reached("folder")
    assert (found["folder"], found["secret"]) == ([], "known")
    found, _ = reached("environment")
    assert (found["folder"], found["secret"]) == (sorted(os.listdir()), None)


def test_in_a_namespace_neither_suite_nor_reference_nor_records_are_in_reach(reached: Any) -> None:
    found, obstacle = reached("namespace", "folder", "environment")
    if obstacle:  # in a container that may not mount, say; the option then says so before anything runs
        assert obstacle.startswith("namespace: ")
        return
    assert found["suite"] == "ProcessLookupError"
    assert found["memory"] == "FileNotFoundError"
    assert found["reference"] == [0] * len(FILES)
    assert found["import"] == "ModuleNotFoundError"
    assert found["record"] == ""
    assert found["write"][1] == "OSError"
    assert found["unmount"] == -1


def test_another_user_reaches_neither_memory_nor_records(reached: Any) -> None:
    found, obstacle = reached("user")
    if obstacle:  # not root's, or a Python in root's own folder; the option then says so before anything runs
        assert obstacle.startswith("user: ")
        return
    assert found["user"] != os.getuid()
    assert found["suite"] == found["memory"] == "PermissionError"
    assert found["write"] == ["PermissionError"] * 2


def test_what_cannot_be_done_here_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement.shutil, "which", lambda name: None)
    found = Confinement(frozenset({"namespace"})).obstacle()
    assert found.startswith("namespace: found no unshare, mount, setpriv, expected Linux")
    monkeypatch.setattr(confinement.os, "geteuid", lambda: 1000)
    assert Confinement(frozenset({"user"})).obstacle().startswith("user: found a run that is not root's")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--confine=folder,prison"], "--confine: found prison, expected words among folder, environment, user, namespace"),
        (["--confine=folder", "--in-process"], "--confine: nothing runs in a process of its own under --in-process"),
    ],
)
def test_a_word_that_cannot_be_followed_ends_the_run_before_it_begins(options: list[str], words: str) -> None:
    command = [sys.executable, "-m", "pytest", "conformance/rag", "-q", "--quick", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 4
    assert words in done.stderr
