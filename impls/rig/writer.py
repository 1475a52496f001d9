"""Write documents, and refuse what the format cannot say: it has no escape."""

from __future__ import annotations

import re
from collections.abc import Iterable

from impls.rig.grammar import ARROW, CLOSE, FORBIDDEN, OPEN, is_blank, refuse_surrogates, require_text
from impls.rig.strict import Found, find_annotations

Segment = str | tuple[str, str]
"""A piece of a document: a text, or the (query, value) of an annotation."""

_FORBIDDEN = re.compile(f"[{re.escape(FORBIDDEN)}]")


class Unrepresentable(ValueError):
    """The strict grammar cannot say what was to be written. The message says what was found and what can be done."""


def serialise_annotation(query: str, value: str) -> str:
    """One annotation. Unrepresentable for U+0022, a control character or a lone surrogate, and for a blank query."""
    for name, string in (("query", query), ("value", value)):
        require_text(string)
        if found := _FORBIDDEN.search(string):
            advice = "there is no escape; write U+201C and U+201D" if found[0] == '"' else "control characters are not allowed"
            raise Unrepresentable(f"found U+{ord(found[0]):04X} in the {name} {string!r}; {advice}")
        _refuse_surrogates(string, f"in the {name}: ")
    if is_blank(query):
        raise Unrepresentable(f"found the query {query!r}, expected at least one character that is not White_Space")
    return OPEN + query + ARROW + value + CLOSE


def serialise(segments: Iterable[Segment]) -> str:
    """The document that reads as these segments.

    Unrepresentable where there is none: see `serialise_annotation`, and texts which alone or with their neighbours would read
    as an annotation. A text may end in an unfinished annotation only where the document ends. TypeError for other segments.
    """
    wanted: list[Found] = []
    document = ""
    for segment in segments:
        start = len(document)
        if isinstance(segment, str):
            document += segment
        elif not isinstance(segment, (tuple, list)) or len(segment) != 2:
            raise TypeError(f"found {segment!r:.80}, expected a str, or the (query, value) of an annotation")
        else:
            document += serialise_annotation(*segment)
            wanted.append((*segment, start, len(document)))
    _refuse_surrogates(document, "")
    wrong = set(find_annotations(document)).symmetric_difference(wanted)
    if wrong:
        query, value, start, end = min(wrong, key=lambda found: found[2])
        what = "lost" if (query, value, start, end) in wanted else "forged"
        raise Unrepresentable(
            f"a text would read as (part of) an annotation: code points {start} to {end} of the document are the annotation "
            f"({query!r}, {value!r}), which is {what}"
        )
    return document


def _refuse_surrogates(text: str, where: str) -> None:
    try:
        refuse_surrogates(text)
    except ValueError as error:
        raise Unrepresentable(f"{where}{error}") from None
