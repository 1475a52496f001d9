"""Return lists in lists, a hundred thousand deep."""

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    answer = []
    for _ in range(100_000):
        answer = [answer]
    return answer
