"""Take memory without end."""

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    kept = []
    while True:
        kept.append(b"x" * 2**24)
