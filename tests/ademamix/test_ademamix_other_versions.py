"""A release from a folder of its own is loaded beside the installed one, and its absence says how to get it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from impls.ademamix import other_versions
from impls.contract import NotRun, load_target


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        other_versions.RELEASES, "old", other_versions.Release("json_tool", "1.0", "json_tool_of_old:AdEMAMix")
    )
    monkeypatch.delenv(other_versions.VARIABLE, raising=False)
    vars(other_versions).pop("old", None)


def test_what_is_not_there_is_not_run_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = r"pip install --no-deps --target \$GAUGEBLOCK_PACKAGES/pytorch_optimizer-3\.10\.1 pytorch_optimizer==3\.10\.1"
    with pytest.raises(NotRun, match=f"not set; python -m {command}"):
        load_target("impls.ademamix.other_versions:pytorch_optimizer_3_10_1")
    monkeypatch.setenv(other_versions.VARIABLE, str(tmp_path))
    with pytest.raises(NotRun, match=r"finds no folder pytorch_optimizer-3\.10\.1"):
        load_target("impls.ademamix.other_versions:pytorch_optimizer_3_10_1")


def test_a_release_is_loaded_beside_another_of_the_same_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder, version in (("installed", 2), ("packages/json_tool-1.0", 1)):
        package = tmp_path / folder / "json_tool_of_old"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"from json_tool_of_old.inner import AdEMAMix\nVERSION = {version}\n")
        (package / "inner.py").write_text(f"class AdEMAMix:\n    version = {version}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    monkeypatch.setenv(other_versions.VARIABLE, str(tmp_path / "packages"))
    import json_tool_of_old as installed

    before = list(sys.path)
    old = load_target("impls.ademamix.other_versions:old")
    assert (old.version, installed.AdEMAMix.version) == (1, 2)
    assert sys.modules["json_tool_of_old"] is installed
    assert sys.modules["json_tool_of_old.inner"].AdEMAMix is installed.AdEMAMix
    assert sys.path == before
    assert load_target("impls.ademamix.other_versions:old") is old
    for name in ("json_tool_of_old", "json_tool_of_old.inner"):
        del sys.modules[name]
