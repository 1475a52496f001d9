"""A release from a folder of its own is loaded beside the installed one, and its absence says how to get it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from impls.ademamix.adapters import releases
from impls.ademamix.registry import IMPLEMENTATIONS
from impls.implementation import NotRun, load_target

SWITCHES = (("json_tool_of_old.inner", "mode", "eager"),)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(releases.RELEASES, "old", releases.Release("json_tool", "1.0", "json_tool_of_old:AdEMAMix", SWITCHES))
    monkeypatch.delenv(releases.VARIABLE, raising=False)
    vars(releases).pop("old", None)


def test_what_is_not_there_is_not_run_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    every = r"python -m impls\.ademamix\.adapters\.releases FOLDER makes all such folders"
    command = r"pip install --no-deps --target \$GAUGEBLOCK_PACKAGES/pytorch_optimizer-3\.10\.1 pytorch_optimizer==3\.10\.1"
    with pytest.raises(NotRun, match=f"not set; {every}"):
        load_target("impls.ademamix.adapters.releases:pytorch_optimizer_3_10_1")
    monkeypatch.setenv(releases.VARIABLE, str(tmp_path))
    with pytest.raises(NotRun, match=rf"finds no folder pytorch_optimizer-3\.10\.1 .*; {every}, or: python -m {command}"):
        load_target("impls.ademamix.adapters.releases:pytorch_optimizer_3_10_1")


def test_a_release_is_loaded_beside_another_of_the_same_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder, version in (("installed", 2), ("packages/json_tool-1.0", 1)):
        package = tmp_path / folder / "json_tool_of_old"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"from json_tool_of_old.inner import AdEMAMix\nVERSION = {version}\n")
        (package / "inner.py").write_text(
            f"mode = 'compiled'\nclass AdEMAMix:\n    version = {version}\n    def mode(self):\n        return mode\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    monkeypatch.setenv(releases.VARIABLE, str(tmp_path / "packages"))
    import json_tool_of_old as installed

    before = list(sys.path)
    old = load_target("impls.ademamix.adapters.releases:old")
    assert (old.version, installed.AdEMAMix.version) == (1, 2)
    assert (old().mode(), installed.AdEMAMix().mode()) == ("eager", "compiled")
    assert pickle.loads(pickle.dumps(old)) is old
    assert sys.modules["json_tool_of_old"] is installed
    assert sys.modules["json_tool_of_old.inner"].AdEMAMix is installed.AdEMAMix
    assert sys.path == before
    assert load_target("impls.ademamix.adapters.releases:old") is old
    for name in ("json_tool_of_old", "json_tool_of_old.inner"):
        del sys.modules[name]


def test_every_listed_release_has_a_folder_and_every_folder_is_listed() -> None:
    module = "impls.ademamix.adapters.releases:"
    listed = {each.target.removeprefix(module): each for each in IMPLEMENTATIONS if each.target.startswith(module)}
    assert set(listed) == {name for name in releases.RELEASES if name != "old"}
    for name, each in listed.items():
        release = releases.RELEASES[name]
        assert (each.origin.distribution, each.version()) == (release.distribution, release.version)


def test_one_command_makes_what_is_not_there_and_leaves_nothing_half_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def pip(command: list[str], check: bool) -> Any:
        asked.append(command[-1])
        target = Path(command[command.index("--target") + 1])
        target.mkdir()
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        assert "--no-deps" in command
        return subprocess.CompletedProcess(command, 1 if "3.9.0" in command[-1] else 0)

    monkeypatch.setattr(subprocess, "run", pip)
    (tmp_path / "zij-0.1.1").mkdir()
    assert releases.main([str(tmp_path)]) == 1
    assert "zij==0.1.1" not in asked
    assert "heavyball==3.2.0" in asked
    assert capsys.readouterr().out.endswith("could not install pytorch_optimizer-3.9.0\n")
    assert not (tmp_path / "pytorch_optimizer-3.9.0").exists()
    assert (tmp_path / "heavyball-3.2.0").is_dir()
