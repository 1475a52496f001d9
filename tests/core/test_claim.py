"""A run that dies leaves what it recorded, and never looks like one that ended."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from conformance.records import io
from conformance.records.claim import ClaimedFile
from conformance.records.fields import RecordError
from conformance.records.schema import FooterRecord, HeaderRecord, Verdict, VerdictRecord

HEADER = HeaderRecord(suite="0.1.0")
RECORDS = [
    VerdictRecord(
        implementation="rig/x", system="rig", requirement="RIG-01", case=str(number), dtype="", device="cpu",
        verdict=Verdict.PASS, margin=0.5,
    )
    for number in range(9)
]  # fmt: skip


def claimed(path: Path, records: int = 0) -> ClaimedFile:
    file = ClaimedFile(path, lambda: HEADER)
    for record in RECORDS[:records]:
        file.append(record)
    return file


def cases(run: io.Run) -> list[str]:
    return [record.case for record in run.of(VerdictRecord)]


def test_a_run_that_ends_leaves_a_whole_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("of last week")
    claimed(path, 9).seal(RECORDS, FooterRecord(exit=0))
    assert cases(io.read(path)) == [record.case for record in RECORDS]
    assert [each.name for each in tmp_path.iterdir()] == ["run.jsonl"]


def test_a_run_that_dies_is_refused_and_read_as_a_part_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    claimed(path, 9).seal(RECORDS, FooterRecord(exit=0))
    claimed(path, 4)  # and no word more
    with pytest.raises(RecordError, match="found no footer, so the run was cut short"):
        io.read(path)
    part = io.read(path, partial=True)
    assert part.cut_short
    assert part.header == HEADER
    assert cases(part) == ["0", "1", "2", "3"]
    earlier = io.read(tmp_path / "run.jsonl.previous")
    assert not earlier.cut_short
    assert len(earlier.records) == 9


def test_whatever_moment_it_dies_at_nothing_recorded_before_is_lost_or_made_up(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    claimed(path, 9)
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(50):
        cut = draw.randrange(len(io.encoded(HEADER.to_json())), len(whole))
        path.write_bytes(whole[:cut])
        assert cases(io.read(path, partial=True)) == [str(number) for number in range(whole[:cut].count(b"\n") - 1)]


def test_a_later_record_of_a_test_case_counts(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    file = claimed(path, 2)
    crash = VerdictRecord(**{**vars(RECORDS[0]), "verdict": Verdict.ERROR, "margin": None, "message": "it crashed"})
    file.append(crash)
    assert io.read(path, partial=True).records == (crash, RECORDS[1])


def test_a_run_that_tested_nothing_gives_the_earlier_file_back(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("of last week")
    claimed(path).give_up()
    assert path.read_text() == "of last week"
    claimed(path, 1).give_up()
    assert len(io.read(path, partial=True).records) == 1
    assert (tmp_path / "run.jsonl.previous").read_text() == "of last week"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "run.jsonl"
    link.symlink_to(tmp_path / "there" / "real.jsonl")
    for _ in range(2):
        claimed(link, 9).seal(RECORDS, FooterRecord(exit=0))
        assert link.is_symlink()
        assert len(io.read(tmp_path / "there" / "real.jsonl").records) == 9


@pytest.mark.parametrize("length", [246, 255])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("x" * length)
    path.write_text("of last week")
    claimed(path, 9).seal(RECORDS, FooterRecord(exit=0))
    assert len(io.read(path).records) == 9


@pytest.mark.parametrize("name", ["x" * 256, "file/run.jsonl", "folder"])
def test_what_cannot_be_written_is_found_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"too long|exists|a directory|regular"):
        claimed(tmp_path / name)


class FullDisk:
    """A file that takes a few writes."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def write(self, data: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_full_disk_is_kept_in_mind_and_the_run_goes_on(tmp_path: Path) -> None:
    file = claimed(tmp_path / "run.jsonl")
    assert file._file is not None
    file._file.close()
    file._file = FullDisk(3)  # type: ignore[assignment]
    for record in RECORDS:
        file.append(record)
    assert (file.appended, file.trouble) == (3, "[Errno 28] No space left on device")
    os.truncate(tmp_path / "run.jsonl", 0)
    file.seal(RECORDS, FooterRecord(exit=0))
    assert len(io.read(tmp_path / "run.jsonl").records) == 9, "what is whole at the end is written whole"


def test_a_file_that_ends_in_the_middle_of_a_character_is_read_as_a_part(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    file = claimed(path, 2)
    file.append(VerdictRecord(**{**vars(RECORDS[2]), "case": "\N{SNOWMAN}"}))
    file.give_up()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index("\N{SNOWMAN}".encode()) + 1])
    assert cases(io.read(path, partial=True)) == ["0", "1"]


def test_a_line_end_of_another_system_breaks_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    claimed(path, 9).seal(RECORDS, FooterRecord(exit=0))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(io.read(path).records) == 9


@pytest.mark.parametrize("judged", [0, 3])
def test_a_full_disk_can_be_given_up_too(judged: int, tmp_path: Path) -> None:
    """With a file that keeps what it could not write, and tries again when it is closed, as Python's do."""
    path = tmp_path / "run.jsonl"
    path.write_text("of last week")
    file = claimed(path, judged)
    assert file._file is not None
    file._file.close()
    file._file = open("/dev/full", "wb")  # noqa: SIM115
    file.append(RECORDS[8])
    file.give_up()
    assert (file.appended, "No space left on device" in file.trouble) == (judged, True)
    if judged:
        assert len(io.read(path, partial=True).records) == judged
    else:
        assert path.read_text() == "of last week"


def test_a_run_that_dies_after_one_that_died_leaves_the_last_whole_one_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    claimed(path, 9).seal(RECORDS, FooterRecord(exit=0))
    for number in (2, 3, 4):
        claimed(path, number)
    assert [len(io.read(each, partial=True).records) for each in sorted(tmp_path.iterdir())] == [4, 3, 9]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run.jsonl", "run.jsonl.cut-short", "run.jsonl.previous"]


def test_the_records_are_written_to_no_file_that_was_there_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, precious = tmp_path / "run.jsonl", tmp_path / "precious"
    precious.write_text("precious")
    monkeypatch.setattr("conformance.records.io.secrets.token_hex", lambda count: "guessed")
    (tmp_path / ".guessed.partial").symlink_to(precious)
    with pytest.raises(FileExistsError):
        claimed(path, 9).seal(RECORDS, FooterRecord(exit=0))
    assert precious.read_text() == "precious"
