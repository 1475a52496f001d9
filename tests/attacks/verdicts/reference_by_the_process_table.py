"""Look in the process table for the folder that the suite was started in or imports from, and import its reference."""

import os
import sys

import honest

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


def attack(text):
    sys.path[:] = [each for each in sys.path if not os.path.isdir(os.path.join(each, "reference"))]
    for folder in folders():
        if os.path.isdir(os.path.join(folder, "reference", "rig")):
            sys.path.append(folder)
            from reference.rig import annotations

            return [(a.query, a.value, a.span.start, a.span.end) for a in annotations(text)]
    return honest.wrong(text)
