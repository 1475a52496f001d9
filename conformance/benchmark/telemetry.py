"""What the machine did while samples were taken: who else used it, how fast it was clocked, and whether it was held back.

Samples that were disturbed or throttled are counted and the line is warned of them; none is left out, since leaving out
would be choosing. What cannot be read is said not to have been read.
"""

from __future__ import annotations

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

PROC, SYSTEM, CGROUP = Path("/proc"), Path("/sys/devices/system/cpu"), Path("/sys/fs/cgroup")

OTHERS_SHARE = 0.05
"""Of the allowed CPUs' time; from here on other processes are worth a warning."""
STEAL_SHARE = 0.01
DISTURBED_SHARE = 0.05
FAULTS_PER_CALL = 50.0


@dataclass
class Told:
    """What goes into the record: facts, and the warnings drawn from them."""

    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Moment:
    wall: float
    own: float
    busy: float | None
    steal: float
    throttled: int | None
    capped: int | None


class HostWatch:
    """The CPUs that the process may use, from `begin` to `end`; `glance` after each sample sees whether it was interrupted."""

    def __init__(self, cpus: Sequence[int] | None = None, proc: Path = PROC, system: Path = SYSTEM, cgroup: Path = CGROUP):
        self._cpus = tuple(cpus if cpus is not None else allowed_cpus())
        self._proc, self._system, self._cgroup = proc, system, cgroup
        self._glances = self._disturbed = self._faults = 0
        self._mark = (0, 0)

    def begin(self) -> None:
        self._glances = self._disturbed = self._faults = 0
        self._mhz = self._frequencies()
        self._before = self._moment()
        self._mark = _switches_and_faults()

    def mark(self) -> None:
        """What happens from here to the next `glance` is the sample's."""
        self._mark = _switches_and_faults()

    def glance(self) -> None:
        switches, faults = _switches_and_faults()
        self._glances += 1
        self._disturbed += switches > self._mark[0]
        self._faults += faults - self._mark[1]

    def end(self, calls: int) -> Told:
        """The facts of the whole time, and of the samples, in which ``calls`` calls were made."""
        after, before = self._moment(), self._before
        mhz = [*self._mhz, *self._frequencies()]
        told = Told({"cpus": list(self._cpus)})
        wall = max(after.wall - before.wall, 1e-9)
        facts = told.facts
        facts["mhz"] = [round(min(mhz)), round(max(mhz))] if mhz else None
        if after.busy is None or before.busy is None:
            facts["others_cpus"] = facts["steal_share"] = None
        else:
            others = max(0.0, (after.busy - before.busy) - (after.own - before.own)) / wall
            facts["others_cpus"] = float(f"{others:.3g}")
            facts["steal_share"] = float(f"{max(0.0, after.steal - before.steal) / (wall * len(self._cpus)):.3g}")
            # The kernel counts in ticks of 10 ms: a tick or two at the edges is nobody.
            ticks = 2 * len(self._cpus) * 0.01 / wall
            if others > OTHERS_SHARE * len(self._cpus) + ticks:
                told.warnings.append(f"other processes used {others:.2g} of its {len(self._cpus)} CPUs meanwhile")
            if facts["steal_share"] > STEAL_SHARE + ticks:
                told.warnings.append(f"the hypervisor took {facts['steal_share']:.1%} of the CPUs' time for others")
        facts["disturbed_samples"] = self._disturbed
        if self._disturbed > DISTURBED_SHARE * self._glances:
            told.warnings.append(f"{self._disturbed} of {self._glances} samples were interrupted by other processes")
        facts["page_faults_per_call"] = float(f"{self._faults / max(calls, 1):.3g}")
        if facts["page_faults_per_call"] > FAULTS_PER_CALL:
            told.warnings.append(
                f"{facts['page_faults_per_call']:.3g} page faults in each call: memory is taken from the system anew"
            )
        for name, was, now, words in (
            ("thermal_throttles", before.throttled, after.throttled, "the processor throttled itself {} times"),
            ("quota_throttles", before.capped, after.capped, "the control group's CPU quota held the process back {} times"),
        ):
            facts[name] = None if was is None or now is None else now - was
            if facts[name]:
                told.warnings.append(words.format(facts[name]))
        return told

    def _moment(self) -> _Moment:
        times = os.times()
        busy, steal = self._busy_and_steal()
        return _Moment(
            time.monotonic(), times.user + times.system + times.children_user + times.children_system, busy, steal,
            self._throttles(), self._quota(),
        )  # fmt: skip

    def _busy_and_steal(self) -> tuple[float | None, float]:
        """Seconds of work of anybody, and seconds that the hypervisor gave to others, on the allowed CPUs since boot."""
        try:
            ticks = os.sysconf("SC_CLK_TCK")
            rows = [line.split() for line in (self._proc / "stat").read_text(encoding="ascii").splitlines()]
            mine = [[int(n) for n in row[1:9]] for row in rows if row[0] in {f"cpu{cpu}" for cpu in self._cpus}]
        except (OSError, ValueError, IndexError):
            return None, 0.0
        if not mine:
            return None, 0.0
        # user, nice, system, idle, iowait, irq, softirq, steal
        return sum(r[0] + r[1] + r[2] + r[5] + r[6] for r in mine) / ticks, sum(r[7] for r in mine) / ticks

    def _frequencies(self) -> list[float]:
        found = []
        for cpu in self._cpus:
            try:
                found.append(int((self._system / f"cpu{cpu}/cpufreq/scaling_cur_freq").read_text(encoding="ascii")) / 1000)
            except (OSError, ValueError):
                return self._stated_frequencies()
        return found

    def _stated_frequencies(self) -> list[float]:
        try:
            text = (self._proc / "cpuinfo").read_text(encoding="utf-8")
            return [float(line.partition(":")[2]) for line in text.splitlines() if line.startswith("cpu MHz")]
        except (OSError, ValueError):
            return []

    def _throttles(self) -> int | None:
        counts = []
        for cpu in self._cpus:
            for file in (self._system / f"cpu{cpu}/thermal_throttle").glob("*_throttle_count"):
                try:
                    counts.append(int(file.read_text(encoding="ascii")))
                except (OSError, ValueError):
                    continue
        return sum(counts) if counts else None

    def _quota(self) -> int | None:
        for file in (self._cgroup / "cpu.stat", self._cgroup / "cpu/cpu.stat"):
            try:
                for line in file.read_text(encoding="ascii").splitlines():
                    if line.startswith("nr_throttled "):
                        return int(line.split()[1])
            except (OSError, ValueError):
                continue
        return None


def _switches_and_faults() -> tuple[int, int]:
    """How often the kernel has taken a CPU from a thread of this process that wanted to go on, and its page faults."""
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
HELD_BACK = 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80
"""Those that mean a device slower than it could be, at no wish of its owner."""


@dataclass(frozen=True)
class Reading:
    """The device at one moment; None for what it does not tell."""

    sm_mhz: float | None
    memory_mhz: float | None
    reasons: int | None
    temperature: float | None
    power: float | None
    processes: int | None
    """With work on the device, this one included."""


class Reader(Protocol):
    """Reads a device. ``source`` says through what; ``quick`` whether it is fast enough to be read beside each sample."""

    source: str
    quick: bool

    def read(self) -> Reading: ...


class NvmlReader:
    """Through the NVML bindings (``nvidia-ml-py``), module and handle given."""

    source, quick = "NVML", True

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def read(self) -> Reading:
        n, h = self._nvml, self._handle
        reasons = getattr(n, "nvmlDeviceGetCurrentClocksEventReasons", None) or n.nvmlDeviceGetCurrentClocksThrottleReasons
        return Reading(
            sm_mhz=_told(lambda: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM)),
            memory_mhz=_told(lambda: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM)),
            reasons=_told(lambda: reasons(h), int),
            temperature=_told(lambda: n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU)),
            power=_told(lambda: n.nvmlDeviceGetPowerUsage(h) / 1000),
            processes=_told(lambda: len(n.nvmlDeviceGetComputeRunningProcesses(h)), int),
        )


def _told(read: Callable[[], Any], kind: Any = float) -> Any:
    """A value, or None where the device does not support the question; NVML raises errors of its own for that."""
    try:
        return kind(read())
    except Exception:
        return None


class SmiReader:
    """Through the command ``nvidia-smi``, which takes too long to be asked beside each sample."""

    source, quick = "nvidia-smi", False
    FIELDS = "clocks.sm,clocks.mem,clocks_throttle_reasons.active,temperature.gpu,power.draw"

    def __init__(self, device: str, ask: Callable[[list[str]], str]) -> None:
        self._device, self._ask = device, ask

    def read(self) -> Reading:
        common = ["-i", self._device, "--format=csv,noheader,nounits"]
        values = [part.strip() for part in self._ask([f"--query-gpu={self.FIELDS}", *common]).strip().split(",")]
        processes = _told(lambda: len(self._ask(["--query-compute-apps=pid", *common]).split()), int)
        values += [""] * (5 - len(values))
        numbers = [_told(lambda v=v: v) for v in values]  # type: ignore[misc]
        reasons = _told(lambda: int(values[2], 16), int)
        return Reading(numbers[0], numbers[1], reasons, numbers[3], numbers[4], processes)


def open_reader() -> Reader | str:
    """A reader of the current CUDA device; in words why there is none."""
    import torch

    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    uuid = str(getattr(properties, "uuid", ""))
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}" if uuid else ""
    try:
        import pynvml

        pynvml.nvmlInit()
        reader: Reader = NvmlReader(
            pynvml, pynvml.nvmlDeviceGetHandleByUUID(name) if name else pynvml.nvmlDeviceGetHandleByIndex(_index())
        )
        reader.read()
        return reader
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    try:
        smi = SmiReader(name or str(_index()), _ask_smi)
        smi.read()
        return smi
    except (OSError, subprocess.SubprocessError) as error:
        return f"not read: no NVML ({why}), no nvidia-smi ({type(error).__name__})"


def _index() -> int:
    """The device's place among all of the machine's, which CUDA_VISIBLE_DEVICES may have reordered."""
    import torch

    current = int(torch.cuda.current_device())
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip().isdigit()]
    return int(visible[current]) if current < len(visible) else current


def _ask_smi(arguments: list[str]) -> str:
    return subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout


class DeviceWatch:
    """A CUDA device from `begin` to `end`, read while samples run where the reader is quick, else before and after."""

    def __init__(self, reader: Reader | str) -> None:
        self._reader = reader
        self._readings: list[Reading] = []

    def begin(self) -> None:
        self._readings = []
        if not isinstance(self._reader, str) and not self._reader.quick:
            self._readings.append(self._reader.read())

    def glance(self) -> None:
        if not isinstance(self._reader, str) and self._reader.quick:
            self._readings.append(self._reader.read())

    def end(self) -> Told:
        if isinstance(self._reader, str):
            return Told({"source": self._reader}, ["clocks and throttling of the device were not read"])
        if not self._reader.quick:
            self._readings.append(self._reader.read())
        readings = self._readings
        held = [r for r in readings if r.reasons is not None and r.reasons & HELD_BACK]
        words = sorted({word for r in readings for bit, word in REASONS.items() if r.reasons is not None and r.reasons & bit})
        others = max((r.processes for r in readings if r.processes is not None), default=1) - 1
        told = Told(
            {
                "source": self._reader.source,
                "readings": len(readings),
                "sm_mhz": _spread([r.sm_mhz for r in readings]),
                "memory_mhz": _spread([r.memory_mhz for r in readings]),
                "temperature_c": _spread([r.temperature for r in readings]),
                "power_w": _spread([r.power for r in readings]),
                "reasons": words,
                "throttled_readings": len(held),
                "other_processes": max(0, others),
            }
        )
        if held:
            causes = sorted({REASONS[bit] for r in held for bit in REASONS if bit & HELD_BACK and (r.reasons or 0) & bit})
            told.warnings.append(f"the device was held back ({', '.join(causes)}) in {len(held)} of {len(readings)} readings")
        if others > 0:
            told.warnings.append(f"{others} other process{'es' if others > 1 else ''} had work on the device")
        return told


def _spread(values: Sequence[float | None]) -> list[float] | None:
    """Least, median and most."""
    known = [value for value in values if value is not None]
    return [float(f"{value:.4g}") for value in (min(known), median(known), max(known))] if known else None
