"""A parser with one mistake, for the test of what a failure says."""

from __future__ import annotations

import re

_PATTERN = re.compile(r'\[__DC__\("([^"]+)"\) --> "([^"]*)"\]')


def parse(text: str) -> list[tuple[str, str, int, int]]:
    return [(m[1].strip(), m[2].strip(), m.start(), m.end()) for m in _PATTERN.finditer(text)]
