"""Observe the machine while samples are taken: who else used it, its clocks, and whether it was held back.

Disturbed and throttled samples are counted and the record carries a warning. None is left out, since leaving out would be
choosing. What cannot be read is said not to have been read.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from conformance.benchmark.affinity import allowed_cpus
from conformance.benchmark.apart import ApartProcess

PROC, SYSTEM, CGROUP = Path("/proc"), Path("/sys/devices/system/cpu"), Path("/sys/fs/cgroup")

OTHERS_SHARE = 0.05
"""Of the allowed CPUs' time: above it, other processes are worth a warning."""
STEAL_SHARE = 0.01
DISTURBED_SHARE = 0.05
FAULTS_PER_CALL = 50.0


@dataclass
class Observation:
    """What was seen, for the record: facts, and the warnings that follow from them."""

    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Moment:
    """Counters of the machine and the process, in seconds or numbers since their start; None where they cannot be read."""

    wall: float
    own: float
    busy: float | None
    steal: float
    throttled: int | None
    capped: int | None


class HostMonitor:
    """Observe the CPUs of this process from `start` to `stop`; `observe` after each sample sees whether it was interrupted."""

    name = "host"

    def __init__(
        self,
        cpus: Sequence[int] | None = None,
        proc: Path = PROC,
        system: Path = SYSTEM,
        cgroup: Path = CGROUP,
        processes: Sequence[ApartProcess] = (),
    ):
        self._processes = processes
        """Where both sides live, if that is elsewhere."""
        self._cpus = tuple(cpus if cpus is not None else allowed_cpus())
        self._proc, self._system, self._cgroup = proc, system, cgroup
        self._samples = self._disturbed = self._faults = 0
        self._mark = (0, 0)

    def start(self) -> None:
        self._samples = self._disturbed = self._faults = 0
        self._mhz = self._frequencies()
        self._before = self._moment()
        self.mark()

    def mark(self) -> None:
        """The sample begins here: what happens from now to the next `observe` belongs to it."""
        self._mark = self._switches_and_faults()

    def observe(self) -> None:
        switches, faults = self._switches_and_faults()
        self._samples += 1
        self._disturbed += switches > self._mark[0]
        self._faults += faults - self._mark[1]

    def _switches_and_faults(self) -> tuple[int, int]:
        if not self._processes:
            return _switches_and_faults()
        found = [each.switches_and_faults() for each in self._processes]
        return sum(switches for switches, _ in found), sum(faults for _, faults in found)

    def stop(self, calls: int) -> Observation:
        """What was seen in all, and in the samples, which made ``calls`` calls."""
        after, before = self._moment(), self._before
        mhz = [*self._mhz, *self._frequencies()]
        seen = Observation({"cpus": list(self._cpus), "mhz": [round(min(mhz)), round(max(mhz))] if mhz else None})
        self._others(seen, before, after)
        seen.facts["disturbed_samples"] = self._disturbed
        if self._disturbed > DISTURBED_SHARE * self._samples:
            seen.warnings.append(f"{self._disturbed} of {self._samples} samples were interrupted by other processes")
        seen.facts["page_faults_per_call"] = faults = float(f"{self._faults / max(calls, 1):.3g}")
        if faults > FAULTS_PER_CALL:
            seen.warnings.append(f"{faults:.3g} page faults in each call: memory is taken from the system anew")
        for name, was, now, words in (
            ("thermal_throttles", before.throttled, after.throttled, "the processor throttled itself {} times"),
            ("quota_throttles", before.capped, after.capped, "the control group's CPU quota held the process back {} times"),
        ):
            seen.facts[name] = None if was is None or now is None else now - was
            if seen.facts[name]:
                seen.warnings.append(words.format(seen.facts[name]))
        return seen

    def _others(self, seen: Observation, before: _Moment, after: _Moment) -> None:
        """Add how many CPUs other processes used, and the share of time that the hypervisor took."""
        if after.busy is None or before.busy is None:
            seen.facts |= {"others_cpus": None, "steal_share": None}
            return
        wall, cpus = max(after.wall - before.wall, 1e-9), len(self._cpus)
        others = max(0.0, (after.busy - before.busy) - (after.own - before.own)) / wall
        steal = float(f"{max(0.0, after.steal - before.steal) / (wall * cpus):.3g}")
        seen.facts |= {"others_cpus": float(f"{others:.3g}"), "steal_share": steal}
        # The kernel counts in ticks of 10 ms: a tick or two at the ends mean nothing.
        ticks = 2 * cpus * 0.01 / wall
        if others > OTHERS_SHARE * cpus + ticks:
            seen.warnings.append(f"other processes used {others:.2g} of its {cpus} CPUs meanwhile")
        if steal > STEAL_SHARE + ticks:
            seen.warnings.append(f"the hypervisor took {steal:.1%} of the CPUs' time for others")

    def _moment(self) -> _Moment:
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        own += sum(each.cpu_s() for each in self._processes)
        return _Moment(time.monotonic(), own, *self._busy_and_steal(), self._throttles(), self._quota())

    def _busy_and_steal(self) -> tuple[float | None, float]:
        """Seconds of anybody's work, and seconds that the hypervisor gave to others, on the allowed CPUs since boot."""
        names = {f"cpu{cpu}" for cpu in self._cpus}
        with contextlib.suppress(OSError, ValueError, IndexError):
            rows = [line.split() for line in (self._proc / "stat").read_text(encoding="ascii").splitlines()]
            # user, nice, system, idle, iowait, irq, softirq, steal
            if mine := [[int(n) for n in row[1:9]] for row in rows if row[0] in names]:
                ticks = os.sysconf("SC_CLK_TCK")
                return sum(r[0] + r[1] + r[2] + r[5] + r[6] for r in mine) / ticks, sum(r[7] for r in mine) / ticks
        return None, 0.0

    def _frequencies(self) -> list[float]:
        """MHz of each CPU, or those of all CPUs where single ones are not known."""
        with contextlib.suppress(OSError, ValueError):
            files = [self._system / f"cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in self._cpus]
            return [int(file.read_text(encoding="ascii")) / 1000 for file in files]
        with contextlib.suppress(OSError, ValueError):
            lines = (self._proc / "cpuinfo").read_text(encoding="utf-8").splitlines()
            return [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
        return []

    def _throttles(self) -> int | None:
        counts = []
        for cpu in self._cpus:
            for file in (self._system / f"cpu{cpu}/thermal_throttle").glob("*_throttle_count"):
                with contextlib.suppress(OSError, ValueError):
                    counts.append(int(file.read_text(encoding="ascii")))
        return sum(counts) if counts else None

    def _quota(self) -> int | None:
        for file in (self._cgroup / "cpu.stat", self._cgroup / "cpu/cpu.stat"):
            with contextlib.suppress(OSError, ValueError):
                for line in file.read_text(encoding="ascii").splitlines():
                    if line.startswith("nr_throttled "):
                        return int(line.split()[1])
        return None


def _switches_and_faults() -> tuple[int, int]:
    """How often the kernel took a CPU from a thread of this process that wanted to go on, and its page faults."""
    if sys.platform == "win32":
        return 0, 0
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nivcsw, usage.ru_minflt


REASONS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal, by software",
    0x40: "thermal, by hardware",
    0x80: "power brake",
    0x100: "display clocks",
}
"""The bits of NVML's clocks-event (formerly throttle) reasons."""
HELD_BACK = 0x8 | 0x10 | 0x20 | 0x40 | 0x80
"""The reasons that slow a device down without its owner asking for it. The power cap alone is none: every large matrix product
reaches it, also in the figures that others publish. It stands among the reasons that were read."""


@dataclass(frozen=True)
class Reading:
    """The device at one moment: MHz, degrees Celsius, watts; None for what it does not tell."""

    sm_mhz: float | None
    memory_mhz: float | None
    reasons: int | None
    temperature: float | None
    power: float | None
    processes: int | None
    """Processes with work on the device, this one included."""


class Reader(Protocol):
    """Reads a device. ``source`` names the interface; ``quick`` says that it is fast enough to be read beside each sample."""

    source: str
    quick: bool

    def read(self) -> Reading: ...


class NvmlReader:
    """Read a device through the NVML bindings (``nvidia-ml-py``), given the module and a handle."""

    source, quick = "NVML", True

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def read(self) -> Reading:
        n, h = self._nvml, self._handle
        reasons = getattr(n, "nvmlDeviceGetCurrentClocksEventReasons", None) or n.nvmlDeviceGetCurrentClocksThrottleReasons
        return Reading(
            sm_mhz=_supported(lambda: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM)),
            memory_mhz=_supported(lambda: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM)),
            reasons=_supported(lambda: reasons(h), int),
            temperature=_supported(lambda: n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU)),
            power=_supported(lambda: n.nvmlDeviceGetPowerUsage(h) / 1000),
            processes=_supported(lambda: len(n.nvmlDeviceGetComputeRunningProcesses(h)), int),
        )


def _supported(read: Callable[[], Any], kind: Any = float) -> Any:
    """A value, or None where the device cannot tell it: NVML raises errors of its own for that."""
    try:
        return kind(read())
    except Exception:
        return None


class SmiReader:
    """Read a device through the command ``nvidia-smi``, which is too slow to be asked beside each sample."""

    source, quick = "nvidia-smi", False
    FIELDS = "clocks.sm,clocks.mem,clocks_throttle_reasons.active,temperature.gpu,power.draw"

    def __init__(self, device: str, ask: Callable[[list[str]], str]) -> None:
        self._device, self._ask = device, ask

    def read(self) -> Reading:
        common = ["-i", self._device, "--format=csv,noheader,nounits"]
        values = [part.strip() for part in self._ask([f"--query-gpu={self.FIELDS}", *common]).strip().split(",")]
        sm, memory, reasons, temperature, power = (*values, *[""] * 5)[:5]
        processes = _supported(lambda: len(self._ask(["--query-compute-apps=pid", *common]).split()), int)
        sm_mhz, memory_mhz, degrees, watts = (_supported(lambda v=v: v) for v in (sm, memory, temperature, power))  # type: ignore[misc]
        return Reading(sm_mhz, memory_mhz, _supported(lambda: int(reasons, 16), int), degrees, watts, processes)


def open_reader() -> Reader | str:
    """A reader of the current CUDA device, or why there is none."""
    import torch

    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    uuid = str(getattr(properties, "uuid", ""))
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}" if uuid else ""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(name) if name else pynvml.nvmlDeviceGetHandleByIndex(_index())
        nvml = NvmlReader(pynvml, handle)
        nvml.read()
        return nvml
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    try:
        smi = SmiReader(name or str(_index()), _ask_smi)
        smi.read()
        return smi
    except (OSError, subprocess.SubprocessError) as error:
        return f"not read: no NVML ({why}), no nvidia-smi ({type(error).__name__})"


def _index() -> int:
    """The device's number among all of the machine's, which CUDA_VISIBLE_DEVICES may have reordered."""
    import torch

    current = int(torch.cuda.current_device())
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip().isdigit()]
    return int(visible[current]) if current < len(visible) else current


def _ask_smi(arguments: list[str]) -> str:
    return subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout


class DeviceMonitor:
    """Observe a CUDA device from `start` to `stop`: while samples run where the reader is quick, else before and after."""

    name = "device"

    def __init__(self, reader: Reader | str) -> None:
        self._reader = reader
        self._readings: list[Reading] = []

    def start(self) -> None:
        self._readings = []
        self._read(quick=False)

    def observe(self) -> None:
        self._read(quick=True)

    def _read(self, *, quick: bool) -> None:
        if not isinstance(self._reader, str) and self._reader.quick == quick:
            self._readings.append(self._reader.read())

    def stop(self, calls: int = 0) -> Observation:
        """What was seen; the number of calls does not matter to it."""
        if isinstance(self._reader, str):
            return Observation({"source": self._reader}, ["clocks and throttling of the device were not read"])
        self._read(quick=False)
        readings = self._readings
        reasons = [reading.reasons or 0 for reading in readings]
        held = [bits for bits in reasons if bits & HELD_BACK]
        others = max(0, max((r.processes for r in readings if r.processes is not None), default=1) - 1)
        seen = Observation(
            {
                "source": self._reader.source,
                "readings": len(readings),
                "sm_mhz": _spread([r.sm_mhz for r in readings]),
                "memory_mhz": _spread([r.memory_mhz for r in readings]),
                "temperature_c": _spread([r.temperature for r in readings]),
                "power_w": _spread([r.power for r in readings]),
                "reasons": _words(reasons),
                "throttled_readings": len(held),
                "other_processes": others,
            }
        )
        if held:
            causes = ", ".join(_words([bits & HELD_BACK for bits in held]))
            seen.warnings.append(f"the device was held back ({causes}) in {len(held)} of {len(readings)} readings")
        if others:
            seen.warnings.append(f"{others} other process{'es' if others > 1 else ''} had work on the device")
        return seen


def _words(reasons: Sequence[int]) -> list[str]:
    """The names of all bits, in alphabetical order."""
    return sorted({word for bits in reasons for bit, word in REASONS.items() if bits & bit})


def _spread(values: Sequence[float | None]) -> list[float] | None:
    """Least, median and most."""
    known = [value for value in values if value is not None]
    return [float(f"{value:.4g}") for value in (min(known), median(known), max(known))] if known else None
