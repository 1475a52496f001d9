"""The hand-written vectors: small documents in JSON, each of which catches a bug that no other vector catches.

They belong to no language: README.md beside this file says how they are read, schema.json what stands in them. In Python::

    from conformance.rig.vectors import load, run_vector
    for vector in load():
        got, expected = run_vector(parser, vector, "strict")
        assert got == expected, (vector.id, vector.bug)
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reference.rig import length_in

FOLDER = Path(__file__).parent
KINDS = ("accept", "reject", "recover", "implementation-defined", "write", "well-formed", "tags", "stream")
"""One file each, in this order."""

READING = ("accept", "reject", "implementation-defined")
"""Those that any parser is asked: it reads a text, strictly or officially."""

FEATURE_OF = {
    "recover": "recover", "write": "serialise", "well-formed": "well_formed", "tags": "tags", "stream": "stream",
}  # fmt: skip
"""What a parser must offer to be asked; all offer ``parse``."""

STRICT_ONLY = ("recover", "write", "well-formed", "tags", "stream")


@dataclass(frozen=True)
class Vector:
    """One vector. ``data`` is what its file says of it; two vectors are the same where their ids are."""

    id: str
    kind: str
    rule: str
    bug: str
    data: Mapping[str, Any] = field(hash=False, compare=False)

    @property
    def text(self) -> str:
        """The document; empty for what is to be written."""
        return str(self.data.get("text", ""))

    @property
    def mutation(self) -> Mapping[str, Any]:
        """The bug as something that can be planted."""
        return dict(self.data["mutation"])


@functools.cache
def load() -> tuple[Vector, ...]:
    """All of them, in the order of the files."""
    found = []
    for kind in KINDS:
        document = json.loads((FOLDER / f"{kind}.json").read_text(encoding="ascii"))
        for item in document["vectors"]:
            found.append(Vector(item["id"], kind, item["rule"], item["bug"], item))
    return tuple(found)


def expected(vector: Vector, profile: str) -> list[tuple[str, str, int, int]]:
    """The annotations that a parser of this profile finds, in code points."""
    listed = vector.data["strict"]
    if profile == "official":
        listed = vector.data.get("official", listed)
    return [(item["query"], item["value"], *item["code_points"]) for item in listed]


def run_vector(subject: Any, vector: Vector, profile: str) -> tuple[Any, Any]:
    """What a parser gives for a vector, and what the vector's file says that it should give."""
    text, data = vector.text, vector.data
    if vector.kind == "implementation-defined" and profile == "strict":
        try:
            found = subject.parse(text)
        except ValueError:
            return "refused", "refused"
        return list(found), expected(vector, profile)
    if vector.kind in READING:
        return list(subject.parse(text)), expected(vector, profile)
    if vector.kind == "recover":
        wanted = [(i["query"], i["value"], *i["code_points"], tuple(i["diagnostics"])) for i in data["lenient"]]
        return list(subject.recover(text)), wanted
    if vector.kind == "tags":
        names = ("number", "served", "footnote", "differs", "model")
        return list(subject.tags(text)), [(*(i[name] for name in names), *i["code_points"]) for i in data["tags"]]
    if vector.kind == "well-formed":
        return subject.well_formed(text), data["well_formed"]
    if vector.kind == "write":
        segments = [s if isinstance(s, str) else (s["query"], s["value"]) for s in data["segments"]]
        try:
            return subject.serialise(segments), data["document"]
        except ValueError:
            return None, data["document"]
    return _streamed(subject, vector), _in_order(vector)


def _streamed(subject: Any, vector: Vector) -> list[Any]:
    reader = subject.stream()
    items = [item for chunk in vector.data["chunks"] for item in reader.feed(chunk)] + list(reader.close())
    return _merged(items)


def _in_order(vector: Vector) -> list[Any]:
    """The texts and annotations of the document as they follow each other."""
    items: list[Any] = []
    at = 0
    for query, value, start, end in expected(vector, "strict"):
        items += [vector.text[at:start], (query, value, start, end)]
        at = end
    return _merged([*items, vector.text[at:]])


def _merged(items: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for item in items:
        if isinstance(item, str) and merged and isinstance(merged[-1], str):
            merged[-1] += item
        elif item:
            merged.append(item)
    return merged


def respanned(path: str | Path) -> str:
    """A file's content with the spans in bytes and in UTF-16 units worked out from those in code points."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    lines = []
    for vector in document["vectors"]:
        for name in ("strict", "official", "lenient", "tags"):
            for item in vector.get(name, ()):
                for unit in ("utf8", "utf16"):
                    item[unit] = [length_in(unit, vector["text"][:offset]) for offset in item["code_points"]]
        lines.append(json.dumps(vector))
    head = f'{{\n"schema": {document["schema"]},\n"kind": {json.dumps(document["kind"])},\n"vectors": [\n'
    return head + ",\n".join(lines) + "\n]\n}\n"
