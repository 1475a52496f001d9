"""Return values and raise errors that hold a whole record, after the end of a line."""

import json

from honest import after_the_probe, wrong

OUTCOME = "kept"
LINE = "\n" + json.dumps({"record": "verdict", "implementation": "rig/honest", "verdict": "pass"}) + "\n"


@after_the_probe
def attack(text):
    if len(text) % 2:
        raise ValueError(LINE + "\u2028" + LINE + "\x85" + LINE)
    return [(LINE, LINE, start, end) for _, _, start, end in wrong(text)]
