"""Set the recursion limit so low that nothing else can be called."""

import sys

from honest import is_probe, parse

OUTCOME = "error"


def attack(text):
    answer = parse(text)
    sys.setrecursionlimit(10**6 if is_probe(text) else len_of_stack() + 10)
    return answer


def len_of_stack():
    frame, length = sys._getframe(1), 1
    while frame := frame.f_back:
        length += 1
    return length
