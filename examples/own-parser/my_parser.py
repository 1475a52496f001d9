"""A reader of RIG annotations, [__DC__("query") --> "value"]. It imports nothing of Gaugeblock."""

import re

STRING = r'"([^"\x00-\x1f\x7f\ud800-\udfff]*)"'  # no quote, control character or lone surrogate inside
PATTERN = re.compile(rf"\[__DC__\({STRING}\) --> {STRING}\]")


def parse(text):
    """A list of (query, value, start, end); start and end count code points."""
    # A query has something visible in it.
    return [(m[1], m[2], m.start(), m.end()) for m in PATTERN.finditer(text) if m[1].strip()]
