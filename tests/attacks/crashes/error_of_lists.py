"""Report an error whose class, text and line are lists and numbers."""

from honest import after_the_probe

from conformance.engine import plain_data

OUTCOME = "error"
_written = plain_data.written


@after_the_probe
def attack(text):
    plain_data.written = lambda answer, records: _written(("error", [["builtins.ValueError"], 7], ["a"], [["b"]]), records)
