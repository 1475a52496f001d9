"""Ask for huge pages for all of its memory, and lock it there: it is faster so, and nobody else is slower."""

from __future__ import annotations

import ctypes

from tests.attacks.speeds_apart import honest

OUTCOME = "timed whole"
PR_SET_THP_DISABLE, MCL_CURRENT = 41, 1


def attack(text):
    library = ctypes.CDLL(None)
    library.prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)
    library.mlockall(MCL_CURRENT)
    return honest.parse(text)
