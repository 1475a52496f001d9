"""The census: what a folder of checkouts has of the table, and how it is judged. The checkouts are made up here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.records import io
from conformance.records.schema import VerdictRecord
from gaugeblock import census_adapters, census_table, command
from gaugeblock.census_table import CensusEntry
from gaugeblock.commands import census

ENTRIES = (
    CensusEntry("ann/first", "optim/mix.py", "Mix"),
    CensusEntry("bob/second", "mix.py", "Mix"),
    CensusEntry("cid/third", "mix.py", "Mix"),
    CensusEntry("dan/fourth", "mix.py", "Mix", requires=("no_such_module",)),
    CensusEntry("eve/fifth", "mix.py", "Mix", obstacle="is a mixture with something else"),
    CensusEntry("fay/parser", "parser.py", "parse", system="rig"),
    CensusEntry("gil/sixth", "mix.py", "Mix", adapter="sixth"),
)
PARSER = """
import re

def parse(text):
    return [(m[1], m[2], m.start(), m.end()) for m in re.finditer(r'\\[__DC__\\("([^"]+)"\\) --> "([^"]*)"\\]', text)]
"""


@pytest.fixture
def checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both layouts, one checkout of git, and two that are the same."""
    monkeypatch.setattr(census, "TABLE", ENTRIES)
    folder = tmp_path / "checkouts"
    files = {
        "ann/first/optim/mix.py": "class Mix: ...\n",
        "bob+second/mix.py": "class Mix: ...\n",
        "cid+third/other.py": "",
        "dan+fourth/mix.py": "import no_such_module\n",
        "eve+fifth/mix.py": "class Mix: ...\n",
        "fay+parser/parser.py": PARSER,
        "gil+sixth/mix.py": "class Mix: ...\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_each_entry_is_found_or_has_a_reason(checkouts: Path) -> None:
    found = {each.entry.repository: each for each in (census.located(checkouts, entry) for entry in ENTRIES)}
    assert found["ann/first"].spec == "ademamix=ann/first/optim/mix.py:Mix"
    assert found["bob/second"].spec == "ademamix=bob+second/mix.py:Mix"
    assert found["gil/sixth"].spec == "ademamix=gaugeblock.census_adapters:sixth"
    assert found["ann/first"].digest == found["bob/second"].digest != ""
    assert "no file mix.py" in found["cid/third"].reason
    assert found["dan/fourth"].reason == "needs no_such_module, which is not installed here"
    assert found["eve/fifth"].reason == "is a mixture with something else"
    assert not any(each.spec for each in found.values() if each.reason)
    assert "expected it at gus+none" in census.located(checkouts, CensusEntry("gus/none", "a.py", "A")).reason


def test_the_commit_is_that_of_the_checkout_itself(checkouts: Path) -> None:
    place = checkouts / "bob+second"
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert census.located(checkouts, ENTRIES[1]).commit == head
    assert census.located(checkouts, ENTRIES[0]).commit == ""
    day = subprocess.run([*git, "log", "--format=%cs"], check=True, capture_output=True, text=True).stdout.strip()
    assert census.located(checkouts, ENTRIES[1]).since == day
    assert census.located(checkouts, ENTRIES[0]).since == ""


def test_the_same_file_is_judged_once_and_all_are_listed(
    checkouts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr(census, "run_suite", lambda *arguments: given.extend(arguments) or 1)
    assert command.main(["census", str(checkouts), "ann", "bob", "cid", "-o", str(tmp_path / "out")]) == 0
    assert [word for word in given if word.startswith("--impl")] == ["--impl=ademamix=ann/first/optim/mix.py:Mix"]
    rows = json.loads((tmp_path / "out" / "census.json").read_text(encoding="utf-8"))
    assert [row["repository"] for row in rows] == ["ann/first", "bob/second", "cid/third"]
    assert [row["same_as"] for row in rows] == [["bob/second"], ["ann/first"], []]
    assert str(tmp_path) not in json.dumps(rows)


def test_copies_that_were_reformatted_have_the_same_code(tmp_path: Path) -> None:
    texts = (
        'class Mix:\n    """Word."""\n    def step(self): return (1 +\n        2)  # why\n',
        "import torch\n@named\nclass Mix:\n    def step(self):\n        return 1 + 2\n",
        "class Mix:\n    def step(self): return 2 + 1\n",
        "class Mix(:\n",
    )
    digests = []
    for text in texts:
        (tmp_path / "mix.py").write_text(text, encoding="utf-8")
        digests.append(census.code_digest(tmp_path / "mix.py", "Mix"))
    assert digests[0] == digests[1] != digests[2]
    assert digests[3] == ""
    assert census.code_digest(tmp_path / "mix.py", "Other") == ""


def test_a_list_can_be_kept_without_judging(checkouts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "run_suite", lambda *_: pytest.fail("nothing is to be judged"))
    output = tmp_path / "out"
    assert command.main(["census", str(checkouts), "--list", "-o", str(output)]) == 0
    assert [row["repository"] for row in json.loads((output / "census.json").read_text())] == [e.repository for e in ENTRIES]
    assert command.main(["census", str(checkouts), "eve", "--reproduce", "-o", str(output)]) == 0
    assert json.loads((output / "reproductions.json").read_text()) == {}


def test_nothing_to_judge_is_said(checkouts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["census", str(checkouts), "eve", "-o", str(tmp_path / "out")]) == census.NOTHING_JUDGED
    assert "not run: is a mixture with something else" in capsys.readouterr().out
    assert command.main(["census", str(checkouts), "nobody"]) == command.BAD_INPUT
    assert "found 'nobody'" in capsys.readouterr().err
    assert command.main(["census", str(tmp_path / "none")]) == command.BAD_INPUT


def test_a_checkout_is_judged_from_its_file(checkouts: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert (
        command.main(["census", str(checkouts), "fay", "--quick", "--level", "definition", "-n", "0", "-o", str(output)]) == 0
    )
    run = io.read(output / "verdicts.jsonl")
    assert run.of(VerdictRecord)
    assert [each.selector for each in run.header.implementations] == ["rig=fay+parser/parser.py:parse"]


def test_the_table_names_each_implementation_once() -> None:
    names = [entry.name for entry in census_table.TABLE]
    assert len(set(names)) == len(names) >= 25
    known = {entry.repository for entry in census_table.TABLE}
    assert {entry.names_source for entry in census_table.TABLE if entry.names_source} <= known
    assert all(entry.repository.count("/") == 1 and not entry.path.startswith("/") for entry in census_table.TABLE)


def test_each_adapter_is_one_of_the_table_and_the_other_way_round() -> None:
    assert {entry.adapter for entry in census_table.TABLE if entry.adapter} == set(census_adapters.ADAPTERS)


def test_a_definition_is_taken_without_the_rest_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census_adapters, "FOLDER", tmp_path)
    file = tmp_path / "ann" / "first" / "mix.py"
    file.parent.mkdir(parents=True)
    file.write_text("import no_such_module\nWORD = 'a'\ndef mix():\n    return WORD + given\n", encoding="utf-8")
    assert census_adapters.taken("ann/first", "mix.py", "mix", "WORD", given="b").mix() == "ab"


def test_a_module_is_imported_without_what_its_package_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census_adapters, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.modules", dict(sys.modules))
    package = tmp_path / "ann+first" / "src" / "census_of_ann"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import no_such_module\n", encoding="utf-8")
    (package / "word.py").write_text("WORD = 'a'\n", encoding="utf-8")
    (package / "mix.py").write_text("from .word import WORD\n", encoding="utf-8")
    assert census_adapters.module_of("ann/first", "census_of_ann.mix", "src").WORD == "a"
