"""What is written down for the authors of published implementations is what their packages print."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import warnings
from importlib import metadata
from pathlib import Path

import pytest

from impls._triton import choose_interpreter

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "published" / "findings"
PACKAGES = ("heavyball", "pytorch_optimizer", "bitsandbytes", "optax", "holocron")
FILES = sorted(file for package in PACKAGES for file in FOLDER.glob(f"{package}-*.md"))
SECTIONS = ["## Expected", "## Found", "## To see it", "## What would fix it"]


def _block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found, f"no block of {language}"
    return found.group(1)


def _installed(text: str) -> bool:
    """Whether the version that a finding is about is here; fixed ones are about older ones."""
    found = re.search(r"^- Found in: `([\w-]+)` ([\d.]+)", text, re.MULTILINE)
    assert found, "no line '- Found in: `package` version'"
    try:
        return metadata.version(found.group(1)) == found.group(2)
    except metadata.PackageNotFoundError:
        return False


def test_findings_have_all_their_parts_and_name_what_exists() -> None:
    from conformance.ademamix.requirements import REQUIREMENTS

    ids = {requirement.id for requirement in REQUIREMENTS}
    assert len(FILES) >= 12
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"^## .*", text, re.MULTILINE) == SECTIONS, file.name
        assert text.startswith("# "), file.name
        assert set(re.findall(r"ADM-\d+", text)) <= ids, file.name
        _installed(text)
        compile(_block(text, "python"), file.name, "exec")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_findings_print_what_they_say(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if not _installed(text) or importlib.util.find_spec("torch") is None:
        return
    choose_interpreter()
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")
        exec(compile(_block(text, "python"), file.name, "exec"), {"__name__": "finding"})
    assert printed.getvalue() == _block(text, "text")
