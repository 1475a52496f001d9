"""The published reader's extraction: its pattern (llm-tools df971f8, rig.py:26), with the spans that `re.findall` drops."""

from __future__ import annotations

import re

_ANNOTATION = re.compile(r'\[__DC__\("([^"]+)"\) --> "([^"]*)"\]?')


def parse(text: str) -> list[tuple[str, str, int, int]]:
    """The annotations as (query, value, start, end), in code points."""
    return [(match[1], match[2], match.start(), match.end()) for match in _ANNOTATION.finditer(text)]
