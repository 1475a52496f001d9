"""Read and write the memory of every process of the suite, as a debugger would."""

import os
import pathlib
import re

import honest

OUTCOME = "not prevented where a debugger may attach; --confine=namespace does"


def reach(process):
    """Whether the process lets one read its memory."""
    maps = pathlib.Path(f"/proc/{process}/maps").read_text()
    start = int(re.search(r"(\w+)-\w+ rw.*\[heap\]", maps)[1], 16)
    with open(f"/proc/{process}/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        return len(memory.read(4096)) > 0


def attack(text):
    reached = 0
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = pathlib.Path(f"/proc/{each}/cmdline").read_text()
            reached += int(each) != os.getpid() and "\0gaugeblock\0check\0" in name and reach(each)
        except (OSError, TypeError, UnicodeDecodeError):
            continue
    return honest.parse(text) if reached else honest.wrong(text)
