"""The linting command: inputs and outputs of every kind, exit statuses as documented, one clear line for a bad input."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.linting import command, containers, inputs
from conformance.linting.findings import Linter
from conformance.rag import workloads as rag_workloads
from conformance.rag.lint import LINTER as RAG
from conformance.rag.lint import MEANING
from conformance.rig import workloads as rig_workloads
from conformance.rig.lint import LINTER as RIG
from impls.rig.positions import Lines
from reference import rag, rig

ROOT = Path(__file__).resolve().parent.parent.parent
BAD = "x [__DC__('what was q in Paris?') -> '5%'] y"
REPAIRED = 'x [__DC__("what was q in Paris?") --> "5%"] y'


def run(capsys: pytest.CaptureFixture[str], *arguments: object, linter: object = RIG) -> tuple[int, str, str]:
    status = command.run(linter, ["lint", *map(str, arguments)])  # type: ignore[arg-type]
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_clean_file_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text(rig.EXAMPLE, encoding="utf-8")
    status, out, err = run(capsys, tmp_path / "a.txt")
    assert (status, err) == (0, "")
    assert out.startswith("file ")
    (tmp_path / "b.txt").write_text(rag.EXAMPLE, encoding="utf-8")
    assert run(capsys, tmp_path / "b.txt", linter=RAG)[0] == 0


def test_a_finding_has_line_column_and_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"first\n漢字 {BAD}\n", encoding="utf-8")
    status, out, _ = run(capsys, file)
    assert status == 1
    first, shown, caret, *_ = out.splitlines()
    assert first.startswith(f"{file}:2:6: error D4 D5: ")
    assert shown == f"    漢字 {BAD}"
    assert caret == "    " + " " * len("ideo x ") + "^" * len(BAD[2:-2])


def test_long_lines_are_cut_around_the_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("word " * 1000 + BAD + " word" * 1000, encoding="utf-8")
    _, shown, caret, *_ = run(capsys, tmp_path / "a.txt")[1].splitlines()
    assert len(shown) < 100
    assert shown[caret.index("^") :].startswith("[__DC__('what was")


@pytest.mark.parametrize(("line", "field"), [
    ({"output": BAD}, ""), ({"id": 3, "response": BAD, "content": "x"}, ""), (BAD, ""),
    ({"a": {"b": ["x", {"c": BAD}]}, "text": "clean"}, "a.b.1.c"),
])  # fmt: skip
def test_json_lines_are_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: object, field: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(f" \r\n{json.dumps(line)}\r\n".encode())
    status, out, _ = run(capsys, file, *(["--field", field] if field else []))
    assert status == 1
    assert out.startswith(f"{file}[2]:1:3: error D4 D5: ")
    # Only the line that changed is written anew, and its other fields and its line end stay.
    status, out, _ = run(capsys, file, "--fix", "--write", *(["--field", field] if field else []))
    assert status == 0
    assert f"-{BAD}\n+{REPAIRED}\n" in out
    expected = json.loads(json.dumps(line).replace(json.dumps(BAD), json.dumps(REPAIRED)))
    written = file.read_bytes().decode()
    assert written.startswith(" \r\n")
    assert written.endswith("\r\n")
    assert json.loads(written) == expected


def test_lines_that_need_no_repair_stay_byte_for_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = '{"output" :  "clean \\u00e9",  "x":1.50}'
    file = tmp_path / "a.jsonl"
    file.write_text(f"{odd}\n{json.dumps({'output': BAD})}\n{odd}", encoding="utf-8")
    run(capsys, file, "--fix", "--write")
    assert file.read_text(encoding="utf-8").split("\n")[::2] == [odd, odd]


def test_fix_shows_and_write_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(f"one\r\n{BAD}\r\n".encode())
    file.chmod(0o640)
    status, out, _ = run(capsys, file, "--fix")
    assert (status, file.read_bytes()) == (0, f"one\r\n{BAD}\r\n".encode())
    assert f"-{BAD}\r\n+{REPAIRED}\r\n" in out
    assert run(capsys, file, "--fix", "--write")[0] == 0
    assert file.read_bytes() == f"one\r\n{REPAIRED}\r\n".encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(("threshold", "status"), [("error", 0), ("warning", 1), ("note", 1), ("never", 0)])
def test_the_exit_status_is_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], threshold: str, status: int
) -> None:
    (tmp_path / "a.txt").write_text("grew by 12%", encoding="utf-8")
    assert run(capsys, tmp_path / "a.txt", "--fail-on", threshold)[0] == status
    assert run(capsys, tmp_path / "a.txt", "--fail-on", threshold, "--ignore", "not-annotated")[0] == 0


def test_what_the_official_reader_reads_all_the_same_is_a_warning_to_those_who_use_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.txt"
    file.write_text('a [__DC__("what was it in Paris?") --> "5%" b', encoding="utf-8")
    assert run(capsys, file)[0] == 1
    status, out, _ = run(capsys, file, "--profile", "official")
    assert (status, "warning D9" in out) == (0, True)
    file.write_text(BAD, encoding="utf-8")
    assert run(capsys, file, "--profile", "official")[0] == 1
    file.write_text("- What is it?\n", encoding="utf-8")
    assert [run(capsys, file, "--profile", p, linter=RAG)[0] for p in ("strict", "official")] == [1, 0]


def test_progress_is_a_bar_of_what_is_done(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SECONDS_BETWEEN_REPORTS", 0.0)
    progress = command._LintProgress(True, 2)
    progress.step("a.jsonl", 0.5)
    progress.finished()
    progress.step("b.jsonl", 1.0)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"[{'#' * 8}{'.' * 22}]  25%  1 documents linted, in a.jsonl"
    assert second == f"[{'#' * 30}] 100%  2 documents linted, in b.jsonl"


def test_sums_are_complete_where_findings_are_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("a.txt", "b.txt")]
    for file in files:
        file.write_text("grew by 12% and 13%", encoding="utf-8")
    result = json.loads(run(capsys, *files, "--limit", 3, "--format", "json")[1])
    assert [len(file["findings"]) for file in result["files"]] == [2, 1]
    assert result["total"]["diagnostics"] == {"not-annotated": 4}
    assert result["total"]["counts"]["documents"] == 2
    assert result["files"][1]["findings"][0] == {
        "document": str(files[1]), "line": 1, "column": 9, "start": 8, "end": 11, "severity": "warning",
        "diagnostics": ["not-annotated"], "message": "'12%' has no annotation", "suggestion": None,
    }  # fmt: skip
    assert "(1 more findings; " in run(capsys, *files, "--limit", 3)[1]
    assert "more findings" not in run(capsys, *files, "--limit", 0)[1]
    assert "\n1 more findings are not listed.\n" in run(capsys, *files, "--limit", 3, "--format", "markdown")[1]


def test_markdown_is_not_broken_by_what_it_quotes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("`x` | ``12%`` <b>", encoding="utf-8")
    out = run(capsys, tmp_path / "a.txt", "--format", "markdown")[1]
    assert "``` `x` | ``12%`` <b> ```" in out
    assert all(
        line.count(" | ") == 6 for line in out.splitlines() if line.startswith("| ") and "documents" in line.split("|")[2]
    )


@pytest.mark.parametrize(("name", "content", "options", "message"), [
    ("missing.txt", None, [], "cannot read"),
    ("a.txt", b"caf\xe9", [], "is not UTF-8: found the byte 0xE9 at 3"),
    ("a.jsonl", b'{"x": "x"}\n{', [], "(and 1 more like it)"),
    ("a.jsonl", b'{"output": null}', [], "line 1: 'output' is null, expected a string"),
    ("a.json", b'{"output": "x"}\n{}', [], "not JSON (Extra data)"),
    ("a.json", b'', [], "not JSON"),
    ("a.csv", b'x,y\n1,2\n', [], "found the columns 'x', 'y', expected one of output"),
    ("a.csv", b'', [], "found nothing, expected one of output"),
    ("a.txt", b"\xfd7zXZ\x00", [], "is compressed with xz"),
    ("a.csv", b'output\n"x" y\n', [], "row 2: the quotation marks of a cell do not match"),
    ("a.jsonl", gzip.compress(b'"x"', mtime=0), [], "is compressed with gzip; give what `gunzip -c FILE` writes"),
    ("a.txt", "x \u00e9".encode("utf-16"), [], "is UTF-16; convert it first: `iconv"),
    ("a.txt", "some words".encode("utf-16-be"), [], "looks like UTF-16"),
    ("a.jsonl", b'{"x": 1}', [], "line 1: found the keys 'x', expected a string or one of output"),
    ("a.jsonl", b"[" * 100_000, [], "line 1: not JSON"),
    ("a.jsonl", b"3", [], "line 1: found int"),
    ("a.jsonl", b'{"output": {"y": "x"}}', ["--field", "output.z"], "line 1: has no field 'output.z'"),
    ("a.jsonl", b'{"output": ["x"]}', ["--field", "output.1"], "line 1: has no field 'output.1'"),
    ("a.jsonl", b'{"output": 3}', ["--field", "output"], "line 1: 'output' is int, expected a string"),
    ("a.txt", b"x", ["--limit", "-1"], "found --limit -1, expected a number of findings"),
    ("a.txt", b"x", ["--write"], "--write goes with --fix"),
    ("-", None, ["--fix", "--write"], "cannot write to standard input"),
])  # fmt: skip
def test_a_bad_input_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, options: list[str], message: str
) -> None:
    file = tmp_path / name if name != "-" else name
    if content is not None:
        (tmp_path / name).write_bytes(content)
    status, out, err = run(capsys, file, *options)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("python -m conformance.rig lint: ")
    assert err.count("\n") == 1


def test_a_surrogate_in_json_is_a_finding_and_no_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jsonl").write_text('"a\\ud800 12%"', encoding="utf-8")
    for kind in ("text", "json", "markdown"):
        status, out, _ = run(capsys, tmp_path / "a.jsonl", "--format", kind, "--fix")
        assert status == 1
        assert "lone-surrogate" in out
        out.encode("utf-8")


def test_standard_input_is_read_through_the_module() -> None:
    for arguments, text, status in (
        (["conformance.rig", "lint"], BAD, 1),
        (["conformance.rag", "lint", "-", "--input", "jsonl"], json.dumps(rag.EXAMPLE), 0),
        (["conformance.rig", "mend"], "", 2),
        (["conformance.rag", "--help"], "", 0),
    ):
        done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, input=text, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert ("(standard input)" in done.stdout) == (status != 2 and "--help" not in arguments)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("grew by 12%. " * 20_000, encoding="utf-8")
    command_line = [sys.executable, "-m", "conformance.rig", "lint", "--limit", "0", str(tmp_path / "a.txt")]
    with subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert "not-annotated" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == command.FOUND


def test_a_narrow_terminal_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("é 12%", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "conformance.rig", "lint", str(tmp_path / "a.txt")],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xe9 12%" in done.stdout


def test_progress_goes_to_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SECONDS_BETWEEN_REPORTS", 0.0)
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    assert "1 documents linted, in " in run(capsys, tmp_path / "a.txt")[2]
    assert run(capsys, tmp_path / "a.txt", "--quiet")[2] == ""


def documented() -> str:
    return (ROOT / "docs" / "linting.md").read_text(encoding="utf-8")


def test_the_example_of_the_documentation_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = re.search(r"^```text\n(answer\.txt:.*?)^```", documented(), re.MULTILINE | re.DOTALL)
    assert finding
    (tmp_path / "answer.txt").write_text(finding[1].splitlines()[1].strip() + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "answer.txt")[1].startswith(finding[1])


@pytest.mark.parametrize(("system", "heading"), [("rig", "annotated answers"), ("rag", "lists of queries")])
def test_every_code_is_documented_with_its_severity(system: str, heading: str) -> None:
    table = documented().split(f"## What is found in {heading}\n\n", 1)[1].split("\n\n", 1)[0]
    rows = [row.split(" | ")[:2] for row in table.removeprefix("| ").split("\n| ")[1:]]
    listed = {(code, severity) for codes, severity in rows for code in codes.split(", ")}
    source = (ROOT / "conformance" / system / "lint.py").read_text(encoding="utf-8")
    emitted = {(code, severity.lower()) for severity, code in re.findall(r'Severity\.(\w+),\s+"([\w-]+)"', source)}
    if system == "rig":
        emitted |= {("D1 to D15", "error"), ("unit-outside", "warning"), ("repeated-outside", "warning")}
    else:
        emitted |= {(defect.value, severity.name.lower()) for defect, (severity, _) in MEANING.items()}
    assert emitted == listed


def test_places_count_lines_at_line_feeds_only() -> None:
    lines = Lines("a\u2028b\rc\n\nd")
    assert [lines.place(n) for n in (0, 4, 5, 6, 7)] == [(1, 1), (1, 5), (1, 6), (2, 1), (3, 1)]
    assert [lines.line(n) for n in (1, 2, 3)] == ["a\u2028b\rc", "", "d"]


@pytest.mark.parametrize(("file", "kind", "expected"), [
    ("x.JSONL", "auto", "jsonl"), ("x.jsonl", "text", "text"), ("-", "jsonl", "jsonl"), ("-", "auto", "text"),
    ("x.json", "auto", "json"), ("x.csv", "auto", "csv"), ("x.tsv", "auto", "tsv"), ("x.md", "auto", "text"),
])  # fmt: skip
def test_the_kind_of_a_file_is_told_by_its_name(file: str, kind: str, expected: str) -> None:
    assert inputs.kind_of(file, kind) == expected


QUOTED = BAD.replace("'5%'", "\u201c5%\u201d")
"""A text with typographic quotation marks too, which no repair may take for those of the container."""


@pytest.mark.parametrize(("name", "content", "options"), [
    ("a.json", '{"output" : "%s", "n": [1.50, "\u201cx\u201d"]}\n', []),
    ("a.json", '[{"text": "%s"},\n {"text": "clean \\u00e9", "x": "-> \'y\'"}, "plain"]', []),
    ("a.json", '"%s"', []),
    ("a.json", '{"output": "first", "runs": [{"said": "%s"}], "output": "last"}', ["--field", "runs.0.said"]),
    ("a.jsonl", '\ufeff{"output": "clean"}\r\n{"x": 1e400, "output": "%s"}\r\n', []),
    ("a.jsonl", '{"output": "clean"}\n\ufeff{"n": 1' + "0" * 5000 + ', "output": "%s"}\n', []),
    ("a.csv", 'id,output\r\n1,"%s"\r\n\r\n2,"said ""x"", \u201cy\u201d\n"\r\n', []),
    ("a.csv", '\ufeffid;said,x\n1,"%s"\n', ["--field", "x"]),
    ("a.tsv", 'id\tanswer\n1\t%s\n2\tclean', []),
])  # fmt: skip
def test_a_container_is_repaired_in_its_texts_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, options: list[str]
) -> None:
    file = tmp_path / name
    file.write_bytes((content % QUOTED).encode())
    status, out, _ = run(capsys, file, *options)
    assert (status, "error D4 D5" in out) == (1, True)
    assert run(capsys, file, "--fix", "--write", *options)[0] == 0
    escaped = REPAIRED.replace('"', '\\"') if name.startswith("a.json") else REPAIRED.replace('"', '""')
    expected = f'"{escaped}"' if name == "a.tsv" else escaped
    assert file.read_bytes() == (content % expected).encode()
    assert run(capsys, file, *options)[0] == 0


@pytest.mark.parametrize(("name", "content", "expected"), [
    ("a.jsonl", f'{{"output": {json.dumps(BAD)}}}\n{{\n{{"output": null}}\n"clean"\n',
     ["line 2: not JSON", "line 3: 'output' is null"]),
    ("a.json", f'[{json.dumps(BAD)}, {{"x": 1}}, null]', ["item 2: found the keys 'x'", "item 3: found null"]),
    ("a.csv", f'output,n\n"{BAD}",1\nclean\n', ["row 3: found 1 cells, expected 2"]),
])  # fmt: skip
def test_a_bad_record_does_not_cost_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, expected: list[str]
) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    status, out, err = run(capsys, file, "--fix", "--write")
    assert (status, f"+{REPAIRED}" in out) == (2, True)
    assert len(err.splitlines()) == len(expected)
    assert all(message in line for line, message in zip(err.splitlines(), expected, strict=True))
    written = file.read_text(encoding="utf-8")
    old, new = (json.dumps(text)[1:-1] if name != "a.csv" else text.replace('"', '""') for text in (BAD, REPAIRED))
    assert written == content.replace(old, new)
    assert json.loads(run(capsys, file, "--format", "json")[1])["files"][0]["unread"] == [
        line.removeprefix("python -m conformance.rig lint: ") for line in err.splitlines()
    ]


PIECES = (
    BAD, QUOTED, "\u201c", "\u201d", '"', "\\", "\n", "\r\n", "\t", ",", " ", "- ", "1. ", "a?", "\u2028", "\x85",
    "\U0001f600", "\ufeff", "&quot;",
)  # fmt: skip


def read_container(kind: str, content: str) -> list[Any]:
    """What a reader of the format finds, with every text at the place where it may be repaired as ("text", text)."""
    if kind in ("csv", "tsv"):
        rows = csv.reader(io.StringIO(content, newline=""), delimiter="," if kind == "csv" else "\t", strict=True)
        return [[("text", cell) if place else cell for place, cell in enumerate(row)] for row in rows]
    values = json.loads(content) if kind == "json" else list(map(json.loads, content.split("\n")))
    return [{key: ("text", held) if key == "output" else held for key, held in value.items()} for value in values]


def repaired(linter: Linter, value: Any) -> Any:
    if isinstance(value, tuple):
        return ("text", linter.fix(value[1]))
    if isinstance(value, dict):
        return {key: repaired(linter, held) for key, held in value.items()}
    return [repaired(linter, held) for held in value] if isinstance(value, list) else value


def write_container(kind: str, texts: list[str], source: random.Random) -> str:
    if kind in ("csv", "tsv"):
        out = io.StringIO()
        quoting = source.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        ends = source.choice(["\n", "\r\n"])
        delimiter = "," if kind == "csv" else "\t"
        csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ends).writerows(
            [["id", "output"], *([str(number), text] for number, text in enumerate(texts))]
        )
        return out.getvalue()
    values = [{BAD: BAD, "output": text, "n": [1.5, {"output": text}]} for text in texts]
    written = [json.dumps(value, ensure_ascii=source.random() < 0.5) for value in values]
    return "[" + ",\n ".join(written) + "]" if kind == "json" else "\n".join(written)


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize("linter", [RIG, RAG], ids=["rig", "rag"])
def test_generated_containers_parse_as_before_but_for_their_repaired_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, linter: Linter
) -> None:
    source = random.Random(f"{kind} {linter.system}")
    file = tmp_path / f"a.{kind}"
    changed = 0
    for _ in range(60):
        texts = ["".join(source.choices(PIECES, k=source.randrange(8))) for _ in range(source.randrange(1, 4))]
        before = write_container(kind, texts, source)
        file.write_bytes(before.encode())
        run(capsys, file, "--fix", "--write", linter=linter)
        after = file.read_bytes().decode()
        assert read_container(kind, after) == repaired(linter, read_container(kind, before))
        changed += after != before
    assert changed > 20


@pytest.mark.parametrize("wrong", ['"%s"', "another text"])
def test_what_does_not_read_back_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    file = tmp_path / "a.csv"
    content = f'output\n"{BAD}"\n'
    file.write_text(content, encoding="utf-8")
    monkeypatch.setattr(containers, "_cell", lambda text, delimiter, quoted: wrong.replace("%s", text))
    status, out, err = run(capsys, file, "--fix", "--write")
    assert (status, out, file.read_text(encoding="utf-8")) == (2, "", content)
    assert err.count("\n") == 1


@pytest.mark.parametrize("file", ["a", "a.txt", "a.yaml", "a.ipynb", "a.html"])
def test_a_repair_does_not_go_into_a_format_that_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    content = json.dumps({"output": BAD}) + ("\n" if file == "a" else "")
    (tmp_path / file).write_text(content, encoding="utf-8")
    status, out, err = run(capsys, tmp_path / file, "--fix", "--write")
    assert (status, out, (tmp_path / file).read_text(encoding="utf-8")) == (2, "", content)
    assert "is not written" in err
    assert "--input text" in err


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text(f"\ufeff{BAD}", encoding="utf-8")
    assert f"{tmp_path / 'a.txt'}:1:3: " in run(capsys, tmp_path / "a.txt")[1]
    assert run(capsys, tmp_path / "a.txt", "--fix", "--write")[0] == 0
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == f"\ufeff{REPAIRED}"


@pytest.mark.parametrize("system", ["rig", "rag"])
def test_ten_thousand_outputs_are_linted_and_repaired(system: str, tmp_path: Path) -> None:
    file = outputs(system, tmp_path / "outputs.jsonl", 10_000)
    arguments = [sys.executable, "-m", f"conformance.{system}", "lint", "--fix", "--fail-on", "never", str(file)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(rf"^{re.escape(str(file))} +10000 ", done.stdout, re.MULTILINE)
    assert done.stdout.count("(repaired)") > 4000


@pytest.mark.parametrize("system", ["rig", "rag"])
def test_work_on_an_output_does_not_grow_with_their_number(
    system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted in calls, which are the same on every machine: with 5000 for each, ten thousand outputs take some seconds."""

    def calls(number_of: int) -> int:
        file = outputs(system, tmp_path / f"{number_of}.jsonl", number_of)
        return calls_of(lambda: run(capsys, "--fix", "--fail-on", "never", file, linter={"rig": RIG, "rag": RAG}[system]))

    calls(100)  # what is done at the first use only
    few, many = calls(200), calls(400)
    assert (many - few) / 200 < 5000, (few, many)
    assert many - few < 1.1 * few


def calls_of(function: Callable[[], object]) -> int:
    """How many functions are called, in Python and in C, while this one runs."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


def outputs(system: str, file: Path, number_of: int) -> Path:
    """A file of outputs of a thousand characters and more, of which every second has a defect."""
    if system == "rig":
        long, length, defect = rig_workloads.body("typical", 2**20), 1500, ('"]', '"')
    else:
        long, length, defect = rag_workloads.body(2**20, 10**6), 1000, ("What", "* What")
    with file.open("w") as lines:
        for number in range(number_of):
            at = number * 7919 % (len(long) - length)
            lines.write(json.dumps({"output": long[at : at + length].replace(*defect, number % 2)}) + "\n")
    return file
