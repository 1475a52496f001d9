"""Requirements as tests of somebody else's suite, and a plugin that changes nothing in anybody else's run."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.records import io
from conformance.records.schema import VerdictRecord
from gaugeblock.rag import parse
from gaugeblock.requirement_tests import implementations_of
from gaugeblock.testing import parametrize_with_checks

ROOT = Path(__file__).resolve().parent.parent.parent

PARSERS = r"""
import re

def right(text):
    from impls.rig import parse
    return [(e.query, e.value, *e.span.code_points) for e in parse(text) if type(e).__name__ == "Annotation"]

def nothing(text):
    return []
"""

TESTS = """
import pytest
from gaugeblock.testing import parametrize_with_checks
import parsers

@parametrize_with_checks("rig=parsers.py:right", quick=True)
def test_by_path(check):
    check()

@parametrize_with_checks(
    "rig=parsers:nothing", quick=True, levels=["definition"], expected_failures={"RIG-0[1-5]": "issue 3", "RIG-12": "no"}
)
def test_by_module(check):
    check()
"""


def project(folder: Path, tests: str) -> Path:
    (folder / "parsers.py").write_text(PARSERS)
    (folder / "test_theirs.py").write_text(tests)
    return folder


def pytest_in(folder: Path, *words: str, plugin: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    """Their pytest, with our plugin as an installed package brings it, and with no other."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **variables}
    loaded = ["-p", "gaugeblock.pytest_plugin"] if plugin else []
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), *loaded, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return dict(re.findall(r"^test_theirs.py::(\S+) (\w+)", done.stdout, re.M))


def test_each_requirement_is_a_test_and_an_expected_failure_is_one(tmp_path: Path) -> None:
    few = ("-v", "-k", "RIG-0 or RIG-12")
    done = pytest_in(project(tmp_path, TESTS), *few, "--gaugeblock-records=run.jsonl", "-p", "xdist.plugin", "-n1")
    done_alone = pytest_in(tmp_path, *few, "--gaugeblock-records=alone.jsonl")
    assert done_alone.returncode == 1, done_alone.stdout + done_alone.stderr
    found = outcomes(done_alone)
    by_path = {found[name] for name in found if name.startswith("test_by_path[")}
    assert "PASSED" in by_path
    assert "FAILED" not in by_path
    assert found["test_by_module[RIG-01]"] == "XFAIL"
    assert {found[name] for name in found if name.startswith("test_by_module[RIG-")} >= {"XFAIL", "FAILED"}
    assert "catches " in done_alone.stdout
    assert "reproduce " in done_alone.stdout
    assert "gaugeblock check rig=" in done_alone.stdout
    spread, alone = (io.read(tmp_path / name) for name in ("run.jsonl", "alone.jsonl"))
    assert {r.implementation for r in alone.of(VerdictRecord)} == {"rig/parsers.right", "rig/parsers.nothing"}
    assert sorted(r.to_json().items() for r in spread.of(VerdictRecord)) == sorted(
        r.to_json().items() for r in alone.of(VerdictRecord)
    ), done.stdout


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("rig=parsers.py:missing", "has no attribute 'missing'; it has: "),
        (lambda text: [], "expected a class or function of a module, or a text as for gaugeblock check"),
        ("built-in", "implementations, expected one"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_words(tmp_path: Path, spec: object, wanted: str) -> None:
    with pytest.raises(pytest.UsageError, match=re.escape(wanted)):
        implementations_of(spec, project(tmp_path, ""))


def test_a_class_or_function_can_be_given_as_it_is() -> None:
    (implementation,) = implementations_of(parse, ROOT)
    assert (implementation.system, implementation.selector) == ("rag", "gaugeblock.rag:parse")


def test_what_rounds_differently_in_16_bits_is_tested_in_all_its_dtypes(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        print("not run: torch is not installed here")
        return
    (tmp_path / "theirs.py").write_text((ROOT / "examples" / "own-optimizer" / "my_optimizer.py").read_text(encoding="utf-8"))
    found = implementations_of("theirs.py:MyAdEMAMix", tmp_path)
    assert [implementation.name for implementation in found] == [
        "ademamix/theirs.MyAdEMAMix",
        "ademamix/theirs.MyAdEMAMix-16bit",
    ]


def test_a_mistake_ends_the_run_in_words(tmp_path: Path) -> None:
    by_number = (
        "from gaugeblock.testing import parametrize_with_checks\n\n\n@parametrize_with_checks('numpy_attention:attend')\n"
    )
    for body, wanted in (
        (TESTS.replace("RIG-12", "RIG-999"), "expected_failures: found RIG-999, expected ids of RIG-01, "),
        (
            by_number + "def test_it(check):\n    check()\n",
            "no case of sigmoid_attention is selected; found levels definition ",
        ),
    ):
        (tmp_path / "numpy_attention.py").write_text("def attend(q, k, v):\n    return v\n")
        done = pytest_in(project(tmp_path, body), "-q", "--gaugeblock-dtype=float8")
        assert done.returncode not in (0, 1)
        assert wanted in done.stdout + done.stderr


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found 'defintion', expected levels of definition, interface"):
        parametrize_with_checks("x:y", levels=["defintion"])


def test_the_plugin_changes_nothing_in_a_run_that_does_not_ask_for_it(tmp_path: Path) -> None:
    # A project with options, a fixture and a plugin of the names that the suite uses.
    (tmp_path / "conftest.py").write_text(
        "import sys, pytest\n"
        "def pytest_addoption(parser):\n"
        "    for name in ('impl', 'device', 'dtype', 'quick', 'records', 'against', 'level', 'thorough', 'xfails'):\n"
        "        parser.addoption(f'--{name}', default='theirs')\n"
        "@pytest.fixture\n"
        "def check(): return 'theirs'\n"
        "def pytest_terminal_summary(terminalreporter):\n"
        "    ours = [n for n in sys.modules if n.split('.')[0] in ('conformance', 'impls', 'reference', 'numpy', 'torch')]\n"
        "    terminalreporter.write_line(f'loaded: {ours}')\n"
    )
    (tmp_path / "test_theirs.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1, 2, 3])\n"
        "def test_it(n, check, request):\n    assert request.config.getoption('--device') == check and n < 3\n"
    )
    with_ours, without = (pytest_in(tmp_path, "-v", "--strict-markers", plugin=plugin) for plugin in (True, False))
    time_and_plugins = re.compile(r" in [\d.]+s|^plugins: .*\n", re.M)
    assert time_and_plugins.sub("", with_ours.stdout) == time_and_plugins.sub("", without.stdout)
    assert "loaded: []" in with_ours.stdout
    assert with_ours.returncode == without.returncode == 1


def test_the_plugin_imports_next_to_nothing() -> None:
    code = "import sys, pytest; before = set(sys.modules); import gaugeblock.pytest_plugin; print(set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == {"gaugeblock", "gaugeblock.pytest_plugin"}
