"""The strict grammar as the parser needs it: its literals, and the characters that a query or a value may hold.

docs/rig-specification.md, section 3, is the definition and gives the reasons.
"""

from __future__ import annotations

import re

OPEN = '[__DC__("'
ARROW = '") --> "'
CLOSE = '"]'

WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""The 25 characters with the Unicode property White_Space; `str.isspace` adds U+001C to U+001F."""

FORBIDDEN = "".join(map(chr, range(0x20))) + '"\x7f'
"""What neither a query nor a value may hold. Lone surrogates are refused before the text is read."""

DEFAULT_MAX_CANDIDATE = 8192
"""Longest annotation, in code points, that a stream waits for unless told otherwise."""

_SPACES = r" \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
STRING = r'[^\x00-\x1f"\x7f]*'
"""A value, as a regular expression."""
QUERY = rf'[{_SPACES}]*[^\x00-\x1f"\x7f{_SPACES}]{STRING}'
"""A query: it holds a character that is not white space. The pattern matches in one way only, so it never backtracks far."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SLICE = 1 << 16
"""Code points encoded at a time, so that checking a long document takes little memory."""


def is_blank(query: str) -> bool:
    """Whether a query holds white space alone, or nothing."""
    return not query.strip(WHITE_SPACE)


def has_control(string: str) -> bool:
    """Whether a string holds a control character (C0 or DEL)."""
    return _CONTROL.search(string) is not None


def require_text(text: object) -> None:
    """Raise TypeError if this is no str."""
    if not isinstance(text, str):
        advice = "; decode it first" if isinstance(text, (bytes, bytearray, memoryview)) else ""
        raise TypeError(f"found {type(text).__name__}, expected str{advice}")


def refuse_surrogates(text: str) -> None:
    """Raise ValueError if the text holds a lone surrogate."""
    if text.isascii():
        return
    try:
        # The codec finds a surrogate ten times as fast as a search does.
        for start in range(0, len(text), _SLICE):
            text[start : start + _SLICE].encode("utf-16-le")
    except UnicodeEncodeError:
        found = _SURROGATE.search(text)
        assert found
        raise ValueError(
            f"found the lone surrogate U+{ord(found[0]):04X} at {found.start()}, expected Unicode scalar values; "
            f"decode the bytes with errors='replace' or reject them before parsing"
        ) from None
