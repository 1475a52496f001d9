"""One implementation that is not all right, on one screen: verdicts, likeliest causes, one command, requirements."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.engine.requirement import Requirement
from conformance.records.level_verdicts import LevelVerdict, level_verdicts
from conformance.records.schema import JUDGED, RED, Level, Verdict, VerdictRecord

MOST_CAUSES = 3
MOST_REQUIREMENTS = 10
LABEL = 12
"""The width of the first column."""


@dataclass(frozen=True)
class Cause:
    """What explains some of the failures: a mutant that gives the same values, or a message that crashes have in common."""

    text: str
    explained: tuple[VerdictRecord, ...]


def screen(results: Sequence[VerdictRecord], rules: Mapping[str, Requirement], width: int) -> list[str]:
    """The lines about one implementation: they fit on a screen of 30 lines, where commands are not wrapped.

    ``results`` are its verdicts, some of them failures or crashes. ``rules`` are its system's requirements by id.
    """
    verdicts = level_verdicts(results, {id_: rule.level for id_, rule in rules.items()})
    lines = [f"{verdict.level.value:<{LABEL}}{_words(verdict)}" for verdict in verdicts]
    return [*lines, *few_lines(results, rules, width, MOST_CAUSES), *_requirements(results, rules, width)]


def few_lines(results: Sequence[VerdictRecord], rules: Mapping[str, Requirement], width: int, most: int = 1) -> list[str]:
    """How many test cases fail, the likeliest causes with their shares, and the command that shows the first again."""
    red = [result for result in results if result.verdict in RED]
    red.sort(key=lambda result: _place(rules, result.requirement))
    judged = sum(result.verdict in JUDGED for result in results)
    found = likeliest(red)
    causes = [(len(cause.explained), cause.text) for cause in found[:most]]
    if rest := len(red) - sum(number for number, _ in causes):
        causes.append((rest, "other causes" if found[most:] else "no planted bug gives these values"))
    lines = [f"{'fails':<{LABEL}}{len(red)} of {judged} judged test cases. Likeliest causes, each with its share:"]
    for number, text in causes:
        lines += textwrap.wrap(
            f"{number:>5}  {text}", width, initial_indent=" " * (LABEL - 2), subsequent_indent=" " * (LABEL + 5)
        )
    first = found[0].explained[0] if found else red[0]
    return [*lines, f"{'reproduce':<{LABEL}}{first.reproduce}"]


def likeliest(red: Sequence[VerdictRecord]) -> list[Cause]:
    """The causes of failures: first the one that explains most, then each time the one that explains most of the rest."""
    causes: list[Cause] = []
    left = list(red)
    while left:
        by_text: dict[str, list[VerdictRecord]] = {}
        for result in left:
            for text in _explanations(result):
                by_text.setdefault(text, []).append(result)
        if not by_text:
            break
        text, explained = max(by_text.items(), key=lambda item: len(item[1]))
        causes.append(Cause(_shown(text, explained[0]), tuple(explained)))
        left = [result for result in left if text not in _explanations(result)]
    return causes


def _explanations(result: VerdictRecord) -> list[str]:
    if result.verdict is Verdict.ERROR:
        # Shapes and addresses differ from case to case; the mistake is the same.
        return [f"crash: {re.sub('[0-9]+', '#', result.message)}"]
    return [part for part in result.resembles.split("; or ") if ": " in part]


def _shown(text: str, first: VerdictRecord) -> str:
    """The words of a cause; of crashes, the first message as it was."""
    name, _, sentence = text.partition(": ")
    return f"crash: {first.message}" if first.verdict is Verdict.ERROR else f"as if: {sentence} [{name}]"


def _words(verdict: LevelVerdict) -> str:
    return verdict.words() + ("; decides nothing" if verdict.red and not verdict.decides else "")


def _requirements(results: Sequence[VerdictRecord], rules: Mapping[str, Requirement], width: int) -> Iterator[str]:
    """A row for each requirement that some test case broke: those of the definition first, the most broken ones first."""
    broken: dict[str, list[VerdictRecord]] = {}
    judged: dict[str, int] = {}
    for result in results:
        judged[result.requirement] = judged.get(result.requirement, 0) + (result.verdict in JUDGED)
        if result.verdict in RED:
            broken.setdefault(result.requirement, []).append(result)
    rows = sorted(broken, key=lambda id_: (_place(rules, id_)[0], -len(broken[id_]) / judged[id_], id_))
    yield f"{'failed':<{LABEL}}{'margin':<9}requirement"
    for id_ in rows[:MOST_REQUIREMENTS]:
        failed = broken[id_]
        margins = [result.margin for result in failed if result.margin is not None]
        worst = f"{max(margins):.3g}" if margins else "crash"
        known = "known; " if all(result.known for result in failed) else ""
        statement = f"{known}{rules[id_].statement}" if id_ in rules else known
        row = f"{len(failed)} of {judged[id_]}"
        yield _fitted(f"{row:<{LABEL}}{worst:<9}{id_} {list(Level)[_place(rules, id_)[0]].value}: {statement}", width)
    if rest := rows[MOST_REQUIREMENTS:]:
        yield _fitted(f"{'':<{LABEL}}{'':<9}and {len(rest)} more: {', '.join(rest)}", width)


def _place(rules: Mapping[str, Requirement], id_: str) -> tuple[int, str]:
    """Where a requirement stands among all: by level, then by id. One that is not known counts as the definition."""
    return list(Level).index(rules[id_].level) if id_ in rules else 0, id_


def _fitted(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3].rstrip()}..."
