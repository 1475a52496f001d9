"""What a recovered annotation should have been, where there is one way only to mean it."""

from __future__ import annotations

import re

from impls.rig.events import Defect
from impls.rig.lenient import LenientAnnotation
from impls.rig.writer import Unrepresentable, serialise_annotation

CURRENCY = "$\u20ac\u00a3\u00a5\u20b9"
REST_OF_LINE = re.compile(r"[^\[\]\n]{0,200}\]")
"""What may belong to an annotation whose bracket stands further on in the line."""

_LONGEST_BARE_VALUE = 60
_BROKEN_SPACE = re.compile(r"[ \u00a0]*[\t\n\r\x0b\x0c][\t\n\r\x0b\x0c \u00a0]*")


def repaired(attempt: LenientAnnotation, text: str) -> tuple[str, str] | None:
    """The (query, value) to write in its place; None where there is more than one way to mean it."""
    defects, value = attempt.defects, attempt.value
    if value is None:
        return None
    if not defects:
        # A strict reader reads it: it holds neither a quotation mark nor a line break, and its query is not blank.
        return attempt.query.strip(), value.strip()
    if Defect.MISSING_CLOSE_BRACKET in defects and REST_OF_LINE.match(text, attempt.end):
        return None
    if defects & {Defect.MISSING_CLOSE_QUOTE, Defect.UNQUOTED_VALUE} and (
        len(value) > _LONGEST_BARE_VALUE or set('["') & set(value)
    ):
        return None
    if Defect.CURRENCY_FOR_BRACKET in defects and not set(CURRENCY) & set(value):
        return None
    query, value = _clean(attempt.query), _clean(value)
    try:
        serialise_annotation(query, value)
    except Unrepresentable:
        return None
    return query, value


def _clean(string: str) -> str:
    """Line breaks become spaces, quotation marks in pairs typographic ones; the ends are trimmed. An odd quote stays."""
    parts = _BROKEN_SPACE.sub(" ", string).strip().replace('\\"', '"').split('"')
    if len(parts) % 2 == 0:
        return '"'.join(parts)
    return "".join(part + ("" if n == len(parts) - 1 else "\u201d" if n % 2 else "\u201c") for n, part in enumerate(parts))
