"""Wait for a line of standard input, which nobody will type."""

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    return input("Password: ")
