"""Check what an implementation declares against the words that its system knows, before anything is run."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterator

from conformance.engine.selection import checks_of
from impls.implementation import Implementation, in_one_line

DTYPES = ("float64", "float32", "bfloat16", "float16")
DEVICES = ("cpu", "cuda", "ptx")


def misspelt(implementation: Implementation) -> list[str]:
    """A message for each declared word that its system does not know: what was found, what was expected, the nearest word."""
    who = implementation.selector
    return [
        f"{who}: found the {what} {word!r}, expected one of {', '.join(sorted(known))}{_nearest(word, known)}"
        for what, words, known in _declared(implementation)
        for word in map(in_one_line, map(str, words))
        if word not in known
    ]


def numerical_classes(system: str) -> tuple[str, ...]:
    """The numerical classes of one system; for texts, the profiles. The strictest, which is the default, comes first."""
    reference = importlib.import_module(f"reference.{system}")
    return tuple(name for name in getattr(reference, "NUMERICAL_CLASSES", None) or reference.PROFILES if name)


def features(system: str) -> frozenset[str]:
    """The features that cases of one system need."""
    return frozenset(word for check in checks_of(system) for case in check.cases for word in case.needs)


def _declared(implementation: Implementation) -> Iterator[tuple[str, Collection[str], Collection[str]]]:
    yield "device", implementation.devices, DEVICES
    if implementation.numerical_class:
        yield "numerical class", (implementation.numerical_class,), numerical_classes(implementation.system)
    if implementation.dtypes:
        yield "dtype", implementation.dtypes, DTYPES
    if words := (implementation.features or frozenset()) | implementation.promised:
        yield "feature", sorted(words), features(implementation.system)


def _nearest(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
