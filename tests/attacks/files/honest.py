"""Nothing wrong: seal records as the suite does. Attacks change the records of a whole run, and seal what they made of it."""

from __future__ import annotations

import hashlib
import json

KINDS = ("verdict", "mutant", "measurement", "claim", "curve")


def line(record, **options):
    return json.dumps(record, **options).encode("utf-8", "surrogatepass") + b"\n"


def footer(body, records):
    counts = {kind: sum(each.get("record") == kind for each in records) for kind in KINDS}
    sealed = {"finished": "2026-01-01T00:00:00Z", "seconds": 1.0, "exit": 0, "counts": counts}
    return {"record": "footer", **sealed, "sha256": hashlib.sha256(body).hexdigest()}


def sealed(records, **options):
    """The bytes of a file with these records, whole and with a valid digest."""
    records = [each for each in records if each["record"] != "footer"]
    body = b"".join(line(each, **options) for each in records)
    return body + line(footer(body, records))


def sealed_bytes(records, old, new):
    """The same, with some bytes exchanged before the digest is computed."""
    records = [each for each in records if each["record"] != "footer"]
    body = b"".join(map(line, records)).replace(old, new)
    return body + line(footer(body, records))


def verdicts(records):
    return [each for each in records if each["record"] == "verdict"]


def renamed(records, slug):
    """The records with another name of their first implementation."""
    name = verdicts(records)[0]["implementation"]
    new = f"{name.partition('/')[0]}/{slug}"
    for each in records:
        if each.get("implementation") == name:
            each["implementation"] = new
        for row in each.get("implementations", ()):
            if row["name"] == name:
                row["name"] = new
    return sealed(records)
