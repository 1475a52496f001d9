"""Write vectors as files: arrays as safetensors, the rest as JSON, with a specification, a schema and checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from conformance.engine.selection import requirements_of
from conformance.engine.tensor_bytes import written
from gaugeblock.installation import version
from gaugeblock.vectors import ademamix, sigmoid_attention
from gaugeblock.vectors.vector import NumericVector
from impls.systems import system_named

SYSTEMS: dict[str, ModuleType] = {module.SYSTEM: module for module in (ademamix, sigmoid_attention)}
COPIED = ("SPECIFICATION.md", "schema.json")
CHECKSUMS = "SHA256SUMS"


def export(folder: Path, numerical_classes: Mapping[str, str]) -> dict[str, int]:
    """Write everything into a folder; returns the number of vectors of each system. The same version writes the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    files = [*COPIED]
    for name in COPIED:
        (folder / name).write_bytes((Path(__file__).parent / name).read_bytes())
    for system, module in SYSTEMS.items():
        numerical_class = numerical_classes.get(system, "")
        vectors = list(module.vectors(numerical_class))
        counts[system] = len(vectors)
        (folder / f"{system}.safetensors").write_bytes(written(array for vector in vectors for array in vector.arrays()))
        text = json.dumps(index_of(system, numerical_class, vectors), indent=1, allow_nan=False, ensure_ascii=True)
        (folder / f"{system}.json").write_text(text + "\n", encoding="ascii")
        files += [f"{system}.json", f"{system}.safetensors"]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(files)]
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
