r"""The resolved form is a second notation: ``[__DC__#n(served || model)]``, what an annotation becomes once it is answered.

The official code (llm-tools df971f8, ``rig.py``, lines 126 to 165) writes it without checking the values, and the published
readers of it stop at different places: at the first ``)``, at the last ``)]`` of the line, at the first ``)]``.
This grammar takes what that code writes wherever it can be read in one way only, and makes a writer refuse the rest::

    tag    = %s"[__DC__#" number "(" body ")]"
    number = %x31-39 *8DIGIT               ; no leading zero, at most nine digits; not in the order of the text
    body   = served " || " model           ; both values
           / served " ||"                  ; the model had written none
           / "|| " model                   ; nothing was found
           / "--- || ---"                  ; nothing was found, and the model had written none
           / bare                          ; one value and no bars: in the published tests, never in the code
    served = piece SP "[" number "]" ["*"] ; the value with its unit, its footnote, "*" where the two values disagree
    model  = piece
    bare   = piece
    piece  = 1*rchar                       ; without ")]", without "||", without a tag's beginning up to its parenthesis
    rchar  = %x20-7E / %x80-D7FF / %xE000-10FFFF

No body fits two of these lines, so a tag has one reading; a writer refuses what would not come back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .grammar import STRICT
from .serialise import NotRepresentable

_NUMBER = "[1-9][0-9]{0,8}"
_TOKEN = re.compile(rf"(?P<open>\[__DC__#(?P<number>{_NUMBER})\()|(?P<close>\)\])|[\x00-\x1f\x7f]")
_SERVED = re.compile(rf"(?P<datum>.+) \[(?P<footnote>{_NUMBER})\](?P<flag>\*?)")
_NOTHING = "--- || ---"


@dataclass(frozen=True)
class ResolvedTag:
    """One tag. ``served`` and ``model`` are None where there is no such value; ``footnote`` stands with ``served``.

    A bare tag has a ``served`` and neither a footnote nor a ``model``; ``differs`` is the mark ``*``.
    """

    number: int
    served: str | None = None
    footnote: int | None = None
    differs: bool = False
    model: str | None = None


def tags(text: str) -> list[tuple[ResolvedTag, int, int]]:
    """The tags of a text with their spans in code points. A tag begins at the last beginning before its ``)]``."""
    found = []
    opened: re.Match[str] | None = None
    for token in _TOKEN.finditer(text):
        if token["open"]:
            opened = token
        else:
            if token["close"] and opened:
                tag = _read(int(opened["number"]), text[opened.end() : token.start()])
                if tag:
                    found.append((tag, opened.start(), token.end()))
            opened = None
    return found


def _read(number: int, body: str) -> ResolvedTag | None:
    if body == _NOTHING:
        return ResolvedTag(number)
    if "||" not in body:
        return ResolvedTag(number, served=body) if body else None
    before, _, after = body.partition("||")
    if not before:
        return ResolvedTag(number, model=after[1:]) if _is_model(after) else None
    served = _SERVED.fullmatch(before[:-1]) if before.endswith(" ") else None
    if served is None or (after and not _is_model(after)):
        return None
    return ResolvedTag(number, served["datum"], int(served["footnote"]), bool(served["flag"]), after[1:] or None)


def _is_model(after: str) -> bool:
    return len(after) > 1 and after[0] == " " and "||" not in after


def write_tag(tag: ResolvedTag) -> str:
    """The tag's text. Raises NotRepresentable for what would read as anything else."""
    served = tag.served
    if served is not None and tag.footnote is not None:
        served += f" [{tag.footnote}]{'*' if tag.differs else ''}"
    if tag.served is None:
        body = _NOTHING if tag.model is None else f"|| {tag.model}"
    elif tag.footnote is None and tag.model is None:
        body = tag.served
    else:
        body = f"{served} ||" if tag.model is None else f"{served} || {tag.model}"
    written = f"[__DC__#{tag.number}({body})]"
    try:
        STRICT.refuse_unless_text(written)
    except ValueError as error:
        raise NotRepresentable(str(error)) from None
    if tags(written) != [(tag, 0, len(written))]:
        raise NotRepresentable(
            f"found {tag}, which would be written {written!r} and read as something else; take ')]', '||', the beginning of "
            f"a tag and control characters out of its values, and give both numbers between 1 and 999999999"
        )
    return written
