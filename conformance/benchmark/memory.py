"""Read the most memory that one call takes beyond what was live before it, from the device's allocator or from the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.benchmark import allocator
from conformance.benchmark.apart import ApartProcess

PROCESS = Path("/proc/self")


def peak_bytes(
    run: Callable[[], Any], device: str, *, elsewhere: bool = False, process: ApartProcess | None = None
) -> dict[str, Any]:
    """The record fields of the peak: its bytes, which memory it is of, and why where there is no number.

    ``elsewhere``: on CUDA its memory is not torch's, so torch's allocator knows nothing of it.
    """
    if device != "cuda":
        peak, reason = _of_process(process, run) if process else on_host(run), "not read: the kernel tells no peak"
    elif elsewhere:
        peak, reason = None, "not read: it allocates by itself"
    else:
        peak, reason = _on_device(run), ""
    kind = "device" if device == "cuda" else "host"
    return {"peak_memory_bytes": peak, "memory_kind": kind, "memory_reason": reason if peak is None else ""}


def _of_process(process: ApartProcess, run: Callable[[], Any]) -> int | None:
    """The kernel tells it of any process; what lies free there it gives back itself."""
    process.remote.do(allocator.give_back)
    return on_host(run, Path("/proc") / str(process.pid), give_back=lambda: None)


def _on_device(run: Callable[[], Any]) -> int:
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = run()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated()
    del result
    return max(0, int(peak - before))


def on_host(run: Callable[[], Any], process: Path = PROCESS, give_back: Callable[[], Any] = allocator.give_back) -> int | None:
    """Bytes by which resident memory rises during the call; the kernel counts in steps of some 100 KiB.

    Memory that lies free in the C library is given back first, so that taking it again is seen.
    """
    give_back()
    try:
        (process / "clear_refs").write_text("5", encoding="ascii")  # makes the present level the peak
        before = _status(process, "VmRSS")
        result = run()
        peak = _status(process, "VmHWM")
        del result
    except OSError:
        return None
    return None if before is None or peak is None else max(0, peak - before)


def _status(process: Path, word: str) -> int | None:
    for line in (process / "status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{word}:"):
            return int(line.split()[1]) * 1024
    return None
