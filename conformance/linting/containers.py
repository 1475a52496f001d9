"""The texts inside a container format, each with its place: JSON, JSON lines, CSV and TSV.

A repaired text is put back at its place alone, so that everything else stays character for character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

FIELDS = ("output", "response", "completion", "generated_text", "prediction", "answer", "text", "content")
"""Where the output of a model stands in a record unless the user says so: the first of these that holds a string."""

DELIMITERS = {"csv": ",", "tsv": "\t"}


class ContainerError(ValueError):
    """What is wrong with one record; the others may be good."""


@dataclass(frozen=True)
class RecordText:
    """One text of a container. ``number`` is its line (JSON lines), item (JSON) or row (CSV, TSV), counted from 1.

    The content from ``start`` to ``end`` stands for the text, and ``written`` writes another text in its place.
    """

    number: int
    text: str
    start: int
    end: int
    written: Callable[[str], str]


@dataclass(frozen=True)
class UnreadRecord:
    """A record without a text that can be linted, and the reason."""

    number: int
    message: str


Record = RecordText | UnreadRecord


def records(content: str, kind: str, fields: Sequence[str]) -> Iterator[Record]:
    """The records of a container of kind "json", "jsonl", "csv" or "tsv". ContainerError where it cannot be read at all."""
    if kind == "jsonl":
        return _json_lines(content, fields)
    return _json(content, fields) if kind == "json" else _table(content, DELIMITERS[kind], fields)


def with_texts(content: str, kind: str, fields: Sequence[str], changed: dict[int, str]) -> str:
    """The content with the texts of these records replaced. ContainerError where it does not read back as that."""
    pieces, at, expected = [], 0, []
    for record in records(content, kind, fields):
        if isinstance(record, UnreadRecord):
            continue
        text = changed.get(record.number, record.text)
        expected.append((record.number, text))
        if text != record.text:
            pieces += [content[at : record.start], record.written(text)]
            at = record.end
    written = "".join([*pieces, content[at:]])
    read = [(record.number, record.text) for record in records(written, kind, fields) if isinstance(record, RecordText)]
    if read != expected:
        raise ContainerError("what was repaired does not read back; nothing was written")
    return written


class _Placed(str):
    """A string of a JSON document, with the place of its literal."""

    span: tuple[int, int]


def _placed(source: str, end: int, strict: bool = True) -> tuple[_Placed, int]:
    text, stop = json.decoder.scanstring(source, end, strict)  # type: ignore[attr-defined]
    placed = _Placed(text)
    placed.span = (end - 1, stop)
    return placed, stop


class _PlacingDecoder(json.JSONDecoder):
    """A decoder whose strings know where they stand. The scanner in C would not call ``parse_string``."""

    def __init__(self) -> None:
        # No number is linted, and one of thousands of digits is refused by `int`.
        super().__init__(parse_int=lambda digits: 0)
        self.parse_string = _placed
        self.scan_once = py_make_scanner(self)


_DECODER = _PlacingDecoder()


def _decoded(source: str) -> Any:
    try:
        return _DECODER.decode(source)
    except (ValueError, RecursionError) as error:
        message = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise ContainerError(f"not JSON ({message}); give --input text if this is a text") from None


def _json_lines(content: str, fields: Sequence[str]) -> Iterator[Record]:
    at = 0
    for number, line in enumerate(content.split("\n"), start=1):
        # Files that were put together have their byte order marks in the middle.
        marked = line.startswith("\ufeff")
        if line[marked:].strip():
            try:
                yield _json_text(number, _decoded(line[marked:]), fields, content, at + marked)
            except ContainerError as error:
                yield UnreadRecord(number, str(error))
        at += len(line) + 1


def _json(content: str, fields: Sequence[str]) -> Iterator[Record]:
    """One record, or those of a list. A path that begins with the number of an item goes into the list instead."""
    value = _decoded(content)
    listed = isinstance(value, list) and not (fields and fields[0].lstrip("-").isdigit())
    for number, item in enumerate(value if listed else [value], start=1):
        try:
            yield _json_text(number, item, fields, content, 0)
        except ContainerError as error:
            yield UnreadRecord(number, str(error))


def _json_text(number: int, value: Any, fields: Sequence[str], content: str, offset: int) -> RecordText:
    text = _at_path(value, fields) if fields else _at_known_field(value)
    start, end = (offset + place for place in text.span)
    is_ascii = content[start:end].isascii()
    return RecordText(number, str(text), start, end, lambda new: json.dumps(new, ensure_ascii=is_ascii))


def _at_known_field(value: Any) -> _Placed:
    if isinstance(value, _Placed):
        return value
    if not isinstance(value, dict):
        raise ContainerError(
            f"found {_named(value)}, expected a string or an object with one of {', '.join(FIELDS)}; give --field"
        )
    known = [name for name in FIELDS if name in value]
    for name in known:
        if isinstance(placed := value[name], _Placed):
            return placed
    if known:
        raise ContainerError(
            f"{known[0]!r} is {_named(value[known[0]])}, expected a string; give --field if it stands elsewhere"
        )
    keys = f"the keys {', '.join(map(repr, value))}" if value else "an empty object"
    raise ContainerError(f"found {keys}, expected a string or one of {', '.join(FIELDS)}; give --field")


def _at_path(value: Any, fields: Sequence[str]) -> _Placed:
    path = ".".join(fields)
    for step in fields:
        key: Any = int(step) if isinstance(value, list) and step.lstrip("-").isdigit() else step
        try:
            value = value[key] if isinstance(value, dict) or (isinstance(value, list) and isinstance(key, int)) else {}[key]
        except (KeyError, IndexError):
            raise ContainerError(f"has no field {path!r} (looking for {step!r})") from None
    if not isinstance(value, _Placed):
        raise ContainerError(f"{path!r} is {_named(value)}, expected a string")
    return value


def _named(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _table(content: str, delimiter: str, fields: Sequence[str]) -> Iterator[Record]:
    """The cells of one column, which the first row names."""
    rows = _cells(content, delimiter)
    header = [text for text, _, _ in next(rows, [])]
    wanted = [".".join(fields)] if fields else [name for name in FIELDS if name in header]
    if not wanted or wanted[0] not in header:
        expected = f"the column {wanted[0]!r}" if wanted else f"one of {', '.join(FIELDS)}"
        found = f"the columns {', '.join(map(repr, header))}" if header else "nothing"
        raise ContainerError(f"found {found}, expected {expected}; give --field")
    column = header.index(wanted[0])
    for number, row in enumerate(rows, start=2):
        if len(row) == 1 and not row[0][0]:
            continue  # an empty line
        if len(row) != len(header):
            yield UnreadRecord(number, f"found {len(row)} cells, expected {len(header)} as in the first row")
            continue
        text, start, end = row[column]
        is_quoted = content[start : start + 1] == '"'
        yield RecordText(number, text, start, end, lambda new, quoted=is_quoted: _cell(new, delimiter, quoted))  # type: ignore[misc]


def _cells(content: str, delimiter: str) -> Iterator[list[tuple[str, int, int]]]:
    """The rows, each as the text, start and end of its cells. ContainerError where quotation marks do not match."""
    cell = re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{delimiter}\r\n][^{delimiter}\r\n]*)?)({delimiter}|\r\n|[\r\n]|\Z)')
    row: list[tuple[str, int, int]] = []
    at, number = 0, 1
    while at < len(content) or row:
        found = cell.match(content, at)
        if found is None:
            raise ContainerError(f"row {number}: the quotation marks of a cell do not match")
        quoted, bare, stop = found.groups()
        row.append((quoted.replace('""', '"') if quoted is not None else bare or "", at, found.start(3)))
        at = found.end()
        if stop != delimiter:
            yield row
            row, number = [], number + 1


def _cell(text: str, delimiter: str, quoted: bool) -> str:
    return '"' + text.replace('"', '""') + '"' if quoted or set(text) & {delimiter, '"', "\r", "\n"} else text
