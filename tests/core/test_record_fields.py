"""Whatever a field of a record holds, it is read as something sane or refused by name; nothing ends in a traceback."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from conformance.records import io, schema
from conformance.records.fields import Record, RecordError
from conformance.records.schema import SCHEMA, FooterRecord, HeaderRecord
from conformance.regression import compare
from reports import cli
from reports.merge import load
from tests.reports import records_for_tests as made

PUBLISHED = Path(__file__).resolve().parent.parent.parent / "reports" / "published" / "cpu"

MISSING = object()
NASTY = [
    MISSING, None, True, 0, -1, 0.5, 10**400, -(10**400), 2**63, math.nan, math.inf, -math.inf, "", "x", "inf", "-inf", "nan",
    "\ud800", [], [None], ["x"], [[[[1]]]], [10**400], {}, {"a": None}, {"a": {"a": [10**400]}}, {"record": "verdict"},
]  # fmt: skip


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


FULL_HEADER = {
    "record": "header",
    "schema": SCHEMA,
    **made.header(
        plug_failures=[{"spec": "a:b", "message": "no"}],
        cases={"rig": 3},
        interactions=[
            {
                "system": "rig",
                "factors": {"a": ["1", "2"]},
                "combinations": 1,
                "covered": 1,
                "possible": 4,
                "triples": 1,
                "possible_triples": 2,
            },
        ],
        requirements=[{**made.header()["requirements"][0], "level": "definition"}],
        implementations=[{**made.implementation("ademamix/torch"), "found": ["takes float32"]}],
    ),
}
FULL_HEADER["environment"] = {
    **FULL_HEADER["environment"],
    "gpu": {"name": "A GPU", "capability": "9.0", "memory_gib": 80.0, "multiprocessors": 132, "l2_bytes": 1, "cuda": "13.0"},
    "affinity": [0, 1],
    "smt_siblings": [[0], [1]],
    "caches": {"last_level_bytes": 5},
}
FOOTER = {
    "record": "footer", "finished": made.STARTED, "seconds": 1.0, "exit": 0, "against": {"lost": 0, "slower": 1},
    "fleet": {"shards": 2, "lost": 0},
}  # fmt: skip
TAKE = {"verdict": "measured", "ratio": 1.0, "ratio_low": 0.9, "ratio_high": 1.1, "median_s": 0.5, "samples": 9}
MEASURED = {
    **made.measurement("ademamix/triton", 2.0, family="step", scale=1.0, scale_name="parameters", warnings=["noisy"]),
    "bytes_moved": 8.0, "flops": 9.0, "quick": False, "reason": "so", "aa": True, "inputs": "fresh", "compile_s": 1.5,
    "allocator": "glibc", "peak_memory_bytes": 8192, "memory_kind": "host", "memory_reason": "so",
    "threads": {"torch": 2}, "affinity": [0, 1],
    "looks": 1, "planned_looks": 3, "stopped": "tight", "calls_per_sample": 4, "iqr_s": 0.0, "noise": 1.1,
    "roofline": {
        "copy_bytes_per_s": 1e9, "update_bytes_per_s": 1e9, "matmul_flops_per_s": 1e9, "multiply_add_flops_per_s": 1e9
    },
    "telemetry": {"host": {"cpus": [0, 1]}}, "clock": "device events", "launch": {"method": "graph"}, "launch_s": 1e-6,
    "cache_bytes": 4096, "cache": "cold", "takes": [TAKE],
}  # fmt: skip
SERIES = {"label": "a", "x": [1.0], "y": [2.0], "low": [1.0], "high": [3.0]}
CLAIM = made.claim("ADM-C1", "ademamix", "holds", series=[SERIES], axes={"x": "n", "y": "e", "log": "y"})
LINES = [
    {
        **made.result("ademamix/torch", "ADM-01", "d8", "float32", 0.5),
        "resolution": 0.001,
        "candidates": ["x"],
        "known": "line 1",
    },
    made.mutant("ademamix", "ademamix/bug", "Is wrong.", ["ADM-01"], {"ADM-01": 9.0, "ADM-02": "error"}, ["ADM-01"]),
    MEASURED,
    CLAIM,
    made.curve("ademamix/torch", [1.0, 2.0], low=[0.5, 1.5], high=[1.5, 2.5]),
]


def ways(value: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every field of a JSON value, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (key,)
        yield from ((key, *way) for way in ways(each))


def changed(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """The value with something else at the end of the way."""
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if len(way) > 1:
        copy[way[0]] = changed(value[way[0]], way[1:], new)
    elif new is MISSING:
        del copy[way[0]]
    else:
        copy[way[0]] = new
    return copy


KINDS: dict[str, tuple[type[Record], dict[str, Any]]] = {
    "header": (HeaderRecord, FULL_HEADER),
    "footer": (FooterRecord, {**FOOTER, "counts": {"verdict": 1}, "sha256": "0" * 64}),
    **{line["record"]: (io.CLASSES[line["record"]], line) for line in LINES},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_field_of_every_kind_is_in_its_example(name: str) -> None:
    kind, example = KINDS[name]
    record = kind.from_json(example)
    assert record.to_json() == example
    known = {field.metadata.get("name", field.name) for field in fields(record) if not field.metadata.get("local")}
    assert known | {"record"} == example.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_nasty_value_is_read_as_something_sane_or_refused(name: str) -> None:
    kind, example = KINDS[name]
    refused = 0
    for way in ways(example):
        for new in [*NASTY, nest(7), nest(200)]:
            try:
                record = kind.from_json(changed(example, way, new))
            except RecordError as error:
                refused += 1
                problem = str(error)
            else:
                # What was accepted can be written, and says the same when it is read again.
                text = io.dump(record.to_json())
                assert kind.from_json(json.loads(text)) == record, (way, new)
                continue
            assert "\n" not in problem, (way, new)
            assert len(problem) < 500, (way, new)
    assert refused > len(NASTY)


@pytest.mark.parametrize(
    ("way", "new", "reason"),
    [
        (("margin",), 10**400, "margin: found 1000"),
        (("margin",), MISSING, "found the verdict 'pass' with the margin None"),
        (("case",), MISSING, "case: missing"),
        (("case",), 7, "case: found 7, expected a text"),
        (
            ("verdict",),
            "splendid",
            "verdict: found 'splendid', expected one of pass, fail, unsupported, not run, error, inconclusive",
        ),
    ],
)
def test_a_refusal_names_the_field_and_what_was_expected(way: tuple[Any, ...], new: Any, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        schema.VerdictRecord.from_json(changed(LINES[0], way, new))


@pytest.mark.parametrize(
    ("name", "new", "expected"),
    [
        ("samples", -1, "a whole number, 0 or more"),
        ("samples", 1.5, "a whole number"),
        ("median_s", 0.0, "a positive, finite number"),
        ("ratio", "inf", "a positive, finite number"),
        ("compile_s", -1.0, "a finite number, 0 or more"),
        ("scale", "-inf", "a finite number"),
        ("quick", 1, "true or false"),
        ("warnings", "x", "a list"),
        ("roofline", [], "an object"),
        ("affinity", [0, -1], "a whole number, 0 or more"),
    ],
)
def test_a_measurement_keeps_within_its_ranges(name: str, new: Any, expected: str) -> None:
    with pytest.raises(RecordError, match=rf"^{name}.*, expected {expected}"):
        schema.MeasurementRecord.from_json({**MEASURED, name: new})


def test_a_refusal_names_the_way_to_a_nested_field() -> None:
    with pytest.raises(RecordError, match=r"series\[0\]\.x\[0\]: found 'many', expected a number"):
        schema.ClaimRecord.from_json(changed(CLAIM, ("series", 0, "x", 0), "many"))
    with pytest.raises(RecordError, match=r"environment\.gpu\.memory_gib: found 'inf', expected a finite number"):
        HeaderRecord.from_json(changed(FULL_HEADER, ("environment", "gpu", "memory_gib"), "inf"))


SPOILT = [
    ({**MEASURED, "samples": "x"}, "samples: found 'x', expected a whole number"),
    ({**LINES[0], "margin": 10**400}, "margin: found "),
    ({**CLAIM, "settings": nest(20)}, "settings: found "),
    ({**CLAIM, "settings": {"a": nest(20)}}, "nested more than 8 levels deep"),
]


@pytest.mark.parametrize(("line", "reason"), SPOILT, ids=[reason for _, reason in SPOILT])
def test_a_spoilt_file_is_one_line_for_every_reader(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: dict[str, Any], reason: str
) -> None:
    file = made.write(tmp_path / "odd.jsonl", [line])
    for read in (io.read, lambda path: compare.read([str(path)], "0.1.0"), lambda path: load([path])):
        with pytest.raises(RecordError, match=rf"odd\.jsonl, line 2, a {line['record']}: .*{reason}"):
            read(file)
    assert cli.main([str(file), "-o", str(tmp_path / "report")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["9" * 5000, "NaN", "[" * 100_000, '{"a":' * 100_000], ids=["digits", "NaN", "lists", "objects"]
)
def test_what_json_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    file = made.write(tmp_path / "odd.jsonl", LINES[:1])
    rows = file.read_text(encoding="utf-8").split("\n")
    rows[1] = f'{{"record":"verdict","margin":{text}}}'
    file.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(RecordError, match=r"odd\.jsonl, line 2: "):
        io.read(file)


def test_the_published_files_are_read_and_written_as_they_are() -> None:
    """What has no value is left out."""
    for file in sorted(PUBLISHED.glob("*.jsonl")):
        run = io.read(file)
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        for line, record in zip(lines, [run.header, *run.records, run.footer], strict=True):
            found = json.loads(line)
            if found.get("compile_s", 0) is None:
                del found["compile_s"]
            assert record.to_json() == found
