"""One implementation that is not all right, on one screen: verdicts, likeliest causes, one command, requirements."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.engine.diagnosis import ranked
from conformance.engine.interactions import shared_by
from conformance.engine.other_classes import OtherClass, common_to
from conformance.engine.requirement import Requirement
from conformance.engine.several_causes import SeveralCauses
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


def screen(
    results: Sequence[VerdictRecord],
    rules: Mapping[str, Requirement],
    width: int,
    classes: Sequence[OtherClass] = (),
    declared_on: str = "",
    several: SeveralCauses | None = None,
) -> list[str]:
    """The lines about one implementation: they fit on a screen of 30 lines, where commands are not wrapped.

    ``results`` are its verdicts, some of them failures or crashes. ``rules`` are its system's requirements by id. ``classes``
    are those under which all failures vanish; ``declared_on`` is what a class is declared on, such as ``attention``.
    ``several`` are causes that explain the failures together.
    """
    verdicts = level_verdicts(results, {id_: rule.level for id_, rule in rules.items()})
    lines = [f"{verdict.level.value:<{LABEL}}{_words(verdict)}" for verdict in verdicts]
    another = _in_words(classes[0], declared_on) if classes else ""
    lines += few_lines(results, rules, width, MOST_CAUSES, another, tuple(_together(several, declared_on)) if several else ())
    return [*lines, *_requirements(results, rules, width)]


def few_lines(
    results: Sequence[VerdictRecord],
    rules: Mapping[str, Requirement],
    width: int,
    most: int = 1,
    another: str = "",
    together: Sequence[str] = (),
) -> list[str]:
    """How many test cases fail, the likeliest causes with their shares, and the command that shows the first again.

    ``another`` says which class would make all wrong results vanish, ``together`` what explains them where no one cause does.
    """
    red = [result for result in results if result.verdict in RED]
    red.sort(key=lambda result: _place(rules, result.requirement))
    judged = sum(result.verdict in JUDGED for result in results)
    found = likeliest(results)
    shown = [f"{len(cause.explained):>5}  {cause.text}{_in_common(cause, results)}" for cause in found[:most]]
    explained = {result.key for cause in found[:most] for result in cause.explained}
    explained |= {result.key for result in red if another and result.verdict is Verdict.FAIL}
    if rest := len(red) - len(explained):
        shown.append(f"{rest:>5}  {'other causes' if found[most:] else 'no planted bug gives these values'}")
    if together:
        crashes = [line for line, cause in zip(shown, found, strict=False) if cause.explained[0].verdict is Verdict.ERROR]
        shown = [*together, *crashes]
    lines = [f"{'fails':<{LABEL}}{len(red)} of {judged} judged test cases. Likeliest causes, each with its share:"]
    for text in ([another] if another else []) + shown:
        lines += textwrap.wrap(text, width, initial_indent=" " * (LABEL - 2), subsequent_indent=" " * (LABEL + 5))
    one = min(found[0].explained, key=lambda each: _place(rules, each.requirement)) if found and not another else red[0]
    return [*lines, f"{'reproduce':<{LABEL}}{one.reproduce}"]


def likeliest(results: Sequence[VerdictRecord]) -> list[Cause]:
    """The causes of failures and crashes, those that explain most first."""
    causes = []
    for each in ranked(results):
        explained = tuple(x for x in results if x.verdict is Verdict.FAIL and each.mutant in x.candidates)
        causes.append(Cause(f"as if: {each.sentence} [{', '.join((each.mutant, *each.others[:2]))}]", explained))
    crashes: dict[str, list[VerdictRecord]] = {}
    for result in results:
        if result.verdict is Verdict.ERROR:
            # Shapes and addresses differ from case to case; the mistake is the same.
            crashes.setdefault(re.sub("[0-9]+", "#", result.message), []).append(result)
    causes += [Cause(f"crash: {own[0].message}", tuple(own)) for own in crashes.values()]
    return sorted(causes, key=lambda cause: -len(cause.explained))


def _in_common(cause: Cause, results: Sequence[VerdictRecord]) -> str:
    """The dtype and the features that all these failures share, where others were judged without them."""
    dtypes, needs = common_to(cause.explained)
    judged = {result.dtype for result in results if result.verdict in JUDGED}
    words = [f"all in {dtypes[0]}"] if len(dtypes) == 1 < len(judged) else []
    words += [f"all need {', '.join(sorted(needs))}"] if needs else []
    rows = shared_by(cause.explained, results)
    words += [f"all with {rows}"] if rows else []
    if needs and cause.explained[0].verdict is Verdict.ERROR:
        words.append("raise NotImplementedError for what is not offered")
    return f" ({'; '.join(words)})" if words else ""


def _in_words(each: OtherClass, declared_on: str) -> str:
    """What declaring another class would change."""
    ran = f"all {each.failures}" if each.run_again == each.failures else f"the worst {each.run_again} of {each.failures}"
    return f"{each.failures:>5}  {ran} wrong results vanish under {_declared(each, declared_on)}"


def _together(several: SeveralCauses, declared_on: str) -> Iterator[str]:
    """What each of several causes explains."""
    for each in several.mutants:
        yield f"{each.explained:>5}  as if: {each.sentence} [{', '.join((each.mutant, *each.others[:2]))}]"
    other = several.other_class
    if other is None:
        yield f"{'':>5}  each counted where the other does not show; the other failures have both causes at once"
    else:
        vanish = f"of {other.run_again} that were judged again vanish under {_declared(other, declared_on)}"
        yield f"{other.failures:>5}  {vanish}. Causes above explain the others"


def _declared(each: OtherClass, declared_on: str) -> str:
    """A class in words, and how it is declared."""
    how = (
        f'{declared_on}.gaugeblock = {{"numerical_class": "{each.name}"}}' if declared_on else f"numerical_class={each.name!r}"
    )
    return f"{each.name!r} ({each.description}). If it computes so: {how}"


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
