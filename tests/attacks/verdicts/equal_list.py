"""Return a list that equals everything."""

import honest

OUTCOME = "fail"


class Answer(list):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = None


def attack(text):
    return Answer(honest.wrong(text))
