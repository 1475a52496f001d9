"""The command line of a linter: files in, findings out; a bad input is one clear line and exit status 2."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
import time
from collections.abc import Callable, Sequence

from conformance.linting.containers import FIELDS
from conformance.linting.findings import Linter, Severity
from conformance.linting.inputs import (
    KINDS,
    STANDARD_INPUT,
    InputError,
    LintedDocument,
    content,
    documents,
    kind_of,
    refuse_to_repair_unread_containers,
    with_texts,
    write,
)
from conformance.linting.inputs import shown as shown_name
from conformance.linting.output import FORMATS, FileResult, locate

CLEAN, FOUND, BAD_INPUT = 0, 1, 2
Maker = Callable[..., argparse.ArgumentParser]
"""What makes a parser of its keywords."""

SECONDS_BETWEEN_REPORTS = 2.0
SHOWN_UNREAD = 10
"""Records that could not be read, of which standard error says why."""

EXIT_STATUS = """\
exit status:
  0  nothing found of the severity that --fail-on names (or above)
  1  something found
  2  bad input or usage; one line on standard error says what (where a record
     of a container is bad, the others are linted)
With --fix, what the repair removes does not count.
"""


def main(linter: Linter, arguments: Sequence[str], made: Maker = argparse.ArgumentParser) -> int:
    """Run ``python -m conformance.<system> lint ...``; returns the exit status."""
    options = _parser(linter, made).parse_args(arguments)
    files: list[str] = list(dict.fromkeys(options.files)) or [STANDARD_INPUT]
    progress = _LintProgress(not options.quiet, len(files))
    try:
        _check(options, files)
        results: list[FileResult] = []
        for file in files:
            result, diff = _lint_file(linter, file, options, progress, shown=sum(len(r.located) for r in results))
            results.append(result)
            if options.format == "text":
                sys.stdout.write(diff)
            elif diff:
                sys.stderr.write(diff)
    except InputError as error:
        progress.end()
        print(f"python -m conformance.{linter.system} lint: {error}", file=sys.stderr)
        return BAD_INPUT
    progress.end()
    # In lines, so that a reader who has gone away is noticed at the next one.
    sys.stdout.writelines(FORMATS[options.format](linter, results, options.limit).splitlines(keepends=True))
    if _tell_unread(linter, [message for result in results for message in result.unread]):
        return BAD_INPUT
    if options.fail_on == "never":
        return CLEAN
    threshold = Severity[options.fail_on.upper()]
    grave = sum(r.severities[severity.name.lower()] for r in results for severity in Severity if severity >= threshold)
    return FOUND if grave else CLEAN


def _check(options: argparse.Namespace, files: Sequence[str]) -> None:
    """InputError where the options do not go together."""
    if options.write and not options.fix:
        raise InputError("--write goes with --fix: it writes what --fix repairs")
    if options.limit < 0:
        raise InputError(f"found --limit {options.limit}, expected a number of findings, or 0 for all")
    if options.write and STANDARD_INPUT in files:
        raise InputError("--write cannot write to standard input; name a file")


def _tell_unread(linter: Linter, unread: Sequence[str]) -> bool:
    """Say on standard error which records could not be read; whether there are any."""
    for message in unread[:SHOWN_UNREAD]:
        print(f"python -m conformance.{linter.system} lint: {message}", file=sys.stderr)
    if unread[SHOWN_UNREAD:]:
        print(f"({len(unread) - SHOWN_UNREAD} more records could not be read)", file=sys.stderr)
    return bool(unread)


def _parser(linter: Linter, made: Maker) -> argparse.ArgumentParser:
    parser = made(
        prog=f"python -m conformance.{linter.system} lint",
        usage="%(prog)s [OPTIONS] [FILE ...]",
        description=f"Lint model outputs in the {linter.system.upper()} format.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="texts, or containers (.json, .jsonl, .ndjson, .csv, .tsv); - or none: stdin"
    )
    parser.add_argument("--input", choices=KINDS, default="auto", help="how files are read; auto: by name, else as a text")
    parser.add_argument(
        "--field",
        default="",
        metavar="NAME",
        help=f"field or column of a container, a.b.0 goes inside; default: first of {', '.join(FIELDS)}",
    )
    parser.add_argument("--format", choices=[*FORMATS], default="text")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="findings shown at most; 0: all (default 100)")
    parser.add_argument("--ignore", action="append", default=[], metavar="CODE", help="leave a diagnostic out; repeatable")
    parser.add_argument(
        "--fail-on",
        choices=["error", "warning", "note", "never"],
        default="error",
        help="when the exit status is 1 (default error)",
    )
    parser.add_argument(
        "--profile",
        choices=["strict", "official"],
        default="strict",
        help="which reader the outputs are for: what the official one reads all the same is a warning and no error",
    )
    parser.add_argument("--fix", action="store_true", help="show, as a diff, what can be repaired safely")
    parser.add_argument("--write", action="store_true", help="with --fix: write the repairs into the files")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    return parser


def _lint_file(
    linter: Linter, file: str, options: argparse.Namespace, progress: _LintProgress, shown: int
) -> tuple[FileResult, str]:
    text = content(file)
    if options.write:
        refuse_to_repair_unread_containers(file, text, options.input)
    kind = kind_of(file, options.input)
    fields = options.field.split(".") if options.field else []
    result = FileResult(shown_name(file))
    changed: dict[int | None, str] = {}
    diffs = []
    read = 0
    for document in documents(result.file, text, kind, fields):
        if isinstance(document, str):
            result.unread.append(document)
            continue
        if options.fix:
            fixed = linter.fix(document.text)
            if fixed != document.text:
                changed[document.number] = fixed
                diffs.append(_diff(document.name, document.text, fixed))
                document = LintedDocument(document.file, document.number, fixed)
        left = max(0, options.limit - shown - len(result.located)) if options.limit else None
        _lint_document(linter, document, options, result, left)
        read += len(document.text)
        progress.step(result.file, min(1.0, read / max(1, len(text))))
    progress.finished()
    if result.unread and not result.counts["documents"]:
        raise InputError(_first_of(result.unread))
    if changed and options.write:
        write(file, with_texts(text, file, kind, fields, changed))
    return result, "".join(diffs)


def _lint_document(
    linter: Linter, document: LintedDocument, options: argparse.Namespace, result: FileResult, limit: int | None
) -> None:
    """Add a document to the result of its file, and ``limit`` of its findings (None: all)."""
    lint = linter.lint(document.text)
    if options.profile != "strict":
        lint = linter.forgiven(document.text, lint)
    findings = [f for f in lint.findings if not set(f.codes) <= set(options.ignore)]
    result.counts.update(lint.counts)
    result.codes.update(code for finding in findings for code in finding.codes)
    result.severities.update(finding.severity.name.lower() for finding in findings)
    result.located += locate(document, findings[:limit])


def _first_of(unread: Sequence[str]) -> str:
    return unread[0] + (f" (and {len(unread) - 1} more like it)" if len(unread) > 1 else "")


def _diff(name: str, before: str, after: str) -> str:
    # Lines are split at LF alone, as everywhere here; a last line without one gets one for the display.
    old, new = ([line + "\n" for line in text.split("\n")] for text in (before, after))
    return "".join(difflib.unified_diff(old, new, f"{name} (as it is)", f"{name} (repaired)", n=1))


BAR = 30
"""Columns of the progress bar."""


class _LintProgress:
    """A bar on standard error where the run takes longer than a moment; lines where that is no terminal."""

    def __init__(self, wanted: bool, files: int) -> None:
        self._wanted = wanted
        self._files = max(1, files)
        self._next = time.monotonic() + SECONDS_BETWEEN_REPORTS
        self._documents = 0
        self._done = 0
        """Files that are finished."""
        self._open = False

    def step(self, file: str, share: float) -> None:
        """One more document is done, and this share of its file."""
        self._documents += 1
        if not self._wanted or time.monotonic() < self._next:
            return
        terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (0.2 if terminal else SECONDS_BETWEEN_REPORTS)
        whole = (self._done + share) / self._files
        filled = round(BAR * whole)
        bar = f"[{'#' * filled}{'.' * (BAR - filled)}] {whole:4.0%}"
        line = f"{bar}  {self._documents} documents linted, in {file}"
        print(line, file=sys.stderr, end="\x1b[K\r" if terminal else "\n", flush=True)
        self._open = terminal

    def finished(self) -> None:
        """One more file is done."""
        self._done += 1

    def end(self) -> None:
        """Nothing more comes."""
        if self._open:
            print(file=sys.stderr)


def run(linter: Linter, arguments: Sequence[str], made: Maker = argparse.ArgumentParser) -> int:
    """Run ``python -m conformance.<system> SUBCOMMAND ...``; there is one subcommand."""
    if arguments[:1] == ["lint"]:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            status = main(linter, arguments[1:], made)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever reads has seen enough. The interpreter must not try again when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = FOUND
        return status
    usage = f"usage: python -m conformance.{linter.system} lint [FILE ...]   (lint --help says more)"
    if arguments[:1] in (["-h"], ["--help"]):
        print(usage)
        return CLEAN
    print(usage, file=sys.stderr)
    return BAD_INPUT
