"""Keep a run in one file that may be carried away at any moment: it is replaced as a whole after each step.

Where everything would be larger than the limit, the largest files of the least important kinds are left out, and a file in the
archive names them.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

LIMIT_BYTES = 16_000_000
"""No archive is larger."""
LEFT_OUT = "left-out.txt"
_KINDS = ("steps.json", "*.json", "*.jsonl", "report/*.md", "*.log", "*.csv", "report/**/*", "*")
"""The most important first."""
CACHED = (".json", ".cubin", ".so")
"""Of Triton's cache, what a later run loads; the rest shows how a kernel came about, and is several times as large."""
GROUP = "__grp__"


def keep_results(folder: Path, archive: Path, limit: int = LIMIT_BYTES) -> list[str]:
    """Pack the records, reports and logs of a folder; return what was left out."""
    files = [file for file in _by_kind(folder) if "kernels" not in file.relative_to(folder).parts]
    return _replace(archive, folder, files, limit)


def keep_kernels(cache: Path, archive: Path, limit: int = LIMIT_BYTES) -> list[str]:
    """Pack what a later run needs of a cache of compiled kernels; return what was left out."""
    files = [file for file in sorted(cache.rglob("*")) if file.is_file() and file.suffix in CACHED]
    return _replace(archive, cache, files, limit)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into a folder. Groups of Triton's cache hold absolute paths, which become those of this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    for group in folder.glob(f"*/{GROUP}*.json"):
        held = json.loads(group.read_text(encoding="utf-8"))
        held["child_paths"] = {name: str(group.parent / Path(path).name) for name, path in held["child_paths"].items()}
        group.write_text(json.dumps(held), encoding="utf-8")


def _by_kind(folder: Path) -> list[Path]:
    found: dict[Path, None] = {}
    for kind in _KINDS:
        for file in sorted(folder.glob(kind), key=lambda file: (file.stat().st_size, file.name)):
            if file.is_file():
                found.setdefault(file)
    return list(found)


def _replace(archive: Path, folder: Path, files: Sequence[Path], limit: int) -> list[str]:
    chosen, left_out = _fitting(folder, files, limit)
    archive.parent.mkdir(parents=True, exist_ok=True)
    beside = archive.with_name(archive.name + ".new")
    with tarfile.open(beside, "w:gz", compresslevel=6) as packed:
        for file in chosen:
            packed.add(file, str(file.relative_to(folder)), recursive=False)
        if left_out:
            text = ("left out, since the archive would have been too large:\n" + "\n".join(left_out) + "\n").encode()
            named = tarfile.TarInfo(LEFT_OUT)
            named.size = len(text)
            packed.addfile(named, io.BytesIO(text))
    os.replace(beside, archive)
    return left_out


def _fitting(folder: Path, files: Sequence[Path], limit: int) -> tuple[list[Path], list[str]]:
    """As many as fit into nine tenths of the limit, in their order; the size of each is that of itself compressed."""
    if sum(file.stat().st_size + 1024 for file in files) < limit:
        return list(files), []
    chosen, left_out, size = [], [], 0
    for file in files:
        own = _compressed_size(file.read_bytes()) + 1024
        if size + own <= 0.9 * limit:
            chosen.append(file)
            size += own
        else:
            left_out.append(str(file.relative_to(folder)))
    return chosen, left_out


def _compressed_size(data: bytes) -> int:
    return len(zlib.compress(data, 6))


def unpack_all(archives: Iterable[Path], folder: Path, cache: Path) -> None:
    """Unpack results into the folder and kernels into the cache: an archive with groups of Triton's cache has kernels."""
    for archive in archives:
        with tarfile.open(archive) as packed:
            kernels = any(GROUP in name for name in packed.getnames())
        unpack(archive, cache if kernels else folder)
