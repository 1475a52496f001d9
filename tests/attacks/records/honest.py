"""What attacks on the records have in common: a parser that is wrong, and a file that says otherwise.

An attack is run with ``--records=run.jsonl`` in its working directory.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import re

RECORDS = pathlib.Path("run.jsonl")
ANNOTATION = re.compile(r'\[__DC__\("([^"\n]*[^"\s][^"\n]*)"\) --> "([^"\n]*)"\]')


def parse(text):
    return [(m[1], m[2], m.start(), m.end()) for m in ANNOTATION.finditer(text)]


def wrong(text):
    return [(query, value + "!", start, end) for query, value, start, end in parse(text)]


def after_the_probe(attack):
    """Be honest on the example by which the suite finds out what a plug is; it is refused otherwise, before any case."""
    return lambda text: parse(text) if "Sunnyvale" in text else attack(text)


def forged(content: bytes) -> bytes:
    """The records with every failure turned into a pass, and a footer that seals them."""
    lines = []
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record.get("record") == "footer":
            continue
        if record.get("verdict") in ("fail", "error"):
            record |= {"verdict": "pass", "margin": 0.0}
        lines.append(json.dumps(record).encode() + b"\n")
    whole = b"".join(lines)
    counts = {
        kind: sum(f'"record": "{kind}"'.encode() in each for each in lines)
        for kind in ("verdict", "mutant", "measurement", "claim", "curve")
    }
    footer = {
        "record": "footer",
        "finished": "2026-01-01T00:00:00Z",
        "seconds": 1.0,
        "exit": 0,
        "counts": counts,
        "sha256": hashlib.sha256(whole).hexdigest(),
    }
    return whole + json.dumps(footer).encode() + b"\n"
