"""Open files until the system refuses more, and keep them."""

from honest import after_the_probe, parse

OUTCOME = "pass"
KEPT = []


@after_the_probe
def attack(text):
    try:
        while True:
            KEPT.append(open("/dev/null"))  # noqa: SIM115
    except OSError:
        return parse(text)
