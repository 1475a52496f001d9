"""The steps of the three parts of a GPU run: conformance, tuning, and published records. The most important come first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.engine.discovery import listed
from conformance.runners.gpu.compile_only import TARGET
from conformance.runners.gpu.step import ROOT, Step
from impls.implementation import is_installed
from impls.systems import SYSTEMS

PARTS = ("conformance", "tuning", "published")
BUDGET_S = 570.0
"""Seconds of one part, all in all."""
RESERVED_S = 50.0
"""The part of a budget that is reserved for the report and the last archive."""
GRID = Path(__file__).with_name("grid.json")
"""Named lengths and head dims, the most important first."""
TUNING = {"sigmoid_attention": "tools.attention_tuning", "ademamix": "tools.ademamix_tuning"}
"""Programs that try launch options and write what they find to the file that ``-o`` names."""
KERNELS = ("triton", "triton-hopper", "triton-gluon")
"""Slugs of implementations whose kernels are compiled beforehand, as far as they are listed."""
SANITISERS = ("memcheck", "racecheck")
COMPILERS, WORKERS = 16, 8
"""Processes that compile, and that test on one device."""
CAPABILITY = "90"
"""What a rehearsal compiles for."""
METRICS = (
    "gpu__time_duration.sum,sm__throughput.avg.pct_of_peak_sustained_elapsed,"
    "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed,sm__warps_active.avg.pct_of_peak_sustained_active,"
    "sm__inst_executed_pipe_tensor.sum,launch__registers_per_thread,smsp__inst_executed.sum"
)


@dataclass(frozen=True)
class GpuPlan:
    """What a run is asked for. A rehearsal takes the same steps on this CPU: smaller, and by Triton's interpreter."""

    folder: Path
    impl: Sequence[str] = ()
    quick: bool = False
    rehearse: bool = False
    compilers: int = COMPILERS
    workers: int = WORKERS

    @property
    def device(self) -> str:
        return "cpu" if self.rehearse else "cuda"

    @property
    def cache(self) -> Path:
        """Where Triton keeps compiled kernels."""
        return self.folder / "kernels"

    @property
    def systems(self) -> list[str]:
        names = ("sigmoid_attention", "ademamix") if self.rehearse else tuple(s.name for s in SYSTEMS)
        has_any = {i.system for i in listed() if self.device in i.devices}
        return sorted((name for name in names if name in has_any), key=lambda name: name != "sigmoid_attention")

    def steps(self, part: str) -> list[Step]:
        """The steps of a part, in order."""
        return {"conformance": self.conformance, "tuning": self.tuning, "published": self.published}[part]()

    def conformance(self) -> list[Step]:
        smoke = ("-m", "conformance.runners.gpu.smoke", "--device", self.device)
        few = ("--repeats", "2") if self.rehearse else ()
        found = [
            self._step(
                "machine",
                ("-m", "conformance.benchmark.machine", "--device", self.device, "-o", self._file("machine.json")),
                0.5,
                45,
            ),
            self._step("smoke", (*smoke, *few, "-o", self._file("smoke.json")), 1.0, 60, most=120),
        ]
        for tool in SANITISERS:
            under = ("compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--print-limit", "20")
            found.append(self._step(f"{tool}", (*smoke, "--once"), 0.7, 30, most=75, under=under))
        found += [self._precompile(system) for system in self.systems if system in TUNING]
        for system in self.systems:
            words = self._pytest(f"conformance-{system}", system, ("-n", str(self.workers)), self.quick)
            found.append(
                self._step(f"conformance-{system}", words, 4.0 if system == "sigmoid_attention" else 2.0, fine=(0, 1, 5))
            )
        return found

    def tuning(self) -> list[Step]:
        found = []
        rehearse = ("--rehearse",) if self.rehearse else ()
        for system, module in TUNING.items():
            if system in self.systems and is_installed(module):
                words = ("-m", module, "-o", self._file(f"tuning-{system}.json"), *rehearse)
                found.append(self._step(f"tuning-{system}", words, 3.0 if system == "sigmoid_attention" else 2.0))
        under = (
            "ncu", "--clock-control", "none", "--csv", "--log-file", self._file("profile.csv"), "--metrics", METRICS,
            "--target-processes", "all", "--kernel-name", "regex:kernel|step|ademamix|sigmoid",
        )  # fmt: skip
        smoke = ("-m", "conformance.runners.gpu.smoke", "--device", self.device, "--once", "--size", "large")
        found.append(self._step("profile", smoke, 0.7, 30, most=90, under=under))
        return found

    def published(self) -> list[Step]:
        found = []
        for system, share in (("sigmoid_attention", 4.0), ("ademamix", 2.5)):
            if system in self.systems:
                grid = ("--benchmark-only", "--workloads", str(GRID)) if not self.rehearse else ("--benchmark-only",)
                words = self._pytest(f"speed-{system}", system, grid, True)
                found.append(self._step(f"speed-{system}", words, share, fine=(0, 1, 5)))
        for kind in ("claims", "curves"):
            for system in self.systems:
                if is_installed(f"conformance.{system}.{kind}"):
                    name = f"{kind}-{system}"
                    words = ("-m", f"conformance.studies.{kind}", system, "--quick", "--device", self.device)
                    found.append(self._step(name, (*words, "--records", self._file(f"{name}.jsonl")), 1.0, fine=(0, 1)))
        return found

    def report(self) -> Step:
        """Pages of all records in the folder."""
        records = [str(file) for file in sorted(self.folder.glob("*.jsonl"))]
        return self._step("report", ("-m", "reports", *records, "-o", self._file("report")))

    def _precompile(self, system: str) -> Step:
        names = {i.name for i in listed() if i.system == system and i.name.partition("/")[2].removesuffix("-8bit") in KERNELS}
        chosen = [word for name in sorted(names) for word in ("--impl", name)]
        words = (
            "-m", "pytest", f"conformance/{system}", "--rootdir", str(ROOT), "-p", "conformance.runners.gpu.compile_only",
            "-n", str(self.compilers), "--device", self.device, *chosen, *(["--quick"] if self.quick or self.rehearse else []),
            "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider",
        )  # fmt: skip
        for_device = ((TARGET, CAPABILITY),) if self.rehearse else ()
        share = 2.0 if system == "sigmoid_attention" else 0.7
        return self._step(f"precompile-{system}", words, share, fine=(0, 1, 5), environment=for_device)

    def _pytest(self, name: str, system: str, words: Sequence[str], quick: bool) -> tuple[str, ...]:
        # The records' name is one word: pytest would take a separate file name outside the checkout for something to collect.
        return (
            "-m", "pytest", f"conformance/{system}", "--rootdir", str(ROOT), *words, "--device", self.device, "-q",
            "--no-header", "--tb=short", "-p", "no:cacheprovider", *(word for spec in self._impl for word in ("--impl", spec)),
            *(["--quick"] if quick or self.rehearse else []), f"--records={self._file(f'{name}.jsonl')}",
        )  # fmt: skip

    @property
    def _impl(self) -> Sequence[str]:
        small = ("sigmoid_attention/triton", "sigmoid_attention/torch-eager", "ademamix/triton", "ademamix/torch-eager")
        return self.impl or (small if self.rehearse else ())

    def _file(self, name: str) -> str:
        return str(self.folder / name)

    def _step(
        self, name: str, command: tuple[str, ...], share: float = 1.0, least: float = 0.0, most: float = float("inf"),
        fine: tuple[int, ...] = (0,), under: tuple[str, ...] = (), environment: tuple[tuple[str, str], ...] = (),
    ) -> Step:  # fmt: skip
        # A folder of the run's own, which travels; and JAX, which torch shares the card with, must not take most of it.
        common = (("TRITON_CACHE_DIR", str(self.cache)), ("XLA_PYTHON_CLIENT_PREALLOCATE", "false"))
        threads = (("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.workers))),) if "-n" in command else ()
        return Step(name, command, share, least, most, fine, under, (*common, *threads, *environment))
