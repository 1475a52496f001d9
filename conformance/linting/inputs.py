"""Documents come from text files (one each), containers (one a record) or standard input, and go back the same way."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conformance.linting import containers
from conformance.linting.containers import ContainerError, UnreadRecord
from impls.rig.encoding import other_content

STANDARD_INPUT = "-"
KINDS = ("auto", "text", "json", "jsonl", "csv", "tsv")
_KIND_OF = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
_UNKNOWN_CONTAINERS = (".html", ".htm", ".ipynb", ".toml", ".xml", ".yaml", ".yml")
"""Containers that are read as text, and in which a repair could break the container."""
_RECORD = {"json": "item", "jsonl": "line", "csv": "row", "tsv": "row"}


class InputError(Exception):
    """The one line that the user reads where an input cannot be used: what was found, what was expected, what to do."""


@dataclass(frozen=True)
class LintedDocument:
    """``number`` is the line, item or row of a container, counted from 1; None for a text file."""

    file: str
    number: int | None
    text: str

    @property
    def name(self) -> str:
        """How findings name it."""
        return self.file if self.number is None else f"{self.file}[{self.number}]"


def kind_of(file: str, kind: str) -> str:
    """How the file is read: "text", "json", "jsonl", "csv" or "tsv"; where ``kind`` is "auto", by its name."""
    return _KIND_OF.get(Path(file).suffix.lower(), "text") if kind == "auto" else kind


def shown(file: str) -> str:
    """How messages name a file."""
    return "(standard input)" if file == STANDARD_INPUT else file


def content(file: str) -> str:
    """All of a file; line ends as they are, and a byte order mark as U+FEFF."""
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from None
    other = other_content(data)
    if other:
        raise InputError(f"{file} {other}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is not UTF-8: found the byte 0x{data[error.start]:02X} at {error.start}; convert it first"
        ) from None


def documents(file: str, text: str, kind: str, fields: Sequence[str]) -> Iterator[LintedDocument | str]:
    """The documents of a file's content, and a message for each record without one; ``kind`` as `kind_of` gives it."""
    _, text = _without_mark(text)
    if kind == "text":
        yield LintedDocument(file, None, text)
        return
    try:
        for record in containers.records(text, kind, fields):
            if isinstance(record, UnreadRecord):
                yield f"{file}, {_RECORD[kind]} {record.number}: {record.message}"
            else:
                yield LintedDocument(file, record.number, record.text)
    except ContainerError as error:
        raise InputError(f"{file}: {error}") from None


def with_texts(text: str, file: str, kind: str, fields: Sequence[str], changed: dict[int | None, str]) -> str:
    """The file's content with these documents replaced; everything else stays character for character."""
    mark, text = _without_mark(text)
    if kind == "text":
        return mark + changed.get(None, text)
    try:
        numbered = {number: replacement for number, replacement in changed.items() if number is not None}
        return mark + containers.with_texts(text, kind, fields, numbered)
    except ContainerError as error:
        raise InputError(f"{file}: {error}") from None


def refuse_to_repair_unread_containers(file: str, text: str, kind: str) -> None:
    """InputError where a file that nobody called a text holds another format, which a repair could break."""
    if kind == "auto" and file.lower().endswith(_UNKNOWN_CONTAINERS):
        raise InputError(
            f"{file} is not written: its format is not known here; give --input text if it is a text all the same"
        )
    if kind == "auto" and kind_of(file, kind) == "text" and _holds_json(_without_mark(text)[1]):
        raise InputError(
            f"{file} is not written: it holds JSON; give --input json or jsonl, or --input text if it is a text all the same"
        )


def _holds_json(text: str) -> bool:
    for part in (text, text.strip().partition("\n")[0]):
        with suppress(ValueError, RecursionError):
            if isinstance(json.loads(part), dict | list):
                return True
    return False


def _without_mark(text: str) -> tuple[str, str]:
    return ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)


def write(file: str, text: str) -> None:
    """Replace a file's content at once, so that an interruption leaves the old one or the new one."""
    path = Path(file).resolve()
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=path.name, delete=False) as new:
            new.write(text.encode("utf-8", "surrogatepass"))
        try:
            shutil.copymode(path, new.name)
            os.replace(new.name, path)
        except OSError:
            os.unlink(new.name)
            raise
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}") from None
