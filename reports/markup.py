"""Whatever a record says is shown as text: it can neither become Markdown or HTML nor break the table it stands in.

Record strings come from implementations that strangers wrote. `plain` and `code` are the only ways for them into the page
(`block` for commands). Both rely on one rule of CommonMark: a character written as a numeric reference never
acts as markup.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence

import tabulate as tabulate_module

_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Characters that are not seen, or that reorder what is seen (bidirectional overrides): written out as escapes."""
_MARKUP = frozenset("\\`*[]<>|~&#$@")
"""Characters that start markup somewhere: Markdown, HTML, tables, strikethrough, references, mathematics, mentions."""
_EMPHASIS_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BARE_LINK = re.compile(r":(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
NOTHING = "<!-- -->"
"""A comment, which no forge shows."""
LONGEST = 1000
"""Characters of one record string that are shown; the records hold the rest."""
WIDEST_PADDED = 160
"""Characters of a table's row up to which its columns are aligned in the source as well."""
_TABULATE_LOCK = threading.Lock()


def visible(text: str, keep: str = "") -> str:
    """The text with every hidden character written as an escape (``\\n``, ``\\u202e``); those in ``keep`` stay."""
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in _HIDDEN_CATEGORIES
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def plain(text: str) -> str:
    """A record string as running text, on one line."""
    flat = _shortened(visible(" ".join(re.split(r"[ \t\r\n]+", text.strip()))))
    flat = "".join(_reference(character) if character in _MARKUP else character for character in flat)
    flat = _EMPHASIS_UNDERSCORE.sub(_reference("_"), flat)
    return _BARE_LINK.sub(lambda found: _reference(found.group()), flat)


def code(text: str) -> str:
    """A record string in monospace, on one line, fit for a table cell; a dash where it is empty."""
    flat = _shortened(visible(text.strip()))
    if not flat:
        return "-"
    if not set(flat) & set("`|\\"):
        return f"`{flat}`"
    # Inside a code span neither pipes (in tables) nor backticks can be escaped in a way that every forge agrees on.
    escaped = "".join(_reference(character) if character in _MARKUP or character == "_" else character for character in flat)
    return f"<code>{_BARE_LINK.sub(lambda found: _reference(found.group()), escaped)}</code>"


def block(text: str, language: str = "") -> str:
    """A fenced code block whose fence is longer than any run of backticks inside."""
    body = visible(text, keep="\n\t").strip("\n")
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """A Markdown table. ``align`` holds ``l``, ``r`` or ``c`` per column; cells must already be markup."""
    sides = {"l": "left", "r": "right", "c": "center"}
    alignment = [sides[side] for side in (align or "l" * len(headers))]
    if len(alignment) != len(headers) or any(len(row) != len(headers) for row in rows):
        raise ValueError(f"a table of {len(headers)} columns got {len(alignment)} alignments or a row of another width")
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    if sum(widths) > WIDEST_PADDED:
        # Padded, every row would be as wide as the widest: nothing to read, and most of the file blanks.
        bars = {"l": ":--", "r": "--:", "c": ":-:"}
        lines = [headers, [bars[side] for side in (align or "l" * len(headers))], *rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    with _TABULATE_LOCK:
        # With wcwidth installed tabulate pads differently: the page must not depend on what else is installed.
        before = tabulate_module.WIDE_CHARS_MODE
        tabulate_module.WIDE_CHARS_MODE = False
        try:
            return tabulate_module.tabulate(
                [list(row) for row in rows], list(headers), tablefmt="pipe", colalign=alignment, disable_numparse=True
            )
        finally:
            tabulate_module.WIDE_CHARS_MODE = before


def fold(title: str, body: str) -> str:
    """A part that opens on request. ``title`` must already be markup, of `plain` alone: forges read it as HTML."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _reference(character: str) -> str:
    reference = f"&#{ord(character)};"
    # Addresses are linked after references have been resolved; the empty comment keeps their two halves apart.
    return reference + NOTHING if character == "@" else reference
