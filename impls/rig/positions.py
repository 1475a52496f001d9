"""Lines and columns of a text, and the columns that it takes on a terminal."""

from __future__ import annotations

import bisect
import unicodedata


class Lines:
    """Line and column of an offset. Lines end at LF only, as in the formats and in most editors; both count from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column) of a code point."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def extent(self, number: int) -> tuple[int, int]:
        """Where a line begins, and where it ends without its LF."""
        end = self._starts[number] - 1 if number < len(self._starts) else len(self._text)
        return self._starts[number - 1], end

    def line(self, number: int) -> str:
        """The text of a line without its LF."""
        return self._text[slice(*self.extent(number))]


def visible(text: str) -> str:
    """The text with U+FFFD for each character that a terminal does not show."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def width(text: str) -> int:
    """Columns of a terminal: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
