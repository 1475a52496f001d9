"""Claims and curves run one after the other into a complete record file, whatever any one of them does."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.harness import CONNECTED_ELSEWHERE, connect
from conformance.records import io
from conformance.records.schema import Axes, Series
from conformance.studies import claims, curves
from conformance.studies.claims import Claim, Finding
from conformance.studies.curves import Curve, Trace
from conformance.studies.study import BAD_INPUT, BROKEN, DONE, INTERRUPTED, Effort
from impls.implementation import Implementation, NotRun, Origin, Unsupported
from reports.merge import load


def finding(**changes: Any) -> Finding:
    fields: dict[str, Any] = {"measured": 1.9512345678, "verdict": "holds", "message": "As said.", "settings": {"seed": 1}}
    return Finding(**{**fields, **changes})


def claim(id_: str, run: Callable[[Effort], Finding], **changes: Any) -> Claim:
    fields: dict[str, Any] = {"system": "rig", "statement": "It is so.", "source": "page 1", "expected": 2, "unit": "times"}
    return Claim(id=id_, run=run, **{**fields, **changes})


def raises(error: BaseException) -> Callable[..., Any]:
    def run(*_: object) -> Any:
        raise error

    return run


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def hold(*made: Any) -> None:
        for module, kind in ((claims, Claim), (curves, Curve)):
            held = tuple(one for one in made if isinstance(one, kind))
            monkeypatch.setattr(module, "of_systems", lambda *_, held=held: held)

    return hold


def written(path: Path, kind: str = "claim") -> list[dict[str, Any]]:
    return sorted(
        (record.to_json() for record in io.read(path).records if kind == record.KIND), key=lambda line: line.get("id", "")
    )


def test_one_that_fails_stops_none_after_it(tmp_path: Path, systems: Callable[..., None]) -> None:
    systems(
        claim("RIG-C1", raises(ZeroDivisionError("no"))),
        claim("RIG-C2", raises(SystemExit(3))),
        claim("RIG-C3", raises(NotRun("no data here"))),
        claim("RIG-C4", raises(Unsupported("not in this form"))),
        claim("RIG-C5", lambda effort: finding()),
        claim("RIG-C6", lambda effort: finding(measured=math.nan)),
    )
    assert claims.main(["--records", str(tmp_path / "r.jsonl")]) == BROKEN
    found = {line["id"]: line for line in written(tmp_path / "r.jsonl")}
    assert [line["verdict"] for line in found.values()] == ["error", "error", "not run", "unsupported", "holds", "error"]
    assert "ZeroDivisionError: no" in found["RIG-C1"]["message"]
    assert found["RIG-C5"]["measured"] == 1.95123
    assert load([tmp_path / "r.jsonl"]).suite


def test_every_line_has_the_same_keys(tmp_path: Path, systems: Callable[..., None]) -> None:
    shape = {"series": (Series("a", [1, 2], [3, math.inf], [1, 1], [4, 4]),), "axes": Axes("n", "error", "xy")}
    systems(claim("RIG-C1", lambda effort: finding(**shape)), claim("RIG-C2", raises(NotRun("no"))))
    assert claims.main(["--records", str(tmp_path / "r.jsonl")]) == DONE
    first, second = written(tmp_path / "r.jsonl")
    assert set(first) == set(second)
    assert first["series"] == [{"label": "a", "x": [1.0, 2.0], "y": [3.0, "inf"], "low": [1.0, 1.0], "high": [4.0, 4.0]}]
    assert first["axes"] == {"x": "n", "y": "error", "log": "xy"}


def test_an_interrupted_run_records_what_it_found(tmp_path: Path, systems: Callable[..., None]) -> None:
    systems(
        claim("RIG-C1", lambda effort: finding()),
        claim("RIG-C2", raises(KeyboardInterrupt())),
        claim("RIG-C3", lambda effort: finding()),
    )
    assert claims.main(["--records", str(tmp_path / "r.jsonl")]) == INTERRUPTED
    assert [line["verdict"] for line in written(tmp_path / "r.jsonl")] == ["holds", "not run", "not run"]


def test_what_stands_in_the_way_is_said(tmp_path: Path, systems: Callable[..., None]) -> None:
    systems(
        claim("RIG-C1", raises(AssertionError()), needs=("no_such_module",)),
        claim("RIG-C2", raises(AssertionError()), devices=("cuda",)),
        claim("RIG-C3", raises(AssertionError())),
        claim("RIG-C4", lambda effort: finding(measured=str(effort.quick)), quick=True),
    )
    assert claims.main(["--quick", "--records", str(tmp_path / "r.jsonl")]) == DONE
    lines = written(tmp_path / "r.jsonl")
    assert [line["verdict"] for line in lines] == ["not run"] * 3 + ["holds"]
    for line, word in zip(lines, ("no_such_module", "cuda only", "--quick"), strict=False):
        assert word in line["message"]
    assert lines[3]["quick"] is True
    assert lines[3]["measured"] == "True"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [([], "1 2 3"), (["rig"], "1 2"), (["RIG-C2"], "2"), (["adm-*", "RIG-C1"], "1 3"), (["rag"], ""), (["RIG-C9"], None)],
)
def test_names_systems_and_globs_select(
    names: list[str], chosen: str | None, systems: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    systems(
        claim("RIG-C1", raises(AssertionError())),
        claim("RIG-C2", raises(AssertionError())),
        claim("ADM-C3", raises(AssertionError()), system="ademamix"),
    )
    code = claims.main([*names, "--list"])
    said = capsys.readouterr()
    if chosen is None:
        assert code == BAD_INPUT
        assert "RIG-C9" in said.err
        assert "RIG-C1, RIG-C2, ADM-C3" in said.err
    else:
        assert code == 0
        assert [line.split()[0][-1] for line in said.out.split("\n") if line] == chosen.split()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: finding(verdict="true"),
        lambda: finding(series=(Series("a", [1], [1]),)),
        lambda: Axes("x", "y", "z"),
        lambda: Series("a", [1, 2], [1]).to_json(),
        lambda: Series("a", [1], [1], low=[1]).to_json(),
        lambda: Series("a", [1], [math.nan]).to_json(),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError):  # each message has its own words
        wrong()


def curve(run: Callable[[Implementation, Effort], Trace | Iterable[Trace]], name: str = "error-against-length") -> Curve:
    return Curve(
        name=name, system="rig", title="Error against length", axes=Axes("length", "error", "xy"), run=run, quick=True
    )


def test_a_curve_is_followed_for_every_implementation(tmp_path: Path, systems: Callable[..., None]) -> None:
    def run(implementation: Implementation, effort: Effort) -> list[Trace]:
        if implementation.name == "rig/reference":
            raise RuntimeError("gave up")
        return [Trace(x=[1, 2], y=[3, 4], dtype=dtype, settings={"seed": 0}) for dtype in ("float32", "float64")]

    systems(curve(run))
    target = tmp_path / "r.jsonl"
    assert curves.main(["--impl", "rig/re", "--impl", "rig/reference", "--impl", "rag/*", "--records", str(target)]) == BROKEN
    lines = written(target, "curve")
    assert sorted((line["implementation"], line["dtype"], line["verdict"]) for line in lines) == [
        ("rig/re", "float32", "measured"),
        ("rig/re", "float64", "measured"),
        ("rig/reference", "", "error"),
    ]
    assert len({tuple(sorted(line)) for line in lines}) == 1
    assert [row.name for row in io.read(target).header.implementations] == ["rig/re", "rig/reference"]
    assert json.dumps(lines[0]["axes"]) == '{"x": "length", "y": "error", "log": "xy"}'


TELLS_ITS_PROCESS = """
import os

def parse(text):
    return [(str(os.getpid()), "", 0, 0)]
"""


def test_a_curve_of_a_plug_runs_in_a_process_of_its_own(tmp_path: Path, systems: Callable[..., None]) -> None:
    def run(implementation: Implementation, effort: Effort) -> Trace:
        ((process, *_),) = connect(implementation, effort.device).parse("x")
        return Trace(x=[1], y=[int(process)])

    (tmp_path / "plug.py").write_text(TELLS_ITS_PROCESS, encoding="utf-8")
    systems(curve(run))
    target = tmp_path / "r.jsonl"
    options = ["--impl", f"rig={tmp_path / 'plug.py'}:parse", "--records", str(target)]
    for more, here in (([], False), (["--in-process"], True)):
        assert curves.main([*options, *more]) == DONE
        (line,) = written(target, "curve")
        assert (line["y"] == [os.getpid()]) == here
    assert not CONNECTED_ELSEWHERE


def test_a_curve_is_named_with_and_without_its_system(
    systems: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    systems(curve(raises(AssertionError())), curve(raises(AssertionError()), "time-against-length"))
    for name, number in (("error-against-length", 1), ("rig/error-*", 1), ("rig", 2), ("nothing", 0)):
        code = curves.main([name, "--list"])
        assert len([line for line in capsys.readouterr().out.split("\n") if line]) == number
        assert code == (0 if number else BAD_INPUT)


def test_a_plug_that_cannot_be_used_is_one_line(systems: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    systems(curve(raises(AssertionError())))
    assert curves.main(["--impl", "no.such.module:thing"]) == BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 1


def test_progress_is_said_to_those_who_wait(
    systems: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.studies.study._QUIET_S", 0)

    def run(effort: Effort) -> Finding:
        effort.say("step 1\nof 2")
        return finding()

    systems(claim("RIG-C1", run))
    claims.main([])
    said = capsys.readouterr()
    assert said.err.strip() == "RIG-C1: step 1 of 2"
    assert said.out.split("\n")[1].startswith("[1/1] RIG-C1 holds, measured 1.95123 times: As said. (")


def test_code_of_others_is_kept_out_of_the_process_that_measures_claims(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plug.py"
    file.write_text(f"open({str(tmp_path / 'loaded')!r}, 'w')\n", encoding="utf-8")
    assert claims.main(["ADM-C4", "--impl", f"{file}:attack"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith(f"python -m conformance.studies.claims: found --impl {file}:attack; claims are measured on")
    assert "python -m conformance.studies.curves" in said
    plug = Implementation(
        name="rig/plug", system="rig", target=f"{file}:attack", summary="", protocol="function", origin=Origin("path")
    )
    with pytest.raises(ValueError, match="found rig/plug, which is not built in; claims are measured on the reference"):
        claims.subject_of(plug, "cpu")
    assert not (tmp_path / "loaded").exists()
