"""Documents come from text files (one each), JSON lines (one a line) or standard input, and go back the same way."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STANDARD_INPUT = "-"
FIELDS = ("output", "response", "completion", "generated_text", "prediction", "answer", "text", "content")
"""Where the output of a model stands in a JSON object unless the user says so: the first of these that holds a string."""

JSON_LINES = (".jsonl", ".ndjson")


class InputError(Exception):
    """The one line that the user reads where an input cannot be used: what was found, what was expected, what to do."""


@dataclass(frozen=True)
class LintedDocument:
    """``line`` is the line of a JSON lines file, counted from 1; None for a text file."""

    file: str
    line: int | None
    text: str

    @property
    def name(self) -> str:
        """How findings name it."""
        return self.file if self.line is None else f"{self.file}[{self.line}]"


def is_json_lines(file: str, kind: str) -> bool:
    """Whether the file is read as JSON lines; ``kind`` is "text", "jsonl" or "auto"."""
    return kind == "jsonl" or (kind == "auto" and file.lower().endswith(JSON_LINES))


def shown(file: str) -> str:
    """How messages name a file."""
    return "(standard input)" if file == STANDARD_INPUT else file


def content(file: str) -> str:
    """All of a file; line ends as they are."""
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is not UTF-8: found the byte 0x{data[error.start]:02X} at {error.start}; convert it first"
        ) from None


def documents(file: str, text: str, kind: str, fields: Sequence[str]) -> Iterator[LintedDocument]:
    """The documents of a file's content; ``file`` names them, and where ``kind`` is "auto" its ending says what they are."""
    if not is_json_lines(file, kind):
        yield LintedDocument(file, None, text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            value = _parsed(file, number, line)
            holder, key = _place(file, number, value, fields)
            yield LintedDocument(file, number, holder[key])


def with_texts(text: str, file: str, kind: str, fields: Sequence[str], changed: dict[int | None, str]) -> str:
    """The file's content with the documents of these lines replaced; every other line stays byte for byte."""
    if not is_json_lines(file, kind):
        return changed.get(None, text)
    lines = text.split("\n")
    for number, replacement in changed.items():
        assert number is not None
        line = lines[number - 1]
        value = _parsed(file, number, line)
        holder, key = _place(file, number, value, fields)
        holder[key] = replacement
        end = "\r" if line.endswith("\r") else ""
        lines[number - 1] = json.dumps(value[0], ensure_ascii=line.isascii()) + end
    return "\n".join(lines)


def write(file: str, text: str) -> None:
    """Replace a file's content at once, so that an interruption leaves the old one or the new one."""
    path = Path(file).resolve()
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=path.name, delete=False) as new:
            new.write(text.encode("utf-8", "surrogatepass"))
        shutil.copymode(path, new.name)
        os.replace(new.name, path)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}") from None


def _parsed(file: str, number: int, line: str) -> list[Any]:
    """The line's value in a list of one, so that a bare string has a place too."""
    try:
        return [json.loads(line)]
    except (ValueError, RecursionError) as error:
        message = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"{file}, line {number}: not JSON ({message}); give --input text if this is a text") from None


def _place(file: str, number: int, value: list[Any], fields: Sequence[str]) -> tuple[Any, Any]:
    """The container and key of the document's text."""
    if not fields:
        if isinstance(value[0], str):
            return value, 0
        for name in FIELDS:
            if isinstance(value[0], dict) and isinstance(value[0].get(name), str):
                return value[0], name
        found = f"the keys {', '.join(map(repr, value[0]))}" if isinstance(value[0], dict) else type(value[0]).__name__
        raise InputError(
            f"{file}, line {number}: found {found}, expected a string or one of {', '.join(FIELDS)}; give --field"
        )
    holder: Any = value
    key: Any = 0
    for step in fields:
        holder = holder[key]
        key = int(step) if isinstance(holder, list) and step.lstrip("-").isdigit() else step
        present = key in holder if isinstance(holder, dict) else isinstance(holder, list) and isinstance(key, int)
        if not present or (isinstance(holder, list) and not -len(holder) <= key < len(holder)):
            raise InputError(f"{file}, line {number}: has no field {'.'.join(fields)!r} (looking for {step!r})")
    if not isinstance(holder[key], str):
        raise InputError(f"{file}, line {number}: {'.'.join(fields)!r} is {type(holder[key]).__name__}, expected a string")
    return holder, key
