"""Nothing wrong: a parser whose errors and names the attacks choose."""

from __future__ import annotations

import re

ANNOTATION = re.compile(r'\[__DC__\("([^"\n]*[^"\s][^"\n]*)"\) --> "([^"\n]*)"\]')


def parse(text):
    return [(m[1], m[2], m.start(), m.end()) for m in ANNOTATION.finditer(text)]


def raises(message):
    """A parser that is honest while it is looked at, and then raises this."""

    def attack(text):
        if "Sunnyvale" in text:
            return parse(text)
        raise ValueError(message)

    return attack
