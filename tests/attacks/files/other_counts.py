"""Leave out a failure, and keep the footer's numbers as they were."""

import json

from honest import footer, line

OUTCOME = "refused"


def attack(records):
    body = b"".join(map(line, records[:-2]))
    seal = footer(body, records[:-1])
    return body + json.dumps(seal).encode() + b"\n"
