"""How a run ends: which failures decide its exit status, and what is no success although nothing failed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.records import io
from conformance.records.schema import VerdictRecord

ROOT = Path(__file__).resolve().parent.parent.parent

PARSERS = r"""
import re
import time

ALLOWED = r'[^"\x00-\x1f\x7f\ud800-\udfff]'

def parser(query):
    pattern = re.compile(rf'\[__DC__\("({query})"\) --> "({ALLOWED}*)"\]')
    return lambda text: [(m[1], m[2], m.start(), m.end()) for m in pattern.finditer(text)]

right = parser(rf'(?=\s*[^\s"]){ALLOWED}+')
takes_blank_queries = parser(rf'{ALLOWED}+')   # only the paper is silent on these

def one_too_short(text):
    return [(query, value, start, end - 1) for query, value, start, end in right(text)]

def misspelt(text): return right(text)
misspelt.gaugeblock = {"numerical_class": "offical", "features": ["strem"], "dtypes": ["float8"], "devices": ["tpu"]}
"""
ABSENT = """
from gaugeblock.implementation import Implementation

RECORD = Implementation(
    name="rig/absent", system="rig", target="absent:parse", protocol="python", summary="One of a package that is not here.",
    requires=("no_such_package",),
)
"""
FEW = "RIG-01- or RIG-03- or RIG-09- or RIG-28-"


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("theirs") / "parsers.py"
    file.write_text(PARSERS)
    return file


def conformance(*arguments: str, few: str = FEW) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "conformance/rig", "-q", "-p", "no:cacheprovider", "-k", few, *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "COLUMNS": "120"}, capture_output=True, text=True)


def plug(file: Path, name: str) -> str:
    return f"--impl=rig={file}:{name}"


def test_a_difference_from_the_definition_fails_the_run(parsers: Path) -> None:
    done = conformance(plug(parsers, "one_too_short"), plug(parsers, "right"))
    assert done.returncode == 1
    assert re.search(r"^rig/parsers.one_too_short +differs 3/3 +-", done.stdout, re.MULTILINE)
    assert re.search(r"^rig/parsers.right +conforms +-", done.stdout, re.MULTILINE)


def test_a_reading_is_shown_and_decides_nothing(parsers: Path) -> None:
    done = conformance(plug(parsers, "takes_blank_queries"))
    assert done.returncode == 0
    assert re.search(r"^reading +differs \(1 of 1 requirements\); decides nothing$", done.stdout, re.MULTILINE)
    assert re.search(r"^definition +conforms$", done.stdout, re.MULTILINE)


def test_a_level_that_is_asked_for_is_tested_alone_and_decides(parsers: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    done = conformance(plug(parsers, "takes_blank_queries"), "--level=reading", f"--records={file}")
    assert done.returncode == 1
    run = io.read(file)
    assert {result.requirement for result in run.of(VerdictRecord)} == {"RIG-09"}
    assert run.header.options.level == ("reading",)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["--impl=rig/re", "--impl=rig/fast", "--device=cuda"],
            "--impl rig/fast: runs on cpu only, and this run tests on cuda",
        ),
        (["--device=cuda", "--level=reading"], "this run: runs on cpu only"),
        (["--impl=rag/official", "--impl=rig/llguidance"], "--impl rig/llguidance: "),
    ],
    ids=["no such device", "all that is listed", "one beside another"],
)
def test_nothing_judged_is_no_success(arguments: list[str], reason: str) -> None:
    done = conformance("conformance/rag", *arguments, few="left-out or RAG-01- or RIG-01-")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    assert f"NOTHING JUDGED: {reason}" in done.stdout
    assert "NOTHING JUDGED: --impl rag/official" not in done.stdout


def test_choosing_requirements_does_not_hide_that_a_package_is_missing(tmp_path: Path) -> None:
    absent = tmp_path / "absent.py"
    absent.write_text(ABSENT, encoding="utf-8")
    done = conformance(f"--impl={absent}:RECORD", few="RIG-01-")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    assert "NOTHING JUDGED: --impl" in done.stdout
    assert "needs no_such_package, not installed here" in done.stdout


def test_a_misspelt_declaration_ends_the_run_before_anything_is_tested(parsers: Path) -> None:
    done = conformance(plug(parsers, "misspelt"), plug(parsers, "right"))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in done.stderr.split("\n") if line]
    assert len(lines) == 4
    for line, words in zip(
        sorted(lines),
        [
            "found the device 'tpu', expected one of cpu, cuda",
            "found the dtype 'float8', expected one of bfloat16, float16, float32, float64",
            "found the feature 'strem', expected one of address, constrain,",
            "found the numerical class 'offical', expected one of official, strict; did you mean 'official'?",
        ],
        strict=True,
    ):
        assert line.startswith(f"ERROR: --impl rig={parsers}:misspelt: ")
        assert words in line
    assert "passed" not in done.stdout


def test_known_failures_are_known_and_stale_ones_fail_a_strict_run_alone(parsers: Path, tmp_path: Path) -> None:
    known, file = tmp_path / "known.txt", tmp_path / "run.jsonl"
    xfails, short, few = f"--xfails={known}", plug(parsers, "one_too_short"), "RIG-01- or RIG-03-"
    known.write_text("RIG-0?\n")
    done = conformance(short, xfails, "--strict-xfails", f"--records={file}", few=few)
    assert done.returncode == 0, done.stdout
    assert "differs (2 of 2 requirements), known" in done.stdout
    assert re.search(r"^1 of \d +inf +RIG-01 definition: known; ", done.stdout, re.MULTILINE)
    red = [result for result in io.read(file).of(VerdictRecord) if result.verdict == "fail"]
    assert [result.known for result in red] == ["RIG-0?"] * 2
    known.write_text("RIG-0?\nRIG-77\n")
    for options, status in (([], 0), (["--strict-xfails"], 1)):
        done = conformance(short, xfails, *options, few=few)
        assert done.returncode == status
        assert f"stale: line 2 of {known}, 'RIG-77', matched no failure" in done.stdout


def test_strict_needs_a_file() -> None:
    assert conformance("--strict-xfails").returncode == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "worker"])
def test_two_blocks_of_detail_for_each_requirement_and_all_in_the_records(
    parsers: Path, tmp_path: Path, workers: list[str]
) -> None:
    file = tmp_path / "run.jsonl"
    (tmp_path / "nothing.py").write_text("def parse(text): return []\n")
    nothing = f"--impl=rig={tmp_path}/nothing.py:parse"
    done = conformance(nothing, plug(parsers, "one_too_short"), f"--records={file}", *workers, few="RIG-11 or RIG-12")
    red = [result for result in io.read(file).of(VerdictRecord) if result.verdict == "fail"]
    assert len(red) > 10
    blocks = re.findall(r"^FAIL (RIG-\d+):(?:.*\n)*?  implementation +(\S+)", done.stdout, re.MULTILINE)
    assert {block: blocks.count(block) for block in set(blocks)} == {
        ("RIG-11", "rig/nothing.parse"): 2,
        ("RIG-12", "rig/nothing.parse"): 2,
        ("RIG-11", "rig/parsers.one_too_short"): 1,
        ("RIG-12", "rig/parsers.one_too_short"): 1,
    }
    assert f"{len(red)} failed" in done.stdout
    assert "\nFAILED " not in done.stdout
