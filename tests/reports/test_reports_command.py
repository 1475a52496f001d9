"""The command writes a whole report or nothing, keeps what is not its own, and answers bad input with one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import ReportError, cli
from reports import publish as publish_module
from reports.charts.svg import SIGNATURE as PLOT_SIGNATURE
from reports.page import SIGNATURE
from reports.publish import publish
from reports.web.page import SIGNATURE as WEB_SIGNATURE
from tests.reports import records_for_tests as made

OLD = {
    "README.md": f"{SIGNATURE}\nold\n".encode(),
    "index.html": f"<!DOCTYPE html>\n{WEB_SIGNATURE}\nold\n".encode(),
    "plots/a.svg": f"<?xml?>\n{PLOT_SIGNATURE}\nold a".encode(),
    "badges/x/a.svg": f"{PLOT_SIGNATURE}\nold badge".encode(),
    "pages/a.md": f"{SIGNATURE}\nold page\n".encode(),
    "pages/a.html": f"<!DOCTYPE html>\n{WEB_SIGNATURE}\nold page\n".encode(),
}
NEW = {
    "README.md": f"{SIGNATURE}\nnew\n".encode(),
    "index.html": f"<!DOCTYPE html>\n{WEB_SIGNATURE}\nnew\n".encode(),
    "plots/b.svg": f"<?xml?>\n{PLOT_SIGNATURE}\nnew b".encode(),
    "badges/x/b.svg": f"{PLOT_SIGNATURE}\nnew badge".encode(),
    "pages/b.md": f"{SIGNATURE}\nnew page\n".encode(),
    "pages/b.html": f"<!DOCTYPE html>\n{WEB_SIGNATURE}\nnew page\n".encode(),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return made.write(tmp_path / "run.jsonl", [made.result("ademamix/torch", "ADM-01", "d8-t1", "float32", 0.4)])


def test_it_writes_the_page_and_its_plots(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(record), "-o", str(tmp_path / "deep" / "out")]) == 0
    assert {name for name in contents(tmp_path / "deep") if "/badges/" not in name and "/pages/" not in name} == {
        "out/README.md",
        "out/index.html",
        "out/plots/ademamix.svg",
    }
    said = capsys.readouterr()
    assert "README.md and " in said.out
    assert said.err == ""


def test_a_run_that_was_cut_short_is_rendered_where_that_is_asked_for_and_every_page_says_so(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record.write_text("\n".join(record.read_text().split("\n")[:-2]) + "\n")
    assert cli.main([str(record), "-o", str(tmp_path / "out")]) == cli.BAD_INPUT
    assert "python -m reports --partial" in capsys.readouterr().err
    assert cli.main(["--partial", str(record), "-o", str(tmp_path / "out")]) == 0
    pages = [text for name, text in contents(tmp_path / "out").items() if name.endswith((".md", ".html"))]
    assert len(pages) > 4
    assert all(b"the run of run.jsonl was cut short" in page for page in pages)


def test_a_bad_file_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    assert cli.main([str(bad), "-o", str(tmp_path / "out")]) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "bad.jsonl" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["-o", "out"], ["run.jsonl"]])
def test_missing_arguments_are_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == cli.BAD_INPUT
    assert "usage" in capsys.readouterr().err


def test_a_subcommand_does_not_shadow_a_record_file(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.SUBCOMMANDS, "echo", lambda rest, made: len(rest))
    assert cli.main(["echo", "one", "two", "three"]) == 3
    assert cli.main([str(record), "-o", str(tmp_path / "out")]) == 0


def test_foreign_files_stay_and_our_old_plots_go(tmp_path: Path) -> None:
    publish(OLD, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / "plots" / "mine.svg").write_text("<svg/>")
    publish(NEW, tmp_path / "out")
    assert contents(tmp_path / "out") == {**NEW, "notes.txt": b"mine", "plots/mine.svg": b"<svg/>"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["README.md", "index.html", "plots/b.svg", "badges/x/b.svg", "pages/b.md", "pages/b.html"])
def test_a_file_of_somebody_else_is_never_overwritten(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("# My project\n")
    with pytest.raises(ReportError, match="left alone"):
        publish(NEW, tmp_path / "out")
    assert contents(tmp_path / "out") == {name: b"# My project\n"}


@pytest.mark.parametrize("there_already", [False, True])
def test_an_interrupted_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there_already: bool
) -> None:
    if there_already:
        publish(OLD, tmp_path / "out")
    before, folders = contents(tmp_path), sorted(tmp_path.rglob("*"))

    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish_module.Path, "write_bytes", full)
    with pytest.raises(ReportError, match="No space left"):
        publish(NEW, tmp_path / "out")
    assert contents(tmp_path) == before
    assert sorted(tmp_path.rglob("*")) == folders


def test_a_file_in_place_of_the_folder_is_said(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("a file")
    assert cli.main([str(record), "-o", str(tmp_path / "out")]) == cli.BAD_INPUT
    assert "out is a file; expected a folder" in capsys.readouterr().err
