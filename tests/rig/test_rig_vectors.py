"""Each vector catches a bug that no other vector catches, says what the law says, and counts its spans right."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.judging import requirements_of
from conformance.rig.vectors import FOLDER, KINDS, Vector, load, put, respanned
from impls.rig.by_fast import FastParser
from impls.rig.by_reference import ReferenceParser
from impls.rig.driver import Subject
from reference import rig
from reference.rig import length_in
from tests.rig.vector_mutations import Mutant

ROOT = Path(__file__).resolve().parents[2]
VECTORS = load()
READING = {"accept", "reject", "implementation-defined"}


def fails(parser: Any, vector: Vector, profile: str = "strict") -> bool:
    try:
        got, expected = put(parser, vector, profile)
    except Exception:
        return True
    return bool(got != expected)


@functools.cache
def killers() -> dict[str, list[str]]:
    """The vectors that see each planted bug. A bug of reading is put to those that read, and so on: the rest is correct."""
    matrix = {}
    for vector in VECTORS:
        mutant = Mutant(vector)
        alike = [other for other in VECTORS if other.kind == vector.kind or {other.kind, vector.kind} <= READING]
        matrix[vector.id] = [other.id for other in alike if fails(mutant, other)]
    return matrix


def test_each_vector_is_the_only_one_that_sees_its_bug() -> None:
    assert {bug: seen for bug, seen in killers().items() if seen != [bug]} == {}


def test_there_are_enough_of_them_of_every_kind() -> None:
    assert len(VECTORS) >= 240
    assert {vector.kind for vector in VECTORS} == set(KINDS)
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)
    assert {vector.rule for vector in VECTORS} <= set(requirements_of("rig"))


@pytest.mark.parametrize("parser", [Subject(ReferenceParser()), Subject(FastParser())], ids=["reference", "fast"])
def test_our_parsers_pass_them_all(parser: Subject) -> None:
    offered = [v for v in VECTORS if v.kind not in ("recover", "tags") or hasattr(parser._parser, v.kind)]
    assert [vector.id for vector in offered if fails(parser, vector)] == []


def test_the_official_readings_are_those_of_the_published_pattern() -> None:
    for vector in VECTORS:
        if vector.kind in READING:
            found = [(m[1], m[2], *m.span()) for m in re.finditer(rig.official.PATTERN, vector.text)]
            assert found == put(_Finds(found), vector, "official")[1], vector.id


class _Finds:
    def __init__(self, found: list[Any]) -> None:
        self.parse = lambda text: found


def test_spans_are_the_same_in_all_three_units() -> None:
    for vector in VECTORS:
        for name in ("strict", "official", "lenient", "tags"):
            for item in vector.data.get(name, ()):
                for unit, key in (("code points", "code_points"), ("utf8", "utf8"), ("utf16", "utf16")):
                    wanted = [length_in(unit, vector.text[:offset]) for offset in item["code_points"]]
                    assert item[key] == wanted, (vector.id, unit)


def test_an_annotation_stands_where_its_span_says() -> None:
    for vector in VECTORS:
        for item in vector.data.get("strict", ()):
            raw = vector.text[slice(*item["code_points"])]
            assert raw == f'[__DC__("{item["query"]}") --> "{item["value"]}"]', vector.id


def test_chunks_make_the_text() -> None:
    for vector in VECTORS:
        if vector.kind == "stream":
            assert "".join(vector.data["chunks"]) == vector.text


def test_an_accepted_document_has_an_annotation() -> None:
    assert [v.id for v in VECTORS if v.kind == "accept" and not v.data["strict"]] == []


def test_the_files_are_as_the_command_would_write_them() -> None:
    for kind in KINDS:
        path = FOLDER / f"{kind}.json"
        assert respanned(path) == path.read_text(encoding="ascii")


def test_another_language_reads_them() -> None:
    for program in [program for program in ("node",) if shutil.which(program)]:
        done = subprocess.run([program, str(ROOT / "examples" / "vectors.mjs")], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout
        assert done.stdout.strip().endswith(" passed, 0 failed")


def test_the_files_are_what_the_schema_says() -> None:
    # The validator is no dependency of ours; the shape is checked by hand, and by the validator where there is one.
    schema = json.loads((FOLDER / "schema.json").read_text(encoding="ascii"))
    allowed = set(schema["$defs"]["vector"]["properties"])
    for kind in KINDS:
        document = json.loads((FOLDER / f"{kind}.json").read_text(encoding="ascii"))
        assert (document["schema"], document["kind"]) == (1, kind)
        for vector in document["vectors"]:
            assert set(vector) <= allowed, vector["id"]
            assert {"id", "rule", "bug", "mutation"} <= set(vector)
        if importlib.util.find_spec("jsonschema"):
            import jsonschema

            jsonschema.validate(document, schema)
