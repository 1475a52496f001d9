"""Read and write record files: JSON lines of a header, a line for each record, and a footer with a digest.

Lines between header and footer are sorted. So the same verdicts give the same lines, whatever their order and the number of
processes.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import dumps, loads  # bound here: an implementation that replaces json.dumps does not write our records
from pathlib import Path
from typing import Any, TypeVar

from conformance.records import schema
from conformance.records.fields import Record, RecordError
from conformance.records.schema import SCHEMA, FooterRecord, HeaderRecord

KINDS = tuple(kind.KIND for kind in schema.KINDS)
"""What the kinds of line between header and footer are called, in the order in which they are written."""
CLASSES = {kind.KIND: kind for kind in schema.KINDS}

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Run:
    """One record file, read and checked."""

    path: str
    header: HeaderRecord
    records: tuple[Record, ...]
    footer: FooterRecord

    @property
    def cut_short(self) -> bool:
        """Whether the run did not come to its end, so that this is a part of its records."""
        return not self.footer.sha256

    def of(self, kind: type[AnyRecord]) -> list[AnyRecord]:
        """The records of one kind, in file order."""
        return [record for record in self.records if isinstance(record, kind)]


def dump(line: Mapping[str, Any]) -> str:
    """One line of a record file, without its newline: compact, keys in the given order, strict JSON."""
    return dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encoded(line: Mapping[str, Any]) -> bytes:
    """One line of a record file, as bytes, with its newline."""
    # A lone surrogate occurs in strings only, where its backslash escape is JSON's own.
    return (dump(line) + "\n").encode("utf-8", "backslashreplace")


def check_replaceable(target: Path) -> None:
    """OSError where something other than a regular file is there."""
    if target.exists() and not target.is_file():
        raise OSError(f"{target} exists and is not a regular file")


def write(path: str | Path, header: HeaderRecord, records: Iterable[Record], footer: FooterRecord) -> None:
    """Write a complete record file, or nothing: it appears under its name only once it is whole."""
    write_lines(path, header.to_json(), [record.to_json() for record in records], footer.to_json())


def write_lines(
    path: str | Path, header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]], footer: Mapping[str, Any]
) -> None:
    """The same for JSON objects: they are sorted and sealed, and not checked.

    The footer gets the count of lines of each kind and the SHA-256 of all that precedes it.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    check_replaceable(target)
    ordered = sorted(lines, key=_sort_key)
    data = b"".join(map(encoded, [header, *ordered]))
    counts = {kind: sum(line["record"] == kind for line in ordered) for kind in KINDS}
    last = encoded({**footer, "counts": counts, "sha256": hashlib.sha256(data).hexdigest()})
    target.parent.mkdir(parents=True, exist_ok=True)
    # Its name must not be longer than the target's, which may be as long as the file system allows. And nobody must know it
    # before, who could put a link there: only a file that is not there yet is opened.
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data + last)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)  # left by a full disk, say; nothing is there after the renaming


def _sort_key(line: Mapping[str, Any]) -> tuple[int, str]:
    return KINDS.index(line["record"]), dumps(line, sort_keys=True, ensure_ascii=False)


def read(path: str | Path, *, partial: bool = False) -> Run:
    """Read a record file and check that it is whole. RecordError otherwise.

    ``partial``: a file without a footer is read too, as far as its lines are whole; its run has a footer without an exit code.
    """
    try:
        data = Path(path).read_bytes()
        # The last line may have been cut short, in the middle of a character too.
        text = (data[: data.rfind(b"\n") + 1] if partial else data).decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read as a record file: {error}") from error
    return parse(str(path), text, partial=partial)


def parse(name: str, text: str, *, partial: bool = False) -> Run:
    """The run that a record file's text holds. RecordError calls the file ``name``, and names the line and the field."""
    if partial:
        text = text[: text.rfind("\n") + 1]  # the last line may have been cut short
    rows = list(_rows(name, text))
    if not rows or rows[0]["record"] != HeaderRecord.KIND:
        raise RecordError(f"{name}: found no header on its first line; expected a file written by --records")
    if rows[0].get("schema") != SCHEMA:
        raise RecordError(f"{name}: found schema {rows[0].get('schema')!r}, this version reads schema {SCHEMA}; run it again")
    if rows[-1]["record"] != FooterRecord.KIND:
        if partial:
            return _parse_part(name, rows)
        raise RecordError(
            f"{name}: found no footer, so the run was cut short; run it again, or see what there is with "
            "python -m reports --partial"
        )
    header = _record(name, 1, HeaderRecord, rows[0])
    footer = _record(name, len(rows), FooterRecord, rows[-1])
    _check_kinds(name, rows[1:-1])
    _check_seal(name, text, footer)
    records = tuple(_record(name, number, CLASSES[row["record"]], row) for number, row in enumerate(rows[1:-1], start=2))
    _check_counts(name, records, footer)
    return Run(name, header, records, footer)


def _parse_part(name: str, rows: Sequence[Mapping[str, Any]]) -> Run:
    """The run of a file without a footer. What was recorded again later, as after a crash, counts as it was then."""
    _check_kinds(name, rows[1:])
    last: dict[Any, Record] = {}
    for number, row in enumerate(rows[1:], start=2):
        record = _record(name, number, CLASSES[row["record"]], row)
        last[getattr(record, "key", number)] = record
    return Run(name, _record(name, 1, HeaderRecord, rows[0]), tuple(last.values()), FooterRecord())


def record_of(row: Any) -> Record:
    """The record that one JSON object is. RecordError where its ``record`` key names no kind, or a field is wrong."""
    kind = CLASSES.get(row["record"])
    if kind is None:
        raise RecordError(f"found a line of kind {row['record']!r}; expected one of {', '.join(KINDS)}")
    return kind.from_json(row)


def _rows(name: str, text: str) -> Iterator[dict[str, Any]]:
    # Not splitlines(): a record may hold U+2028 or U+0085 inside a string, and those are no line ends here.
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        try:
            value = loads(line, parse_constant=_refuse_constant, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            raise RecordError(
                f"{name}, line {number}: not JSON ({error.msg}); expected one JSON object a line, whole; run it again"
            ) from error
        except ValueError as error:  # a constant that is no JSON, or more digits than Python reads
            raise RecordError(f"{name}, line {number}: {error}; expected a line written by --records") from error
        except RecursionError as error:
            raise RecordError(f"{name}, line {number}: nested too deeply; expected a line written by --records") from error
        if not isinstance(value, dict) or not isinstance(value.get("record"), str):
            raise RecordError(f"{name}, line {number}: found no 'record' field; expected a line written by --records")
        yield value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs. ValueError where a key comes twice, of which each reader might believe another one."""
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for number, (key, _) in enumerate(pairs) if any(key == later for later, _ in pairs[number + 1 :]))
        raise ValueError(f"found the key {twice!r} twice in one object")
    return value


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"found {constant}, which is not JSON")


def _record(name: str, number: int, kind: type[AnyRecord], row: Mapping[str, Any]) -> AnyRecord:
    try:
        return kind.from_json(row)
    except RecordError as error:
        raise RecordError(f"{name}, line {number}, a {kind.KIND}: {error}; run it again") from error


def _check_kinds(name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        if row["record"] in (HeaderRecord.KIND, FooterRecord.KIND):
            raise RecordError(f"{name}: holds two runs, one after the other; give each run as the file that it was written to")
        if row["record"] not in KINDS:
            raise RecordError(f"{name}: found a line of kind {row['record']!r}; expected one of {', '.join(KINDS)}")


def _check_seal(name: str, text: str, footer: FooterRecord) -> None:
    if len(footer.sha256) != hashlib.sha256().digest_size * 2:
        raise RecordError(f"{name}: its footer states no SHA-256 digest; run it again")
    body = text[: text.rstrip("\n").rfind("\n") + 1]
    if hashlib.sha256(body.encode()).hexdigest() != footer.sha256:
        raise RecordError(
            f"{name}: its lines do not match the footer's digest, so it was changed after it was written; run it again"
        )


def _check_counts(name: str, records: Iterable[Record], footer: FooterRecord) -> None:
    found = Counter(record.KIND for record in records)
    for kind, number in footer.counts.items():
        if found[kind] != number:
            raise RecordError(
                f"{name}: holds {found[kind]} lines of kind {kind!r}, but its footer counts {number}; run it again"
            )


def refuse_other_suites(runs: Sequence[tuple[str, Run]]) -> None:
    """Raise RecordError unless all runs, each under the name of its file, were written by the same suite.

    That is: the same version, as many cases in every system, and the same words for every system and requirement. Commits may
    differ: runs are compared to see what a change of code did.
    """
    firsts: dict[tuple[str, ...], tuple[Any, str]] = {}
    for name, run in runs:
        header = run.header
        known, first = firsts.setdefault(("suite",), (header.suite, name))
        if header.suite != known:
            raise RecordError(
                f"{name}: was written by suite {header.suite}, but {first} by suite {known}; "
                f"run one of them again, or render the two files apart"
            )
        for system, number in header.cases.items():
            known, first = firsts.setdefault(("cases", system), (number, name))
            if number != known:
                raise RecordError(
                    f"{name}: its suite has {number} cases for {system}, that of {first} has {known}, under one version; "
                    f"run one of them again from the same checkout, or render the two files apart"
                )
        words: list[tuple[str, str, tuple[str, ...]]] = [
            ("system", repr(each.name), (each.title, each.paper, each.requirement_prefix)) for each in header.systems
        ]
        words += [
            ("requirement", each.id, (each.system, each.statement, each.source, each.catches)) for each in header.requirements
        ]
        for kind, key, value in words:
            known, first = firsts.setdefault((kind, key), (value, name))
            if value != known:
                raise RecordError(
                    f"{name}: its {kind} {key} reads differently in {first}; render files of one suite version together"
                )
