"""Runs that die at random moments, or lose their disk; run by test_fault_injection.py, in a process that may fork.

Each run is a fork of this process, which has imported what takes long. A witness beside the suite writes down each test case
after the suite has heard that it was judged. Whatever happens then: what is witnessed is in the file, nothing is in it that a
whole run does not say, and no run that ended with 0 has left a part.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import scipy.stats  # noqa: F401  what a run imports is imported once

import conformance.pytest_plugin.plugin  # noqa: F401
from conformance.records import io
from conformance.records.fields import RecordError
from conformance.records.schema import VerdictRecord

ARGUMENTS = ["conformance/rag", "--quick", "--impl=rag/fast", "-q", "-p", "no:cacheprovider"]
FOLDER = Path(sys.argv[1])
TARGET, LOG, SEEN = FOLDER / "there" / "run.jsonl", FOLDER / "log", FOLDER / "seen"
EARLIER = "the records of last week\n"


class Witness:
    """Writes down the test cases that were judged, each with one write, which no death of the process takes back."""

    def __init__(self) -> None:
        self.file = os.open(SEEN, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            os.write(self.file, f"{report.nodeid}\n".encode())


def started(prepare: Callable[[], object] = lambda: None) -> int:
    """Begin a run where an earlier one has left its records; return its process."""
    for each in (TARGET, TARGET.with_name("run.jsonl.previous"), SEEN):
        each.unlink(missing_ok=True)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(EARLIER)
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    prepare()
    sys.argv = ["pytest", *ARGUMENTS, f"--records={TARGET}"]
    os._exit(int(pytest.main(sys.argv[1:], plugins=[Witness()])))


def witnessed() -> list[str]:
    """The test cases that were judged."""
    return SEEN.read_text().splitlines() if SEEN.exists() else []


def ended(pid: int) -> int | None:
    """The exit code of a run; None while it goes on."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def when_it_has(count: int, pid: int, then: Callable[[], object]) -> int:
    """Do something once a run has judged so many test cases, unless it has ended; return its exit code."""
    code = None
    while len(witnessed()) < count and code is None:
        code = ended(pid)
        time.sleep(0.0005)
    then()
    while code is None:
        code = ended(pid)
        time.sleep(0.001)
    return code


def kill(pid: int, way: int) -> None:
    """Kill a run: all of its processes; the one that runs pytest; or the one that watches over it, which ends the other."""
    children = Path(f"/proc/{pid}/task/{pid}/children")  # Linux has it
    inner = children.read_text().split() if children.exists() else []
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(inner[0]) if way == 1 and inner else pid, signal.SIGKILL)
        if way == 0:
            os.killpg(pid, signal.SIGKILL)


def found_after(code: int, whole: dict[str, str]) -> dict[str, object]:
    """What a run has left, held against what it was seen to judge, and against a whole run."""
    seen = witnessed()
    cut_short, held = True, dict[str, str]()
    with contextlib.suppress(RecordError, OSError):  # nothing was recorded yet
        run = io.read(TARGET, partial=True)
        cut_short = run.cut_short
        held = {key(each): io.dump(each.to_json()) for each in run.of(VerdictRecord)}
    earlier = [each for each in TARGET.parent.iterdir() if each.read_text() == EARLIER]
    return {
        "code": code,
        "seen": len(seen),
        "held": len(held),
        "cut short": cut_short,
        "lost": max(0, len(seen) - len(held)),
        "made up": [case for case, line in held.items() if whole.get(case) != line],
        "earlier kept": bool(earlier),
        "said": LOG.read_text()[-500:],
    }


def key(record: VerdictRecord) -> str:
    return f"{record.requirement} {record.case} {record.implementation}"


def main(kills: int) -> None:
    """Print what each run has left, as JSON."""
    code = when_it_has(1, started(), lambda: None)
    whole = {key(each): io.dump(each.to_json()) for each in io.read(TARGET).of(VerdictRecord)}
    header, _, rest = TARGET.read_bytes().partition(b"\n")
    draw = random.Random(kills)
    killed: list[dict[str, object]] = []
    report: dict[str, object] = {"whole": found_after(code, whole), "killed": killed}
    for number in range(kills):
        pid = started()
        # One at once, which no machine is too fast for.
        code = when_it_has(draw.randrange(len(whole) + 1) * bool(number), pid, functools.partial(kill, pid, number % 3))
        killed.append(found_after(code, whole))
    size = len(header) + len(rest) // 2
    pid = started(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    report["full"] = found_after(when_it_has(0, pid, lambda: None), whole)
    pid = started()
    code = when_it_has(len(whole) // 2, pid, lambda: TARGET.parent.chmod(0o500))
    TARGET.parent.chmod(0o700)
    report["forbidden"] = found_after(code, whole)
    print(json.dumps(report))


if __name__ == "__main__":
    main(int(sys.argv[2]))
