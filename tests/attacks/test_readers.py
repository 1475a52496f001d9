"""What an attack of `readers/` puts into names, declarations and errors stays text, on the terminal, in records and in pages.

OUTCOME is ``harmless`` for all of them.
"""

from __future__ import annotations

import re
from pathlib import Path

from reports.cli import main
from tests.attacks.attacking import HERE, attacks, check
from tests.attacks.test_files import CONTROL, is_harmless
from tests.reports.test_reports_web import Tree

READERS = attacks("readers")
LONGEST = 4000
"""Characters of a line on the terminal: a paragraph, whoever wrote it."""


def test_what_an_implementation_says_stays_text(tmp_path: Path) -> None:
    plugs = [f"rig={each.path}:attack" for each in READERS]
    run = check([*plugs, f"rig={HERE}/readers/honest.py:parse"], tmp_path, "RIG-34-end")
    assert {each.outcome for each in READERS} == {"harmless"}
    verdicts = {each.name: set(run.verdicts(f"rig/{each.name}.attack").values()) for each in READERS}
    honest = ("name_of_another", "script_in_a_declaration")
    assert verdicts == {each.name: {"pass" if each.name in honest else "error"} for each in READERS}
    lines = run.output.split("\n")
    # What a plug prints itself is its own; the suite says nothing in its words.
    said = [line for line in lines if line not in ("::add-mask::x", "::stop-commands::y", "::error::z", "##[error]w")]
    assert not [line for line in said if CONTROL.search(line) or len(line) > LONGEST]
    assert not [line for line in said if re.match(r"\s*(::error|::add-mask|::stop-commands|##\[)", line)]
    assert not (tmp_path / "reached.txt").exists()
    assert (tmp_path / "run.jsonl").stat().st_size < 1_000_000
    assert main([str(tmp_path / "run.jsonl"), "-o", str(tmp_path / "out")]) == 0
    for page in (tmp_path / "out").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not CONTROL.search(text), page
        assert is_harmless(Tree(text)), page
