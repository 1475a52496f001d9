"""Time a baseline alone, in a process of its own that loads nothing else.

What an implementation does to its process (a slowed library, busy threads, a replaced function) can slow the baseline beside
it and make everybody look faster. It cannot reach this process.
"""

from __future__ import annotations

import functools
import importlib
import json
import subprocess
import sys
from statistics import median
from typing import Any

from conformance.benchmark.affinity import pinned
from conformance.benchmark.cache import CONDITIONS, cache_of
from conformance.benchmark.sampler import Buffers, calls_for, taker
from conformance.benchmark.timer import clock_for
from conformance.benchmark.workload import Prepared
from conformance.engine.discovery import select

# As they were before any implementation was loaded, which may change them.
_PATH, _PYTHON = tuple(sys.path), sys.executable
SAMPLES = 9
LIMIT_S = 120.0


@functools.cache
def seconds(system: str, workload: str, device: str) -> dict[str, float] | str:
    """The median seconds of a call by state of the cache (warm, cold), measured once in each run; or why there are none."""
    code = (
        f"import sys; sys.path[:] = {list(_PATH)!r}; from {__name__} import main; main({system!r}, {workload!r}, {device!r})"
    )
    try:
        # -I: the variables and folders that Python would look at are an implementation's to change as well.
        done = subprocess.run([_PYTHON, "-I", "-c", code], capture_output=True, text=True, timeout=LIMIT_S)
        found: dict[str, float] = json.loads(done.stdout.strip().rpartition("\n")[2])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return found


def main(system: str, workload: str, device: str) -> None:
    """Print the seconds as JSON."""
    module: Any = importlib.import_module(f"conformance.{system}.workloads")
    (baseline,) = select([module.BASELINE]).implementations
    (chosen,) = (each for each in module.WORKLOADS if each.id == workload)
    prepared: Prepared = module.prepare(baseline, chosen, device)
    clock = clock_for(device, synchronous=prepared.synchronous)
    found = {}
    with pinned():
        for cache in CONDITIONS:
            take = taker(clock, cache_of(device).evict if cache == "cold" else None)
            once = [take(Buffers(clock.ready(prepared.run, 1), prepared.run, prepared.renew), -1 - i) for i in range(3)]
            calls = calls_for(min(once)) if cache == "warm" else 1
            buffers = Buffers(clock.ready(prepared.run, calls), prepared.run, prepared.renew)
            found[cache] = median(take(buffers, i) for i in range(SAMPLES))
    print(json.dumps(found))
