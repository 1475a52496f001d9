"""Write vectors as files: arrays as safetensors, the rest as JSON, with a specification, a schema and checksums."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from conformance.engine.selection import requirements_of
from gaugeblock.installation import version
from gaugeblock.vectors import ademamix, sigmoid_attention
from gaugeblock.vectors.vector import Array, NumericVector
from impls.systems import system_named

SYSTEMS: dict[str, ModuleType] = {module.SYSTEM: module for module in (ademamix, sigmoid_attention)}
COPIED = ("SPECIFICATION.md", "schema.json")
CHECKSUMS = "SHA256SUMS"
CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
"""The dtypes as safetensors calls them, the widest first."""


def export(folder: Path, numerical_classes: Mapping[str, str]) -> dict[str, int]:
    """Write everything into a folder; returns the number of vectors of each system. The same version writes the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    written = [*COPIED]
    for name in COPIED:
        (folder / name).write_bytes((Path(__file__).parent / name).read_bytes())
    for system, module in SYSTEMS.items():
        numerical_class = numerical_classes.get(system, "")
        vectors = list(module.vectors(numerical_class))
        counts[system] = len(vectors)
        (folder / f"{system}.safetensors").write_bytes(arrays_of(vectors))
        text = json.dumps(index_of(system, numerical_class, vectors), indent=1, allow_nan=False, ensure_ascii=True)
        (folder / f"{system}.json").write_text(text + "\n", encoding="ascii")
        written += [f"{system}.json", f"{system}.safetensors"]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(written)]
    (folder / CHECKSUMS).write_text("".join(sums), encoding="ascii")
    return counts


def index_of(system: str, numerical_class: str, vectors: Iterable[NumericVector]) -> dict[str, Any]:
    """What the JSON file of a system holds; schema.json describes it."""
    rules, listed = requirements_of(system), list(vectors)
    used = sorted({id_ for vector in listed for id_ in vector.requirements})
    return {
        "format": "gaugeblock-vectors-1",
        "suite": version(),
        "system": system,
        "paper": system_named(system).paper,
        "numerical_class": numerical_class or "strict",
        "arrays": f"{system}.safetensors",
        "requirements": {
            id_: {
                "level": rules[id_].level.value,
                "statement": rules[id_].statement,
                "source": rules[id_].source,
                "catches": rules[id_].catches,
            }
            for id_ in used
        },
        "vectors": [
            {
                "name": vector.name,
                "dtype": vector.dtype,
                "requirements": list(vector.requirements),
                "parameters": dict(vector.parameters),
                "inputs": {name: f"{vector.name}/{name}" for name in vector.inputs},
                "expected": {
                    name: {"values": f"{vector.name}/{name}/values", "bounds": f"{vector.name}/{name}/bounds"}
                    for name in vector.expected
                },
            }
            for vector in listed
        ],
    }


def arrays_of(vectors: Iterable[NumericVector]) -> bytes:
    """The safetensors file: inputs in the vector's dtype (slopes in float32), expected values and bounds in float64.

    Written here, since the library's own function takes other arguments in each release; the tests read it with the library.
    """
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    end = 0
    for name, dtype, array in named_arrays(vectors):
        parts.append(stored(array, dtype))
        begin, end = end, end + len(parts[-1])
        header[name] = {"dtype": CODES[dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # the data begins aligned
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def named_arrays(vectors: Iterable[NumericVector]) -> Iterator[tuple[str, str, Array]]:
    """Every array of the file with its name and dtype, the widest first, so that each is aligned."""
    found = []
    for vector in vectors:
        for name, array in vector.inputs.items():
            found.append((f"{vector.name}/{name}", "float32" if name == "alibi_slopes" else vector.dtype, array))
        for name, pair in vector.expected.items():
            for kind, array in zip(("values", "bounds"), pair, strict=True):
                found.append((f"{vector.name}/{name}/{kind}", "float64", array))
    yield from sorted(found, key=lambda each: [*CODES].index(each[1]))


def stored(array: Array, dtype: str) -> bytes:
    """The bytes of an array: little-endian, in C order. Every value is exact in ``dtype``."""
    if dtype == "bfloat16":
        return (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()  # the upper half of a float32
    return np.ascontiguousarray(array).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
