"""Measure unchanged code again and again, and count how often it is called slower.

``python -m conformance.regression.repeat --repeats 50 -- --quick --impl built-in`` measures once, then so many times against
that first run, and counts alarms; what follows ``--`` goes to pytest. The records stay in the folder. At the end all pairs of
them are compared too, without further takes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from conformance.records import io
from conformance.records.schema import MeasurementRecord
from conformance.regression import compare, speeds

ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing was called slower, 1 where something was."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.regression.repeat", description="Count false alarms of --against on unchanged code."
    )
    parser.add_argument("--repeats", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--folder", type=Path, default=Path("build/repeats"), help="for the records; default: %(default)s")
    parser.add_argument(
        "pytest", nargs="*", metavar="PYTEST_ARGUMENT", help="after --: --quick, --impl SPEC, --device cuda, ..."
    )
    options = parser.parse_args(arguments)
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / "000.jsonl"
    _measure(first, options.pytest)
    alarms = 0
    files = [first]
    for number in range(1, options.repeats + 1):
        file = folder / f"{number:03}.jsonl"
        _measure(file, [*options.pytest, f"--against={first}"])
        run = io.read(file)
        found = run.footer.against
        if found is None:
            raise SystemExit(f"{file}: found no result of --against in its footer")
        again = sum(bool(record.takes) for record in run.of(MeasurementRecord))
        alarms += bool(found.slower)
        files.append(file)
        print(f"{number}: {found.slower} slower, {found.lost} lost, {again} measured again", flush=True)
    print(f"{alarms} of {options.repeats} runs called unchanged code slower")
    print(every_pair(files))
    return 1 if alarms else 0


def _measure(file: Path, arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pytest", "--benchmark-only", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    file.unlink(missing_ok=True)
    done = subprocess.run(
        [*command, *arguments, f"--records={file}"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if not file.is_file():
        raise SystemExit(
            f"pytest ended with {done.returncode} and left no records:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    for line in done.stdout.splitlines():
        if line.startswith(("SLOWER", "LOST", "suspected")):
            print(f"   {line}", flush=True)


def every_pair(files: Sequence[Path]) -> str:
    """How often the first take alone would have been suspected, over all ordered pairs of runs."""
    runs = [io.read(file) for file in files]
    pairs = suspected = 0
    for before, now in itertools.permutations(runs, 2):
        bare = [replace(record, takes=()) for record in now.of(MeasurementRecord)]
        changes = compare.speeds([before], now.header, bare).changes
        pairs += 1
        suspected += bool(speeds.suspects(changes))
    return f"of {pairs} ordered pairs of runs {suspected} would have been measured again"


if __name__ == "__main__":
    raise SystemExit(main())
