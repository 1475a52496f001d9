"""Describe the machine and the packages of a run, without host name, user or path."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from conformance.benchmark import affinity
from conformance.benchmark.cache import last_level_bytes
from conformance.records.schema import EnvironmentRecord, GpuRecord

ROOT = Path(__file__).resolve().parent.parent.parent

_PACKAGES = (
    "numpy", "torch", "triton", "jax", "jaxlib", "optax", "pytorch_optimizer", "bitsandbytes", "heavyball", "x-transformers",
    "triton-sigmoid", "threadpoolctl", "nvidia-ml-py", "pytest", "pytest-benchmark", "matplotlib",
)  # fmt: skip


def describe(*, with_gpu: bool) -> EnvironmentRecord:
    """The machine and the packages; ``with_gpu`` asks torch for the device, which imports torch."""
    return EnvironmentRecord(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        cores=len(affinity.allowed_cpus()),
        memory_gib=_memory_gib(),
        packages={name: version for name in _PACKAGES if (version := _version(name)) is not None},
        gpu=_gpu() if with_gpu else None,
        **affinity.describe(),
        caches={"last_level_bytes": last_level_bytes(affinity.allowed_cpus())},
        huge_pages=_huge_pages(),
        commit=_commit(),
    )


def suite_version() -> str:
    """The version in the checkout's pyproject.toml, since a bare checkout is not installed; else that of the package."""
    import tomllib

    if not (ROOT / "pyproject.toml").is_file():
        return metadata.version("gaugeblock")
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n"):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _huge_pages() -> str | None:
    """Whether the kernel backs memory by huge pages: ``always``, ``madvise`` or ``never``."""
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
        return text[text.index("[") + 1 : text.index("]")]
    except (OSError, ValueError):
        return None


def _gpu() -> GpuRecord | None:
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(0)
    return GpuRecord(
        name=properties.name,
        capability=f"{properties.major}.{properties.minor}",
        memory_gib=round(properties.total_memory / 2**30, 1),
        multiprocessors=properties.multi_processor_count,
        l2_bytes=getattr(properties, "L2_cache_size", None),
        cuda=torch.version.cuda,
    )


def _commit() -> str | None:
    """The commit of the checkout, with ``+changes`` where files differ from it; None outside a git checkout."""
    if not (ROOT / ".git").exists():
        return None  # an installed package may lie in a checkout of somebody else's
    try:
        return _git("rev-parse", "--short=12", "HEAD") + "+changes" * bool(
            _git("status", "--porcelain", "--untracked-files=no")
        )
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
