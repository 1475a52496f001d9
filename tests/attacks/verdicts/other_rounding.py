"""Have the processor round upwards from now on, as C's fesetround does."""

import ctypes

from honest import parse

OUTCOME = "pass"


def attack(text):
    ctypes.CDLL(None).fesetround(0x800)
    return parse(text)
