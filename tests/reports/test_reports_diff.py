"""What got worse is named and makes the exit code 1; chance, other machines and other cases prove nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.records.schema import Verdict
from reports import cli
from reports.diff.command import BAD_INPUT, NOTHING_WORSE, WORSE
from tests.reports import records_for_tests as made
from tests.reports.test_reports_page import EVIL, ROOT

NAME = "ademamix/torch"
PASSED: dict[str, Any] = {"verdict": Verdict.PASS, "margin": 0.25}
FAILED: dict[str, Any] = {"verdict": Verdict.FAIL, "margin": 40.0}
CRASHED: dict[str, Any] = {"verdict": Verdict.ERROR, "margin": None, "message": "IndexError: no"}
GAP: dict[str, Any] = {"verdict": Verdict.UNSUPPORTED, "margin": None}
ABSENT: dict[str, Any] = {"verdict": Verdict.NOT_RUN, "margin": None, "message": "not installed"}

Diff = Callable[..., tuple[int, str]]


@pytest.fixture
def diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Diff:
    """Compares two lists of lines; header changes of the second as keywords."""

    def compare(old: list[dict[str, Any]], new: list[dict[str, Any]], **header: Any) -> tuple[int, str]:
        code = cli.main(
            ["diff", str(made.write(tmp_path / "a.jsonl", old)), str(made.write(tmp_path / "b.jsonl", new, **header))]
        )
        said = capsys.readouterr()
        return code, said.out + said.err

    return compare


def case(state: dict[str, Any], requirement: str = "ADM-01", name: str = NAME, id_: str = "d8-t1") -> dict[str, Any]:
    return made.result(name, requirement, id_, "float32", 0.25, **state)


def test_the_same_run_has_not_changed(diff: Diff) -> None:
    code, text = diff(made.lines(), made.lines())
    assert code == NOTHING_WORSE
    assert text.endswith("\nNothing changed.\n")
    assert "In both: 313 cases, 9 measurements and 19 mutants." in text


LOST = "  ! ademamix/torch, ADM-01 (definition: One step moves the parameters by the mixed update): passed, now "


def test_a_lost_reading_is_told_and_is_not_worse(diff: Diff) -> None:
    code, text = diff([case(PASSED, "ADM-42")], [case(FAILED, "ADM-42")], requirements=[READING])
    assert code == NOTHING_WORSE
    assert "  - ademamix/torch, ADM-42 (reading: A rule): passed, now fails in 1 case: " in text


READING = {"system": "ademamix", "id": "ADM-42", "level": "reading", "statement": "A rule.", "source": "", "catches": ""}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (FAILED, "fails in 1 case: d8-t1 float32 cpu, margin 0.250 before, 40.0 now\n      pytest conformance --impl"),
        (CRASHED, "crashes in 1 case: d8-t1 float32 cpu: IndexError: no\n"),
        (GAP, "is declared a gap in 1 case: d8-t1 float32 cpu\n"),
    ],
    ids=["failed", "crashed", "gap"],
)
def test_a_lost_verdict_is_worse(diff: Diff, state: dict[str, Any], words: str) -> None:
    code, text = diff([case(PASSED)], [case(state)])
    assert code == WORSE
    assert "Something got worse. Verdicts lost: 1." in text
    assert LOST + words in text
    code, text = diff([case(state)], [case(PASSED)])
    assert code == NOTHING_WORSE
    assert "Verdicts won (1)" in text
    assert "now passes in 1 case: d8-t1 float32 cpu" in text


def test_one_more_case_lost_in_a_rule_that_failed_already_is_worse(diff: Diff) -> None:
    old = [case(FAILED), case(PASSED, id_="d64-t40")]
    assert diff(old, [case(FAILED), case(FAILED, id_="d64-t40")])[0] == WORSE


def test_a_new_case_that_fails_loses_the_verdict_and_is_said_to_be_new(diff: Diff) -> None:
    code, text = diff([case(PASSED)], [case(PASSED), case(FAILED, id_="d64-t40")])
    assert code == WORSE
    assert "passed, now fails in 1 case (d64-t40 float32 cpu) that the first run did not test, margin 40.0" in text
    # Where it failed already there is no verdict to lose.
    assert diff([case(FAILED)], [case(FAILED), case(FAILED, id_="d64-t40")])[0] == NOTHING_WORSE


def test_a_smaller_run_neither_wins_nor_loses(diff: Diff) -> None:
    code, text = diff([case(PASSED), case(FAILED, id_="d64-t40")], [case(PASSED)])
    assert code == NOTHING_WORSE
    assert "Verdicts won" not in text
    assert "failed in 1 case (d64-t40 float32 cpu) that was not tested again" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (FAILED, CRASHED, "failed, now crashes in"),
        (GAP, FAILED, "was a declared gap, now fails in"),
        (ABSENT, CRASHED, "was not run, now crashes in"),
        (FAILED, GAP, "failed, now is declared a gap in"),
        (PASSED, ABSENT, "judged before, not run now in 1 case: d8-t1 float32 cpu (not installed)"),
    ],
)
def test_what_was_not_passed_cannot_be_lost(diff: Diff, old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    code, text = diff([case(old)], [case(new)])
    assert code == NOTHING_WORSE
    assert "Nothing got worse." in text
    assert words in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [(0.2, 0.41, True), (0.41, 0.2, True), (0.3, 0.41, False), (0.01, 0.09, False), (0.0, 0.2, True), (0.0, 0.0, False)],
)
def test_margins_that_moved_notably_are_told(diff: Diff, old: float, new: float, told: bool) -> None:
    code, text = diff([case({"margin": old})], [case({"margin": new})])
    assert code == NOTHING_WORSE
    assert ("Margins that moved by a bit or more (1)\n  - ademamix/torch: ADM-01 " in text) is told


def timed(ratio: float, low: float, high: float, **changes: Any) -> list[dict[str, Any]]:
    return [
        made.measurement("ademamix/triton", ratio, **{"ratio_low": low, "ratio_high": high, **changes}),
        made.measurement("ademamix/torch", 1.0, aa=True, ratio_low=0.98, ratio_high=1.02),
    ]


def test_a_slowdown_is_proven_by_intervals_that_do_not_overlap(diff: Diff) -> None:
    code, text = diff(timed(5.0, 4.8, 5.2), timed(4.0, 3.9, 4.1))
    assert code == WORSE
    assert (
        "! ademamix/triton on step-1m float32 cpu: 5.00× [4.80, 5.20] → 4.00× [3.90, 4.10] the speed of ademamix/torch" in text
    )
    code, text = diff(timed(4.0, 3.9, 4.1), timed(5.0, 4.8, 5.2))
    assert code == NOTHING_WORSE
    assert "Faster (1)" in text
    code, text = diff(timed(5.0, 4.0, 6.0), timed(4.0, 3.9, 4.1))
    assert code == NOTHING_WORSE
    assert text.endswith("Nothing changed.\n")


def test_noise_and_another_machine_prove_no_slowdown(diff: Diff) -> None:
    noisy = [*timed(4.0, 3.9, 4.1)[:1], made.measurement("ademamix/torch", 0.7, aa=True, ratio_low=0.6, ratio_high=0.8)]
    code, text = diff(timed(5.0, 4.8, 5.2), noisy)
    assert code == NOTHING_WORSE
    assert "not proven, the baseline beside itself is so noisy that a change of 1.72x could be chance" in text
    elsewhere = {**made.header()["environment"], "cpu": "Another CPU"}
    code, text = diff(timed(5.0, 4.8, 5.2), timed(4.0, 3.9, 4.1), environment=elsewhere)
    assert code == NOTHING_WORSE
    assert "not proven, the machines differ" in text


def test_a_faster_baseline_slows_nobody_down(diff: Diff) -> None:
    as_before = {"median_s": 1e-3, "low_s": 0.9e-3, "high_s": 1.1e-3}
    code, text = diff(timed(5.0, 4.8, 5.2, **as_before), timed(4.0, 3.9, 4.1, **as_before))
    assert code == NOTHING_WORSE
    assert "not proven, its own time did not grow" in text


def test_a_suspect_that_was_acquitted_by_another_take_is_not_slower(diff: Diff) -> None:
    takes = [
        {"verdict": "measured", "ratio": r, "ratio_low": 0.98 * r, "ratio_high": 1.02 * r, "median_s": 1 / r} for r in (4, 5)
    ]
    code, text = diff(timed(5.0, 4.8, 5.2), timed(4.0, 3.9, 4.1, takes=takes))
    assert code == NOTHING_WORSE
    assert "(in 3 takes, 5 at best); not proven, measured again it was not slower" in text
    code, text = diff(timed(5.0, 4.8, 5.2), timed(4.0, 3.9, 4.1, takes=takes[:1] * 2))
    assert code == WORSE
    assert "(in 3 takes, 4 at best)\n" in text


def test_each_state_of_the_cache_is_a_figure_of_its_own(diff: Diff) -> None:
    def both(warm: float, cold: float) -> list[dict[str, Any]]:
        pairs = [("warm", warm), ("cold", cold)]
        return [line for cache, r in pairs for line in timed(r, 0.98 * r, 1.02 * r, cache=cache)[:1]]

    code, text = diff(both(5.0, 3.0), both(5.0, 1.5))
    assert code == WORSE
    assert "step-1m float32 cpu cold cache: 3.00× [2.94, 3.06] → 1.50×" in text
    assert "Slower (1)" in text


def test_a_speed_that_turned_into_a_wrong_answer_is_worse(diff: Diff) -> None:
    wrong = made.measurement("ademamix/triton", None, verdict="wrong answer", message="off at 3")
    code, text = diff(timed(5.0, 4.8, 5.2), [wrong])
    assert code == WORSE
    assert "was measured, is now wrong answer (off at 3)" in text
    gone = made.measurement("ademamix/triton", None, verdict="not run")
    assert diff(timed(5.0, 4.8, 5.2), [gone])[0] == NOTHING_WORSE
    other = timed(4.0, 3.9, 4.1, baseline="ademamix/numpy")
    code, text = diff(timed(5.0, 4.8, 5.2), other)
    assert code == NOTHING_WORSE
    assert "the ratios are to ademamix/torch before and ademamix/numpy now" in text


def bug(
    verdict: str, killers: dict[str, Any], checked: tuple[str, ...] = ("ADM-01", "ADM-02"), **changes: Any
) -> dict[str, Any]:
    return made.mutant("ademamix", "ademamix/x", "Is wrong.", ["ADM-01"], killers, list(checked), verdict=verdict, **changes)


def test_a_bug_that_is_no_longer_caught_is_worse(diff: Diff) -> None:
    caught, missed = bug("killed", {"ADM-01": 9.0, "ADM-02": 3.0}), bug("survived", {})
    code, text = diff([caught], [missed])
    assert code == WORSE
    assert "! ademamix/x (Is wrong): killed → survived" in text
    assert diff([missed], [caught])[0] == NOTHING_WORSE
    code, text = diff([caught], [bug("survived", {}, ("ADM-02",))])
    assert code == NOTHING_WORSE
    assert "tested on 1 requirement fewer" in text
    code, text = diff([caught], [bug("killed", {"ADM-02": 3.0})])
    assert code == NOTHING_WORSE
    assert "no longer caught by ADM-01" in text
    honest, accused = bug("honest", {}, honest=True), bug("false alarm", {"ADM-02": 2.0}, honest=True)
    assert diff([honest], [accused])[0] == WORSE


def test_what_is_new_gone_or_another_version_is_listed(diff: Diff) -> None:
    implementations = [
        made.implementation(NAME),
        {**made.implementation("ademamix/optax", "package", "optax", "0.3.0"), "numerical_class": "lenient"},
        made.implementation("ademamix/new"),
    ]
    requirements = [
        {"system": "ademamix", "id": "ADM-01", "statement": "Reads otherwise.", "source": "s", "catches": "c"},
        {"system": "ademamix", "id": "ADM-99", "statement": "Is new.", "source": "s", "catches": "c"},
    ]
    environment = {**made.header()["environment"], "packages": {"numpy": "2.4.0", "torch": "2.14.0", "jax": "0.10"}}
    code, text = diff(
        [case(PASSED)], [case(PASSED)], implementations=implementations, requirements=requirements, environment=environment
    )
    assert code == NOTHING_WORSE
    for line in (
        "ademamix/new: new",
        "ademamix/heavyball: gone",
        "ademamix/optax: version 0.2.8 → 0.3.0",
        "ademamix/optax: numerical class strict → lenient",
        "ADM-99: new, “Is new.”",
        "ADM-02: gone, “The fast EMA",
        "ADM-01: reads “Reads otherwise.”, before “One step",
        "torch: 2.13.0 → 2.14.0",
        "jax: absent → 0.10",
    ):
        assert f"  - {line}" in text


def test_what_cannot_be_compared_is_one_line_and_exit_code_2(
    diff: Diff, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = diff([case(PASSED)], [case(PASSED, name="ademamix/numpy")])
    assert code == BAD_INPUT
    assert "nothing can be compared" in text
    good = str(made.write(tmp_path / "good.jsonl", [case(PASSED)]))
    other_schema = made.rewrite(made.write(tmp_path / "other.jsonl", [case(PASSED)]), {"schema": 2})
    (tmp_path / "empty").mkdir()
    for bad, words in (
        (other_schema, "schema 2"),
        (tmp_path / "empty", "found no *.jsonl"),
        (tmp_path / "none", "cannot be read"),
    ):
        for pair in ([good, str(bad)], [str(bad), good]):
            assert cli.main(["diff", *pair]) == BAD_INPUT
            said = capsys.readouterr()
            assert said.out == ""
            assert said.err.count("\n") == 1
            assert words in said.err


def test_a_folder_is_all_of_its_records_and_the_order_of_lines_does_not_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        made.write(folder / "1.jsonl", made.verdict_lines())
        made.write(folder / "2.jsonl", made.measurement_lines(), started="2026-11-23T09:00:00Z")
    assert cli.main(["diff", str(old), str(new)]) == NOTHING_WORSE
    assert "In both: 313 cases, 9 measurements and 0 mutants." in capsys.readouterr().out


def test_a_record_cannot_write_to_the_terminal(diff: Diff) -> None:
    name = f"ademamix/{EVIL}"
    old = made.result(name, "ADM-01", EVIL, EVIL, 0.4, device=EVIL)
    new = {**old, "verdict": "error", "margin": None, "message": EVIL, "reproduce": EVIL}
    code, text = diff([old], [new])
    assert code == WORSE
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n## Owned" not in text


def test_the_same_two_runs_give_the_same_text(tmp_path: Path) -> None:
    old = made.write(tmp_path / "a.jsonl")
    new = made.write(
        tmp_path / "b.jsonl",
        [
            {**line, "margin": 7.0, "verdict": "fail"}
            if line["record"] == "verdict" and line["margin"] not in (None, "inf")
            else line
            for line in made.lines()
        ],
    )
    texts = set()
    for seed in "12":
        done = subprocess.run(
            [sys.executable, "-m", "reports", "diff", str(old), str(new)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "ascii"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == WORSE, done.stderr
        texts.add(done.stdout)
    assert len(texts) == 1
