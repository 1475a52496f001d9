"""Compile C++ sources once per machine, and keep the libraries in a cache folder."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from impls.implementation import NotRun

_OPTIONS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_SUFFIX = ".dll" if sys.platform == "win32" else ".so"
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


def compiler() -> tuple[str, ...]:
    """The words of the C++ compiler's command: CXX where set, with wrapper and options, else the first of c++, g++ and clang++
    on the path; () where there is none. BackendUnavailable for a CXX whose quotes do not match."""
    given = os.environ.get("CXX", "")
    try:
        words = shlex.split(given, posix=sys.platform != "win32")
    except ValueError as error:
        raise BackendUnavailable(f"found CXX={given}; expected a command: {error}") from error
    for name in words[:1] or ["c++", "g++", "clang++"]:
        if found := shutil.which(name):
            return found, *words[1:]
    return ()


@functools.lru_cache
def library(source: Path, flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The shared library built from a source and the files beside it. BackendUnavailable where that is impossible."""
    found = _outcome(source, flags, os.environ.get("CXX"), str(cache_folder()))
    if isinstance(found, str):
        raise BackendUnavailable(found)
    return found


@functools.lru_cache
def _outcome(source: Path, flags: tuple[str, ...], *environment: str | None) -> ctypes.CDLL | str:
    """The library, or why there is none: a compiler that fails is not run again at each call."""
    path = None
    try:
        path = _built(source, flags)
        return ctypes.CDLL(str(path))
    except BackendUnavailable as error:
        return str(error)
    except OSError as error:
        return f"the library built at {path} cannot be loaded: {error}"


def _built(source: Path, flags: Sequence[str]) -> Path:
    """A library that is kept, or a new one. Without a compiler another one's serves too: the processor is the same."""
    digest = hashlib.sha256()
    for file in sorted(source.parent.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    digest.update(repr((_processor(), _OPTIONS, _NATIVE, tuple(flags))).encode())
    tool = compiler()
    name = f"{source.stem}-{digest.hexdigest()[:20]}-"
    if tool:
        name += hashlib.sha256(repr((tool, _version(tool))).encode()).hexdigest()[:12] + "-"
    if kept := _kept(name):
        return kept
    if not tool:
        raise BackendUnavailable("needs a C++ compiler (CXX, c++, g++ or clang++) and finds none; other backends need none")
    return _build(tool, source, flags, name)


def _kept(name: str) -> Path | None:
    """A library whose name begins so, and whose content has the digest that its name ends with. Damaged ones are removed."""
    for path in sorted(cache_folder().glob(f"{name}*{_SUFFIX}")):
        with contextlib.suppress(OSError):
            if path.stem.rpartition("-")[2] == _digest(path):
                return path
            path.unlink()
    return None


def _build(tool: tuple[str, ...], source: Path, flags: Sequence[str], name: str) -> Path:
    parent = cache_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
    except OSError:  # a cache that cannot be written to: build for this process alone
        parent = folder = Path(tempfile.mkdtemp())
    built = folder / "built"
    try:
        _compile(tool, source, built, flags)
        path = parent / f"{name}{_digest(built)}{_SUFFIX}"
        os.replace(built, path)  # all at once: nobody loads half a library
    except OSError as error:
        raise BackendUnavailable(f"the library that {shlex.join(tool)} built cannot be kept: {error}") from error
    finally:
        if parent != folder:
            shutil.rmtree(folder, ignore_errors=True)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:20]


def _compile(tool: tuple[str, ...], source: Path, target: Path, flags: Sequence[str]) -> None:
    """Compile; options that a compiler may lack are tried in turn, the most useful first."""
    said = ""
    for parallel in (["-fopenmp"], []):
        for native in (*([flag] for flag in _NATIVE), []):
            command = [*tool, *_OPTIONS, *native, *parallel, *flags, str(source), "-o", str(target)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BackendUnavailable(f"the C++ compiler {shlex.join(tool)} could not be run: {error}") from error
            if done.returncode == 0 and target.is_file():
                return
            said = said or done.stderr.strip()
    lines = [line for line in said.splitlines() if "error" in line.lower()] or said.splitlines()
    raise BackendUnavailable(f"{shlex.join(tool)} cannot compile {source.name}: {(lines or ['no message'])[0]}")


@functools.lru_cache
def _version(tool: tuple[str, ...]) -> str:
    try:
        return subprocess.run([*tool, "--version"], capture_output=True, text=True, errors="replace", timeout=60).stdout
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
