"""What is written for the authors of published implementations is what their packages print, and nothing red is left out."""

from __future__ import annotations

import contextlib
import fnmatch
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path

import pytest

from conformance.engine.discovery import listed
from conformance.engine.selection import requirements_of
from impls.ademamix.adapters import releases
from impls.systems import SYSTEMS
from impls.triton_support import choose_interpreter

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "published" / "findings"
PUBLISHED = FOLDER.parent / "cpu" / "conformance.jsonl"
FILES = sorted(set(FOLDER.glob("*.md")) - {FOLDER / "README.md"})
RULE = re.compile(rf"\b(?:{'|'.join(system.requirement_prefix for system in SYSTEMS)})-\d+")
SECTIONS = ["## Expected", "## Found", "## To see it", "## What would fix it"]


def _block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found, f"no block of {language}"
    return found.group(1)


def _found_in(text: str) -> tuple[str, str]:
    found = re.search(r"^- Found in: `([\w-]+)` ([\d.]+)", text, re.MULTILINE)
    assert found, "no line '- Found in: `package` version'"
    return found.group(1), found.group(2)


def _installed(text: str) -> bool:
    """Whether the version that a finding is about is here; fixed ones are about older ones."""
    package, version = _found_in(text)
    try:
        return metadata.version(package) == version
    except metadata.PackageNotFoundError:
        return False


def _folder_of(text: str) -> Path | None:
    """Where that version lies, if in a folder of its own from which the whole package can be imported."""
    base, name = os.environ.get(releases.VARIABLE), "-".join(_found_in(text))
    whole = any(each.folder == name and ".py:" not in each.target for each in releases.RELEASES.values())
    return Path(base) / name if base and whole and (Path(base) / name).is_dir() else None


def _line(text: str, name: str) -> str:
    found = re.search(rf"^- {name}: (.*)", text, re.MULTILINE)
    return found.group(1) if found else ""


def test_findings_have_all_their_parts_and_name_what_exists() -> None:
    ids = {id_ for system in SYSTEMS for id_ in requirements_of(system.name)}
    names = [implementation.name.partition("/")[2] for implementation in listed()]
    assert len(FILES) >= 12
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"^## .*", text, re.MULTILINE) == SECTIONS, file.name
        assert text.startswith("# "), file.name
        assert set(RULE.findall(text)) <= ids, file.name
        _found_in(text)
        judged_as = re.findall(r"`([^`]+)`", _line(text, "Judged as"))
        assert judged_as or "not judged" in _line(text, "Rules"), file.name
        assert all(fnmatch.filter(names, pattern) for pattern in judged_as), file.name
        compile(_block(text, "python"), file.name, "exec")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_findings_print_what_they_say(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if importlib.util.find_spec("torch") is None:
        return
    folder = _folder_of(text)
    if folder is not None:
        assert _printed_elsewhere(_block(text, "python"), folder) == _block(text, "text")
        return
    if not _installed(text):
        return
    choose_interpreter()
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")
        exec(compile(_block(text, "python"), file.name, "exec"), {"__name__": "finding"})
    assert printed.getvalue() == _block(text, "text")


def _printed_elsewhere(code: str, folder: Path) -> str:
    """In a process of its own, where that folder goes before what is installed."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_whatever_is_red_in_the_published_records_is_written_up() -> None:
    covered: list[tuple[list[str], set[str], bool]] = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        rules = _line(text, "Rules")
        ids = set(RULE.findall(f"{rules} {_line(text, 'Follows from it')}"))
        covered.append((re.findall(r"`([^`]+)`", _line(text, "Judged as")), ids, "every other" in rules))
    red = set()
    for line in PUBLISHED.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["record"] == "verdict" and record["verdict"] in ("fail", "error"):
            red.add((record["implementation"].partition("/")[2], record["requirement"]))
    assert red
    silent = [
        (name, id_)
        for name, id_ in sorted(red)
        if not any(
            (id_ in ids or every) and any(fnmatch.fnmatch(name, pattern) for pattern in judged_as)
            for judged_as, ids, every in covered
        )
    ]
    assert not silent, silent
