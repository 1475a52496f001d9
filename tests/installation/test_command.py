"""The command: one screen of help, one line for a mistake, and pytest as the engine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from conformance.engine.selection import requirements_of
from conformance.pytest_plugin import options
from gaugeblock import command
from gaugeblock.commands import ci, completion, doctor, explain, suite
from gaugeblock.installation import SUITE
from impls.compiler import BackendUnavailable
from impls.systems import SYSTEM_NAMES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def relayed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments that pytest would get."""
    given: list[str] = []
    monkeypatch.setattr(suite, "run_suite", lambda *arguments: given.extend(arguments) or 0)
    return given


def test_help_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert command.main([]) == command.BAD_INPUT


@pytest.mark.parametrize("words", [*sorted(command.SUBCOMMANDS), "lint rig", "lint rag", "vectors export"])
def test_every_subcommand_has_help_of_a_screen_with_examples_and_exit_codes(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert command.main([*words.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"usage: gaugeblock {words}")
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(f"  gaugeblock {words.partition(' ')[0]}") for line in lines)
    assert any(line.lower().startswith(("exit codes:", "exit status:")) or "Exit codes:" in line for line in lines)


def test_examples_of_the_suite_have_options_that_there_are() -> None:
    for name, parser in (
        ("check", suite.check_options("check", "")),
        ("bench", suite.check_options("bench", "")),
        ("ci", ci.parser()),
    ):
        for line in command.SUBCOMMANDS[name].examples.splitlines():
            assert parser.parse(shlex.split(line))[0].specs


def test_a_fleet_without_arguments_says_what_to_give_it_and_starts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # what would start it
    assert command.main(["fleet"]) == 4
    said = capsys.readouterr().err
    assert said.startswith("usage: gaugeblock fleet ")
    assert "\n  gaugeblock fleet --address local --impl " in said
    assert "needs Ray" not in said


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["chek"], "gaugeblock chek: no such command; did you mean check? See gaugeblock --help"),
        (["lint"], "gaugeblock lint: expected the format first: "),
        (["explain", "ADM-999"], "gaugeblock explain: found ADM-999, expected one of ADM-01, "),
        (["explain", "X"], "gaugeblock explain: found X, expected the id of a requirement, such as ADM-09; "),
        (["vectors"], "gaugeblock vectors: expected "),
        (["check"], "gaugeblock check: the following arguments are required: SPEC; see gaugeblock check --help"),
        (["bench", "numpy", "--fast"], "gaugeblock bench: unrecognized arguments: --fast; see gaugeblock bench --help"),
        (
            ["check", "numpy", "--timed-apart"],
            "gaugeblock check: found --timed-apart, which says how to measure; expected it with",
        ),
        (["ci", "numpy", "--workloads=x"], "gaugeblock ci: found --workloads, which says how to measure; expected it with"),
        (["completion", "csh"], "gaugeblock completion: argument shell: invalid choice: 'csh'"),
        (["gpu", "--foo"], "gaugeblock gpu: unrecognized arguments: --foo; see gaugeblock gpu --help"),
        (["grammar", "foo"], "gaugeblock grammar: argument NOTATION: invalid choice: 'foo'"),
        (["fleet", "--foo"], "gaugeblock fleet: unrecognized arguments: --foo; see gaugeblock fleet --help"),
        (["claims", "--foo"], "gaugeblock claims: unrecognized arguments: --foo; see gaugeblock claims --help"),
        (["curves", "--foo"], "gaugeblock curves: unrecognized arguments: --foo; see gaugeblock curves --help"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = command.main(words)
    except SystemExit as ended:
        code = ended.code
    assert code == command.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(wanted)


def test_what_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "SUITE_EXTRA", ("no_such_module",))
    assert command.main(["check", "x.py:f"]) == command.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gaugeblock check: it needs no_such_module, which is not installed here; get it with: ")
    assert command.main(["doctor"]) == 0


def test_pytest_gets_specs_and_options_as_they_were_written(relayed: list[str]) -> None:
    words = [
        "check",
        "a.py:f",
        "--quick",
        "-n",
        "auto",
        "cmd:./p -v",
        "--records",
        "r.jsonl",
        "-k",
        "ADM-09",
        "--",
        "--co",
        "-vv",
    ]
    assert command.main(words) == 0
    assert relayed[0] == str(SUITE / "conformance")
    assert [word for word in relayed if word not in suite.QUIET][1:] == [
        "--impl=a.py:f", "--impl=cmd:./p -v", "--quick", "-nauto", "--records=r.jsonl", "-kADM-09", "--co", "-vv",
    ]  # fmt: skip


def test_one_test_runs_alone_and_bench_measures(relayed: list[str]) -> None:
    assert command.main(["bench", "numpy", "--test", "conformance/rig/test_rig.py::test_conforms[x]"]) == 0
    assert relayed[0] == str(SUITE / "conformance/rig/test_rig.py::test_conforms[x]")
    assert relayed[-1] == "--benchmark-only"


def test_every_option_of_the_suite_is_one_of_bench_and_those_that_measure_are_shown_there_alone() -> None:
    parser = suite.check_options("bench", "")
    declared: list[str] = []

    class Names(suite.SuiteOptions):
        def addoption(self, *names: str, **_: object) -> None:
            declared.extend(names)

    options.add_options(Names(parser, measures=True))  # type: ignore[arg-type]
    known = set(declared) - {"--impl", "--list-impls"}
    assert known <= set(parser._option_string_actions)
    assert len(known) >= 7
    assert known >= suite.OF_BENCH
    assert not [name for name in suite.OF_BENCH if name in suite.check_options("check", "").format_help()]


def test_a_run_takes_nothing_from_other_peoples_pytest_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"PYTEST_ADDOPTS": "--cov", "PYTEST_PLUGINS": "theirs", "HOME": "kept", "PYTHONPATH": "kept"}
    variables = suite.environment(given)
    assert {"PYTEST_ADDOPTS", "PYTEST_PLUGINS"}.isdisjoint(variables)
    assert variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] == "1"
    assert variables["PYTHONPATH"].endswith(f"{tmp_path}:kept")


def test_an_installed_suite_runs_in_the_folder_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suite, "CHECKOUT", None)
    assert suite.environment({})["PYTHONPATH"].split(os.pathsep) == [str(tmp_path)]
    (tmp_path / "gaugeblock").mkdir()
    assert suite.environment({})["PYTHONPATH"].split(os.pathsep) == [str(suite.PACKAGE.parent), str(tmp_path)]


@pytest.mark.parametrize("system", SYSTEM_NAMES)
def test_every_requirement_can_be_explained(system: str) -> None:
    for id_, requirement in requirements_of(system).items():
        ((found_in, found),) = explain.found(id_)
        text = explain.explanation(found_in, found)
        assert text.startswith(f"{id_}: {requirement.statement}")
        for word in (requirement.level.value, requirement.catches.split()[-1], f"gaugeblock check SPEC -k {id_}"):
            assert word in text


def test_doctor_says_what_is_missing_or_old(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def version(name: str) -> str:
        if name == "scipy":
            raise metadata.PackageNotFoundError
        return "1.9.3rc1" if name == "numpy" else "9999"

    def no_library() -> None:
        raise BackendUnavailable("none")

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(doctor, "compiler", lambda: ())
    monkeypatch.setattr(doctor, "find_tool", lambda name: None)
    monkeypatch.setattr(doctor.nvrtc, "library", no_library)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert doctor.main([]) == 1
    shown = capsys.readouterr().out
    assert re.search(r"- \[suite\] +lacks numpy>=2.0 \(found 1.9.3rc1\), scipy\n +pip install", shown)
    assert re.search(r"- C\+\+ compiler +none\n +install g\+\+", shown)
    assert re.search(
        r"- inspect +none of cuobjdump, nvcc and NVRTC\n +pip install triton .*; pip install nvidia-cuda-nvrtc", shown
    )
    assert re.search(r"\+ \[peers\] +all \d+ packages", shown)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("gaugeblock ex", ["explain "]),
        ("gaugeblock check rag/fa", ["rag/fast "]),
        ("gaugeblock check --quick --rec", ["--records="]),
        ("gaugeblock check built", ["built-in "]),
        ("gaugeblock explain ADM-0", [f"ADM-0{n} " for n in range(1, 10)]),
        ("gaugeblock inspect --ar", ["--arch="]),
        ("gaugeblock report -", ["--help ", "--output=", "--partial "]),
        ("gaugeblock lint rig --fi", ["--field=", "--fix "]),
        ("gaugeblock lint r", ["rig ", "rag "]),
        ("gaugeblock lint rig r", []),
        ("gaugeblock grammar gb", ["gbnf "]),
        ("gaugeblock check 'half", []),
        ("gaugeblock doctor ", []),
    ],
)
def test_completion(line: str, wanted: list[str]) -> None:
    assert completion.candidates(line) == wanted


def test_bash_completes_with_the_script_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["completion", "bash"]) == 0
    assert capsys.readouterr().out.startswith("complete ")


def run_shell(folder: Path, *words: str) -> tuple[str, str]:
    """Standard output and error of a shell in which there is the command ``gaugeblock``."""
    (folder / "gaugeblock").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m gaugeblock "$@"\n')
    (folder / "gaugeblock").chmod(0o755)
    variables = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(words, env=variables, cwd=folder, capture_output=True, text=True)
    return done.stdout, done.stderr


def test_zsh_completes_with_the_script_that_is_printed(tmp_path: Path) -> None:
    if (zsh := shutil.which("zsh")) is None:
        print("not run: there is no zsh here")
        return
    # The completion's own functions, with what zsh would give them.
    script = (
        "compdef() { : }\ncompadd() { print -rl -- ${(qq)found} }\n_files() { print files }\n"
        f"{completion.SCRIPTS['zsh']}\nwords=(gaugeblock exp); CURRENT=2; _gaugeblock\n"
        "words=(gaugeblock doctor ''); CURRENT=3; _gaugeblock\n"
    )
    assert run_shell(tmp_path, zsh, "-f", "-c", script) == ("'explain '\nfiles\n", "")


def test_fish_completes_with_the_script_that_is_printed(tmp_path: Path) -> None:
    if (fish := shutil.which("fish")) is None:
        print("not run: there is no fish here")
        return
    # A space at the end would be inserted as a part of the word.
    script = f"{completion.SCRIPTS['fish']}\ncomplete -C 'gaugeblock exp'\ncomplete -C 'gaugeblock check --rec'\n"
    assert run_shell(tmp_path, fish, "--no-config", "-c", script) == ("explain\n--records=\n", "")
