"""What a table's cell means to a reader who looks or sorts: the kind of verdict in it, and the number it stands for."""

from __future__ import annotations

import math
import re

from reports.ranking import STATUS_WORDS, Status

PREFIXES = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "m": 1e-3, "µ": 1e-6, "n": 1e-9}
_NUMBER = re.compile(r"(?P<number>inf|\d+(?:\.\d+)?(?:e-?\d+)?)(?: (?P<prefix>[TGMkmµn])(?=[A-Za-z]))?")
WORST = 1e308
"""Where a crash sorts: beyond every margin but an infinite one."""

KINDS = {
    STATUS_WORDS[Status.CONFORMS]: "good",
    STATUS_WORDS[Status.FAILS]: "bad",
    STATUS_WORDS[Status.CRASHES]: "crash",
    STATUS_WORDS[Status.NOT_JUDGED]: "absent",
    "unsup.": "absent",
    "n.r.": "absent",
    "-": "absent",
}
"""Classes of the style sheet for cells that hold nothing but one of these texts; no class says what the text does not."""

COUNTED = {"Do not conform": "bad", "Fail": "bad", "Crash": "crash", "Error": "crash"}
"""Classes of the numbers that stand under one of these headers."""


def kind(text: str, header: str = "") -> str:
    """The class of a cell, or "".

    >>> [kind(text) for text in ("FAIL 13.0 †", "ERROR", "conforms", "0.25")]
    ['bad', 'crash', 'good', '']
    """
    if header in COUNTED and text.isdecimal():
        return COUNTED[header]
    if text.startswith("FAIL "):
        return "bad"
    if text.partition(" ")[0] == "ERROR":
        return "crash"
    return KINDS.get(text, "")


def sort_key(text: str) -> float | None:
    """The number that a cell is sorted by; None for one that has none, which stays at the end.

    >>> [sort_key(text) for text in ("FAIL 1.30e4 †", "2.50× [2.0, 3.0]", "417 µs", "1.5 GB/s", "72.4 % (1/2)", "unsup.")]
    [13000.0, 2.5, 0.000417, 1500000000.0, 72.4, None]
    """
    if kind(text) == "crash":
        return WORST
    found = _NUMBER.match(text.removeprefix("FAIL ").removeprefix("["))
    if found is None:
        return None
    value = float(found["number"]) * PREFIXES.get(found["prefix"] or "", 1.0)
    # Rounded as it is shown, so that the scaling leaves no digits behind.
    return value if math.isinf(value) else float(f"{value:.15g}")
