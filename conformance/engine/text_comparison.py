"""What the two text rooms share in judging: documents and lists shown by the part that matters, and the plainest case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance.engine.comparison import Comparison, equal

LONGEST_SHOWN = 300
"""Characters of a document, or of a list, that are shown whole."""

ITEMS_SHOWN = 4
"""Items shown from the first difference of two long lists on."""


def shown(text: str) -> str:
    """A document as it would be written in Python, cut where it is long."""
    written = repr(text)
    if len(written) <= LONGEST_SHOWN:
        return written
    return f"{written[:LONGEST_SHOWN]}... ({len(text)} characters)"


def equal_lists(quantity: str, got: Sequence[Any], expected: Sequence[Any], document: str = "") -> Comparison:
    """Hold one list against another; where they are long and differ, from the first difference on."""
    where = shown(document) if document else ""
    got, expected = list(got), list(expected)
    # An item takes two characters at the least: very long lists need not be written out to know that they are long.
    short = max(len(got), len(expected)) <= LONGEST_SHOWN and max(len(repr(got)), len(repr(expected))) <= LONGEST_SHOWN
    if got == expected or short:
        return equal(quantity, got, expected, where)
    pairs = enumerate(zip(got, expected, strict=False))
    first = next((n for n, (mine, its) in pairs if mine != its), min(len(got), len(expected)))
    window = slice(first, first + ITEMS_SHOWN)
    what = f"{quantity}, from number {first + 1} of {len(got)} (expected {len(expected)})"
    return equal(what, got[window], expected[window], where)


@dataclass(frozen=True)
class Plain:
    """A case whose content the check itself knows by ``id``."""

    id: str
    quick: bool = False
    needs: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = ()
