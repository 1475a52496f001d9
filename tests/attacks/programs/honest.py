"""Nothing wrong: a program that answers each line with one line. Attacks begin with its functions."""

from __future__ import annotations

import json
import re
import sys

ANNOTATION = re.compile(r'\[__DC__\("([^"\n]*[^"\s][^"\n]*)"\) --> "([^"\n]*)"\]')


def found(text):
    return [{"query": m[1], "value": m[2], "start": m.start(), "end": m.end()} for m in ANNOTATION.finditer(text)]


def wrong(text):
    return [{**each, "value": each["value"] + "!"} for each in found(text)]


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def questions():
    return map(json.loads, iter(sys.stdin.readline, ""))


if __name__ == "__main__":
    for question in questions():
        say({"id": question["id"], "annotations": found(question["text"])})
