"""``gaugeblock check``, ``bench`` and ``list``: the suite's pytest, from any folder, in a process of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conformance.engine.parent_death import wait_for_end
from conformance.engine.runner import COMMAND
from gaugeblock.commands.parser import OneLineParser
from gaugeblock.installation import CHECKOUT, PACKAGE, SUITE

PLUGINS = ("pytest_benchmark", "xdist")
"""The packages of others whose plugins a run uses. An environment's other plugins (another order, coverage) stay out of it."""

QUIET = ("-q", "--no-header", "-rN")
SPEC_HELP = (
    "package.module:attribute, path/to/file.py:attribute or 'cmd:COMMAND', perhaps after SYSTEM=; a name or glob of "
    "`gaugeblock list`; built-in, peers, installed"
)


class Relay(argparse.Action):
    """Keep an option of pytest as it was written, to hand it on."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        word = str(option_string)
        joined = f"{word}={values}" if word.startswith("--") else f"{word}{values}"
        namespace.relayed = [*namespace.relayed, word if self.nargs == 0 else joined]


OF_BENCH = {"--workloads", "--timed-apart", "--sustained"}
"""Options that say how to measure, which ``check`` and ``ci`` do not."""


class OfBench(argparse.Action):
    """Refuse an option that is one of ``bench``."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        parser.error(f"found {option_string}, which says how to measure; expected it with `gaugeblock bench`")


class SuiteOptions:
    """Stand where pytest's parser stands, so that the suite declares its options here too."""

    def __init__(self, parser: argparse.ArgumentParser, *, measures: bool) -> None:
        self._parser = parser
        self._measures = measures

    def getgroup(self, *_: str) -> SuiteOptions:
        """The options have one group here."""
        return self

    def addoption(self, *names: str, **settings: Any) -> None:
        """Take an option of the suite, except those that have a command or an argument of their own here."""
        if not {"--impl", "--list-impls"} & set(names):
            kept: dict[str, Any] = {name: settings[name] for name in ("choices", "metavar", "help") if name in settings}
            if "choices" in kept:
                kept["metavar"] = names[0].lstrip("-").upper()
                kept["help"] = f"{', '.join(kept['choices'])}: {kept['help']}"
            if settings.get("action") == "store_true":
                kept["nargs"] = 0
            if self._measures or not OF_BENCH & set(names):
                self._parser.add_argument(*names, action=Relay, **kept)
            else:
                self._parser.add_argument(*names, action=OfBench, **kept | {"help": argparse.SUPPRESS})


class SuiteParser(OneLineParser):
    """The parser of ``check``, ``bench`` and ``ci``: SPECs, the suite's own options, and a few of pytest's."""

    def parse(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The options, and the words behind ``--``, which are pytest's."""
        words = list(arguments)
        end = words.index("--") if "--" in words else len(words)
        return self.parse_intermixed_args(words[:end]), words[end + 1 :]


def check_options(name: str, summary: str) -> SuiteParser:
    """The parser of one of these commands."""
    from conformance.pytest_plugin.options import add_options

    parser = SuiteParser(
        prog=f"gaugeblock {name}",
        usage=f"gaugeblock {name} SPEC... [OPTIONS] [-- PYTEST_ARGUMENTS]",
        description=summary,
        allow_abbrev=False,
    )
    parser.set_defaults(relayed=[])
    parser.add_argument("specs", nargs="+", metavar="SPEC", help=SPEC_HELP)
    add_options(SuiteOptions(parser, measures=name == "bench"))  # type: ignore[arg-type]  # it has the methods of pytest.Parser that are called
    parser.add_argument("-k", action=Relay, metavar="EXPRESSION", help="only what matches a requirement, a case, a dtype")
    parser.add_argument("-n", action=Relay, metavar="N", help="so many processes; auto: one for each core")
    parser.add_argument("-x", action=Relay, nargs=0, help="end at the first failure")
    parser.add_argument("-v", action=Relay, nargs=0, help="name every test case")
    parser.add_argument("--test", action="append", default=[], metavar="ID", help="only this test, as a message names it")
    return parser


def check(arguments: Sequence[str]) -> int:
    """Test implementations; returns pytest's exit code."""
    return run_check(*check_options("check", "Test implementations on every requirement of their system.").parse(arguments))


def bench(arguments: Sequence[str]) -> int:
    """Measure the speed of implementations; returns pytest's exit code."""
    parser = check_options("bench", "Measure the speed of implementations, where their answers are right.")
    options, rest = parser.parse(arguments)
    return run_check(options, ["--benchmark-only", *rest])


def run_check(options: argparse.Namespace, more: Sequence[str]) -> int:
    """Run the suite as options say, with more arguments of pytest's; returns its exit code."""
    places = [str(SUITE / test) for test in options.test] or [str(SUITE / "conformance")]
    return run_suite(*places, *QUIET, *(f"--impl={spec}" for spec in options.specs), *options.relayed, *more)


def list_all(arguments: Sequence[str]) -> int:
    """Print the implementations that are listed, or those that SPECs select."""
    parser = OneLineParser(
        prog="gaugeblock list", description="List the implementations; imports those that a SPEC gives by path."
    )
    parser.add_argument("specs", nargs="*", metavar="SPEC", help=SPEC_HELP)
    specs = parser.parse_args(arguments).specs
    from conformance.pytest_plugin.list_impls import list_implementations

    print(list_implementations(specs))
    return 0


def run_suite(*arguments: str) -> int:
    """Run the suite's tests with these pytest arguments; returns pytest's exit code."""
    settings = SUITE / ("pyproject.toml" if CHECKOUT is not None else "pytest.ini")
    command = [sys.executable, "-P", "-m", "pytest", "-c", str(settings), "-p", "no:cacheprovider"]
    command += [word for name in PLUGINS if find_spec(name) for word in ("-p", f"{name}.plugin")]
    with tempfile.TemporaryDirectory(prefix="gaugeblock-") as storage:
        # pytest-benchmark makes the folder of its own records in every run; ours are those of --records.
        return run([*command, f"--benchmark-storage=file://{storage}", *arguments])


def run(command: Sequence[str]) -> int:
    """Run a command with the suite's variables; returns its exit code. Ctrl-C reaches it, and it ends in its own way."""
    process = subprocess.Popen(command, env=environment())
    while True:
        try:
            if os.name == "posix":
                process.returncode = os.waitstatus_to_exitcode(wait_for_end(process.pid))
            return process.wait()
        except KeyboardInterrupt:
            continue


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of a run: modules in the working folder can be imported, and nobody else's pytest settings apply.

    In a checkout the suite's folders come first on the path. An installed suite has no name there; where the working folder
    has another ``gaugeblock`` (a checkout, after ``pip install .``), the folder of the installed one comes first.
    """
    kept = {name: value for name, value in variables.items() if name not in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    is_hidden = CHECKOUT is None and (Path.cwd() / PACKAGE.name).is_dir()
    first = PACKAGE.parent if is_hidden else CHECKOUT
    paths = [str(path) for path in (first, Path.cwd()) if path]
    kept["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [variables.get("PYTHONPATH", "")])])
    return kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", COMMAND: "gaugeblock check"}
