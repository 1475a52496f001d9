"""End a process together with its parent, and wait for its end. Standard library only: the nodes of a cluster import it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. Linux only; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for_end(child: int) -> int:
    """Wait for a child process, and return its status as `os.waitpid` does.

    Where something that is tested stops the child (SIGSTOP), it is let go on. Ctrl+Z, another signal, stops both.
    """
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        if os.WSTOPSIG(status) == signal.SIGSTOP:
            os.kill(child, signal.SIGCONT)
