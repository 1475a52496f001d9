"""Return a list that holds itself."""

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    answer = []
    answer.append(answer)
    return answer
