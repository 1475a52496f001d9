"""Mutants against requirements as a grid: a full dot was caught where it should be, a cross was missed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from conformance.records.schema import MutantRecord, SystemRecord
from reports.charts.font import drawable
from reports.charts.style import AROUND, BLUE, CARD, INK, PASS_GROUND, QUIET, VERMILLION, finished, rows
from reports.evidence import Evidence
from reports.numbers import count, listing, share

WIDTH, ROW = 760.0, 15.0
LABEL_SIZE = 9.0
MARKS: dict[str, dict[str, Any]] = {
    "caught where it is meant to be": {"marker": "o", "markersize": 7.0, "color": BLUE},
    "caught here as well": {"marker": "o", "markersize": 5.0, "markerfacecolor": CARD, "markeredgecolor": BLUE},
    "missed where it is meant to be": {
        "marker": "x",
        "markersize": 6.5,
        "markeredgecolor": VERMILLION,
        "markeredgewidth": 2.2,
    },
}
MEANT, ALSO, MISSED = MARKS


@dataclass(frozen=True)
class MutantChart:
    """``mutants`` without the honest and the equivalent variants; ``ids`` are the requirements, in order."""

    system: str
    prefix: str
    mutants: tuple[MutantRecord, ...]
    ids: tuple[str, ...]
    idle: frozenset[str]
    """The requirements that caught none of them."""

    @property
    def title(self) -> str:
        return f"{self.system}: planted bugs by requirement"

    @property
    def description(self) -> str:
        """The chart in words."""
        survivors = [short_name(mutant) for mutant in self.mutants if mutant.verdict != "killed"]
        missed = f"Survived: {listing(survivors)}." if survivors else "None survived."
        return (
            f"Which of {count(len(self.ids), 'requirement')} of {self.system} caught which of "
            f"{count(len(self.mutants), 'planted bug')}; caught in all: "
            f"{share(len(self.mutants) - len(survivors), len(self.mutants))}. {missed} The tables below name them."
        )

    def figure(self) -> Figure:
        figure = Figure()
        axes = figure.add_subplot()
        rows(axes, [short_name(mutant) for mutant in self.mutants])
        for label, mutant in zip(axes.get_yticklabels(), self.mutants, strict=True):
            label.set(size=LABEL_SIZE, color=INK if mutant.verdict == "killed" else VERMILLION)
        axes.set_xticks(range(len(self.ids)), [drawable(id_.removeprefix(f"{self.prefix}-"), 8) for id_ in self.ids])
        axes.set_xlim(-0.7, len(self.ids) - 0.3)
        axes.set_xlabel(f"requirement, {drawable(self.prefix)}-", loc="left", color=QUIET)
        axes.xaxis.set_label_position("top")
        axes.tick_params(axis="x", top=False, bottom=False, labeltop=True, labelbottom=False, rotation=90, pad=1)
        for label, id_ in zip(axes.get_xticklabels(), self.ids, strict=True):
            label.set(size=LABEL_SIZE, color=VERMILLION if id_ in self.idle else QUIET)
        axes.set_facecolor(CARD)
        for row in range(0, len(self.mutants), 2):
            axes.axhspan(row - 0.5, row + 0.5, color=PASS_GROUND, linewidth=0, zorder=0)
        for kind, look in MARKS.items():
            places = [
                (column, row)
                for row, mutant in enumerate(self.mutants)
                for column, id_ in enumerate(self.ids)
                if mark(mutant, id_) == kind
            ]
            xs, ys = ([place[n] for place in places] for n in (0, 1))
            # Marks of a kind are one artist, which keeps the file small.
            axes.plot(xs, ys, linestyle="none", label=kind, zorder=5, **look)
        return finished(figure, self.title, "", ROW * len(self.mutants) + AROUND, WIDTH)


def mutant_chart(evidence: Evidence, system: SystemRecord) -> MutantChart | None:
    """The chart of one system; None where no bug was planted."""
    mutants = planted(evidence, system)
    if not mutants:
        return None
    ids = columns(evidence, system, mutants)
    rank = {id_: place for place, id_ in enumerate(ids)}
    # In the order of the first requirement that is meant to catch each: right catches form a diagonal.
    mutants.sort(key=lambda mutant: (min((rank[id_] for id_ in mutant.expected_killers), default=len(ids)), mutant.mutant))
    return MutantChart(system.title, system.requirement_prefix, tuple(mutants), tuple(ids), frozenset(idle(ids, mutants)))


def planted(evidence: Evidence, system: SystemRecord) -> list[MutantRecord]:
    """The mutants that the suite must catch: neither honest nor equivalent variants."""
    of_system = (mutant for mutant in evidence.mutants if mutant.system == system.name)
    return [mutant for mutant in of_system if not mutant.honest and mutant.verdict != "equivalent"]


def columns(evidence: Evidence, system: SystemRecord, mutants: Sequence[MutantRecord]) -> list[str]:
    """The requirements that were tested on the mutants, in the order of the suite."""
    known = [requirement.id for requirement in evidence.requirements_of(system.name)]
    seen = {id_ for mutant in mutants for id_ in (*mutant.checked, *mutant.killers, *mutant.expected_killers)}
    return [*(id_ for id_ in known if id_ in seen), *sorted(seen - set(known))]


def idle(ids: Sequence[str], mutants: Sequence[MutantRecord]) -> list[str]:
    """The requirements that were tested on the mutants and caught none."""
    checked = {id_ for mutant in mutants for id_ in mutant.checked}
    return [id_ for id_ in ids if id_ in checked and not any(id_ in mutant.killers for mutant in mutants)]


def short_name(mutant: MutantRecord) -> str:
    """The mutant's name without its system."""
    return mutant.mutant.removeprefix(f"{mutant.system}/")


def mark(mutant: MutantRecord, id_: str) -> str:
    """What the grid shows where a mutant and a requirement meet; "" for nothing."""
    expected = id_ in mutant.expected_killers
    if id_ in mutant.killers:
        return MEANT if expected else ALSO
    return MISSED if expected else ""
