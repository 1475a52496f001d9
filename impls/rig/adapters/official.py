"""The published reader's extraction: its pattern, with the spans that `re.findall` throws away."""

from __future__ import annotations

import re

from reference.rig.official import PATTERN

_ANNOTATION = re.compile(PATTERN)


def parse(text: str) -> list[tuple[str, str, int, int]]:
    """The annotations as (query, value, start, end), in code points."""
    return [(match[1], match[2], match.start(), match.end()) for match in _ANNOTATION.finditer(text)]
