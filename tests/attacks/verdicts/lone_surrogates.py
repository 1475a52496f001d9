"""Return strings that no file can hold: lone surrogates."""

import honest

OUTCOME = "fail"


def attack(text):
    return [(query, "\ud800" + value, start, end) for query, value, start, end in honest.parse(text)]
