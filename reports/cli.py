"""The command line: record files in, a folder out; a bad file is one clear line and exit code 2."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance.records.fields import RecordError
from reports import ReportError

DIFFERS, BAD_INPUT = 1, 2
Maker = Callable[..., argparse.ArgumentParser]
"""What makes a parser of its keywords."""

Command = Callable[[Sequence[str], Maker], int]


def _diff(arguments: Sequence[str], made: Maker) -> int:
    from reports.diff.command import main as diff

    return diff(arguments, made)


def _readme(arguments: Sequence[str], made: Maker) -> int:
    """Write the first figures of a README, or check that they are those of the records."""
    parser = made(
        prog="python -m reports readme",
        description="Write the first figures of a page, between their two marks, from the records of a published report.",
    )
    parser.add_argument("report", metavar="REPORT", help="the folder of a published report, with its records")
    parser.add_argument("page", metavar="PAGE", help="the Markdown file, beside which REPORT lies or above it")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where the page says something else")
    options = parser.parse_args(arguments)
    from reports.merge import load
    from reports.readme import with_figures

    report, page = Path(options.report), Path(options.page)
    link = Path(os.path.relpath(report, page.parent)).as_posix()
    before = page.read_text(encoding="utf-8")
    after = with_figures(before, load(sorted(report.glob("*.jsonl"))), link)
    if options.check and before != after:
        print(f"{page}: its figures are not those of {report}; run `make publish`")
        return DIFFERS
    if not options.check:
        page.write_text(after, encoding="utf-8")
    print(f"{page}: its figures are those of {report}")
    return 0


def _index(arguments: Sequence[str], made: Maker) -> int:
    """Write the page that lists published reports."""
    parser = made(
        prog="python -m reports index", description="Write README.md of a folder whose subfolders are published reports."
    )
    parser.add_argument("folder", metavar="FOLDER", help="such as reports/published")
    options = parser.parse_args(arguments)
    from reports.report_index import FINDINGS, SIGNATURE, findings_index, report_index

    folder = Path(options.folder)
    pages = {folder / "README.md": report_index}
    if (folder / FINDINGS).is_dir():
        pages[folder / FINDINGS / "README.md"] = findings_index
    for target in pages:
        if target.exists() and not target.read_text(encoding="utf-8").startswith(SIGNATURE):
            raise ReportError(f"{target} was not rendered by this command and is left alone")
    for target, page in sorted(pages.items(), reverse=True):
        target.write_text(page(folder), encoding="utf-8")
        print(f"wrote {target}")
    return 0


def _render(arguments: Sequence[str], made: Maker) -> int:
    parser = made(
        prog="python -m reports",
        description="Render record files of conformance runs as one page with its plots: README.md, and index.html beside it.",
        epilog="Record files are written by `python -m pytest conformance --records=FILE`. Files of several machines are "
        "merged; what contradicts or does not belong together is refused. The same records always give the same bytes. "
        "`python -m reports diff A B` says in words what changed between two runs; `readme` and `index` write the figures "
        "of a README and the list of published reports.",
    )
    parser.add_argument("records", nargs="+", metavar="RECORDS", help="a record file (JSON lines) of one run")
    into = "the folder to write README.md, index.html, plots/ and badges/ into; other files in it stay"
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help=into)
    parser.add_argument(
        "--partial", action="store_true", help="also render what runs that were cut short had recorded; every page says so"
    )
    options = parser.parse_args(arguments)

    # Late, so that --help and a bad argument do not wait for matplotlib.
    from reports.merge import load
    from reports.page import render
    from reports.publish import publish
    from reports.report_index import write_ups

    folder = Path(options.output)
    publish(render(load(options.records, partial=options.partial), write_ups(Path(os.path.abspath(folder)))), folder)
    print(f"wrote {folder / 'README.md'} and {folder / 'index.html'}")
    return 0


SUBCOMMANDS: dict[str, Command] = {"diff": _diff, "index": _index, "readme": _readme}
"""The subcommands (write ``./NAME`` for a record file of such a name)."""


def main(arguments: Sequence[str], made: Maker = argparse.ArgumentParser) -> int:
    """Run the command; returns the exit code."""
    command: Command = _render
    rest = arguments
    if arguments and arguments[0] in SUBCOMMANDS:
        command, rest = SUBCOMMANDS[arguments[0]], arguments[1:]
    try:
        return command(rest, made)
    except (RecordError, ReportError, OSError) as error:
        print(f"python -m reports: {error}", file=sys.stderr)
        return BAD_INPUT
