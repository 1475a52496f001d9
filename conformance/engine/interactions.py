"""Test every pair of values of a system's factors together in some case: a covering array, with constraints.

A system declares what its implementations branch on, in ``conformance/<system>/interactions.py``::

    INTERACTIONS = Interactions(
        "ademamix",
        factors=(
            Factor("beta1", (0.0, 0.9)),
            Factor("warmup", ("none", "equal", "past the end")),
            Factor("groups", (1, 2, 5)),
            Factor("differing", ("nothing", "rate", "decay")),
        ),
        constraints=(
            Constraint(("groups", "differing"), lambda groups, differing: groups > 1 or differing == "nothing",
                       "one group differs from nothing"),
        ),
        together=(("beta1", "warmup", "groups"),),  # every three values of these, too
    )

and makes one case of each combination, which its checks then run like any other::

    def cases() -> tuple[RunCase, ...]:
        return tuple(
            RunCase(id=each.id, quick=number < 6, combination=each, ...each["beta1"]...)
            for number, each in enumerate(combinations(INTERACTIONS))
        )

A case that keeps its `Combination` in the attribute ``combination``, or several in ``combinations``, counts in the coverage.
The header of a record file states it as ``HeaderRecord.interactions``: one `InteractionsRecord` for each system, with the
pairs that the run's cases cover and those that are possible. Reports show that.

covertable (Apache-2.0) makes the combinations. They are kept in ``conformance/<system>/interactions.tsv``, so that a run
neither needs the package nor waits for it. After a change of the declaration write that file anew; a test compares the two::

    python -m conformance.engine.interactions ademamix
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.engine.selection import COMBINED, Options, checks_of, selected_cases
from conformance.records.schema import InteractionsRecord, Verdict, VerdictRecord
from impls.systems import SYSTEM_NAMES, SYSTEMS

Pair = tuple[tuple[str, str], tuple[str, str]]
"""Two factors, each with the label of one of its values."""
FEWEST = 3
"""So many failed rows at least, before what they share is said."""


@dataclass(frozen=True)
class Factor:
    """Something that implementations branch on. Each value's ``str`` is its label: all different, without tabs."""

    name: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        labels = [str(value) for value in self.values]
        if len(set(labels)) != len(labels) or len(labels) < 2 or any("\t" in one or "\n" in one for one in labels):
            raise ValueError(f"factor {self.name!r}: found values {labels}, expected two or more, different, without tabs")

    def value(self, label: str) -> Any:
        """The value of that label; KeyError where there is none."""
        return {str(value): value for value in self.values}[label]


@dataclass(frozen=True)
class Constraint:
    """Which values may stand together: ``holds`` gets those of the factors ``names``, in that order."""

    names: tuple[str, ...]
    holds: Callable[..., bool]
    why: str
    """The reason in words."""


@dataclass(frozen=True)
class Interactions:
    """The factors of one system. ``together`` lists groups of factors of which every three values meet."""

    system: str
    factors: tuple[Factor, ...]
    constraints: tuple[Constraint, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    name: str = ""
    """Of one array where a system has several, in a tuple ``INTERACTIONS``; its file is ``interactions-<name>.tsv``."""

    def __post_init__(self) -> None:
        names = [factor.name for factor in self.factors]
        used = {name for group in (*self.together, *(each.names for each in self.constraints)) for name in group}
        if len(set(names)) != len(names) or len(names) < 2 or used - set(names):
            raise ValueError(f"{self.system}: found factors {names}, expected different ones, and among them {sorted(used)}")

    @property
    def file(self) -> Path:
        """Where its combinations are kept."""
        name = f"interactions-{self.name}.tsv" if self.name else "interactions.tsv"
        return Path(__file__).parent.parent / self.system / name


@dataclass(frozen=True)
class Combination:
    """One value of every factor. Two are equal, and have the same id, where all labels are."""

    labels: tuple[tuple[str, str], ...]
    """(factor, label of its value), in the order of declaration."""
    values: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def id(self) -> str:
        """``mixed-`` and six hexadecimal digits: the same wherever the combination is."""
        text = "\n".join(f"{name}={label}" for name, label in self.labels)
        return f"{COMBINED}{hashlib.sha256(text.encode()).hexdigest()[:6]}"

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __str__(self) -> str:
        return ", ".join(f"{name} {label}" for name, label in self.labels)

    @property
    def pairs(self) -> frozenset[Pair]:
        """Every two factors with their labels."""
        return frozenset(itertools.combinations(self.labels, 2))

    def triples(self, names: Iterable[str]) -> frozenset[tuple[tuple[str, str], ...]]:
        """Every three of these factors with their labels, in the order of the names."""
        labels = dict(self.labels)
        return frozenset(itertools.combinations([(name, labels[name]) for name in names if name in labels], 3))


def combinations(interactions: Interactions) -> tuple[Combination, ...]:
    """The kept combinations of a system, in which every possible pair occurs; the first ones hold the most pairs.

    Made anew where the file does not fit the declaration; ValueError where covertable, which does that, is not installed.
    """
    try:
        header, *rows = [line.split("\t") for line in interactions.file.read_text(encoding="utf-8").splitlines()]
        if header != [factor.name for factor in interactions.factors]:
            raise KeyError(*header)
        found = tuple(_combination(interactions.factors, row) for row in rows)
        seen = {label for each in found for label in each.labels}
        if not all((factor.name, str(value)) in seen for factor in interactions.factors for value in factor.values):
            raise KeyError("a new value")
    except (OSError, KeyError, ValueError):
        if importlib.util.find_spec("covertable") is None:
            raise ValueError(
                f"found {interactions.file.name} of {interactions.system} that does not fit its factors, and no covertable; "
                f"write it anew: pip install covertable && python -m conformance.engine.interactions {interactions.system}"
            ) from None
        return made(interactions)
    return found


def _combination(factors: Sequence[Factor], row: Sequence[str]) -> Combination:
    labels = tuple((factor.name, label) for factor, label in zip(factors, row, strict=True))
    return Combination(labels, {factor.name: factor.value(label) for factor, label in zip(factors, row, strict=True)})


def made(interactions: Interactions) -> tuple[Combination, ...]:
    """The combinations, made by covertable: the same on every machine. ImportError where it is not installed."""
    import covertable

    by_name = {factor.name: factor for factor in interactions.factors}

    def condition(constraint: Constraint) -> dict[str, Any]:
        @functools.cache
        def holds(*labels: str) -> bool:
            return bool(
                constraint.holds(*(by_name[name].value(label) for name, label in zip(constraint.names, labels, strict=True)))
            )

        # Asked millions of times, of few combinations.
        return {
            "operator": "fn",
            "requires": list(constraint.names),
            "evaluate": lambda row: holds(*(row[name] for name in constraint.names)),
        }

    rows = covertable.make(
        {factor.name: [str(value) for value in factor.values] for factor in interactions.factors},
        sub_models=[{"fields": list(names), "strength": 3} for names in interactions.together],
        constraints=[condition(constraint) for constraint in interactions.constraints],
    )
    return tuple(_combination(interactions.factors, [row[factor.name] for factor in interactions.factors]) for row in rows)


def combinations_of(cases: Iterable[Any]) -> frozenset[Combination]:
    """What these cases are made of, each of its ``combination`` or its ``combinations``; one without is made of none."""
    kept = (each for case in cases for each in (getattr(case, "combination", None), *getattr(case, "combinations", ())))
    return frozenset(each for each in kept if each is not None)


def covered(cases: Iterable[Any]) -> frozenset[Pair]:
    """The pairs that these cases cover."""
    return frozenset[Pair]().union(*(each.pairs for each in combinations_of(cases)))


def _triples(groups: Iterable[Sequence[str]], rows: Iterable[Combination]) -> frozenset[Any]:
    """Those of the factors of each group."""
    return frozenset[Any]().union(*(row.triples(group) for row in rows for group in groups))


def interactions_of(system: str) -> tuple[Interactions, ...]:
    """The arrays that a system declares, in ``conformance.<system>.interactions``."""
    name = f"conformance.{system}.interactions"
    if importlib.util.find_spec(name) is None:
        return ()
    declared: Interactions | tuple[Interactions, ...] = importlib.import_module(name).INTERACTIONS
    # Not by its class, which has another name where this module is run as a program.
    return declared if isinstance(declared, tuple) else (declared,)


@functools.cache
def rows_of(system: str) -> Mapping[str, Combination]:
    """The rows of covering arrays that the cases of a system are made of, by the case's id."""
    checks = checks_of(system) if system in SYSTEM_NAMES else ()
    return {
        case.id: row for check in checks for case in check.cases if (row := getattr(case, "combination", None)) is not None
    }


def shared_by(failures: Sequence[VerdictRecord], results: Iterable[VerdictRecord]) -> str:
    """The factor that tells failed rows of one requirement from those that pass: ``resumed copied or pickled``; "" for none.

    All ``failures`` have one of the values named, and no row of ``results`` that passes has. Few rows share something by
    chance: at least three must fail, and the factor must be the only one.
    """
    rows = rows_of(failures[0].system) if failures else {}
    if len(failures) < FEWEST or not all(each.case in rows for each in failures):
        return ""
    requirements = {each.requirement for each in failures}
    passes = {
        each.case
        for each in results
        if each.requirement in requirements and each.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    }
    red = [dict(rows[each.case].labels) for each in failures]
    green = [dict(rows[case].labels) for case in passes if case in rows]
    found = []
    for name in red[0]:
        values = {row.get(name) for row in red}
        if None not in values and not values & {row.get(name) for row in green}:
            found.append(f"{name} {' or '.join(sorted(filter(None, values)))}")
    return found[0] if len(found) == 1 else ""


def coverage(options: Options) -> Iterator[InteractionsRecord]:
    """Of each system that declares factors: how many pairs of values the cases of a run cover, and how many are possible."""
    for system in SYSTEMS:
        arrays = interactions_of(system.name)
        if arrays:
            every = [each for declared in arrays for each in combinations(declared)]
            factors: dict[str, tuple[str, ...]] = {}
            for factor in (factor for declared in arrays for factor in declared.factors):
                labels = map(str, factor.values)
                factors[factor.name] = tuple(dict.fromkeys((*factors.get(factor.name, ()), *labels)))
            possible = frozenset[Pair]().union(*(each.pairs for each in every))
            tested = combinations_of(case for _, case, _ in selected_cases(system.name, options))
            groups = [group for declared in arrays for group in declared.together]
            threes = [_triples(declared.together, combinations(declared)) for declared in arrays]
            possible_triples = frozenset[Any]().union(*threes)
            yield InteractionsRecord(
                system=system.name,
                factors=factors,
                combinations=len(every),
                possible=len(possible),
                # A case may hold further pairs, of values that the array does not pair.
                covered=len(possible & frozenset[Pair]().union(*(each.pairs for each in tested))),
                triples=len(possible_triples & _triples(groups, tested)),
                possible_triples=len(possible_triples),
            )


def write(interactions: Interactions) -> str:
    """Write the combinations of a system to its file. A sentence that says how many."""
    found = made(interactions)
    lines = [[factor.name for factor in interactions.factors], *([label for _, label in each.labels] for each in found)]
    interactions.file.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    return f"{interactions.system}: {len(found)} combinations of {len(interactions.factors)} factors in {interactions.file}"


if __name__ == "__main__":
    for name in sys.argv[1:] or SYSTEM_NAMES:
        for declaration in interactions_of(name):
            print(write(declaration))
