"""Each example does what its README says: its commands are run, and print what it shows."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
READMES = sorted(EXAMPLES.glob("*/README.md"))
OTHER_LANGUAGES = {"rust"}
"""Folders that tests/installation/test_numeric_vectors.py builds and runs."""
PROGRAMS = {"gaugeblock": ["-m", "gaugeblock"], "python": []}
QUIET = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
"""Variables of every run. One thread: tests run beside each other."""


def blocks(readme: Path) -> Iterator[tuple[str, str]]:
    """The language and text of each block."""
    yield from re.findall(r"^```(sh|text)\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def missing(readme: Path) -> list[str]:
    """The packages of the last column of examples/README.md that are not installed."""
    (row,) = re.findall(
        rf"^\|.*\({readme.parent.name}/README\.md\).*\|(.*)\|$", (EXAMPLES / "README.md").read_text("utf-8"), re.M
    )
    return [name for name in re.findall(r"\w+", row) if importlib.util.find_spec(name) is None]


def printed_by(script: str, variables: dict[str, str]) -> str:
    """What the commands of a block print. ``export`` sets a variable for those after it."""
    printed = ""
    for line in script.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        if program == "export":
            variables.update(argument.split("=", 1) for argument in arguments)
            continue
        words = [sys.executable, *PROGRAMS[program], *arguments]
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **variables}, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        printed += done.stdout + done.stderr
    return printed


def pattern_of(line: str) -> str:
    """A line of a README as a regular expression.

    ``...`` is anything. A number is any number and a space any spaces: times differ, and counts grow with the suite.
    """
    pattern = re.escape(line).replace(re.escape("..."), ".*")
    return re.sub(r"(\\ )+", r"[ ]+", re.sub(r"\d+(\\\.\d+)?", r"\\d+([.]\\d+)?", pattern))


def assert_shown(expected: str, printed: str) -> None:
    """Every line of ``expected`` is in ``printed``, in that order."""
    place = 0
    for line in expected.splitlines():
        found = re.compile(rf"^{pattern_of(line)}$", re.MULTILINE).search(printed, place)
        assert found, f"expected a line {line!r} in the rest of:\n{printed[place:]}"
        place = found.end()


@pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.parent.name)
def test_an_example_does_what_it_says(readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(readme.parent, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    variables, printed, lacking = dict(QUIET), "", missing(readme)
    for language, text in blocks(readme):
        if language == "sh":
            printed += printed_by(text, variables)
        elif lacking:
            assert re.search(f"No module named '?({'|'.join(lacking)})", printed), printed
        else:
            assert_shown(text, printed)
            printed = ""


def test_every_example_is_listed_and_has_a_command_and_its_output() -> None:
    folders = {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir() and not folder.name.startswith("__")}
    assert folders == {readme.parent.name for readme in READMES} | OTHER_LANGUAGES
    for readme in READMES:
        missing(readme)  # reads its line of the list
        assert [language for language, _ in blocks(readme)][:2] == ["sh", "text"]
