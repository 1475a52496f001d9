"""Make every warning an error, for whoever comes next in the process."""

import warnings

from honest import parse

OUTCOME = "pass"


def attack(text):
    warnings.simplefilter("error")
    return parse(text)
