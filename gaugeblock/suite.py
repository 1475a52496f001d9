"""Run the suite's pytest from any folder, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from gaugeblock.installation import CHECKOUT, SUITE

PLUGINS = ("pytest_benchmark", "xdist")
"""The packages of others whose plugins a run uses. An environment's other plugins (another order, coverage) stay out of it."""


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of a run: modules in the working folder can be imported, and nobody else's pytest settings apply.

    In a checkout the suite's folders come first on the path. An installed suite has no name there.
    """
    kept = {name: value for name, value in variables.items() if name not in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    paths = [str(path) for path in (CHECKOUT, Path.cwd()) if path]
    kept["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [variables.get("PYTHONPATH", "")])])
    return kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONSAFEPATH": "1"}


def run_suite(*arguments: str) -> int:
    """Run the suite's tests with these pytest arguments; returns pytest's exit code."""
    settings = SUITE / ("pyproject.toml" if CHECKOUT is not None else "pytest.ini")
    command = [sys.executable, "-m", "pytest", "-c", str(settings), "-p", "no:cacheprovider"]
    command += [word for name in PLUGINS if find_spec(name) for word in ("-p", f"{name}.plugin")]
    with tempfile.TemporaryDirectory(prefix="gaugeblock-") as storage:
        # pytest-benchmark makes the folder of its own records in every run; ours are those of --records.
        command += [f"--benchmark-storage=file://{storage}"] if find_spec("pytest_benchmark") else []
        return run([*command, *arguments])


def run(command: Sequence[str]) -> int:
    """Run a command with the suite's variables; returns its exit code. Ctrl-C reaches it, and it ends in its own way."""
    process = subprocess.Popen(command, env=environment())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
