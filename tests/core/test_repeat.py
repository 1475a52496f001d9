"""Repeated runs of the same code are counted right: those called slower, and pairs that would be measured again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.records import io
from conformance.records.schema import AgainstRecord, FooterRecord, HeaderRecord, MeasurementRecord
from conformance.regression import repeat
from tests.reports import records_for_tests as made


def write(file: Path, line: dict[str, Any], slower: int) -> None:
    footer = FooterRecord(exit=slower, against=AgainstRecord(slower=slower, lost=0))
    io.write(file, HeaderRecord.from_json(made.header()), [MeasurementRecord.from_json(line)], footer)


def test_alarms_are_counted_and_end_it_badly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, list[str]]] = []

    def measure(file: Path, arguments: Sequence[str]) -> None:
        asked.append((file.name, list(arguments)))
        slow = file.name == "002.jsonl"
        line = made.measurement("ademamix/numpy", 1.0 if slow else 2.0, samples=100, takes=[{}] if slow else [])
        write(file, line, slower=int(slow))

    monkeypatch.setattr(repeat, "_measure", measure)
    assert repeat.main(["--repeats", "3", "--folder", str(tmp_path), "--", "--quick"]) == 1
    said = capsys.readouterr().out
    assert "2: 1 slower, 0 lost, 1 measured again" in said
    assert "1 of 3 runs called unchanged code slower" in said
    # The slow one after each of the three others.
    assert "of 12 ordered pairs of runs 3 would have been measured again" in said
    assert asked[0] == ("000.jsonl", ["--quick"])
    assert asked[3] == ("003.jsonl", ["--quick", f"--against={tmp_path.resolve() / '000.jsonl'}"])


def test_no_alarm_ends_it_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(file: Path, arguments: Sequence[str]) -> None:
        write(file, made.measurement("ademamix/numpy", 2.0), slower=0)

    monkeypatch.setattr(repeat, "_measure", measure)
    assert repeat.main(["--repeats", "2", "--folder", str(tmp_path)]) == 0
