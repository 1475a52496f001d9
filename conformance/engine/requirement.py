"""A requirement is one rule with a stable id, a level and a source, declared beside the check that tests it.

REQUIREMENTS = Requirements("ADM", {"Special values": "20-25 43"})

@REQUIREMENTS.add(
    "ADM-25",
    Level.DEFINITION,
    "A gradient of zero moves nothing.",
    source="algorithm 1, line 13",
    catches="eps added to the numerator",
    cases=cases.ZERO_GRADIENTS,
)
def zero_gradients_move_nothing(subject, case, dtype): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.engine.check import Check, CheckFunction
from conformance.records.schema import Level as Level


@dataclass(frozen=True)
class Requirement:
    """``id`` never changes meaning once published; reports, --xfails files and discussions refer to it."""

    id: str
    level: Level
    statement: str
    """One sentence that an implementation satisfies or does not."""
    source: str
    """Where the rule stands: paper section, equation or algorithm line; or the declared behaviour it follows from."""
    catches: str
    """The bug that it exists to catch, as one phrase."""
    family: str = ""
    """The group that a report shows it in; empty where none is declared."""


class Requirements:
    """The requirements of one system, each with its checks, in the order of their ids.

    ``families`` names the groups of a report, each with the numbers of its requirements, such as ``"1-5 14"``.
    """

    def __init__(self, prefix: str, families: Mapping[str, str] | None = None) -> None:
        self._prefix = prefix
        self._family = {number: name for name, text in (families or {}).items() for number in _numbers(text)}
        self._by_id: dict[str, Requirement] = {}
        self._checks: list[Check] = []

    def add(
        self, id_: str, level: Level, statement: str, *, source: str, catches: str, cases: Iterable[Any]
    ) -> Callable[[CheckFunction], CheckFunction]:
        """Declare a requirement; the decorated function is its check. ValueError where the id is wrong or taken."""
        if not id_.startswith(f"{self._prefix}-") or id_ in self._by_id:
            raise ValueError(f"found requirement id {id_!r}; expected one that begins with {self._prefix}- and is new")
        family = self._family.get(int(id_.removeprefix(f"{self._prefix}-")), "")
        self._by_id[id_] = Requirement(id_, level, statement, source, catches, family)
        return self.check(id_, cases)

    def check(self, id_: str, cases: Iterable[Any]) -> Callable[[CheckFunction], CheckFunction]:
        """Register the decorated function as a further check of a requirement that is declared already."""
        if id_ not in self._by_id:
            raise ValueError(f"found a check of {id_!r}, which is not declared; declare it with add first")

        def register(function: CheckFunction) -> CheckFunction:
            self._checks.append(Check(id_, function, tuple(cases)))
            return function

        return register

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check, in the order in which they were registered."""
        return tuple(self._checks)

    @property
    def by_id(self) -> dict[str, Requirement]:
        """Every requirement by its id, in the order of ids."""
        return dict(sorted(self._by_id.items()))

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)


def _numbers(text: str) -> Iterator[int]:
    """``"1-3 7"`` is 1, 2, 3 and 7."""
    for part in text.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
