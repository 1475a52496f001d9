"""Tell the kind of verdict in a table's cell, for its colour, and its number, for sorting."""

from __future__ import annotations

import re

from reports.numbers import PREFIXES
from reports.ranking import AS_AUTHORS_WORDS, ASIDE_WORDS, ASIDE_WRONG_WORDS, STATUS_WORDS, Status
from reports.sections.matrix import Sign

_NUMBER = re.compile(r"(?:FAIL )?\[?(?P<number>inf|\d+(?:\.\d+)?(?:e-?\d+)?)(?: (?P<prefix>[TGMkmµn])(?=[A-Za-z]))?")
WORST = 1e308
"""Where a crash sorts: beyond every margin but an infinite one."""

KINDS = {
    **dict.fromkeys((STATUS_WORDS[Status.RIGHT], ASIDE_WORDS, Sign.RIGHT.value), "good"),
    **dict.fromkeys((STATUS_WORDS[Status.WRONG], Sign.DEFINITION.value), "bad"),
    STATUS_WORDS[Status.CRASHES]: "crash",
    **dict.fromkeys((AS_AUTHORS_WORDS, Sign.AUTHORS.value), "authors"),
    **dict.fromkeys((ASIDE_WRONG_WORDS, Sign.INTERFACE.value), "interface"),
    Sign.ROBUSTNESS.value: "robustness",
    Sign.READING.value: "reading",
    **dict.fromkeys((Sign.PARTLY.value, Sign.INCONCLUSIVE.value, Sign.NOTHING.value), "absent"),
    **dict.fromkeys((STATUS_WORDS[Status.NOT_JUDGED], STATUS_WORDS[Status.PARTLY], "incon.", "unsup.", "n.r.", "-"), "absent"),
}
"""Classes of the style sheet for cells that hold nothing but one of these texts; no class says what the text does not."""


def kind(text: str) -> str:
    """The class of a cell, or "".

    >>> [kind(text) for text in ("FAIL 13.0 †", "ERROR", "computes the paper", "0.25")]
    ['bad', 'crash', 'good', '']
    """
    found = {"FAIL": "bad", "ERROR": "crash"}.get(text.partition(" ")[0])
    return found or KINDS.get(text, "")


def sort_key(text: str) -> float | None:
    """The number that a cell is sorted by; None for one that has none, which stays at the end.

    >>> [sort_key(text) for text in ("FAIL 1.30e4 †", "2.50× [2.0, 3.0]", "417 µs", "1.5 GB/s", "72.4 % (1/2)", "unsup.")]
    [13000.0, 2.5, 0.000417, 1500000000.0, 72.4, None]
    """
    if kind(text) == "crash":
        return WORST
    found = _NUMBER.match(text)
    # Rounded as it is shown, so that the scaling leaves no digits behind.
    return float(f"{float(found['number']) * PREFIXES[found['prefix'] or '']:.15g}") if found else None
