"""Hide a record in a text, behind a character at which some readers end a line and others do not."""

import json

from honest import sealed, verdicts

OUTCOME = "shown"


def attack(records):
    hidden = json.dumps({**verdicts(records)[0], "verdict": "fail", "margin": 3.0})
    for sign, each in zip("\u2028\u2029\x85\x0b\x0c\x1c", verdicts(records) * 6, strict=False):
        each["quantity"] = f"first{sign}{hidden}{sign}"
    return sealed(records, ensure_ascii=False)
