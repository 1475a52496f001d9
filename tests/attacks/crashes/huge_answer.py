"""Return a value of 50 MB."""

from honest import after_the_probe

OUTCOME = "fail"


@after_the_probe
def attack(text):
    return [("query", "x" * 50_000_000, 0, 1)]
