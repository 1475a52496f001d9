"""Write a report whole or not at all, and never at the cost of a file that somebody else put there."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from reports import ReportError
from reports.charts.svg import SIGNATURE as PLOT_SIGNATURE
from reports.page import SIGNATURE
from reports.web.page import SIGNATURE as WEB_SIGNATURE


def publish(files: Mapping[str, bytes], folder: Path) -> None:
    """Write ``files`` (relative path to content) into ``folder``.

    A new folder is made under a temporary name and renamed. In an existing one each file is replaced in one step, and what is
    ours and no longer part of the report is removed.
    """
    folder = Path(os.path.abspath(folder))
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"{folder.name} is a file; expected a folder, or a name that is not taken")
    for name in files:
        if (folder / name).exists() and not _is_ours(folder, name):
            raise ReportError(
                f"{folder.name}/{name} was not rendered by this command and is left alone; choose another folder"
            )
    try:
        # Beside or inside the folder, so that renaming never crosses a file system.
        with _temporary_folder(folder if folder.exists() else folder.parent, folder.name) as temporary:
            for name, content in files.items():
                _with_parents(temporary / name).write_bytes(content)
            if folder.exists():
                _replace(files, temporary, folder)
            else:
                os.replace(temporary, folder)
    except OSError as error:
        raise ReportError(f"{folder.name} cannot be written: {error.strerror or error}") from error


@contextmanager
def _temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    temporary = parent / f".{name}.{uuid.uuid4().hex}.partial"
    temporary.mkdir(parents=True)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(files: Mapping[str, bytes], temporary: Path, folder: Path) -> None:
    """Move the files in, the pages last, so that they never name a plot that is not there yet; remove our old ones."""
    for name in sorted(files, key=lambda name: (name == "README.md", name == "index.html", name)):
        os.replace(temporary / name, _with_parents(folder / name))
    for pattern in ("plots/*.svg", "badges/*/*.svg", "pages/*.md", "pages/*.html"):
        for path in sorted(folder.glob(pattern)):
            name = path.relative_to(folder).as_posix()
            if name not in files and _is_ours(folder, name):
                path.unlink()


def _with_parents(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _is_ours(folder: Path, name: str) -> bool:
    """Whether our signature is one of the file's first two lines (an SVG has its XML declaration before it)."""
    signature = {".md": SIGNATURE, ".html": WEB_SIGNATURE}.get(Path(name).suffix, PLOT_SIGNATURE)
    try:
        with (folder / name).open("rb") as file:
            return signature.encode("utf-8") in [file.readline().rstrip(b"\r\n") for _ in range(2)]
    except OSError:
        return False
