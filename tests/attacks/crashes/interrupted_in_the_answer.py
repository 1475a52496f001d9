"""Return a generator that yields one annotation, and then raises what Ctrl+C raises."""

from honest import after_the_probe, parse

OUTCOME = "error"


@after_the_probe
def attack(text):
    def answer():
        yield from parse(text)[:1]
        raise KeyboardInterrupt

    return answer()
