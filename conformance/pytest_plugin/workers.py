"""Worker processes of pytest-xdist: one for each visible CUDA device, and never two timings at once on one CPU."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import pytest

VISIBLE = "CUDA_VISIBLE_DEVICES"
DEVICE = "gaugeblock_device"
"""The key under which a worker is told the device that it has to itself."""

_HELD = pytest.StashKey[dict[str, str]]()
"""Which device each living worker has, by the worker's name."""


def visible_devices() -> tuple[str, ...]:
    """The CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them; all of the machine where it is unset.

    The driver is asked, and no framework: a process that has imported one can no longer be given another device.
    """
    named = os.environ.get(VISIBLE)
    if named is None:
        return tuple(str(number) for number in range(_device_count()))
    devices: list[str] = []
    for name in (part.strip() for part in named.split(",")):
        # CUDA itself stops at the first invalid name.
        if not name or name.startswith("-"):
            break
        devices.append(name)
    return tuple(devices)


def _device_count() -> int:
    """The number of devices that the driver counts; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        number = ctypes.c_int(0)
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(number)) != 0:
            return 0
        return number.value
    except (OSError, AttributeError):
        return 0


def automatic(devices: tuple[str, ...], measuring: bool) -> int | None:
    """How many workers ``-n auto`` means; None leaves it to pytest-xdist, which takes one for each core."""
    if "cuda" in devices:
        return max(1, len(visible_devices()))
    return 1 if measuring else None


def check(config: pytest.Config, devices: tuple[str, ...], measuring: bool) -> None:
    """Refuse timings that would disturb each other, and let pytest-benchmark measure in workers that do not."""
    if not measuring:
        return
    asked = _asked(config)
    if asked is None and "PYTEST_XDIST_WORKER" not in os.environ:
        return
    if isinstance(asked, int) and asked > 1:
        if devices != ("cuda",):
            raise pytest.UsageError(
                f"found {asked} processes for --benchmark-only on the CPU: two timings at once disturb each other; "
                f"expected one. Leave out -n, or say -n auto, which takes one"
            )
        if asked > (there := len(visible_devices())):
            raise pytest.UsageError(
                f"found {asked} processes for --benchmark-only on {there} CUDA device{'s' * (there != 1)}: two timings at "
                f"once disturb each other; expected one process for each. Say -n auto"
            )
    # pytest-benchmark disables itself with workers, unless it is told to skip. --benchmark-only overrides that skip.
    config.option.benchmark_skip = True


def outlive_crashes(config: pytest.Config) -> None:
    """Let pytest-xdist replace a crashed worker as often as it takes: a run that gives up has verdicts missing."""
    if getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "100000"


def _asked(config: pytest.Config) -> int | str | None:
    """The number of processes, or pytest-xdist's word for it; None where there are no workers at all."""
    option = config.option
    if number := getattr(option, "numprocesses", None):
        return number  # type: ignore[no-any-return]
    channels = [] if getattr(option, "dist", "no") == "no" else getattr(option, "tx", None) or []
    return sum(_times(channel) for channel in channels) or None


def _times(channel: str) -> int:
    """``3*popen`` is three."""
    number, star, _ = str(channel).partition("*")
    return int(number) if star and number.isdigit() else 1


def assign(config: pytest.Config, node: Any) -> None:
    """Give a starting worker a device that no other worker has, or the least shared one."""
    there = visible_devices()
    if not there or "cuda" not in config.getoption("--device"):
        return
    held = config.stash.setdefault(_HELD, {})
    taken = list(held.values())
    held[node.gateway.id] = node.workerinput[DEVICE] = min(there, key=taken.count)


def release(config: pytest.Config, node: Any) -> None:
    """Free the device of a worker that is gone, for its replacement."""
    config.stash.get(_HELD, {}).pop(node.gateway.id, None)


def take_device(config: pytest.Config) -> None:
    """In a worker, hide all other devices. This must come before any framework is imported."""
    device = getattr(config, "workerinput", {}).get(DEVICE)
    if device is not None:
        os.environ[VISIBLE] = device
