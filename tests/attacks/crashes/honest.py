"""Nothing wrong: the parser that runs beside each attack, and must be judged as if it were alone."""

from __future__ import annotations

import re

ANNOTATION = re.compile(r'\[__DC__\("([^"\n]*[^"\s][^"\n]*)"\) --> "([^"\n]*)"\]')


def parse(text):
    return [(m[1], m[2], m.start(), m.end()) for m in ANNOTATION.finditer(text)]


def after_the_probe(attack):
    """Be honest on the example by which the suite finds out what a plug is; it is refused otherwise, before any case."""
    return lambda text: parse(text) if "Sunnyvale" in text else attack(text)
