"""What the machine did beside the samples is read where it can be, warned of where it matters, and otherwise said not read."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.benchmark import telemetry
from conformance.benchmark.telemetry import DeviceMonitor, HostMonitor, NvmlReader, Reading, SmiReader

TICK = os.sysconf("SC_CLK_TCK")


class Machine:
    """A /proc, /sys and control group that are made up, and a process whose own times can be set."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.wall = self.own = 0.0
        self.switches = self.faults = 0
        (folder / "cpu0/cpufreq").mkdir(parents=True)
        (folder / "cpu0/thermal_throttle").mkdir()
        self.write(busy=0, steal=0, throttles=3, quota=5, khz=2_500_000)
        monkeypatch.setattr(telemetry.time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(
            telemetry.os, "times",
            lambda: SimpleNamespace(user=self.own, system=0.0, children_user=0.0, children_system=0.0),
        )  # fmt: skip
        monkeypatch.setattr(telemetry, "_switches_and_faults", lambda: (self.switches, self.faults))

    def write(self, *, busy: float, steal: float, throttles: int = 3, quota: int = 5, khz: int = 2_500_000) -> None:
        row = f"cpu0 {round(busy * TICK)} 0 0 1000 0 0 0 {round(steal * TICK)} 0 0"
        # A CPU that this process may not use, and that others use all the time.
        other = f"cpu1 {round(self.wall + 1) * TICK} 0 0 0 0 0 0 {round(self.wall + 1) * TICK} 0 0"
        (self.folder / "stat").write_text(f"cpu 1 2 3\n{row}\n{other}\n")
        (self.folder / "cpu.stat").write_text(f"nr_periods 9\nnr_throttled {quota}\n")
        (self.folder / "cpu0/cpufreq/scaling_cur_freq").write_text(f"{khz}\n")
        (self.folder / "cpu0/thermal_throttle/core_throttle_count").write_text(f"{throttles}\n")

    def watch(self) -> HostMonitor:
        return HostMonitor((0,), self.folder, self.folder, self.folder)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_an_undisturbed_machine_gives_no_warning(machine: Machine) -> None:
    watch = machine.watch()
    watch.start()
    machine.wall, machine.own = 10.0, 9.0
    machine.write(busy=9.1, steal=0.0, khz=2_400_000)
    for _ in range(100):
        watch.mark()
        watch.observe()
    told = watch.stop(calls=100)
    assert told.warnings == []
    assert told.facts == {
        "cpus": [0],
        "mhz": [2400, 2500],
        "others_cpus": 0.01,
        "steal_share": 0.0,
        "disturbed_samples": 0,
        "page_faults_per_call": 0.0,
        "thermal_throttles": 0,
        "quota_throttles": 0,
    }


def test_other_processes_steal_throttling_interruptions_and_page_faults_are_warned_of(machine: Machine) -> None:
    watch = machine.watch()
    watch.start()
    for i in range(100):
        watch.mark()
        machine.switches += i < 10
        machine.faults += 4850
        watch.observe()
        machine.switches += 1  # between the samples: nobody's
    machine.wall, machine.own = 10.0, 5.0
    machine.write(busy=9.0, steal=0.5, throttles=5, quota=6)
    told = watch.stop(calls=100)
    assert told.warnings == [
        "other processes used 0.4 of its 1 CPUs meanwhile",
        "the hypervisor took 5.0% of the CPUs' time for others",
        "10 of 100 samples were interrupted by other processes",
        "4.85e+03 page faults in each call: memory is taken from the system anew",
        "the processor throttled itself 2 times",
        "the control group's CPU quota held the process back 1 times",
    ]
    assert told.facts["disturbed_samples"] == 10


def test_a_system_that_tells_nothing_is_said_to_tell_nothing(tmp_path: Path) -> None:
    watch = HostMonitor((0,), tmp_path / "no", tmp_path / "no", tmp_path / "no")
    watch.start()
    facts = watch.stop(calls=1).facts
    unread = ("mhz", "others_cpus", "steal_share", "thermal_throttles", "quota_throttles")
    assert [facts[name] for name in unread] == [None] * 5


class MadeUpNvml:
    """The NVML bindings of a device that is too hot and capped in its power; questions in ``unsupported`` raise."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, unsupported: tuple[str, ...] = (), reasons: int = 0x24, processes: int = 1) -> None:
        self.unsupported, self.reasons, self.processes = unsupported, reasons, processes

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetClockInfo": lambda h, kind: {1: 1755, 2: 3201}[kind],
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda h: self.reasons,
            "nvmlDeviceGetTemperature": lambda h, kind: 61,
            "nvmlDeviceGetPowerUsage": lambda h: 655_000,
            "nvmlDeviceGetComputeRunningProcesses": lambda h: [object()] * self.processes,
        }
        if name not in answers:
            raise AttributeError(name)  # as of a version without the newer names

        def answer(*arguments: Any) -> Any:
            if name in self.unsupported:
                raise RuntimeError("Not Supported")
            return answers[name](*arguments)

        return answer


def test_nvml_is_read_beside_each_sample() -> None:
    watch = DeviceMonitor(NvmlReader(MadeUpNvml(reasons=0x24 | 0x1, processes=2), handle=object()))
    watch.start()
    for _ in range(3):
        watch.observe()
    told = watch.stop()
    assert told.facts == {
        "source": "NVML",
        "readings": 3,
        "sm_mhz": [1755.0] * 3,
        "memory_mhz": [3201.0] * 3,
        "temperature_c": [61.0] * 3,
        "power_w": [655.0] * 3,
        "reasons": ["idle", "power cap", "thermal, by software"],
        "throttled_readings": 3,
        "other_processes": 1,
    }
    assert told.warnings == [
        "the device was held back (thermal, by software) in 3 of 3 readings",
        "1 other process had work on the device",
    ]


@pytest.mark.parametrize("reasons", [0x1 | 0x2, 0x4])
def test_an_idle_owner_limited_or_power_capped_device_is_not_called_throttled(reasons: int) -> None:
    watch = DeviceMonitor(NvmlReader(MadeUpNvml(reasons=reasons), object()))
    watch.start()
    watch.observe()
    assert watch.stop().warnings == []


def test_what_nvml_does_not_support_is_left_open() -> None:
    nvml = MadeUpNvml(unsupported=("nvmlDeviceGetPowerUsage", "nvmlDeviceGetCurrentClocksThrottleReasons"))
    reading = NvmlReader(nvml, object()).read()
    assert reading == Reading(1755.0, 3201.0, None, 61.0, None, 1)


def test_nvidia_smi_is_asked_before_and_after_only() -> None:
    asked: list[list[str]] = []

    def ask(arguments: list[str]) -> str:
        asked.append(arguments)
        return "1980, 3201, 0x0000000000000020, 71, [N/A]\n" if "clocks" in arguments[0] else "4711\n"

    watch = DeviceMonitor(SmiReader("GPU-1", ask))
    watch.start()
    for _ in range(50):
        watch.observe()
    told = watch.stop()
    assert len(asked) == 4
    assert (told.facts["source"], told.facts["readings"], told.facts["power_w"]) == ("nvidia-smi", 2, None)
    assert told.warnings == ["the device was held back (thermal, by software) in 2 of 2 readings"]


def test_without_either_it_is_said_that_nothing_was_read() -> None:
    watch = DeviceMonitor("not read: no NVML (ImportError: pynvml), no nvidia-smi (FileNotFoundError)")
    watch.start()
    watch.observe()
    told = watch.stop()
    assert told.facts == {"source": "not read: no NVML (ImportError: pynvml), no nvidia-smi (FileNotFoundError)"}
    assert told.warnings == ["clocks and throttling of the device were not read"]
