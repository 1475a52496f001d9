"""What a constrained decoder must admit: every prefix of a well-formed document, and the end of one.

A model writes tokens, and tokens are bytes: one may end inside a character, and one may hold the end of an annotation and the
beginning of the next. So prefixes are in bytes here. A prefix is admitted if some well-formed document begins with it. A
document may end where what has been written is well formed.
"""

from __future__ import annotations

import codecs

from .events import AnnotationEvent, IncompleteEvent
from .grammar import OPEN
from .parser import is_well_formed, parse


def decoded(prefix: bytes) -> tuple[str, bool] | None:
    """(the characters of a prefix, whether it ends inside one); None where it is no beginning of UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        text = decoder.decode(prefix)
    except UnicodeDecodeError:
        return None
    return text, bool(decoder.getstate()[0])


def admits(prefix: bytes) -> bool:
    """Whether some well-formed document begins with these bytes."""
    read = decoded(prefix)
    if read is None:
        return False
    text, inside = read
    # A string takes any character beyond ASCII, a literal takes none: testing one of them is enough.
    return _is_beginning(text + "\u00e9" if inside else text)


def may_end(prefix: bytes) -> bool:
    """Whether these bytes are a well-formed document."""
    read = decoded(prefix)
    return read is not None and not read[1] and is_well_formed(read[0])


def _is_beginning(text: str) -> bool:
    # A live candidate can always be completed; a failed one cannot be taken back.
    return all(isinstance(event, (AnnotationEvent, IncompleteEvent)) or OPEN not in event.raw for event in parse(text))
