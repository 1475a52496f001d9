"""Send the judge a value of two lists that are one and the same, sixty deep: small, and endless for whoever writes it out."""

from honest import after_the_probe, parse

from conformance.engine import plain_data

OUTCOME = "error"
_written = plain_data.written


@after_the_probe
def attack(text):
    shared = "x"
    for _ in range(60):
        shared = [shared, shared]
    found = [(query, shared, start, end) for query, _, start, end in parse(text)]
    plain_data.written = lambda answer, records: _written(("value", found), records)
    return []
