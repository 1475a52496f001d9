"""Declare a numerical class that does not exist, in an object that equals every word."""

import honest

OUTCOME = "status 4; refused"


class Word(str):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("official")


def attack(text):
    return honest.wrong(text)


attack.gaugeblock = {"numerical_class": Word("everything-goes")}
