"""Each malformed or forged record file, made by a file of `files/`, has the outcome that it names.

``attack(records)`` gives the bytes that somebody made of a whole run's records. ``refused``: one line, exit code 2, nothing
written. ``shown``: it is rendered and compared, in its folder alone, and what it says stays text.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from reports.cli import main
from tests.attacks.attacking import HERE, NOT_PREVENTED, Attack, attacks, check
from tests.reports.test_reports_web import Tree

FILES = {each.name: each for each in attacks("files")}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sealed records of a small run."""
    folder = tmp_path_factory.mktemp("whole")
    plugs = [f"rig={HERE}/verdicts/honest.py:{name}" for name in ("parse", "wrong")]
    run = check(plugs, folder, "RIG-34-end or RIG-34-two or RIG-03-one-line")
    assert run.footer is not None
    return folder / "run.jsonl"


def forged(attack: Attack, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> bytes:
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(attack.path.parent))
        patch.delitem(sys.modules, "honest", raising=False)
        spec = importlib.util.spec_from_file_location(f"attack_{attack.name}", attack.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules.pop("honest", None)
        made: bytes = module.attack(copy.deepcopy(records))
    return made


def is_harmless(tree: Tree) -> bool:
    """Whether a page has no script, no handler and no link but ours."""
    for node in tree.root.walk():
        for name, value in node.attributes.items():
            runs = name in ("href", "src") and re.match(r"\s*(javascript|vbscript|data:text)", value, re.I)
            if runs or name.startswith("on"):
                return False
        if node.tag == "script" and "alert(1)" in node.text:
            return False
    return True


@pytest.mark.parametrize("name", FILES)
def test_a_record_file_that_somebody_made_harms_nobody(
    name: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [json.loads(line) for line in whole.read_text(encoding="utf-8").split("\n")[:-1]]
    folder = tmp_path / "a" / "b" / "c" / "d" / "e"
    folder.mkdir(parents=True)
    bad, out = folder / "bad.jsonl", folder / "out"
    bad.write_bytes(forged(FILES[name], records, monkeypatch))
    codes = (main([str(bad), "-o", str(out)]), main(["diff", str(whole), str(bad)]))
    said = capsys.readouterr()
    assert not CONTROL.search(said.out + said.err)
    outcome = "refused" if codes == (2, 2) else "shown" if set(codes) <= {0, 1} else f"exit codes {codes}"
    if NOT_PREVENTED in FILES[name].outcome:
        assert outcome == "shown"
        return
    assert outcome == FILES[name].outcome
    if outcome == "refused":
        assert not out.exists()
        assert said.err.count("\n") == 2
        return
    assert {each.name for each in folder.iterdir()} == {"bad.jsonl", "out"}
    assert [each for each in tmp_path.rglob("*climbed*") if out not in each.parents] == []
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not CONTROL.search(text), page
        assert is_harmless(Tree(text)), page
    for page in out.rglob("*.md"):
        assert not CONTROL.search(page.read_text(encoding="utf-8")), page
