"""Say in the seal that more was judged than the records hold."""

import json

from honest import footer, line

OUTCOME = "lost: "


def attack(records):
    records = [each for each in records if each["record"] != "footer"]
    body = b"".join(map(line, records))
    seal = footer(body, records)
    seal["counts"]["verdict"] += 1
    return body + json.dumps(seal).encode() + b"\n"
