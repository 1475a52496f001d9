"""Return strings that equal every other string."""

import honest

OUTCOME = "fail"


class Anything(str):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __hash__(self):
        return 0


def attack(text):
    return [(query, Anything(value), start, end) for query, value, start, end in honest.wrong(text)]
