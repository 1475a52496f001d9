"""Run one shard in a process of its own, and return its records as text, or why there are none.

A node of the cluster imports this module, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.engine.parent_death import die_with_parent

TAIL = 2000
"""Characters at the end of the output that are kept for error messages."""
USAGE = 4
"""pytest's exit code for arguments that cannot be used."""


OTHER_CHECKOUT = "its checkout"
"""How the ``tail`` begins where the shard was not run since the node has other files."""
FOLDERS = ("reference", "impls", "conformance")


def digest(root: str) -> str:
    """SHA-256 of the suite's files in a checkout, with their names; empty where there is no suite."""
    found = hashlib.sha256()
    files = [file for folder in FOLDERS for file in Path(root, folder).rglob("*") if file.is_file() and file.suffix != ".pyc"]
    for file in sorted(files):
        found.update(str(file.relative_to(root)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest() if files else ""


def stale(root: str, expected: str) -> str:
    """Why the checkout ``root`` cannot run a shard of the run whose suite has the ``expected`` digest; "" where it can."""
    if digest(root) == expected:
        return ""
    return f"{OTHER_CHECKOUT} at {root} on {socket.gethostname()} has other files than the one that leads the run; update it"


def run_shard(
    root: str, arguments: Sequence[str], timeout_s: float, threads: Mapping[str, str], expected: str = ""
) -> dict[str, Any]:
    """Run pytest on ``arguments`` in the checkout ``root``, if that has the ``expected`` digest.

    Gives ``text``, the record file or None, ``code``, ``seconds`` and ``tail``. ``threads`` are the settings of thread
    counts to run with: those of the cluster would change the last digit of margins.
    """
    started = time.monotonic()
    if expected and (tail := stale(root, expected)):
        return {"text": None, "code": USAGE, "seconds": 0.0, "tail": tail}
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    }
    with tempfile.TemporaryDirectory(prefix="gaugeblock-") as folder:
        file, log = Path(folder, "shard.jsonl"), Path(folder, "log")
        command = [sys.executable, "-m", "pytest", *arguments]
        command += ["-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", f"--records={file}"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=root,
                env={**environment, **threads},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
            try:
                code = process.wait(timeout=timeout_s)
                late = False
            except subprocess.TimeoutExpired:
                late, code = True, -signal.SIGKILL
            finally:
                # Processes that the shard left behind would disturb the next one.
                _kill_group(process)
        text = file.read_text(encoding="utf-8") if file.is_file() and not late else None
        tail = log.read_text(encoding="utf-8", errors="replace")[-TAIL:]
    if late:
        tail = f"it was not done after {timeout_s:g} s"
    return {"text": text, "code": code, "seconds": time.monotonic() - started, "tail": tail}


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
