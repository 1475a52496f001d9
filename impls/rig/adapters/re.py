r"""The strict grammar as one regular expression for `re`: no look-around, no ambiguity, so no backtracking that matters.

The query is written as leading white space, one character that is not, and the rest: that way "at least one character
that is not White_Space" has one way only to match. It works in any engine of regular languages.
"""

from __future__ import annotations

import re

_SPACE = r" \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_FORBIDDEN = r"\x00-\x1f\x22\x7f\ud800-\udfff"

PATTERN = rf'\[__DC__\("([{_SPACE}]*[^{_FORBIDDEN}{_SPACE}][^{_FORBIDDEN}]*)"\) --> "([^{_FORBIDDEN}]*)"\]'

_ANNOTATION = re.compile(PATTERN)


def parse(text: str) -> list[tuple[str, str, int, int]]:
    """The annotations as (query, value, start, end), in code points."""
    return [(match[1], match[2], match.start(), match.end()) for match in _ANNOTATION.finditer(text)]
