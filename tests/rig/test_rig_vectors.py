"""Each vector catches a bug that no other vector catches, expects what the reference reads, and counts its spans right."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.mutation import Mutant, mutants_of
from conformance.engine.selection import requirements_of
from conformance.rig.harness.subject import RigSubject
from conformance.rig.vectors import FOLDER, KINDS, READING, Vector, load, respanned, run_vector
from conformance.rig.vectors.flat import UNITS, flat
from impls.rig.adapters.product import FastParser
from impls.rig.adapters.reference import ReferenceParser
from reference import rig
from reference.rig import length_in
from tests.rig.vector_mutations import VectorMutant

ROOT = Path(__file__).resolve().parents[2]
VECTORS = load()


def fails(parser: Any, vector: Vector, profile: str = "strict") -> bool:
    try:
        got, expected = run_vector(parser, vector, profile)
    except Exception:
        return True
    return bool(got != expected)


@functools.cache
def killers() -> dict[str, list[str]]:
    """The vectors that see each planted bug. A bug of reading is run on those that read, and so on; the rest is correct."""
    matrix = {}
    for vector in VECTORS:
        mutant = VectorMutant(vector)
        alike = [other for other in VECTORS if other.kind == vector.kind or {other.kind, vector.kind} <= set(READING)]
        matrix[vector.id] = [other.id for other in alike if fails(mutant, other)]
    return matrix


def test_each_vector_is_the_only_one_that_sees_its_bug() -> None:
    assert {bug: seen for bug, seen in killers().items() if seen != [bug]} == {}


@pytest.mark.parametrize("planted", [m for m in mutants_of("rig") if not m.honest and not m.equivalent], ids=lambda m: m.name)
def test_every_mutant_of_the_suite_that_parse_can_show_fails_a_vector(planted: Mutant, request: pytest.FixtureRequest) -> None:
    # Python's own limit, which libraries raise: one mutant calls itself.
    request.addfinalizer(functools.partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(1000)
    subject: Any = planted.subject()
    # Two calls at once are no vector.
    if hasattr(subject._parser, "parse") and planted.name != "one-text-for-all":
        assert any(fails(subject, vector) for vector in VECTORS if vector.kind in READING)


def test_there_are_enough_of_them_of_every_kind() -> None:
    assert len(VECTORS) >= 240
    assert {vector.kind for vector in VECTORS} == set(KINDS)
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)
    assert {vector.rule for vector in VECTORS} <= set(requirements_of("rig"))


@pytest.mark.parametrize("parser", [RigSubject(ReferenceParser()), RigSubject(FastParser())], ids=["reference", "fast"])
def test_our_parsers_pass_them_all(parser: RigSubject) -> None:
    offered = [v for v in VECTORS if v.kind not in ("recover", "tags") or hasattr(parser._parser, v.kind)]
    assert [vector.id for vector in offered if fails(parser, vector)] == []


def test_the_official_readings_are_those_of_the_published_pattern() -> None:
    for vector in VECTORS:
        if vector.kind in READING:
            found = [(m[1], m[2], *m.span()) for m in re.finditer(rig.official.PATTERN, vector.text)]
            assert found == run_vector(_Finds(found), vector, "official")[1], vector.id


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


READ = sum(vector.kind in ("accept", "reject") for vector in VECTORS)


def test_javascript_reads_them() -> None:
    for program in [program for program in ("node",) if shutil.which(program)]:
        done = subprocess.run([program, str(ROOT / "examples" / "vectors.mjs")], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"{READ} passed, 0 failed\n")


@pytest.mark.parametrize("compiler", [compiler for compiler in ("cc",) if shutil.which(compiler)])
@pytest.mark.parametrize(("parser", "bug", "caught"), [
    ("", "", []),
    ('CLOSE[] = "\\"]"', 'CLOSE[] = "\\""', ["RIG-13"]),
    ("found->end = (size_t)(value_end - text)", "found->end = (size_t)(value_end - text) + 1", ["RIG-34"]),
    ("c == 0x7F", "0", ["RIG-21"]),
    ("at < end; at++", "at < end; at += 9", ["RIG-28", "RIG-29"]),
], ids=["correct", "close", "end", "delete", "skips"])  # fmt: skip
def test_c_reads_them(compiler: str, parser: str, bug: str, caught: list[str], tmp_path: Path) -> None:
    header = (ROOT / "examples" / "rig_parser.h").read_text()
    assert parser in header
    (tmp_path / "rig_parser.h").write_text(header.replace(parser, bug) if parser else header)
    shutil.copy(ROOT / "examples" / "vectors.c", tmp_path)
    flags = ["-std=c99", "-O2", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", "vectors", "vectors.c"], cwd=tmp_path, check=True)
    lines = "".join(line + "\n" for line in flat(VECTORS))
    done = subprocess.run([str(tmp_path / "vectors")], input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == bool(caught), done.stdout
    *failed, last = done.stdout.splitlines()
    assert last == f"{READ - len(failed)} passed, {len(failed)} failed"
    assert set(caught) <= {line.split()[0] for line in failed}


PERL = r"""
use strict; use warnings;
my $blank = qr/(?: |\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80)/;
my ($id, $text, $failed, @wanted) = ("", "", 0);
sub found {
    my @found;
    pos($_[0]) = 0;
    while ($_[0] =~ /\[__DC__\("([^"\x00-\x1f\x7f]*)"\) --> "([^"\x00-\x1f\x7f]*)"\]/g) {
        my ($query, $value, $start, $end) = ($1, $2, $-[0], $+[0]);
        if ($query =~ /^$blank*$/) { pos($_[0]) = BEHIND; next }
        push @found, join("\t", $query, $value, $start, $end);
    }
    return join("\n", @found);
}
while (<STDIN>) {
    chomp;
    my ($name, @fields) = split(/\t/, $_, -1);
    s/\\x(..)/chr hex $1/ge for @fields;
    if (!defined $name) {
        if ($id ne "" && found($text) ne join("\n", @wanted)) { print "$id\n"; $failed = 1 }
        ($id, @wanted) = ("");
    }
    elsif ($name eq "vector") { $id = $fields[0] =~ /^(accept|reject)$/ ? $fields[1] : "" }
    elsif ($name eq "text") { $text = $fields[0] }
    elsif ($name eq "strict") { push @wanted, join("\t", @fields) }
}
exit $failed;
"""


@pytest.mark.parametrize("program", [program for program in ("perl",) if shutil.which(program)])
@pytest.mark.parametrize(("behind", "failed"), [("$start + 1", []), ("$end", ["inside-blank-query", "inside-empty-query"])])
def test_perl_reads_the_flat_form(program: str, behind: str, failed: list[str]) -> None:
    lines = "".join(line + "\n" for line in flat(VECTORS))
    command = [program, "-e", PERL.replace("BEHIND", behind)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split(), done.returncode) == ("", failed, bool(failed))


def test_the_flat_form_that_is_shown_is_one() -> None:
    section = (FOLDER / "README.md").read_text(encoding="ascii").split("## Without JSON")[1]
    shown = section.split("```text\n")[1].split("```\n")[0]
    assert shown in "".join(line + "\n" for line in flat(VECTORS))
    assert shown.count("\n") == 5


@pytest.mark.parametrize("unit", UNITS)
def test_the_flat_form_says_what_the_files_say(unit: str) -> None:
    def text(field: str) -> str | None:
        written = re.sub(r"\\x(..)", lambda match: chr(int(match[1], 16)), field).encode("latin-1")
        return None if field == "\\N" else written.decode("utf-8", "surrogatepass")

    def item(name: str, fields: list[str]) -> Any:
        texts = [text(field) for field in fields]
        span = {unit: [int(field) for field in fields[-2:]]} if name in ("strict", "official", "lenient", "tags") else {}
        if name in ("strict", "official"):
            return {"query": texts[0], "value": texts[1], **span}
        if name == "lenient":
            return {"query": texts[0], "value": texts[1], "diagnostics": [d for d in fields[2].split(",") if d], **span}
        if name == "tags":
            number, footnote = int(fields[0]), None if texts[2] is None else int(fields[2])
            tag = {"number": number, "served": texts[1], "footnote": footnote}
            return {**tag, "differs": fields[3] == "yes", "model": texts[4], **span}
        if name == "segments" and len(fields) == 2:
            return {"query": texts[0], "value": texts[1]}
        return fields[0] == "yes" if name == "well_formed" else texts[0]

    lines = list(flat(VECTORS, unit))
    assert all(line.isascii() and (line.isprintable() or "\t" in line) for line in lines)
    read = iter(VECTORS)
    for block in "\n".join(lines).removesuffix("\n").split("\n\n"):
        (_, *head), *rest = [line.split("\t") for line in block.split("\n")]
        vector = next(read)
        assert [text(field) for field in head] == [vector.kind, vector.id, vector.rule, vector.bug]
        found: dict[str, list[Any]] = {}
        for name, *fields in rest:
            found.setdefault(name, []).append(item(name, fields))
        wanted = {key: value for key, value in vector.data.items() if key not in ("id", "rule", "bug", "mutation")}
        if vector.kind in READING:
            wanted.setdefault("official", wanted["strict"])
        for name, value in wanted.items():
            items = value if isinstance(value, list) else [value]
            others = {"code_points", "utf8", "utf16"} - {unit}
            bare = [{k: v for k, v in i.items() if k not in others} if isinstance(i, dict) else i for i in items]
            assert found.pop(name, []) == bare, (vector.id, name)
        assert found == {}
    assert next(read, None) is None


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
