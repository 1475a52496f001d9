"""The README's figures and the list of published reports are those of the published records, and say what is missing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from reports import ReportError, cli
from reports.document import Link
from reports.merge import load
from reports.page import render
from reports.readme import BEGIN, END, figures, with_figures
from reports.report_index import report_index, write_ups
from reports.web.html import HtmlRenderer
from tests.reports import records_for_tests as made

ROOT = Path(__file__).resolve().parent.parent.parent
PUBLISHED = ROOT / "reports" / "published"


def test_the_readme_says_what_the_published_records_give() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    evidence = load(sorted((PUBLISHED / "cpu").glob("*.jsonl")))
    assert with_figures(text, evidence, "reports/published/cpu") == text, "run `make publish`"


def test_the_list_of_published_reports_is_that_of_their_records() -> None:
    assert report_index(PUBLISHED) == (PUBLISHED / "README.md").read_text(encoding="utf-8"), "run `make publish`"


def squeezed(text: str) -> str:
    return re.sub(r" +", " ", text)


def test_figures_name_who_conforms_and_who_is_fastest(tmp_path: Path) -> None:
    text = squeezed(figures(load([made.write(tmp_path / "a.jsonl")]), "published/here"))
    told = "**9 of 15 judged implementations compute their paper; 5 differ; 1 crash.** [A published report](published/here/"
    assert text.startswith(told)
    row = next(line for line in text.split("\n") if line.startswith("| **AdEMAMix** (float32) |"))
    assert "| - | [`heavyball`](published/here/pages/ademamix.heavyball.md), [`optax`](" in row
    assert row.endswith("| 3 of 3 do | `triton`, 5.92× [5.68, 6.10] the speed of `torch` |")
    row = next(line for line in text.split("\n") if line.startswith("| **Sigmoid attention**"))
    assert (
        "| [`triton-sigmoid`](published/here/pages/sigmoid_attention.triton-sigmoid.md)&nbsp;0.9996 | [`x-transformers`]("
        in row
    )
    assert "](published/here/plots/ademamix.svg)](published/here/README.md)" in text
    assert "| **RIG annotations** | - | - | 1 of 2 do | not measured |" in text
    assert sum(line.startswith("|") for line in text.split("\n")) <= 2 + 8


def test_one_record_more_changes_the_figures(tmp_path: Path) -> None:
    every = made.write(tmp_path / "a.jsonl")
    changed = [{**line, "verdict": "pass", "margin": 0.9} if line["verdict"] == "fail" else line for line in made.lines()]
    fewer = made.write(tmp_path / "b.jsonl", changed)
    assert figures(load([every]), "r") != figures(load([fewer]), "r")


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_its_marks_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReportError, match="no place for the figures"):
        with_figures(text, load([made.write(tmp_path / "a.jsonl")]), "r")


def test_the_command_writes_between_the_marks_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, page = tmp_path / "reports" / "cpu", tmp_path / "README.md"
    report.mkdir(parents=True)
    made.write(report / "a.jsonl")
    page.write_text(f"# Before\n\n{BEGIN}\n{END}\n\nAfter\n", encoding="utf-8")
    assert cli.main(["readme", str(report), str(page), "--check"]) == cli.DIFFERS
    assert "run `make publish`" in capsys.readouterr().out
    assert cli.main(["readme", str(report), str(page)]) == 0
    first = page.read_text(encoding="utf-8")
    assert first.startswith(f"# Before\n\n{BEGIN}\n\n**9 of 15")
    assert first.endswith(f"\n\n{END}\n\nAfter\n")
    assert "](reports/cpu/README.md)" in first
    assert cli.main(["readme", str(report), str(page), "--check"]) == 0
    assert cli.main(["readme", str(report), str(page)]) == 0
    assert page.read_text(encoding="utf-8") == first
    assert cli.main(["readme", str(tmp_path / "nothing"), str(page)]) == cli.BAD_INPUT


def test_the_list_says_whether_a_gpu_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cpu").mkdir()
    made.write(tmp_path / "cpu" / "a.jsonl")
    assert cli.main(["index", str(tmp_path)]) == 0
    alone = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "**Nothing has been measured on a GPU yet.**" in alone
    told = "| 9 of 15 judged implementations compute their paper; 5 differ; 1 crash. (1 run) |"
    assert f"| [cpu](cpu/README.md) | 2026-11-23 {told}" in squeezed(alone)
    (tmp_path / "gpu").mkdir()
    made.write_gpu_run(tmp_path / "gpu" / "b.jsonl")
    assert cli.main(["index", str(tmp_path)]) == 0
    assert "written up" not in alone
    (tmp_path / "findings").mkdir()
    (tmp_path / "findings" / "one.md").write_text(
        "# It is wrong\n\n- Found in: `optax` 0.2.8, fixed in 0.2.9\n- Judged as: `optax`\n- Rules: ADM-46\n", encoding="utf-8"
    )
    assert cli.main(["index", str(tmp_path)]) == 0
    listed = squeezed((tmp_path / "findings" / "README.md").read_text(encoding="utf-8"))
    assert (
        "| interface | `optax` | 0.2.8 | [It is wrong](one.md) | found in 0.2.8, fixed in 0.2.9, not reported yet |" in listed
    )
    assert cli.main(["index", str(tmp_path)]) == 0
    both = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "on a GPU yet" not in both
    assert "[written up](findings/README.md)" in both
    assert "| A CPU &#124; of some make, 2 cores with A GPU | cuda |" in squeezed(both)
    (tmp_path / "README.md").write_text("# Mine\n", encoding="utf-8")
    assert cli.main(["index", str(tmp_path)]) == cli.BAD_INPUT
    assert "left alone" in capsys.readouterr().err


def test_write_ups_beside_a_report_are_linked_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "findings"
    folder.mkdir()
    (folder / "one.md").write_text("Intro\n\n# A rule [broken](http://e.org)\n", encoding="utf-8")
    (folder / "README.md").write_text("# The list\n", encoding="utf-8")
    (folder / 'a" onclick="b.md').write_text("# Bad name\n", encoding="utf-8")
    record = made.write(tmp_path / "run.jsonl")
    assert cli.main([str(record), "-o", str(tmp_path / "cpu")]) == 0
    page = (tmp_path / "cpu" / "pages" / "findings.md").read_text(encoding="utf-8")
    assert "[A rule &#91;broken&#93;(http&#58;//e.org)](../../findings/one.md)" in page
    html = (tmp_path / "cpu" / "pages" / "findings.html").read_text(encoding="utf-8")
    assert '<a href="../../findings/one.md">A rule [broken](http://e.org)</a>' in html
    for text in (page, html):
        assert "The list" not in text
        assert "Bad name" not in text
    (folder / "two.md").write_text("# optax.x: alpha is late\n\n- Judged as: `optax`\n- Rules: ADM-06\n", encoding="utf-8")
    assert cli.main([str(record), "-o", str(tmp_path / "cpu")]) == 0
    first = (tmp_path / "cpu" / "README.md").read_text(encoding="utf-8")
    assert "0.2.8: [alpha is late](../findings/two.md) ([ADM-06](" in first
    assert "; 1 requirement more." in first
    shutil.rmtree(folder)
    assert write_ups(tmp_path / "cpu") == ()
    assert b"findings/" not in render(load([record]))["pages/findings.html"]
    # Only what is made as a link is one.
    assert "href" not in HtmlRenderer({}).blocks(["[x](../findings/x.md)"])
    assert "href" in HtmlRenderer({}).blocks([Link("x", "../findings/x.md")])
