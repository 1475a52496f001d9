"""Return an answer that ends the process with status 0 when it is let go, before the next question."""

import os

from honest import after_the_probe, parse

OUTCOME = "error"


class Answer(list):
    def __del__(self):
        os._exit(0)


@after_the_probe
def attack(text):
    return Answer(parse(text))
