"""A report appears whole or not at all, and never at the cost of a file that somebody else put there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from reports.canvas import SIGNATURE as PLOT_SIGNATURE
from reports.page import SIGNATURE
from reports.web.page import SIGNATURE as WEB_SIGNATURE


class PublishError(Exception):
    """The folder cannot take the report; the message says why and what to do."""


def publish(files: Mapping[str, bytes], folder: Path) -> None:
    """Write ``files`` (relative path to content) into ``folder``.

    A new folder is made under a temporary name and renamed. In an existing one each file is replaced in one step, the page
    last, so that it never names a plot that is not there yet; what is ours and no longer part of it is
    removed.
    """
    folder = Path(os.path.abspath(folder))
    if folder.exists() and not folder.is_dir():
        raise PublishError(f"{folder.name} is a file; expected a folder, or a name that is not taken")
    for name in files:
        if (folder / name).exists() and not _begins_with(folder / name, _signature(name)):
            raise PublishError(
                f"{folder.name}/{name} was not rendered by this command and is left alone; choose another folder"
            )
    try:
        # Beside or inside the folder, so that renaming never crosses a file system.
        parent = folder if folder.exists() else folder.parent
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=parent))
    except OSError as error:
        raise PublishError(f"{folder.name} cannot be written: {error.strerror or error}") from error
    try:
        for name, content in files.items():
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        if not folder.exists():
            temporary.chmod(0o777 & ~_umask())
            os.replace(temporary, folder)
            return
        # The pages last: until then the old ones stand.
        for name in sorted(files, key=lambda name: (name == "README.md", name == "index.html", name)):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary / name, target)
        drawn = sorted([*(folder / "plots").glob("*.svg"), *(folder / "badges").glob("*/*.svg")])
        for path in (folder / "index.html", *drawn):
            name = path.relative_to(folder).as_posix()
            if name not in files and _begins_with(path, _signature(name)):
                path.unlink()
    except OSError as error:
        raise PublishError(f"{folder.name} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _signature(name: str) -> str:
    """The line by which a file of that name is known as ours."""
    return {"README.md": SIGNATURE, "index.html": WEB_SIGNATURE}.get(name, PLOT_SIGNATURE)


def _begins_with(path: Path, signature: str) -> bool:
    """Whether the signature is one of the file's first two lines (an SVG has its XML declaration before it)."""
    try:
        with path.open("rb") as file:
            return signature.encode("utf-8") in [file.readline().rstrip(b"\r\n") for _ in range(2)]
    except OSError:
        return False


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    current = os.umask(0)
    os.umask(current)
    return current
