"""``python -m reports diff A B``: what changed, in words; 0 when nothing got worse, 1 when something did, 2 for bad input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from conformance.records.fields import RecordError
from conformance.regression.compare import record_files
from reports.diff import inventory
from reports.diff.change import Change, shown
from reports.diff.speeds import compare_speeds
from reports.diff.verdicts import compare_verdicts
from reports.evidence import Evidence
from reports.merge import load
from reports.numbers import count

NOTHING_WORSE, WORSE, BAD_INPUT = 0, 1, 2

EPILOG = (
    "The cases (implementation, requirement, case, dtype and device) that both runs tested are compared. Exit codes: 0 when "
    "nothing got worse; 1 when a verdict was lost (it passed, and now fails, crashes or is declared a gap), a mutant (a "
    "planted bug) is no longer caught, an honest variant is accused, or a slowdown is proven by the rule of "
    "docs/regressions.md; 2 for input that cannot be compared."
)


def main(arguments: Sequence[str], made: Callable[..., argparse.ArgumentParser] = argparse.ArgumentParser) -> int:
    """Run the subcommand; returns the exit code."""
    parser = made(
        prog="python -m reports diff",
        description="Say in words what changed between two runs.",
        epilog=EPILOG,
    )
    parser.add_argument("first", metavar="A", help="a record file, or a folder of them (*.jsonl): how it was")
    parser.add_argument("second", metavar="B", help="the same, for how it is now")
    options = parser.parse_args(arguments)
    try:
        text, code = difference(load(record_files(options.first)), load(record_files(options.second)))
    except RecordError as error:
        print(f"python -m reports diff: {error}", file=sys.stderr)
        return BAD_INPUT
    # A terminal that cannot show a sign gets a question mark, not a crash.
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end="")
    return code


def difference(old: Evidence, new: Evidence) -> tuple[str, int]:
    """The text and the exit code. RecordError where the two have nothing in common."""
    verdicts, speeds = compare_verdicts(old, new), compare_speeds(old, new)
    mutants, shared_mutants = inventory.mutants(old, new)
    if not verdicts.shared and not speeds.shared and not shared_mutants:
        raise RecordError(
            "the two have no case, measurement or mutant in common, so nothing can be compared; "
            "expected two runs that judge the same implementations on the same devices"
        )
    groups = [
        ("Verdicts lost", verdicts.lost),
        ("Verdicts won", verdicts.won),
        ("Red before or now, and neither lost nor won", verdicts.otherwise),
        ("Not run any more", verdicts.unjudged),
        ("Margins that moved by a bit or more", verdicts.margins),
        ("Slower", speeds.slower),
        ("Faster", speeds.faster),
        ("Measurements that are not comparable", speeds.other),
        ("Mutants", mutants),
        ("Implementations", inventory.implementations(old, new)),
        ("Requirements", inventory.requirements(old, new)),
        ("Packages", inventory.packages(old, new)),
    ]
    worse = sum(change.worse for _, changes in groups for change in changes)
    shared = f"{count(verdicts.shared, 'case')}, {count(speeds.shared, 'measurement')} and {count(shared_mutants, 'mutant')}"
    lines = [f"{_side('A', old)}\n{_side('B', new)}\nIn both: {shared}.", _verdict(groups, worse)]
    for title, changes in groups:
        if changes:
            lines.append(f"{title} ({len(changes)})\n" + "\n".join(_lines(change) for change in changes))
    return "\n\n".join(lines) + "\n", WORSE if worse else NOTHING_WORSE


def _side(letter: str, evidence: Evidence) -> str:
    names = ", ".join(shown(source.name) for source in evidence.sources)
    started = ", ".join(sorted({shown(source.header.started) for source in evidence.sources}))
    return f"{letter}: {names}; suite {shown(evidence.suite)}, started {started}"


def _verdict(groups: Sequence[tuple[str, Sequence[Change]]], worse: int) -> str:
    if worse:
        parts = [
            f"{title.lower()}: {sum(c.worse for c in changes)}" for title, changes in groups if any(c.worse for c in changes)
        ]
        return f"Something got worse. {'; '.join(parts).capitalize()}."
    return "Nothing got worse." if any(changes for _, changes in groups) else "Nothing changed."


def _lines(change: Change) -> str:
    mark = "!" if change.worse else "-"
    again = f"\n      {shown(change.again)}" if change.again else ""
    return f"  {mark} {change.words}{again}"
