"""Releases that cannot be installed beside another one, or not without much else: each from a folder of its own.

GAUGEBLOCK_PACKAGES names a folder that holds one per release, made by pip outside the environment:

    python -m pip install --no-deps --target $GAUGEBLOCK_PACKAGES/pytorch_optimizer-3.10.1 pytorch_optimizer==3.10.1

An attribute of this module is the class from that release; without the folder, taking it raises NotRun with the command.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impls.contract import NotRun, load_target

VARIABLE = "GAUGEBLOCK_PACKAGES"


@dataclass(frozen=True)
class Release:
    """``target``: ``package:attribute``, or a file in the folder where its package would import much else."""

    distribution: str
    version: str
    target: str

    @property
    def folder(self) -> str:
        return f"{self.distribution}-{self.version}"

    @property
    def command(self) -> str:
        return f"python -m pip install --no-deps --target ${VARIABLE}/{self.folder} {self.distribution}=={self.version}"


RELEASES = {
    "pytorch_optimizer_3_10_1": Release("pytorch_optimizer", "3.10.1", "pytorch_optimizer:AdEMAMix"),
    "holocron_0_3_0": Release("pylocron", "0.3.0", "holocron/optim/ademamix.py:AdEMAMix"),
}


def __getattr__(name: str) -> Any:
    if name not in RELEASES:
        raise AttributeError(name)
    release = RELEASES[name]
    base = os.environ.get(VARIABLE)
    if not base:
        raise NotRun(f"looks for {release.folder} in the folder that {VARIABLE} names, which is not set; {release.command}")
    folder = Path(base) / release.folder
    if not folder.is_dir():
        raise NotRun(f"finds no folder {release.folder} where {VARIABLE} says; {release.command}")
    loaded = _load(folder, release.target)
    globals()[name] = loaded  # one class, however often it is asked for
    return loaded


def _load(folder: Path, target: str) -> Any:
    """The object, its package under its own name only while it is imported: another version may be there as well."""
    location, _, attribute = target.rpartition(":")
    if location.endswith(".py"):
        return load_target(f"{folder / location}:{attribute}")

    def ours(module: str) -> bool:
        return module == location or module.startswith(f"{location}.")

    kept = {module: sys.modules.pop(module) for module in list(sys.modules) if ours(module)}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return getattr(importlib.import_module(location), attribute)
    finally:
        sys.path.remove(str(folder))
        for module in [module for module in sys.modules if ours(module)]:
            del sys.modules[module]
        sys.modules.update(kept)
