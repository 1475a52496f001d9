"""A record file proves itself whole, and says the same whatever order its lines arrived in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from conformance import records
from conformance.verdict import Judgement, Verdict

HEADER = {"suite": "0.1.0", "requirements": []}
FOOTER = {"exit": 0}


def judgement(case: str, margin: float | None = 0.5) -> Judgement:
    return Judgement(
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
    records.write(path, HEADER, [judgement(c).to_json() for c in "bac"], FOOTER)
    return path


def test_round_trip(file: Path) -> None:
    run = records.read(file)
    assert [line["case"] for line in run.of_kind("verdict")] == ["a", "b", "c"]
    assert run.footer["counts"]["verdict"] == 3
    assert Judgement.from_json(run.lines[0]) == judgement("a")


def test_an_infinite_margin_survives_strict_json() -> None:
    line = json.loads(records.dump(judgement("a", float("inf")).to_json()))
    assert line["margin"] == "inf"
    assert Judgement.from_json(line).margin == float("inf")


def test_order_of_arrival_does_not_show(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.jsonl"
    records.write(other, HEADER, [judgement(c).to_json() for c in "cab"], FOOTER)
    assert other.read_bytes() == file.read_bytes()


def test_a_file_cut_short_is_refused(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").split("\n")
    file.write_text("\n".join(lines[:-2]) + "\n", encoding="utf-8")
    with pytest.raises(records.RecordError, match=r"run\.jsonl: found no footer"):
        records.read(file)


def test_a_changed_verdict_is_refused(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace('"pass"', '"fail"', 1), encoding="utf-8")
    with pytest.raises(records.RecordError, match="changed after it was written"):
        records.read(file)


def test_a_dropped_line_is_refused(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").split("\n")
    del lines[2]
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(records.RecordError, match="digest"):
        records.read(file)


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
    with pytest.raises(records.RecordError, match=reason):
        records.read(path)


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        records.write(tmp_path / "run.jsonl", HEADER, [{"record": "verdict", "margin": float("nan")}], FOOTER)
    assert list(tmp_path.iterdir()) == []


def test_what_no_utf_8_can_carry_is_written_and_read_back(tmp_path: Path) -> None:
    line = {**judgement("a").to_json(), "message": "\ud800\U0001f600"}
    records.write(tmp_path / "run.jsonl", HEADER, [line], FOOTER)
    assert list(records.read(tmp_path / "run.jsonl").lines) == [line]


def test_nothing_but_a_file_is_ever_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        records.write(tmp_path / "pipe", HEADER, [], FOOTER)
    assert (tmp_path / "pipe").is_fifo()


def test_an_implementation_that_replaces_json_does_not_write_our_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "dumps", lambda *arguments, **options: "{}")
    records.write(tmp_path / "run.jsonl", HEADER, [judgement("a").to_json()], FOOTER)
    assert len(records.read(tmp_path / "run.jsonl").lines) == 1
