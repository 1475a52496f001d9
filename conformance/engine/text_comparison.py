"""Compare texts and lists, showing the part that differs; and the simplest text cases. RIG and RAG share it."""

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
    """A document as a Python literal, cut where it is long."""
    written = repr(text)
    if len(written) <= LONGEST_SHOWN:
        return written
    return f"{written[:LONGEST_SHOWN]}... ({len(text)} characters)"


def equal_lists(quantity: str, got: Sequence[Any], expected: Sequence[Any], document: str = "") -> Comparison:
    """Compare two lists; where they are long and differ, show them from the first difference on."""
    where = shown(document) if document else ""
    got, expected = list(got), list(expected)
    # An item takes at least two characters, so a very long list need not be written out to see that it is long.
    short = max(len(got), len(expected)) <= LONGEST_SHOWN and max(len(repr(got)), len(repr(expected))) <= LONGEST_SHOWN
    if got == expected or short:
        return equal(quantity, got, expected, where)
    pairs = enumerate(zip(got, expected, strict=False))
    first = next((n for n, (mine, its) in pairs if mine != its), min(len(got), len(expected)))
    window = slice(first, first + ITEMS_SHOWN)
    what = f"{quantity}, from number {first + 1} of {len(got)} (expected {len(expected)})"
    return equal(what, got[window], expected[window], where)


@dataclass(frozen=True, kw_only=True)
class TextCase:
    """The fields, beside the id, of a case that is a text. A text has no dtype."""

    quick: bool = False
    needs: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plain(TextCase):
    """A case with an id alone: the check knows its content."""

    id: str
