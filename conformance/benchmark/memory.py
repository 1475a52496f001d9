"""The most memory that one call takes beyond what was live before it, read from the device's allocator or from the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.benchmark import allocator

PROCESS = Path("/proc/self")


def peak_bytes(run: Callable[[], Any], device: str, *, elsewhere: bool = False) -> dict[str, Any]:
    """The record fields ``peak_memory_bytes`` and ``memory_kind``, and why where there is no number.

    ``elsewhere``: on CUDA its memory is not torch's, so torch's allocator knows nothing of it.
    """
    if device == "cuda" and elsewhere:
        return {"peak_memory_bytes": None, "memory_kind": "device", "memory_reason": "not read: it allocates by itself"}
    if device == "cuda":
        return {"peak_memory_bytes": _on_device(run), "memory_kind": "device"}
    found = on_host(run)
    if found is None:
        return {
            "peak_memory_bytes": None,
            "memory_kind": "host",
            "memory_reason": "not read: the kernel tells no peak",
        }
    return {"peak_memory_bytes": found, "memory_kind": "host"}


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


def on_host(run: Callable[[], Any], process: Path = PROCESS) -> int | None:
    """How far resident memory rises above its level before the call; the kernel counts in portions of some 100 KiB.

    What lies free in the C library is given back first, so that taking it again is seen.
    """
    allocator.give_back()
    try:
        (process / "clear_refs").write_text("5", encoding="ascii")  # the peak becomes the level of now
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
