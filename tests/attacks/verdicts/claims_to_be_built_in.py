"""Say of oneself, from the own process, that one is built in and has another name, so as to be imported by the judge."""

import dataclasses
import sys
from pathlib import Path

from honest import is_probe, parse, wrong

from conformance.engine import plain_data
from impls.implementation import Implementation, Origin

OUTCOME = "fail"

if "pytest" in sys.modules:
    Path("reached.txt").touch()

_written = plain_data.written


def written(value, records):
    match value:
        case ("value", (Implementation() as made, _)):
            value = ("value", (dataclasses.replace(made, origin=Origin("built in"), spec=""), None))
    return _written(value, records)


plain_data.written = written


def attack(text):
    return parse(text) if is_probe(text) else wrong(text)
