"""Releases that cannot be installed beside another one, or not without much else: each from a folder of its own.

GAUGEBLOCK_PACKAGES names a folder that holds one per release. One command makes them all, with pip, outside the environment:

    python -m impls.ademamix.adapters.releases ~/packages
    export GAUGEBLOCK_PACKAGES=~/packages

An attribute of this module is the class from that release; without the folder, taking it raises NotRun with the command.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impls.implementation import NotRun, load_target

VARIABLE = "GAUGEBLOCK_PACKAGES"


@dataclass(frozen=True)
class Release:
    """``target``: ``package:attribute``, or a file in the folder where its package would import much else.

    ``switches`` are set when it has been imported: (module, attribute, value), for what a package keeps globally.
    """

    distribution: str
    version: str
    target: str
    switches: tuple[tuple[str, str, Any], ...] = ()

    @property
    def attribute(self) -> str:
        """Its name in this module."""
        return f"{self.distribution}-{self.version}".replace("-", "_").replace(".", "_")

    @property
    def folder(self) -> str:
        return f"{self.distribution}-{self.version}"

    @property
    def command(self) -> str:
        return f"python -m pip install --no-deps --target ${VARIABLE}/{self.folder} {self.distribution}=={self.version}"


def _heavyball(version: str, attribute: str = "AdEMAMix") -> Release:
    """Run eagerly, by its own switch; see `impls.ademamix.adapters.heavyball`."""
    return Release("heavyball", version, f"heavyball:{attribute}", (("heavyball.utils", "compile_mode", None),))


# Of a package with several: the last release that was wrong about something and the first that was not.
_ALL = (
    *(
        Release("pytorch_optimizer", version, "pytorch_optimizer:AdEMAMix")
        for version in ("3.8.2", "3.9.0", "3.10.1", "3.11.0")
    ),
    _heavyball("2.3.1", "ForeachAdEMAMix"),
    *map(_heavyball, ("3.0.0", "3.1.1", "3.2.0")),
    Release("pylocron", "0.3.0", "holocron/optim/ademamix.py:AdEMAMix"),
    Release("zij", "0.1.1", "zij:AdEMAMix"),
    Release("adv_optm", "2.2.3", "adv_optm:AdamW_adv"),  # the last that has AdEMAMix; later ones leave it out
)
RELEASES = {release.attribute: release for release in _ALL}


def __getattr__(name: str) -> Any:
    if name not in RELEASES:
        raise AttributeError(name)
    release = RELEASES[name]
    every = f"python -m {__name__} FOLDER makes all such folders"
    base = os.environ.get(VARIABLE)
    if not base:
        raise NotRun(f"looks for {release.folder} in the folder that {VARIABLE} names, which is not set; {every}")
    folder = Path(base) / release.folder
    if not folder.is_dir():
        raise NotRun(f"finds no folder {release.folder} where {VARIABLE} says; {every}, or: {release.command}")
    loaded = _load(folder, release)
    globals()[name] = loaded  # one class, however often it is asked for
    # What is pickled with a state is looked up by name, and under its own name another release may be installed.
    loaded.__module__, loaded.__qualname__ = __name__, name
    return loaded


def _load(folder: Path, release: Release) -> Any:
    """The object, its package under its own name only while it is imported: another version may be there as well."""
    location, _, attribute = release.target.rpartition(":")
    if location.endswith(".py"):
        return load_target(f"{folder / location}:{attribute}")

    def ours(module: str) -> bool:
        return module == location or module.startswith(f"{location}.")

    kept = {module: sys.modules.pop(module) for module in list(sys.modules) if ours(module)}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        loaded = getattr(importlib.import_module(location), attribute)
        for module, name, value in release.switches:
            setattr(sys.modules[module], name, value)
        return loaded
    finally:
        sys.path.remove(str(folder))
        for module in [module for module in sys.modules if ours(module)]:
            del sys.modules[module]
        sys.modules.update(kept)


def install(base: Path, releases: Sequence[Release] = _ALL) -> list[str]:
    """Make the folders that are not there yet, by pip; the folders that could not be made."""
    failed = []
    for release in releases:
        folder = base / release.folder
        if folder.is_dir():
            continue
        print(f"{release.distribution} {release.version}", flush=True)
        # Made beside its place and moved there whole: an interrupted installation must not pass for a release.
        making = base / f".{release.folder}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]
        done = subprocess.run([*pip, "--target", str(making), f"{release.distribution}=={release.version}"], check=False)
        if done.returncode:
            failed.append(release.folder)
        else:
            making.rename(folder)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 where a release could not be installed."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Install other releases of peers.")
    parser.add_argument("folder", type=Path, help=f"where the folders are made; {VARIABLE} must name it in later runs")
    base = parser.parse_args(arguments).folder.expanduser().resolve()
    base.mkdir(parents=True, exist_ok=True)
    failed = install(base)
    print(f"could not install {', '.join(failed)}" if failed else f"export {VARIABLE}={base}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
