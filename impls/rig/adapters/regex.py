"""The exported regular expression in the engine of the ``regex`` package, which backtracks as `re` does, in its own way."""

from __future__ import annotations

import regex

from impls.rig.export import annotation_pattern
from impls.rig.grammar import refuse_surrogates

_ANNOTATION = regex.compile(annotation_pattern())


def parse(text: str) -> list[tuple[str, str, int, int]]:
    """The annotations as (query, value, start, end), in code points. ValueError for a lone surrogate."""
    refuse_surrogates(text)
    return [(match[1], match[2], match.start(), match.end()) for match in _ANNOTATION.finditer(text)]
