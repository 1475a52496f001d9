"""Nothing wrong: parsers that attacks begin with, or hide behind."""

from __future__ import annotations

import re

ANNOTATION = re.compile(r'\[__DC__\("([^"\n]*[^"\s][^"\n]*)"\) --> "([^"\n]*)"\]')


def parse(text):
    return [(m[1], m[2], m.start(), m.end()) for m in ANNOTATION.finditer(text)]


def is_probe(text):
    """Whether this is the example by which the suite finds out what a plug is. Attacks begin after that."""
    return "Sunnyvale" in text


def wrong(text):
    """What a cheat has that cannot parse: each value has a character too many."""
    return [(query, value + "!", start, end) for query, value, start, end in parse(text)]
