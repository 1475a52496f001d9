"""``gaugeblock doctor``: what this machine has, what is missing, and how to get it. It imports nothing that it looks for."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from gaugeblock.commands.parser import OneLineParser
from gaugeblock.installation import CHECKOUT, SUITE, installing, version
from impls import nvrtc
from impls.compiler import BackendUnavailable, cache_folder, compiler
from impls.nvidia_tools import find_tool

EXTRAS = {
    "suite": "gaugeblock check, bench, report and the pytest plugin",
    "torch": "gaugeblock.ademamix, gaugeblock.sigmoid_attention, and what most implementations run on",
    "peers": 'the published implementations; each absent one is "not run"',
    "fleet": "gaugeblock fleet",
}


@dataclass(frozen=True)
class Condition:
    """What was found, as one line. ``remedy`` says how to get what is missing, ``needed`` whether the suite needs it."""

    name: str
    text: str
    remedy: str = ""
    needed: bool = False


def main(arguments: Sequence[str]) -> int:
    """Print what was found; returns 1 where the suite cannot run here."""
    OneLineParser(prog="gaugeblock doctor", description="Say what is missing here, and how to get it.").parse_args(arguments)
    findings = list(examine())
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{'-' if finding.remedy else '+'} {finding.name:<{width}}  {finding.text}")
        if finding.remedy:
            print(f"  {'':<{width}}  {finding.remedy}")
    return int(any(finding.needed and finding.remedy for finding in findings))


def examine() -> Iterator[Condition]:
    """What was found, the needed things first."""
    yield Condition("python", f"{platform.python_version()} at {sys.executable}")
    yield Condition("gaugeblock", f"{version()}, {'a checkout' if CHECKOUT else 'installed'} at {CHECKOUT or SUITE.parent}")
    for extra, use in EXTRAS.items():
        yield of_extra(extra, use)
    found = compiler()
    remedy = "install g++ or clang++, or set CXX; without one the C++ backends are not run" if not found else ""
    yield Condition("C++ compiler", " ".join(found) or "none", remedy)
    yield of_devices()
    yield of_inspection()
    folder = cache_folder()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    writable = os.access(place, os.W_OK)
    remedy = "" if writable else "set GAUGEBLOCK_CACHE to a folder that can be written"
    yield Condition("cache", f"{folder}{'' if writable else ', which cannot be written'}", remedy)


def of_extra(extra: str, use: str) -> Condition:
    """Which packages of an extra are missing or too old."""
    wanted = requirements()[extra]
    lacking = [text for text in map(lack, wanted) if text]
    if not lacking:
        return Condition(f"[{extra}]", f"all {len(wanted)} packages")
    remedy = f"{installing(extra)}  (for {use})"
    return Condition(f"[{extra}]", f"lacks {', '.join(lacking)}", remedy, needed=extra == "suite")


def requirements() -> dict[str, list[str]]:
    """The packages of each extra: ``name>=version``, of those that this platform needs."""
    if CHECKOUT is not None:
        import tomllib

        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        declared = {extra: list(words) for extra, words in project["optional-dependencies"].items()}
    else:
        declared = {extra: [] for extra in EXTRAS}
        for line in metadata.requires("gaugeblock") or ():
            text, _, marker = line.partition(";")
            extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
            platforms = re.search(r"sys_platform == ['\"](\w+)['\"]", marker)
            if extra and extra[1] in declared:
                declared[extra[1]].append(text.strip() + (f"; sys_platform == '{platforms[1]}'" if platforms else ""))
    return {extra: [word for word in words if applies(word)] for extra, words in declared.items()}


def applies(requirement: str) -> bool:
    """Whether a requirement is a package of somebody else's that this platform needs."""
    platforms = re.search(r"sys_platform == ['\"](\w+)['\"]", requirement)
    return not requirement.startswith("gaugeblock[") and (platforms is None or platforms[1] == sys.platform)


def lack(requirement: str) -> str:
    """What is wrong with the installed version of a package; empty where nothing is."""
    name, _, least = requirement.partition(";")[0].strip().partition(">=")
    try:
        found = metadata.version(name.strip())
    except metadata.PackageNotFoundError:
        return name
    return f"{name}>={least} (found {found})" if numbers(found) < numbers(least) else ""


def numbers(version_text: str) -> tuple[int, ...]:
    """The leading numbers of a version, which is all that our lower limits use."""
    return tuple(int(part) for part in re.match(r"[\d.]*", version_text.strip())[0].split(".") if part)  # type: ignore[index]


def of_inspection() -> Condition:
    """The programs that ``gaugeblock inspect`` uses."""
    found = [name for name in ("cuobjdump", "nvcc") if find_tool(name)]
    with contextlib.suppress(BackendUnavailable):
        nvrtc.library()
        found.append("NVRTC")
    remedies = []
    if "cuobjdump" not in found:
        remedies.append("pip install triton (Linux), or a CUDA toolkit, to read machine code")
    if not {"nvcc", "NVRTC"} & set(found):
        remedies.append("pip install nvidia-cuda-nvrtc, to compile files of CUDA")
    return Condition("inspect", ", ".join(found) or "none of cuobjdump, nvcc and NVRTC", "; ".join(remedies))


def of_devices() -> Condition:
    """The CUDA devices that the driver names."""
    tool = shutil.which("nvidia-smi")
    names: list[str] = []
    if tool:
        query = [tool, "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False)
        names = done.stdout.strip().splitlines() if done.returncode == 0 else []
    if names:
        return Condition("GPU", ", ".join(names))
    remedy = 'Triton kernels run in Triton\'s interpreter, which is slow; kernels in CUDA are "not run"'
    return Condition("GPU", "no CUDA device", remedy)
