"""The command line: record files in, a folder out; a bad file is one clear line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance.records import RecordError


def _diff(arguments: Sequence[str]) -> int:
    from reports.comparing.command import main as diff

    return diff(arguments)


SUBCOMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"diff": _diff}
"""First words that are not a record file (write ``./NAME`` for a file of such a name)."""

BAD_INPUT = 2


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if arguments and arguments[0] in SUBCOMMANDS:
        return SUBCOMMANDS[arguments[0]](arguments[1:])
    return _render(arguments)


def _render(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reports",
        description="Render record files of conformance runs as one page with its plots: README.md, and index.html beside it.",
        epilog="Record files are written by `python -m pytest conformance --records FILE`. Files of several machines are "
        "merged; what contradicts or does not belong together is refused. The same records always give the same bytes. "
        "`python -m reports diff A B` says in words what changed between two runs.",
    )
    parser.add_argument("records", nargs="+", metavar="RECORDS", help="a record file (JSON lines) of one run")
    into = "the folder to write README.md, index.html, plots/ and badges/ into; other files in it stay"
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help=into)
    options = parser.parse_args(arguments)

    # Late, so that --help and a bad argument do not wait for matplotlib.
    from reports.merging import load
    from reports.page import render
    from reports.publishing import PublishError, publish
    from reports.web.page import NEEDS

    try:
        files = render(load(options.records))
        publish(files, Path(options.output))
    except (RecordError, PublishError) as error:
        print(f"python -m reports: {error}", file=sys.stderr)
        return BAD_INPUT
    pages = [str(Path(options.output) / name) for name in ("README.md", "index.html") if name in files]
    print(f"wrote {' and '.join(pages)}")
    if "index.html" not in files:
        print(f"index.html was not written: it needs {NEEDS} (python -m pip install {NEEDS})", file=sys.stderr)
    return 0
