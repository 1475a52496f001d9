"""Every file and folder that CONTRIBUTING.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

from impls.systems import SYSTEM_NAMES

ROOT = Path(__file__).resolve().parent.parent.parent


def named_paths() -> set[str]:
    """What stands between backticks and looks like a path; `<system>` stands for each of the systems.

    A package may be a module where it is small: the requirements of RAG are.
    """
    text = re.sub(r"```.*?```", "", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.S)
    words = {word for word in re.findall(r"`([^`\s]+)`", text) if "/" in word.rstrip("/") or re.search(r"\.(py|md)$", word)}
    return {word.replace("<system>", name) for word in words for name in SYSTEM_NAMES}


def test_every_path_in_contributing_exists() -> None:
    names = named_paths()
    assert len(names) > 30
    assert {name for name in names if not any((ROOT / path).exists() for path in (name, f"{name}.py"))} == set()


def test_a_string_of_impl_passes_through_seven_files_at_most() -> None:
    journey = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("**An `--impl` string")[2].partition("\n## ")[0]
    assert 0 < len(set(re.findall(r"`([\w/<>]+\.py)`", journey))) <= 7
