"""The exported regular expression in RE2, whose work is linear by construction: it runs automata and never backtracks."""

from __future__ import annotations

import re2

from impls.rig.export import annotation_pattern

_ANNOTATION = re2.compile(annotation_pattern("braces"))


def parse(text: str) -> list[tuple[str, str, int, int]]:
    """The annotations as (query, value, start, end), in code points. UnicodeEncodeError for a lone surrogate."""
    return [(match[1], match[2], match.start(), match.end()) for match in _ANNOTATION.finditer(text)]
