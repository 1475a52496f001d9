"""Compile C++ sources once per machine, and keep the libraries in a cache folder."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from impls.implementation import NotRun

_OPTIONS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_NATIVE = ("-march=native", "-mcpu=native")
"""The first is for x86, the second for ARM and others. The cache is kept per processor."""


class BackendUnavailable(NotRun, RuntimeError):
    """A backend needs something that this machine lacks. The message says what, and which backend works without it."""


def cache_folder() -> Path:
    """Where built libraries are kept: GAUGEBLOCK_CACHE, else the user's cache folder."""
    if given := os.environ.get("GAUGEBLOCK_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", str(Path.home())))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gaugeblock"


def compiler() -> str:
    """The C++ compiler: CXX where set, else the first of c++, g++ and clang++ on the path; "" where there is none."""
    given = os.environ.get("CXX")
    for name in [given] if given else ["c++", "g++", "clang++"]:
        if found := shutil.which(name):
            return found
    return ""


@functools.lru_cache
def library(source: Path, flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The shared library built from a source and the files beside it. BackendUnavailable where that is impossible."""
    tool = compiler()
    if not tool:
        raise BackendUnavailable("needs a C++ compiler (CXX, c++, g++ or clang++) and finds none; other backends need none")
    return _load(_built(tool, source, flags))


def _load(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BackendUnavailable(f"the library built at {path} cannot be loaded: {error}") from error


def _built(tool: str, source: Path, flags: Sequence[str]) -> Path:
    digest = hashlib.sha256()
    for file in sorted(source.parent.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    digest.update(repr((tool, _version(tool), _processor(), _OPTIONS, _NATIVE, tuple(flags))).encode())
    suffix = ".dll" if sys.platform == "win32" else ".so"
    path = cache_folder() / f"{source.stem}-{digest.hexdigest()[:20]}{suffix}"
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=path.parent)
    except OSError:  # a cache that cannot be written to: build for this process alone
        folder = tempfile.mkdtemp()
        path = Path(folder) / path.name
    built = Path(folder) / "built"
    _compile(tool, source, built, flags)
    os.replace(built, path)  # another process that builds at the same time writes the same
    if path.parent != Path(folder):
        os.rmdir(folder)
    return path


def _compile(tool: str, source: Path, target: Path, flags: Sequence[str]) -> None:
    """Compile; options that a compiler may lack are tried in turn, the most useful first."""
    said = ""
    for parallel in (["-fopenmp"], []):
        for native in (*([flag] for flag in _NATIVE), []):
            command = [tool, *_OPTIONS, *native, *parallel, *flags, str(source), "-o", str(target)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BackendUnavailable(f"the C++ compiler {tool} could not be run: {error}") from error
            if done.returncode == 0:
                return
            said = said or done.stderr.strip()
    lines = [line for line in said.splitlines() if "error" in line.lower()] or said.splitlines()
    raise BackendUnavailable(f"{tool} cannot compile {source.name}: {(lines or ['no message'])[0]}")


@functools.lru_cache
def _version(tool: str) -> str:
    try:
        return subprocess.run([tool, "--version"], capture_output=True, text=True, errors="replace", timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


@functools.lru_cache
def _processor() -> str:
    """What distinguishes processors that cannot run the same code; machines may share a cache."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    telling = sorted({line for line in lines if line.partition(":")[0].strip() in ("flags", "Features", "model name")})
    return "\n".join([platform.machine(), platform.processor(), *telling])
