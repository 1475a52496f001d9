"""What the checks of RIG and of RAG share: comparisons that show the part that differs, and cases of texts."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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


def in_chunks(text: str, size: int) -> Iterator[str]:
    """The text in chunks of ``size`` code points, the last one shorter."""
    for start in range(0, len(text), size):
        yield text[start : start + size]


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


AnyTextCase = TypeVar("AnyTextCase", bound=TextCase)


def group(*cases: AnyTextCase) -> tuple[AnyTextCase, ...]:
    """The cases of one requirement: the first belongs to ``--quick``."""
    return tuple(replace(case, quick=index == 0) for index, case in enumerate(cases))


@dataclass(frozen=True)
class Plain(TextCase):
    """A case with an id alone: the check knows its content."""

    id: str


@dataclass(frozen=True)
class GeneratedTexts(TextCase):
    """Texts drawn from a format's own pieces, fewer than ``longest`` of them; the reference says what is in them."""

    id: str
    seed: int
    count: int
    pieces: tuple[str, ...]
    longest: int


def generated_cases(pieces: tuple[str, ...], longest: int) -> tuple[GeneratedTexts, ...]:
    """Four cases of a hundred texts each."""
    return tuple(GeneratedTexts(f"seed-{seed}", seed, 100, pieces, longest, quick=seed == 0) for seed in range(4))


@functools.lru_cache(maxsize=16)
def generated(case: GeneratedTexts) -> tuple[str, ...]:
    """The texts of a case."""
    source = random.Random(case.seed)
    return tuple("".join(source.choices(case.pieces, k=source.randrange(1, case.longest))) for _ in range(case.count))
