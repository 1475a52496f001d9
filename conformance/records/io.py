"""A run writes one JSON-lines file: header, a line per verdict, planted bug and measurement, and a footer proving it whole.

Lines between header and footer are sorted, so that the same verdicts give the same lines whatever order, and however many
processes, they were reached in. Numbers JSON cannot say (infinite margins) are the string "inf".
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json import dumps, loads  # bound here: an implementation that replaces json.dumps does not write our records
from pathlib import Path
from typing import Any

SCHEMA = 1
KINDS = ("verdict", "mutant", "measurement", "claim", "curve")
"""The kinds of line between header and footer, in the order in which they are written."""


class RecordError(ValueError):
    """A record file that cannot be used; the message names the file, what was found and what was expected."""


@dataclass(frozen=True)
class Run:
    """One record file, read and checked."""

    path: str
    header: dict[str, Any]
    lines: tuple[dict[str, Any], ...]
    footer: dict[str, Any]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind, in file order."""
        return [line for line in self.lines if line["record"] == kind]


def dump(line: Mapping[str, Any]) -> str:
    """One line of a record file, without its newline: compact, keys in the given order, strict JSON."""
    return dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _sort_key(line: Mapping[str, Any]) -> tuple[int, str]:
    return KINDS.index(line["record"]), dumps(line, sort_keys=True, ensure_ascii=False)


def write(path: str | Path, header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]], footer: Mapping[str, Any]) -> None:
    """Write a complete record file, or nothing: it appears under its name only once it is whole.

    ``header`` gets ``record`` and ``schema``; ``footer`` gets ``record``, the count of lines and the SHA-256 of all that
    precedes it.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is there and is no regular file")
    body = [dump({"record": "header", "schema": SCHEMA, **header})]
    ordered = sorted(lines, key=_sort_key)
    body += [dump(line) for line in ordered]
    # A lone surrogate stands in strings only, where its backslash escape is JSON's own.
    data = "".join(line + "\n" for line in body).encode("utf-8", "backslashreplace")
    counts = {kind: sum(line["record"] == kind for line in ordered) for kind in KINDS}
    last = {
        "record": "footer",
        **footer,
        "counts": counts,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data + dump(last).encode() + b"\n")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)  # of a full disk, say; nothing is left there once it has its name


def read(path: str | Path) -> Run:
    """Read a record file and check that it is whole. RecordError otherwise."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read as a record file: {error}") from error
    return parse(str(path), text)


def parse(name: str, text: str) -> Run:
    """The run that a record file's text holds, checked for schema, kinds, counts and digest. RecordError calls it ``name``."""
    parsed: list[dict[str, Any]] = []
    # Not splitlines(): a record may hold U+2028 or U+0085 inside a string, and those are no line ends here.
    raw = text.split("\n")
    for number, line in enumerate(raw[:-1] if raw[-1] == "" else raw, start=1):
        try:
            value = loads(line)
        except json.JSONDecodeError as error:
            raise RecordError(
                f"{name}, line {number}: not JSON ({error.msg}); expected one JSON object a line, whole; run it again"
            ) from error
        except RecursionError as error:
            raise RecordError(f"{name}, line {number}: nested too deeply; expected a line written by --records") from error
        if not isinstance(value, dict) or "record" not in value:
            raise RecordError(f"{name}, line {number}: found no 'record' field; expected a line written by --records")
        parsed.append(value)
    if not parsed or parsed[0]["record"] != "header":
        raise RecordError(f"{name}: found no header on its first line; expected a file written by --records")
    header = parsed[0]
    if header.get("schema") != SCHEMA:
        raise RecordError(f"{name}: found schema {header.get('schema')!r}, this version reads schema {SCHEMA}; run it again")
    if len(parsed) < 2 or parsed[-1]["record"] != "footer":
        raise RecordError(f"{name}: found no footer, so the run was cut short; run it again")
    if not isinstance(header.get("suite"), str):
        raise RecordError(f"{name}: its header names no suite version; expected a file written by --records")
    inner, footer = parsed[1:-1], parsed[-1]
    for entry in inner:
        if entry["record"] in ("header", "footer"):
            raise RecordError(f"{name}: holds two runs, one after the other; give each run as the file that it was written to")
        if entry["record"] not in KINDS:
            raise RecordError(f"{name}: found a line of kind {entry['record']!r}; expected one of {', '.join(KINDS)}")
    body = text[: text.rstrip("\n").rfind("\n") + 1]
    stated = footer.get("sha256")
    if not isinstance(stated, str) or len(stated) != hashlib.sha256().digest_size * 2:
        raise RecordError(f"{name}: its footer states no SHA-256 digest; run it again")
    if hashlib.sha256(body.encode()).hexdigest() != stated:
        raise RecordError(
            f"{name}: its lines do not match the footer's digest, so it was changed after it was written; run it again"
        )
    counts = footer.get("counts")
    for kind, number in counts.items() if isinstance(counts, dict) else ():
        found = sum(entry["record"] == kind for entry in inner)
        if found != number:
            raise RecordError(f"{name}: holds {found} lines of kind {kind!r}, but its footer counts {number}; run it again")
    return Run(name, header, tuple(inner), footer)


def refuse_strangers(runs: Sequence[tuple[str, Run]]) -> None:
    """RecordError where runs, each under the name of its file, were not written by the same suite.

    The same version and schema, as many cases in every system, and the same words for every system and requirement that two
    of them name. Their commits may differ: which code was judged is what runs are compared for.
    """
    firsts: dict[tuple[str, ...], tuple[Any, str]] = {}
    for name, run in runs:
        for word in ("suite", "schema"):
            known, first = firsts.setdefault((word,), (run.header.get(word), name))
            if run.header.get(word) != known:
                raise RecordError(
                    f"{name}: was written by {word} {run.header.get(word)}, but {first} by {word} {known}; "
                    f"run one of them again, or render the two files apart"
                )
        for system, number in (run.header.get("cases") or {}).items():
            known, first = firsts.setdefault(("cases", system), (number, name))
            if number != known:
                raise RecordError(
                    f"{name}: its suite has {number} cases for {system}, that of {first} has {known}, under one version; "
                    f"run one of them again from the same checkout, or render the two files apart"
                )
        for what, key, fields in (
            ("systems", "name", ("title", "paper", "requirement_prefix")),
            ("requirements", "id", ("system", "statement", "source", "catches")),
        ):
            for row in run.header.get(what) or ():
                value = tuple(row.get(field) for field in fields)
                known, first = firsts.setdefault((what, str(row.get(key))), (value, name))
                if value != known:
                    shown = repr(row[key]) if what == "systems" else row[key]
                    raise RecordError(
                        f"{name}: its {what[:-1]} {shown} reads differently in {first}; "
                        f"render files of one suite version together"
                    )
