"""Ask the judge to call a function that it never offered."""

from honest import after_the_probe

from conformance.engine import plain_data

OUTCOME = "error"
_written = plain_data.written


@after_the_probe
def attack(text):
    plain_data.written = lambda answer, records: _written(("ask", -1, ()), records)
