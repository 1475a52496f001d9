"""Every file and folder that CONTRIBUTING.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from impls.systems import SYSTEM_NAMES

ROOT = Path(__file__).resolve().parent.parent.parent


def named_paths() -> set[str]:
    """The words in backticks that look like paths, with `<system>` replaced by the name of each system.

    A small package may be a module instead: the requirements of RAG are.
    """
    text = re.sub(r"```.*?```", "", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.S)
    words = {word for word in re.findall(r"`([^`\s]+)`", text) if "/" in word.rstrip("/") or re.search(r"\.(py|md)$", word)}
    return {word.replace("<system>", name) for word in words for name in SYSTEM_NAMES}


def test_every_path_in_contributing_exists() -> None:
    names = named_paths()
    assert len(names) > 30
    assert {name for name in names if not any((ROOT / path).exists() for path in (name, f"{name}.py"))} == set()


@pytest.mark.parametrize(("journey", "most"), [("A q tensor", 14), ("A timing", 14), ("An `--impl` string", 7)])
def test_a_journey_passes_through_few_files(journey: str, most: int) -> None:
    text = re.split(r"\n## |\n\*\*", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"**{journey}")[2])[0]
    assert 0 < len(set(re.findall(r"`([\w/<>]+\.py)`", text))) <= most
