"""A record file proves itself whole, and says the same whatever order its lines arrived in."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from conformance.records import io
from conformance.records.fields import RecordError
from conformance.records.schema import EnvironmentRecord, FooterRecord, HeaderRecord, Verdict, VerdictRecord

HEADER = HeaderRecord(suite="0.1.0")
FOOTER = FooterRecord(exit=0)


def result(case: str, margin: float | None = 0.5) -> VerdictRecord:
    return VerdictRecord(
        implementation="rig/x",
        system="rig",
        requirement="RIG-01",
        case=case,
        dtype="",
        device="cpu",
        verdict=Verdict.PASS,
        margin=margin,
        got="a\u2028b\u0085c",
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    io.write(path, HEADER, [result(c) for c in "bac"], FOOTER)
    return path


def test_round_trip(file: Path) -> None:
    run = io.read(file)
    assert [each.case for each in run.of(VerdictRecord)] == ["a", "b", "c"]
    assert run.footer.counts["verdict"] == 3
    assert run.records[0] == result("a")


def test_an_infinite_margin_survives_strict_json() -> None:
    line = json.loads(io.dump(replace(result("a", float("inf")), verdict=Verdict.FAIL).to_json()))
    assert line["margin"] == "inf"
    assert VerdictRecord.from_json(line).margin == float("inf")


def test_order_of_arrival_does_not_show(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.jsonl"
    io.write(other, HEADER, [result(c) for c in "cab"], FOOTER)
    assert other.read_bytes() == file.read_bytes()


def test_a_file_cut_short_is_refused(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").split("\n")
    file.write_text("\n".join(lines[:-2]) + "\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"run\.jsonl: found no footer"):
        io.read(file)


def test_a_changed_verdict_is_refused(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace('"pass"', '"fail"', 1), encoding="utf-8")
    with pytest.raises(RecordError, match="changed after it was written; run it again"):
        io.read(file)


def test_a_file_cut_short_within_a_line_says_what_to_do(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(RecordError, match=r"not JSON .*; run it again"):
        io.read(file)


def test_a_dropped_line_is_refused(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").split("\n")
    del lines[2]
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(RecordError, match="digest"):
        io.read(file)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no header"),
        ("{}\n", "no 'record' field"),
        ("not json\n", "not JSON"),
        ('{"record":"header","schema":99}\n{"record":"footer"}\n', "schema 99"),
        ('{"record":"header","schema":1}\n', "no footer"),
    ],
)
def test_what_is_no_record_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=reason):
        io.read(path)


def sealed(path: Path, *lines: str, **footer: object) -> Path:
    """A file whose digest is right, whatever else is wrong with it."""
    body = "".join(line + "\n" for line in lines)
    digest = hashlib.sha256(body.encode()).hexdigest()
    path.write_text(body + json.dumps({"record": "footer", "sha256": digest, **footer}) + "\n", encoding="utf-8")
    return path


HEAD = '{"record":"header","schema":1,"suite":"0.1.0"}'


@pytest.mark.parametrize(
    ("lines", "footer", "reason"),
    [
        ([HEAD, HEAD], {}, "holds two runs, one after the other"),
        ([HEAD, '{"record":"footer"}'], {}, "holds two runs, one after the other"),
        ([HEAD, '{"record":"poem"}'], {}, "found a line of kind 'poem'; expected one of verdict, mutant"),
        ([HEAD], {"counts": {"verdict": 2}}, "holds 0 lines of kind 'verdict', but its footer counts 2"),
        ([HEAD], {"sha256": None}, "its footer states no SHA-256 digest"),
        ([HEAD], {"sha256": "abc"}, "its footer states no SHA-256 digest"),
        (['{"record":"header","schema":1}'], {}, "line 1, a header: suite: missing"),
        ([HEAD, "[" * 100_000], {}, "line 2: nested too deeply"),
    ],
    ids=["two headers", "two footers", "kind", "counts", "no digest", "half a digest", "no suite", "deep"],
)
def test_a_file_that_no_run_writes_is_refused(
    tmp_path: Path, lines: list[str], footer: dict[str, object], reason: str
) -> None:
    file = sealed(tmp_path / "odd.jsonl", *lines, **footer)
    with pytest.raises(RecordError, match=rf"odd\.jsonl.*{reason}"):
        io.read(file)


def test_the_line_ends_of_another_system_change_nothing(file: Path) -> None:
    before = io.read(file)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert io.read(file) == before


def test_runs_of_another_commit_belong_together_and_of_another_suite_do_not(tmp_path: Path) -> None:
    def run(name: str, **header: Any) -> tuple[str, io.Run]:
        io.write(tmp_path / name, replace(HEADER, **header), [], FOOTER)
        return name, io.read(tmp_path / name)

    a = run("a", environment=EnvironmentRecord(commit="one"), cases={"rig": 3})
    io.refuse_other_suites([a, run("b", environment=EnvironmentRecord(commit="two+changes")), run("c", cases={"rag": 1})])
    with pytest.raises(RecordError, match="d: its suite has 4 cases for rig, that of a has 3, under one version"):
        io.refuse_other_suites([a, run("d", cases={"rig": 4})])
    with pytest.raises(RecordError, match=r"e: was written by suite 0\.2\.0, but a by suite 0\.1\.0"):
        io.refuse_other_suites([a, run("e", suite="0.2.0")])


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        io.write(tmp_path / "run.jsonl", HEADER, [result("a", float("nan"))], FOOTER)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    class Full(FileIO):
        def write(self, data: Any) -> int:
            super().write(bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", lambda path, mode: Full(path, mode.removesuffix("b")))
    with pytest.raises(OSError, match="No space left"):
        io.write(file, HEADER, [], FOOTER)
    assert [(path.name, path.read_bytes()) for path in file.parent.iterdir()] == [(file.name, before)]


def test_what_no_utf_8_can_carry_is_written_and_read_back(tmp_path: Path) -> None:
    record = replace(result("a"), message="\ud800\U0001f600")
    io.write(tmp_path / "run.jsonl", HEADER, [record], FOOTER)
    assert io.read(tmp_path / "run.jsonl").records == (record,)


def test_nothing_but_a_file_is_ever_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        io.write(tmp_path / "pipe", HEADER, [], FOOTER)
    assert (tmp_path / "pipe").is_fifo()


def test_an_implementation_that_replaces_json_does_not_write_our_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "dumps", lambda *arguments, **options: "{}")
    io.write(tmp_path / "run.jsonl", HEADER, [result("a")], FOOTER)
    assert len(io.read(tmp_path / "run.jsonl").records) == 1
