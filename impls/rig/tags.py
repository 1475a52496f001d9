"""Read the resolved form: ``[__DC__#n(served [n]* || model)]``, what an annotation becomes once it is answered.

docs/rig-specification.md, section 7, is the definition.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from impls.rig.grammar import require_text

_NUMBER = "[1-9][0-9]{0,8}"
_PIECE = r"(?:(?!\|\|).)+"
_TAG = re.compile(rf"\[__DC__#({_NUMBER})\(((?:(?!\)\]|\[__DC__#{_NUMBER}\()[^\x00-\x1f\x7f])+)\)\]")
_BODY = re.compile(
    rf"(?P<nothing>--- \|\| ---)"
    rf"|(?:(?P<served>{_PIECE}) \[(?P<footnote>{_NUMBER})\](?P<differs>\*?) )?\|\|(?: (?P<model>{_PIECE}))?"
    rf"|(?P<bare>{_PIECE})",
    re.DOTALL,
)


class Tag(NamedTuple):
    """One tag, with its span in code points.

    ``served`` and ``model`` are None where there is no such value. ``footnote`` stands with ``served``; a tag of one value
    without bars has a ``served`` alone. ``differs`` is the mark ``*``.
    """

    number: int
    served: str | None
    footnote: int | None
    differs: bool
    model: str | None
    start: int
    end: int


def find_tags(text: str) -> list[Tag]:
    """The tags of a text, in its order. Of nested beginnings the innermost counts."""
    require_text(text)
    found = []
    for tag in _TAG.finditer(text):
        body = _BODY.fullmatch(tag[2])
        if body is None or tag[2] == "||":
            continue
        footnote = int(body["footnote"]) if body["footnote"] else None
        served = body["bare"] or body["served"]
        found.append(Tag(int(tag[1]), served, footnote, bool(body["differs"]), body["model"], *tag.span()))
    return found
