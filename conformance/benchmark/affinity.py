"""Run both sides of a comparison on the same CPUs with the same number of threads, whatever either of them sets."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYSTEM = Path("/sys/devices/system/cpu")


def allowed_cpus() -> tuple[int, ...]:
    """The CPUs that this process may run on, in order."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def siblings(cpus: tuple[int, ...], system: Path = SYSTEM) -> tuple[tuple[int, ...], ...] | None:
    """The groups of these CPUs that are threads of one core; None where the system does not say."""
    groups = set()
    for cpu in cpus:
        try:
            text = (system / f"cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
            groups.add(tuple(sorted(_listed(text) & set(cpus))))
        except (OSError, ValueError):
            return None
    return tuple(sorted(groups))


def _listed(text: str) -> set[int]:
    """The numbers of a list such as ``0-2,5``."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def changes(pid: int, whose: str, cpus: tuple[int, ...]) -> list[str]:
    """How a process is scheduled otherwise than these CPUs and this process's own priority would have it, in words."""
    found = []
    now = sorted(os.sched_getaffinity(pid))
    if tuple(now) != cpus:
        found.append(f"the CPUs that {whose} process may run on were changed from {list(cpus)} to {now}")
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").glob("[0-9]*")] or [pid]
    own, theirs = _priority(0), {_priority(thread) for thread in threads} - {""}
    if theirs != {own}:
        found.append(f"the priority of {whose} process was changed from {own} to {', '.join(sorted(theirs - {own}))}")
    return found


def _priority(thread: int) -> str:
    """A thread's niceness and class of scheduling; "" where it has ended."""
    try:
        policy, nice = os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread)
    except ProcessLookupError:
        return ""
    return f"niceness {nice}" if policy == os.SCHED_OTHER else f"niceness {nice} in scheduling class {policy}"


def wanted_threads() -> int:
    """OMP_NUM_THREADS where it is set, else one thread for each core of the allowed CPUs."""
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if setting.isdigit() and int(setting) > 0:
        return int(setting)
    cpus = allowed_cpus()
    return max(1, len(siblings(cpus) or cpus))


@dataclass
class Pins:
    """The settings while samples are taken: numbers of threads, or why they could not be set, and the CPUs."""

    threads: dict[str, int | str] = field(default_factory=dict)
    affinity: tuple[int, ...] = ()
    warnings: list[str] = field(default_factory=list)


@contextlib.contextmanager
def pinned() -> Iterator[Pins]:
    """Set thread counts and affinity while samples are taken, warn where they changed, and restore what was there."""
    count, cpus = wanted_threads(), allowed_cpus()
    pins = Pins(affinity=cpus)
    with contextlib.ExitStack() as undo:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cpus)
            undo.callback(os.sched_setaffinity, 0, cpus)
        torch = _whole_torch()
        if torch is not None:
            undo.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(count)
            pins.threads["torch"] = torch.get_num_threads()
        limits = _blas(count)
        if limits is None:
            pins.threads["blas"] = _blas_of_environment()
        else:
            undo.callback(limits.restore_original_limits)
            pins.threads["blas"] = count
        if "jax" in sys.modules:
            pins.threads["jax"] = f"not pinned: XLA fixed them at its start, one for each of {len(cpus)} CPUs at most"
        yield pins
        if torch is not None and torch.get_num_threads() != pins.threads["torch"]:
            pins.warnings.append(
                f"the number of torch's threads was changed from {pins.threads['torch']} to {torch.get_num_threads()} "
                "while it was timed"
            )
        if allowed_cpus() != cpus:
            pins.warnings.append(f"the CPUs it may run on were changed from {list(cpus)} to {list(allowed_cpus())}")


def _whole_torch() -> Any:
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "set_num_threads") and hasattr(torch, "get_num_threads") else None


def _blas(count: int) -> Any:
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return None
    return threadpool_limits(limits=count, user_api="blas")


def _blas_of_environment() -> str:
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
    said = ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
    return f"not pinned: threadpoolctl is not installed; {said or 'no variable sets it'}"


def describe() -> dict[str, Any]:
    """The fields of the environment that describe CPUs and threads; each record says what was in force."""
    cpus = allowed_cpus()
    groups = siblings(cpus)
    return {
        "affinity": tuple(cpus),
        "smt_siblings": None if groups is None else tuple(tuple(group) for group in groups),
        "threads": {
            "sampling": wanted_threads(),
            **{name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ},
        },
        "pinned": "torch and, with threadpoolctl, BLAS to the same number of threads on both sides while samples are taken",
    }
