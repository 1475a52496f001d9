"""Run the suite in a child process, and see to it that a run that dies does not end like one that passed.

Code that is tested can end its process with any status: a thread that calls `os._exit`, a library that calls C's ``exit``. So
the process forks before it imports what is tested. The child runs pytest, and tells its exit status over a pipe when the
session is over. The parent waits. It never exits with 0 unless it was told so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from conformance.engine.parent_death import die_with_parent, wait_for_end

DIED = 3
"""The exit status of a run that died: pytest's own for an internal error."""

_PIPE = pytest.StashKey[int]()


def supervise(config: pytest.Config) -> int | None:
    """In the parent, wait for the child and return the exit status; in the child, or where nothing is forked, None."""
    if not _is_wanted(config):
        return None
    sys.stdout.flush()
    sys.stderr.flush()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_parent()
        os.close(told)
        config.stash[_PIPE] = tell
        return None
    os.close(tell)
    return _wait(child, told)


def report_end(config: pytest.Config, status: int) -> None:
    """Tell the parent, if there is one, that the session is over, and with which exit status."""
    pipe = config.stash.get(_PIPE, None)
    if pipe is not None:
        with contextlib.suppress(OSError):
            os.write(pipe, bytes([int(status) & 0xFF]))
            os.close(pipe)
        del config.stash[_PIPE]


def _is_wanted(config: pytest.Config) -> bool:
    """Whether this process may fork and has a reason to: it was started as pytest, to run the suite, and is no worker."""
    from_command_line = tuple(map(str, config.invocation_params.args)) == tuple(sys.argv[1:])
    if not hasattr(os, "fork") or hasattr(config, "workerinput") or not from_command_line:
        return False
    if config.option.collectonly or threading.active_count() > 1 or getattr(config.option, "usepdb", False):
        return False
    suite = Path(__file__).resolve().parents[1]
    places = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return any(place in (suite, suite.parent) or suite in place.parents for place in places)


def _wait(child: int, told: int) -> int:
    # Ctrl-C reaches the child too, which ends its session properly. A request to end is passed on.
    earlier = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    earlier[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda number, frame: os.kill(child, number))
    try:
        waited = wait_for_end(child)
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    # Not to the end of the pipe: a process that the child left behind may hold it open.
    os.set_blocking(told, False)
    with contextlib.suppress(BlockingIOError):
        if status := os.read(told, 1):
            os.close(told)
            return status[0]
    os.close(told)
    if os.WIFSIGNALED(waited):
        print(f"the run was ended by signal {os.WTERMSIG(waited)}; what it had recorded is a part", file=sys.stderr)
        return DIED
    code = os.waitstatus_to_exitcode(waited)
    if code == 0:
        print(
            "the run died before its end, with exit status 0: something that it tested ended the process; "
            "what it had recorded is a part",
            file=sys.stderr,
        )
    return code or DIED
