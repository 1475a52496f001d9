"""Planted bugs against requirements as a grid: a full dot was caught where it should be, a cross was missed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from conformance.records.schema import MutantRecord, SystemRecord
from reports.canvas import (
    BLUE,
    CARD,
    FAINT,
    INK,
    LABEL_SIZE,
    PASS_GROUND,
    QUIET,
    TICK_SIZE,
    TITLE_SIZE,
    VERMILLION,
    WIDTH,
    Canvas,
    as_svg,
    drawable,
    own_settings,
    text_width,
)
from reports.evidence import Evidence
from reports.numbers import count, listing, share

LEFT, RIGHT, TOP, BOTTOM, ROW, WIDEST = 40.0, 26.0, 92.0, 20.0, 15.0, 30.0


@dataclass(frozen=True)
class BugChart:
    """``bugs`` without the honest and the equivalent variants; ``ids`` are the requirements, in order."""

    title: str
    prefix: str
    bugs: tuple[MutantRecord, ...]
    ids: tuple[str, ...]
    idle: frozenset[str]
    """The requirements that caught none of them."""
    description: str


def bug_chart(evidence: Evidence, system: SystemRecord) -> BugChart | None:
    """The chart of one system; None where no bug was planted."""
    bugs = planted(evidence, system)
    if not bugs:
        return None
    ids = columns(evidence, system, bugs)
    rank = {id_: place for place, id_ in enumerate(ids)}
    # By the first requirement that is meant to catch it: what works then reads as a diagonal.
    ordered = sorted(bugs, key=lambda bug: (min((rank[id_] for id_ in bug.expected_killers), default=len(ids)), bug.mutant))
    survivors = [short_name(bug) for bug in ordered if bug.verdict != "killed"]
    missed = f" Survived: {listing(survivors)}." if survivors else " None survived."
    return BugChart(
        title=f"{system.title}: planted bugs by requirement",
        prefix=system.requirement_prefix,
        bugs=tuple(ordered),
        ids=tuple(ids),
        idle=frozenset(idle(ids, bugs)),
        description=(
            f"Which of {count(len(ids), 'requirement')} of {system.title} caught which of {count(len(bugs), 'planted bug')}; "
            f"caught in all: {share(len(bugs) - len(survivors), len(bugs))}.{missed} The tables below name them."
        ),
    )


def planted(evidence: Evidence, system: SystemRecord) -> list[MutantRecord]:
    """The bugs that a suite can be asked to catch."""
    of_system = (bug for bug in evidence.mutants if bug.system == system.name)
    return [bug for bug in of_system if not bug.honest and bug.verdict != "equivalent"]


def columns(evidence: Evidence, system: SystemRecord, bugs: list[MutantRecord]) -> list[str]:
    """The requirements that were put to the bugs, in the order of the suite."""
    known = [requirement.id for requirement in evidence.requirements_of(system.name)]
    seen = {id_ for bug in bugs for id_ in (*bug.checked, *bug.killers, *bug.expected_killers)}
    return [*(id_ for id_ in known if id_ in seen), *sorted(seen - set(known))]


def idle(ids: list[str], bugs: list[MutantRecord]) -> list[str]:
    """The requirements that were put to the bugs and caught none."""
    busy = {id_ for bug in bugs for id_ in bug.killers}
    checked = {id_ for bug in bugs for id_ in bug.checked}
    return [id_ for id_ in ids if id_ in checked - busy]


def short_name(bug: MutantRecord) -> str:
    """The bug's name without its system."""
    return bug.mutant.removeprefix(f"{bug.system}/")


def draw(chart: BugChart) -> bytes:
    """The chart as SVG."""
    with own_settings():
        return as_svg(_figure(chart), chart.title)


def _figure(chart: BugChart) -> Figure:
    height = TOP + ROW * len(chart.bugs) + BOTTOM
    canvas = Canvas(WIDTH, height)
    canvas.card(WIDTH, height)
    labels = [drawable(short_name(bug)) for bug in chart.bugs]
    left = LEFT + max(text_width(label, LABEL_SIZE) for label in labels) + 12
    step = min((WIDTH - RIGHT - left) / len(chart.ids), WIDEST)
    right, top = left + step * len(chart.ids), height - TOP
    canvas.text(LEFT, height - 31, drawable(chart.title, 60), TITLE_SIZE, bold=True)
    _legend(canvas, height - 52)
    for column, id_ in enumerate(chart.ids):
        x = left + step * (column + 0.5)
        canvas.line((x, x), (top, BOTTOM), FAINT, zorder=1)
        color = VERMILLION if id_ in chart.idle else QUIET
        short = drawable(id_.removeprefix(f"{chart.prefix}-"), 8)
        size = min(TICK_SIZE, max(0.62 * step, 5.0))
        canvas.text(x, top + 5, short, size, ha="center", va="bottom", color=color, rotation=90 if len(short) > 2 else 0)
    canvas.text(left - 8, top + 5, f"{drawable(chart.prefix)}-", TICK_SIZE, ha="right", va="bottom", color=QUIET)
    # All marks of a kind are one artist, which keeps the file small.
    marks: dict[str, list[tuple[float, float]]] = {"meant": [], "also": [], "missed": [], "": []}
    for row, (bug, label) in enumerate(zip(chart.bugs, labels, strict=True)):
        y = top - ROW * (row + 0.5)
        if row % 2 == 0:
            canvas.area(LEFT - 6, y - ROW / 2, max(right, left) + 6, y + ROW / 2, PASS_GROUND)
        survived = bug.verdict != "killed"
        canvas.text(left - 8, y, label, LABEL_SIZE, ha="right", va="center", color=VERMILLION if survived else INK)
        for column, id_ in enumerate(chart.ids):
            marks[_kind(bug, id_)].append((left + step * (column + 0.5), y))
    for kind, places in marks.items():
        _draw_marks(canvas, places, kind, min(1.0, step / 10))
    return canvas.figure


def _kind(bug: MutantRecord, id_: str) -> str:
    expected = id_ in bug.expected_killers
    if id_ in bug.killers:
        return "meant" if expected else "also"
    return "missed" if expected else ""


def _draw_marks(canvas: Canvas, places: list[tuple[float, float]], kind: str, scale: float = 1.0) -> None:
    """A full dot, a hollow one, or a cross."""
    styles: dict[str, dict[str, Any]] = {
        "meant": {"marker": "o", "markersize": 7.5, "markerfacecolor": BLUE, "markeredgecolor": BLUE, "markeredgewidth": 0.8},
        "also": {"marker": "o", "markersize": 5.5, "markerfacecolor": CARD, "markeredgecolor": BLUE, "markeredgewidth": 1.0},
        "missed": {"marker": "x", "markersize": 6.5, "markeredgecolor": VERMILLION, "markeredgewidth": 2.2},
    }
    if kind and places:
        style = {**styles[kind], "markersize": styles[kind]["markersize"] * scale}
        canvas.axes.plot([x for x, _ in places], [y for _, y in places], linestyle="none", zorder=5, **style)


def _legend(canvas: Canvas, y: float) -> None:
    x = LEFT + 4
    words = {
        "meant": "caught where it is meant to be",
        "also": "caught here as well",
        "missed": "missed where it is meant to be",
    }
    for kind, text in words.items():
        _draw_marks(canvas, [(x, y + 3)], kind)
        canvas.text(x + 9, y, text, color=QUIET)
        x += text_width(text, TICK_SIZE) + 34
