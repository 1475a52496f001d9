"""Answer the judge with a message of a kind that it does not know, and that holds nothing."""

from honest import after_the_probe

from conformance.engine import plain_data

OUTCOME = "error"
_written = plain_data.written


@after_the_probe
def attack(text):
    plain_data.written = lambda answer, records: _written(("verdict",), records)
