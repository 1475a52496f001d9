"""The record of an implementation: frozen, and cheap to make and to list.

The object itself is imported only when somebody asks for it, so that a list of implementations needs neither torch nor jax.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Unsupported(Exception):
    """A declared gap: the implementation does not offer what a case needs. Neither pass nor fail."""


class NotRun(Exception):
    """Something outside the implementation is missing (a package, a device). The message says what, and how to get it."""


class PlugError(Exception):
    """A plug that cannot be used. The message says what was found, what was expected, and what to do."""


LONGEST_MESSAGE = 1000
"""Characters of a third party's message that are kept."""


def in_one_line(text: str) -> str:
    """Sanitise third-party text for a terminal and a record: one line, no control characters, no lone surrogates."""
    flat = " ".join(text[: 2 * LONGEST_MESSAGE].split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in flat[:LONGEST_MESSAGE])
    return shown if len(text) <= LONGEST_MESSAGE else f"{shown}... ({len(text)} characters)"


@dataclass(frozen=True)
class Origin:
    """``built in``, ``package`` (from the index), ``entry point``, ``module``, ``path`` or ``command``."""

    kind: str = "built in"
    distribution: str | None = None
    """The distribution whose installed version is reported; None for our own and for loose files."""
    version: str | None = None
    """The version, where it is not the installed one: a release that is kept in a folder of its own."""


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """One implementation to test.

    ``name`` is ``system/slug``. ``target`` is ``package.module:attribute`` or ``path/to/file.py:attribute`` (or a command
    line after ``cmd:``) and is loaded by `load_target` only when somebody runs it. ``protocol`` says how the system's
    harness calls the loaded object. ``features`` None means "nothing declared": then a gap shows when a call is refused.
    """

    name: str
    system: str
    target: str
    protocol: str
    summary: str
    requires: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    devices: tuple[str, ...] = ("cpu",)
    features: frozenset[str] | None = None
    numerical_class: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = Origin()
    documentation: str = ""
    installing: str = ""
    """The command that installs what it requires, where our own extras do not."""
    slow_start: str = ""
    """Why the first call takes seconds (a compiler runs, say); such implementations are left out of ``--quick`` runs."""
    spec: str = ""
    """What to give ``--impl`` to select this one again; the name, unless it was plugged in by path."""
    name_alone: str = ""
    """Its name when it is selected alone; empty where that is ``name``."""
    promised: frozenset[str] = frozenset()
    """Features that it declares beside those that are found by trying: where one is refused, that is an error and no gap."""
    lacks: frozenset[str] = frozenset()
    """Features of which the simplest use was tried and raised an error: gaps, where it does not declare them."""
    found: tuple[str, ...] = ()
    """What was found by trying it out, where it declares nothing, in sentences."""

    def __post_init__(self) -> None:
        if not self.name.startswith(f"{self.system}/"):
            raise ValueError(f"implementation name {self.name!r} must begin with its system, {self.system + '/'!r}")

    def __hash__(self) -> int:
        """By its name, since settings cannot be hashed and a third-party record may hold lists."""
        return hash(self.name)

    @property
    def selector(self) -> str:
        """The ``--impl`` argument that selects exactly this implementation."""
        return self.spec or self.name

    def missing(self) -> tuple[str, ...]:
        """The modules of ``requires`` that are not installed, found without importing any of them."""
        return tuple(module for module in self.requires if not is_installed(module))

    def version(self) -> str | None:
        """The version of the distribution it comes from, the installed one where its origin says no other, or None."""
        from importlib import metadata

        if self.origin.distribution is None or self.origin.version is not None:
            return self.origin.version
        try:
            return metadata.version(self.origin.distribution)
        except metadata.PackageNotFoundError:
            return None


def is_installed(module: str) -> bool:
    """Whether a module can be imported, found without importing it (of ``a.b``, only ``a`` is)."""
    if module in sys.modules:
        return sys.modules[module] is not None  # None is what blocks an import
    return _can_be_found(module, tuple(sys.path))


@functools.lru_cache(maxsize=256)
def _can_be_found(module: str, path: tuple[str, ...]) -> bool:
    """Cached for each path, since the search takes longer than the rest of a collection."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def load_target(target: str) -> Any:
    """Import ``package.module:attribute`` or ``path/to/file.py:attribute`` and return the attribute.

    Raises PlugError that names what was not found and what is there instead.
    """
    location, separator, attribute = target.rpartition(":")
    if not separator or not location or not attribute:
        raise PlugError(
            f"found {target!r}, expected 'package.module:attribute' or 'path/to/file.py:attribute'; "
            f"add ':' and the name of the class or function"
        )
    module = _load_file(Path(location)) if location.endswith(".py") else _load_module(location)
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            public = sorted(name for name in vars(module) if not name.startswith("_"))
            raise PlugError(f"{location} has no attribute {part!r}; it has: {', '.join(public) or 'nothing public'}") from None
    return found


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise PlugError(f"no file {str(path)!r} (looked from {Path.cwd()}); expected 'path/to/file.py:attribute'")
    resolved = path.resolve()
    # One module object per file, so that a plug given twice is executed once and its classes stay identical.
    # The same name in every process: messages hold it.
    name = f"gaugeblock_plug_{hashlib.sha256(os.fsencode(resolved)).hexdigest()[:16]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise PlugError(f"{str(path)!r} cannot be loaded as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(resolved.parent)
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)  # a loose file may import its neighbours, as it may when run as a script
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        if isinstance(error, ImportError) and "relative import" in str(error):
            raise PlugError(_belongs_to_a_package(path)) from error
        raise PlugError(_failed_on_import(f"{str(path)!r}", error)) from error
    finally:
        if added:
            sys.path.remove(folder)
    return module


def _belongs_to_a_package(path: Path) -> str:
    """What to give instead of a file that imports relative to its package: the outermost folder with an __init__.py."""
    folder, parts = path.resolve().parent, [path.stem]
    while len(parts) == 1 or (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return (
        f"{str(path)!r} imports relative to its package, which a loose file has none of; expected a module: run with "
        f"PYTHONPATH={folder} and give '{'.'.join(parts)}:ATTRIBUTE'"
    )


def _load_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise PlugError(
                f"no module named {error.name!r}; is its package installed in this environment ({sys.prefix})? "
                f"For a loose file give its path: 'path/to/file.py:attribute'"
            ) from error
        raise PlugError(_failed_on_import(f"module {name!r}", error)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module that calls sys.exit, say
        raise PlugError(_failed_on_import(f"module {name!r}", error)) from error


def _failed_on_import(what: str, error: BaseException) -> str:
    """The message, with the place, which may be in another module. A SyntaxError names its own."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}, line {frames[-1].lineno})" if not isinstance(error, SyntaxError) else ""
    return f"{what} failed on import: {type(error).__name__}: {error}{at}; expected that {sys.executable} can import it"
