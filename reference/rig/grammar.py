r"""The strict grammar of RIG annotations, and the two profiles in which a text may be read.

The format (DataGemma, arXiv:2409.13741, appendix A: every statistical value "should be replaced with"
``[__DC__("query") --> "stat"]``) has one official reader and no published grammar. This is the grammar, over Unicode
scalar values (ABNF, RFC 5234 and 7405)::

    document   = *( annotation / text )     ; the leftmost annotation wins; text is every maximal run of anything else
    annotation = open query arrow value close
    open       = %s"[__DC__(" DQUOTE
    query      = *qchar qblack *qchar       ; at least one character that is not White_Space
    arrow      = DQUOTE %s") --> " DQUOTE   ; exactly one U+0020 on each side of the arrow
    value      = *qchar                     ; may be empty
    close      = DQUOTE "]"                 ; the bracket is required
    qchar      = %x20-21 / %x23-7E / %x80-D7FF / %xE000-10FFFF
    qblack     = <qchar without the property White_Space>

Every text is a document, so parsing is total. What the sources leave open is decided here, each for a reason:

- ``]`` is required. The official extraction does without it, but the official rewriting looks for the whole literal, so an
  annotation that lacks it is fetched, footnoted, and left in the answer as raw markup.
- An empty value is an annotation (the official pattern takes it); that it makes a poor one is a matter for a linter.
- Control characters (C0 and DEL) end a candidate. In practice they are line breaks that a display put in.
  The C1 range, U+0085 among it, and U+2028 are ordinary characters: a reader that splits lines first is wrong.
- There is no escape, so U+0022 cannot be said inside a query or a value. A backslash is a character like any other.
- Of two nested annotations the inner one is read: the outer has failed at the inner one's quote.
- Markdown means nothing: code fences, tables, links and emphasis around an annotation do not change it.
- The marker is case-sensitive; resolved tags ``[__DC__#1(...)]`` are another notation and not annotations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EXAMPLE = (
    "**2010-2020:** The female population in Sunnyvale has been steadily increasing, reaching a "
    '[__DC__("what was the percentage of females in Sunnyvale, CA in 2020?") --> "51.6%"] majority'
)
"""A piece of generated answer as the format's description shows it; the first case of everything about RIG."""

QUOTE = '"'
OPEN = '[__DC__("'
ARROW = '") --> "'
CLOSE = '"]'

WHITE_SPACE = frozenset(
    "\t\n\x0b\x0c\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with the Unicode property White_Space (PropList.txt). Not `str.isspace`, which adds U+001C to U+001F."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class RigProfile:
    """What a reader accepts. The three literals are the same in all of them."""

    name: str
    description: str
    close_required: bool
    controls_allowed: bool
    blank_query_allowed: bool
    surrogates_allowed: bool

    def allows(self, character: str) -> bool:
        """Whether ``character`` (one code point, not U+0022) may stand in a query or a value."""
        return self.controls_allowed or (character >= " " and character != "\x7f")

    def refuse_unless_text(self, text: str) -> None:
        """Raise ValueError if ``text`` holds a lone surrogate and this profile reads Unicode scalar values only."""
        if self.surrogates_allowed:
            return
        found = _SURROGATE.search(text)
        if found:
            raise ValueError(
                f"found the lone surrogate U+{ord(found.group()):04X} at {found.start()}, expected Unicode scalar values; "
                f"decode the bytes with errors='replace' or reject them before parsing"
            )


STRICT = RigProfile(
    "strict",
    "the grammar of this module; the default",
    close_required=True,
    controls_allowed=False,
    blank_query_allowed=False,
    surrogates_allowed=False,
)
OFFICIAL = RigProfile(
    "official",
    "what the published reader extracts: closing bracket optional, any character but the quote in both strings",
    close_required=False,
    controls_allowed=True,
    blank_query_allowed=True,
    surrogates_allowed=True,
)
PROFILES: dict[str, RigProfile] = {"": STRICT, STRICT.name: STRICT, OFFICIAL.name: OFFICIAL}
"""By declared name; the empty name is the default, strict."""
