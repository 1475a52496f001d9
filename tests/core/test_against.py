"""A run compared with an earlier one names what it lost, and only that; it says what cannot be compared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.pytest_plugin.against import asked_for
from conformance.records import io
from conformance.records.fields import RecordError
from conformance.records.schema import AgainstRecord, HeaderRecord, MeasurementRecord, Verdict, VerdictRecord
from conformance.regression import compare
from conformance.regression.compare import Findings, Selected
from tests.reports import records_for_tests as made

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "ademamix/triton"


def selected_by(*specs: str, whole: bool = True, quick: bool = False) -> Selected:
    return Selected(lambda row: asked_for(row, specs), whole, quick)


ALL = selected_by()


def verdict(state: Verdict = Verdict.PASS, margin: float | None = 0.5, **changes: Any) -> dict[str, Any]:
    return made.result(NAME, "ADM-01", changes.pop("case", "d8"), "float32", 0.3, verdict=state, margin=margin, **changes)


def speed(ratio: float | None = 2.0, name: str = NAME, **changes: Any) -> dict[str, Any]:
    return made.measurement(name, ratio, samples=100, **changes)


def compared(
    tmp_path: Path,
    before: list[dict[str, Any]] | list[list[dict[str, Any]]],
    now: list[dict[str, Any]],
    selected: Selected = ALL,
    earlier_header: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
    forgiven: list[dict[str, Any]] | None = None,
) -> Findings:
    several = before if before and isinstance(before[0], list) else [before]
    files = []
    for number, lines in enumerate(several):
        file = tmp_path / f"{number}.jsonl"
        made.write(file, lines, started=f"2026-11-0{number + 1}T08:00:00Z", **(earlier_header or {}))
        files.append(str(file))
    return compare.findings(
        compare.read(files, "0.1.0"),
        HeaderRecord.from_json(made.header(**(header or {}))),
        [io.record_of(line) for line in now],
        selected,
        [VerdictRecord.from_json(line) for line in forgiven or []],
    )


@pytest.mark.parametrize("state", [Verdict.FAIL, Verdict.ERROR, Verdict.UNSUPPORTED, Verdict.NOT_RUN])
def test_a_pass_that_is_no_pass_now_is_lost_and_named(tmp_path: Path, state: Verdict) -> None:
    now = verdict(state, 40.0 if state is Verdict.FAIL else None, message="why it is so")
    (line,) = compared(tmp_path, [verdict()], [now]).lost
    assert line.startswith(f"LOST {NAME} ADM-01 in d8 float32 cpu: pass before, {state.value} now")
    assert "(why it is so); see: pytest conformance --impl ademamix/triton" in line
    assert ("margin 0.5 before, 40 now" in line) is (state is Verdict.FAIL)


def test_what_was_never_passed_is_not_lost(tmp_path: Path) -> None:
    for state, margin in ((Verdict.FAIL, 2.0), (Verdict.UNSUPPORTED, None), (Verdict.NOT_RUN, None), (Verdict.ERROR, None)):
        found = compared(tmp_path, [verdict(state, margin)], [verdict(Verdict.FAIL, 3.0)])
        assert not found.worse
    assert "1 won" in compared(tmp_path, [verdict(Verdict.FAIL, 2.0)], [verdict()]).remarks[0]


def test_many_cases_of_one_requirement_are_one_line_and_counted(tmp_path: Path) -> None:
    cases = [f"case-{i}" for i in range(7)]
    now = [verdict(Verdict.FAIL, 2.0 + i, case=case) for i, case in enumerate(cases)]
    (line,) = compared(tmp_path, [verdict(case=case) for case in cases], now).lost
    assert " in case-6 float32 cpu, case-0 float32 cpu, case-1 float32 cpu and 4 more: " in line


def test_the_latest_run_that_judged_a_case_speaks_for_it(tmp_path: Path) -> None:
    failed, absent = verdict(Verdict.FAIL, 9.0), verdict(Verdict.NOT_RUN, None)
    assert compared(tmp_path, [[failed], [verdict()]], [failed]).worse
    assert compared(tmp_path, [[verdict()], [absent]], [failed]).worse
    assert not compared(tmp_path, [[verdict()], [failed]], [failed]).worse


def test_what_quick_leaves_out_and_what_was_not_put_are_not_lost(tmp_path: Path) -> None:
    ruled_out = verdict(Verdict.NOT_RUN, None, message="left out by --quick: compiles")
    found = compared(tmp_path, [verdict(), verdict(case="big")], [ruled_out], selected_by(quick=True))
    assert not found.worse
    assert found.remarks == [
        "1 verdicts compared, 0 lost, 0 won, 1 left out by --quick, 1 that passed were not tested this time"
    ]


def test_what_xfails_expects_is_not_lost(tmp_path: Path) -> None:
    red = verdict(Verdict.FAIL, 2.0)
    found = compared(tmp_path, [verdict()], [red], forgiven=[red])
    assert not found.worse
    assert "1 lost as --xfails expects" in found.remarks[0]


def test_a_rule_that_reads_otherwise_is_not_compared(tmp_path: Path) -> None:
    other = [{**row, "statement": "Something else."} for row in made.header()["requirements"]]
    found = compared(tmp_path, [verdict()], [verdict(Verdict.FAIL, 2.0)], header={"requirements": other})
    assert not found.worse
    assert any("not compared, since they read differently: ADM-01" in remark for remark in found.remarks)


@pytest.mark.parametrize("word", ["wrong answer", "error", "measuring fault", "unsupported", "not run"])
def test_a_speed_that_is_none_now_is_lost(tmp_path: Path, word: str) -> None:
    (line,) = compared(tmp_path, [speed()], [speed(None, verdict=word, message="off at 3")]).lost
    assert line == (
        f"LOST {NAME} on step-1m float32 cpu, warm cache: a speed before, {word} now (off at 3); "
        "see: pytest --benchmark-only --impl ademamix/triton --thorough -k step-1m"
    )


def taken(ratio: float) -> dict[str, Any]:
    return MeasurementRecord.from_json(speed(ratio)).take().to_json()


def test_a_slowdown_is_named_when_every_take_shows_it(tmp_path: Path) -> None:
    found = compared(tmp_path, [speed(2.0)], [speed(1.0, takes=[taken(1.01), taken(0.99)])])
    (line,) = found.slower
    assert line.startswith(
        f"SLOWER {NAME} on step-1m float32 cpu, warm cache: 1.98x slower (2 before, 1.01 now, beside the baseline, in 3 takes)"
    )
    assert found.worse
    for takes, remark in (([], "suspected: "), ([taken(2.0)], "1 speeds compared: 1 ")):
        found = compared(tmp_path, [speed(2.0)], [speed(1.0, takes=takes)])
        assert not found.worse
        assert any(line.startswith(remark) for line in found.remarks), found.remarks


def test_a_faster_one_is_a_remark(tmp_path: Path) -> None:
    found = compared(tmp_path, [speed(1.0)], [speed(2.0)])
    assert not found.worse
    assert f"faster: {NAME} on step-1m float32 cpu, warm cache: 2.00x faster" in found.remarks[-1]
    both = [[speed(ratio), speed(ratio, "ademamix/numpy")] for ratio in (1.0, 2.0)]
    assert "all 2 got faster, or the baseline" in compared(tmp_path, both[0], both[1]).remarks[-1]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"cpu": "Another"}, "speeds on cpu are not compared: the CPU was A CPU | of some make, and is Another"),
        ({"cores": 64}, "the number of cores was 2, and is 64"),
        ({"threads": {}}, "the number of threads was OMP_NUM_THREADS 1, and is as the libraries choose"),
    ],
    ids=["cpu", "cores", "threads"],
)
def test_speeds_of_another_machine_are_not_compared_and_verdicts_are(
    tmp_path: Path, environment: dict[str, Any], words: str
) -> None:
    now = [speed(1.0, takes=[taken(1.0)] * 2), verdict(Verdict.FAIL, 2.0)]
    header = {"environment": {**made.header()["environment"], **environment}}
    found = compared(tmp_path, [speed(2.0), verdict()], now, header=header)
    assert (len(found.lost), found.slower) == (1, [])
    assert any(words in remark for remark in found.remarks), found.remarks


def test_a_gpu_of_another_name_is_another_machine_for_what_ran_on_it(tmp_path: Path) -> None:
    def on(name: str) -> dict[str, Any]:
        return {"environment": {**made.header()["environment"], "gpu": {"name": name}}}

    lines = [speed(2.0, device="cuda")], [speed(1.0, device="cuda", takes=[taken(1.0)] * 2)]
    found = compared(tmp_path, *lines, earlier_header=on("H200"), header=on("H100"))
    assert found.slower == []
    assert "speeds on cuda are not compared: the GPU was H200, and is H100" in found.remarks[0]
    assert compared(tmp_path, *lines, earlier_header=on("H200"), header=on("H200")).slower


def test_another_workload_of_the_same_name_is_not_compared(tmp_path: Path) -> None:
    found = compared(tmp_path, [speed(2.0)], [speed(1.0, amount=7.0, takes=[taken(1.0)] * 2)])
    assert not found.worse
    assert "step-1m is not compared: its amount differs" in found.remarks[0]


@pytest.mark.parametrize(
    ("specs", "lost"),
    [
        ((), True),
        (("ademamix/*",), True),
        (("triton",), True),
        (("built-in",), True),
        (("peers",), False),
        (("ademamix/numpy",), False),
    ],
    ids=str,
)
def test_an_implementation_that_is_gone_is_lost_where_it_was_selected(
    tmp_path: Path, specs: tuple[str, ...], lost: bool
) -> None:
    without = [row for row in made.header()["implementations"] if row["name"] != NAME]
    header = {"implementations": without, "options": {"benchmark": False}}
    found = compared(tmp_path, [verdict()], [], selected_by(*specs), header=header)
    assert found.worse is lost
    assert not compared(tmp_path, [verdict()], [], selected_by(*specs, whole=False), header=header).worse
    if lost:
        assert found.lost == [
            f"LOST {NAME}: 1 times 'pass' before, and not there now, though selected; see: pytest --list-impls"
        ]
    else:
        assert found.remarks == ["1 implementation of the earlier run not selected this time"]


def test_a_plug_that_is_gone_is_lost_where_it_was_given(tmp_path: Path) -> None:
    row = {**made.implementation(NAME), "selector": "mine.py:parse"}
    options = {
        "earlier_header": {"implementations": [row]},
        "header": {"implementations": [], "options": {"benchmark": False}},
    }
    for specs, lost in ((("mine.py:parse",), True), ((), False), (("ademamix/*",), False)):
        found = compared(tmp_path, [verdict()], [], selected_by(*specs), **options)
        assert found.worse is lost, specs


def test_another_version_is_told_beside_what_it_lost(tmp_path: Path) -> None:
    rows = [{"implementations": [{**made.implementation(NAME), "version": version}]} for version in ("1.0", "1.1")]
    found = compared(tmp_path, [verdict()], [verdict(Verdict.FAIL, 2.0)], earlier_header=rows[0], header=rows[1])
    assert f"LOST {NAME} (version 1.0 before, 1.1 now) ADM-01" in found.lost[0]


def test_a_record_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J\u202e\n"
    found = compared(tmp_path, [verdict(case=evil)], [verdict(Verdict.ERROR, None, case=evil, message=evil)])
    assert all(line.isprintable() for line in found.lost)


def test_what_does_not_belong_is_refused(tmp_path: Path) -> None:
    other = made.write(tmp_path / "other.jsonl", [], suite="0.0.9")
    with pytest.raises(RecordError, match=r"other\.jsonl: was written by suite 0\.0\.9, but this is suite 0\.1\.0"):
        compare.read([str(other)], "0.1.0")
    (tmp_path / "none").mkdir()
    with pytest.raises(RecordError, match=r"none: found no \*\.jsonl"):
        compare.read([str(tmp_path / "none")], "0.1.0")
    file = made.write(tmp_path / "a.jsonl", [])
    assert len(compare.read([str(file), str(file)], "0.1.0")) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({**verdict(), "implementation": None}, "a verdict: implementation: found None, expected a text; run it again"),
        ({**speed(), "workload": 3}, "a measurement: workload: found 3, expected a text"),
        ({**speed(), "ratio_low": "x"}, "a measurement: ratio_low: found 'x', expected a number"),
    ],
)
def test_lines_that_cannot_be_compared_are_refused_before_anything_runs(
    tmp_path: Path, line: dict[str, Any], reason: str
) -> None:
    file = made.write(tmp_path / "odd.jsonl", [line])
    with pytest.raises(RecordError, match=rf"odd\.jsonl, line 2, {reason}"):
        compare.read([str(file)], "0.1.0")


def test_speeds_that_were_not_measured_this_time_are_counted(tmp_path: Path) -> None:
    found = compared(tmp_path, [speed(), speed(workload="other")], [speed()])
    assert "1 speeds of the earlier runs were not measured this time" in found.remarks
    assert not found.worse
    assert not any("not measured this time" in remark for remark in compared(tmp_path, [speed()], [speed()]).remarks)


READER = """
import sys
from reference import rag

def parse(text):
    if clock := sys.modules.get("tests.core.scripted_clock"):
        clock.spend({slowed} - 1)
    return list(rag.parse(text).queries)[{drop}:]
"""


def outside() -> dict[str, str]:
    """This process may be a worker of pytest-xdist; those that it starts are not."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def pytest_run(folder: Path, *arguments: str, slowed: float = 1, drop: int = 0) -> tuple[int, str]:
    # Each in a folder of its own: Python takes a file of the same length, written in the same second, for the one it has
    # compiled.
    reader = folder / f"{slowed}-{drop}" / "reader.py"
    reader.parent.mkdir(exist_ok=True)
    reader.write_text(READER.format(slowed=slowed, drop=drop), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--quick", f"--impl=rag={reader}:parse"]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env={**outside(), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_a_run_that_lost_verdicts_ends_badly_and_names_them(tmp_path: Path) -> None:
    records_file, later = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    assert pytest_run(tmp_path, "conformance", f"--records={records_file}")[0] == 0
    code, text = pytest_run(tmp_path, "conformance", f"--against={records_file}")
    assert code == 0, text
    assert " verdicts compared, 0 lost, 0 won\n" in text
    code, text = pytest_run(tmp_path, "conformance", f"--against={records_file}", f"--records={later}", drop=1)
    assert code == 1
    assert "LOST rag/reader.parse RAG-" in text
    against = io.read(later).footer.against
    assert against is not None
    assert against.lost > 0
    code, text = pytest_run(tmp_path, "conformance", f"--against={next(tmp_path.glob('*/reader.py'))}")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "--against" in text
    assert "not JSON" in text


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["one process", "a worker"])
def test_a_slowed_implementation_ends_badly_after_three_takes(tmp_path: Path, workers: list[str]) -> None:
    """Runs on a scripted clock, so that the machine does not matter; other tests simulate how small a loss is found."""
    records_file, later = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    few = ["--benchmark-only", "--in-process", "-k", "list-1k", "-p", "tests.core.scripted_clock", *workers]
    assert pytest_run(tmp_path, *few, f"--records={records_file}")[0] == 0
    code, text = pytest_run(tmp_path, *few, f"--against={records_file}", f"--records={later}", slowed=3)
    assert code == 1, text
    assert "SLOWER rag/reader.parse on list-1k cpu" in text
    slower = [
        each for each in io.read(later).of(MeasurementRecord) if each.implementation == "rag/reader.parse" and each.takes
    ]
    assert slower
    assert all([take.verdict for take in each.takes] == ["measured"] * 2 for each in slower)
    assert io.read(later).footer.against == AgainstRecord(lost=0, slower=len(slower))
