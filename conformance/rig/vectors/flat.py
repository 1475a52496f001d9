"""The vectors without JSON: fields between tabs, in ASCII, which a C program reads with nothing but its own library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from conformance.rig.vectors import READING, Vector

UNITS = ("utf8", "utf16", "code_points")
"""What spans may count, as the JSON files name it."""

_FIELDS = {
    "strict": ("query", "value"),
    "official": ("query", "value"),
    "lenient": ("query", "value", "diagnostics"),
    "tags": ("number", "served", "footnote", "differs", "model"),
}
"""What stands in the line of an item before its span."""


def flat(vectors: Iterable[Vector], unit: str = "utf8") -> Iterator[str]:
    r"""The lines of the flat form; README.md beside this file says how they are read.

    ``unit`` is one of `UNITS`. The bytes of UTF-8 other than those of printable ASCII, and the backslash, are written ``\xHH``
    (a lone surrogate as the three bytes that its number takes), a null as ``\N``.
    """
    for vector in vectors:
        yield _line("vector", vector.kind, vector.id, vector.rule, vector.bug)
        data = dict(vector.data)
        if vector.kind in READING:
            data.setdefault("official", data["strict"])
        for name in ("text", "chunks", "segments", "document", "well_formed", "allowed", *_FIELDS):
            if name in data:
                items = data[name] if isinstance(data[name], list) else [data[name]]
                yield from (_line(name, *_fields(name, item, unit)) for item in items)
        yield ""


def _fields(name: str, item: Any, unit: str) -> list[Any]:
    if name == "segments":
        return [item] if isinstance(item, str) else [item["query"], item["value"]]
    if name in _FIELDS:
        return [*(item[field] for field in _FIELDS[name]), *item[unit]]
    return [item]


def _line(*fields: Any) -> str:
    return "\t".join(_written(field) for field in fields)


def _written(field: Any) -> str:
    if field is None:
        return "\\N"
    if isinstance(field, bool):
        return "yes" if field else "no"
    if isinstance(field, list):
        return ",".join(field)
    if isinstance(field, int):
        return str(field)
    written = field.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in written)
