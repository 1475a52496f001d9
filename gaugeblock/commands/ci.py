"""``gaugeblock ci SPEC...``: check, report, badges, and annotations where the CI shows them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from conformance.engine import xfails
from conformance.engine.selection import requirements_of
from conformance.records import io
from conformance.records.fields import RecordError
from conformance.records.schema import RED, Level, VerdictRecord
from gaugeblock.commands.suite import SuiteParser, check_options, run_check
from impls.systems import system_named

MOST_ANNOTATIONS = 10
"""What GitHub shows of one step."""


def parser() -> SuiteParser:
    """That of ``check``, and the folder."""
    made = check_options("ci", "Test implementations as a step of CI; all that is written goes into one folder.")
    made.add_argument("-o", "--output", default="gaugeblock-report", metavar="DIR", help="default: %(default)s")
    return made


def main(arguments: Sequence[str]) -> int:
    """Test implementations, write everything into one folder, and return pytest's exit code."""
    options, rest = parser().parse(arguments)
    if any(word.startswith("--records") for word in options.relayed):
        parser().error("found --records; expected none: the records go into the folder of --output")
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    records = folder / "records.jsonl"
    records.unlink(missing_ok=True)
    code = run_check(options, [f"--records={records}", *rest])
    try:
        run = io.read(records)
    except (OSError, RecordError):
        return code  # pytest has said why there are none
    from reports.cli import main as report

    report([str(records), "-o", str(folder)])
    known = next((word.partition("=")[2] for word in options.relayed if word.startswith("--xfails=")), "")
    found = unexpected(run.of(VerdictRecord), xfails.read(known) if known else ())
    tell(found, os.environ)
    return code


def unexpected(results: Sequence[VerdictRecord], expected: tuple[xfails.Entry, ...]) -> list[VerdictRecord]:
    """The worst failure of each requirement and implementation, of those that nobody expects."""
    worst: dict[tuple[str, str], VerdictRecord] = {}
    for result in results:
        if result.verdict in RED and xfails.expected(expected, result) is None:
            key = (result.implementation, result.requirement)
            if key not in worst or (result.margin or 0.0) > (worst[key].margin or 0.0):
                worst[key] = result
    return list(worst.values())


def tell(found: Sequence[VerdictRecord], variables: Mapping[str, str]) -> None:
    """Write annotations and a summary where GitHub runs this; other CI systems show the output as it is."""
    if variables.get("GITHUB_ACTIONS") != "true":
        return
    for line in list(workflow_commands(found))[:MOST_ANNOTATIONS]:
        print(line)
    if target := variables.get("GITHUB_STEP_SUMMARY"):
        with Path(target).open("a", encoding="utf-8") as summary:
            summary.write("\n".join(summary_of(found)) + "\n")


def workflow_commands(found: Sequence[VerdictRecord]) -> Iterator[str]:
    """GitHub's workflow commands, the most important level first."""
    for result in sorted(found, key=lambda r: [*Level].index(requirements_of(r.system)[r.requirement].level)):
        rule = requirements_of(result.system)[result.requirement]
        kind = "notice" if rule.level is Level.READING else "error"
        title = f"{rule.id} ({rule.level.value}): {result.implementation}"
        resembles = f" It resembles {result.resembles}" if result.resembles else ""
        text = (
            f"{rule.statement} [{system_named(result.system).paper}, {rule.source}]{resembles}\nreproduce: {result.reproduce}"
        )
        yield f"::{kind} title={escaped(title, ':,')}::{escaped(text)}"


def escaped(text: str, more: str = "") -> str:
    """A text as a workflow command holds it."""
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text)


def summary_of(found: Sequence[VerdictRecord]) -> Iterator[str]:
    """A few lines of Markdown."""
    if not found:
        yield "Gaugeblock: nothing failed that was not expected."
        return
    yield "| implementation | requirement | level | margin |\n|---|---|---|---|"
    for result in found:
        rule = requirements_of(result.system)[result.requirement]
        margin = "crash" if result.margin is None else f"{result.margin:.3g}"
        yield f"| `{result.implementation}` | {rule.id}: {rule.statement} | {rule.level.value} | {margin} |"
