"""Workloads from a file are measured as listed ones are, their answers are verified, and a wrong file is refused in words."""

from __future__ import annotations

import functools
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.benchmark import workload_file
from conformance.benchmark.benchmark import benchmark_cases, hindrance
from conformance.benchmark.workload_file import BadWorkloads
from conformance.engine.check import worst_of
from conformance.engine.discovery import select
from conformance.engine.harness import connect
from conformance.engine.selection import Options

DECODE = {"system": "sigmoid_attention", "name": "decode", "batch": 2, "heads": 4, "key_heads": 2, "length": 1, "keys": 70,
          "dim": 16, "dtype": "float32", "causal": True}  # fmt: skip
PACKED = {"system": "sigmoid_attention", "heads": 4, "key_heads": 2, "lengths": [40, 17, 33], "dim": 16, "dtype": "float32",
          "causal": True, "direction": "fwd-bwd"}  # fmt: skip
FEW = {"system": "sigmoid_attention", "heads": 2, "length": 30, "keys": 50, "dim": 16, "dtype": "float32", "direction": "bwd",
       "causal": True, "bias": -2}  # fmt: skip
MANY = {"system": "ademamix", "parameters": 20_000, "tensors": 10}


def written(folder: Path, entries: Any) -> str:
    file = folder / "workloads.json"
    file.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    workload_file.read.cache_clear()
    return str(file)


def test_a_file_takes_the_place_of_the_list(tmp_path: Path) -> None:
    file = written(tmp_path, [DECODE, PACKED, MANY])
    chosen = select(["sigmoid_attention/torch-blocked", "ademamix/torch-eager"]).implementations
    found = {
        system: [
            case.workload.id
            for case in benchmark_cases(system, chosen, Options(quick=quick, workloads=file))
            if not case.is_baseline
        ]
        for system, quick in (("sigmoid_attention", True), ("rig", False))
    }
    assert found == {"sigmoid_attention": ["decode", "fwd-bwd-causal-B1-H4-HK2-N90-D16-packed3-float32"], "rig": []}
    (case,) = benchmark_cases("ademamix", chosen, Options(workloads=file))
    assert case.workload.parameters == {"count": 20_000, "tensors": 10, "states": "float32"}


def test_an_implementation_without_the_feature_is_not_timed_on_it(tmp_path: Path) -> None:
    chosen = select(["sigmoid_attention/softmax-fused"]).implementations
    (case,) = benchmark_cases("sigmoid_attention", chosen, Options(workloads=written(tmp_path, [DECODE])))
    assert "gqa" in str(hindrance(case))


@pytest.mark.parametrize("entry", [DECODE, PACKED, FEW])
def test_own_shapes_are_verified_in_every_head(entry: dict[str, Any]) -> None:
    workload = workload_file.made(entry)
    workloads = importlib.import_module("conformance.sigmoid_attention.workloads")
    (implementation,) = select(["sigmoid_attention/torch-eager"]).implementations
    prepared = workloads.prepare(implementation, workload, "cpu")
    assert worst_of(list(prepared.verify())).passed
    prepared.renew(3)
    prepared.run()
    assert worst_of(list(prepared.verify_timed())).passed


def spoilt(name: str, where: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(results: dict[str, Any]) -> None:
        results[name].detach()[where] *= 1.01

    return spoil


@pytest.mark.parametrize(
    ("entry", "spoil"),
    [
        (DECODE, spoilt("output", (1, 3))),
        (PACKED, spoilt("output", (0, 3, slice(57, 90)))),
        (PACKED, spoilt("dk", (0, 1, slice(40, 57)))),
        (PACKED, spoilt("dv", (0, 0, slice(0, 40)))),
        (FEW, spoilt("dq", (0, 1))),
        (FEW, spoilt("dv", (0, 1))),
    ],
)
def test_a_wrong_head_or_sequence_is_found(entry: dict[str, Any], spoil: Callable[[Any], None]) -> None:
    workloads = importlib.import_module("conformance.sigmoid_attention.workloads")
    (implementation,) = select(["sigmoid_attention/torch-eager"]).implementations
    workload = workload_file.made(entry)
    load = workload.parameters["load"]
    compared = functools.partial(workloads._compare_groups, load, "")
    timed = workloads._Timed(implementation, load, "cpu", connect(implementation, "cpu").timed(load), compared)
    timed.prepared(1).run()
    assert worst_of(list(compared(timed))).passed
    spoil(timed.work._results)
    assert not worst_of(list(compared(timed))).passed


def test_work_is_counted_by_pairs_that_see_each_other() -> None:
    flops = {name: workload_file.made(entry).flops for name, entry in (("decode", DECODE), ("packed", PACKED), ("few", FEW))}
    assert flops["decode"] == 4 * 2 * 4 * 70 * 16
    assert flops["packed"] == 3.5 * 4 * 4 * (40**2 + 17**2 + 33**2) / 2 * 16
    assert flops["few"] == 2.5 * 4 * 2 * sum(20 + i + 1 for i in range(30)) * 16
    assert workload_file.made(DECODE).bytes_moved == 4 * (2 * 2 * 4 * 16 + 2 * 2 * 2 * 70 * 16)


def test_listed_workloads_are_what_they_were() -> None:
    from conformance.sigmoid_attention.workloads import WORKLOADS

    by_id = {workload.id: workload for workload in WORKLOADS}
    one = by_id["fwd-bwd-causal-B1-H16-N16384-D128-bfloat16"]
    assert one.flops == 3.5 * 4 * 16 * 16384**2 * 128 / 2
    assert one.bytes_moved == 8 * 2 * 16 * 16384 * 128
    assert np.all([workload.parameters["load"].plain for workload in WORKLOADS])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("{", "found no JSON"),
        ({}, "found an object, expected a list of workloads"),
        ([], "found a list of none"),
        ([3], "workload 1: found 3, expected an object"),
        ([{"system": "rig"}], "workload 1: found the system 'rig', expected one of ademamix, sigmoid_attention"),
        ([DECODE, {**DECODE, "lenght": 3}], "workload 2: found 'lenght', expected fields among name, batch, heads"),
        ([{**DECODE, "heads": "4"}], "found heads '4', expected a whole number from 1 on"),
        ([{"system": "sigmoid_attention", "length": 4, "dim": 8}], "found heads None, expected a whole number from 1 on"),
        ([{**DECODE, "causal": 1}], "found causal 1, expected true or false"),
        ([{**DECODE, "dtype": "fp8"}], "found dtype 'fp8', expected one of 'float32', 'float16', 'bfloat16'"),
        ([{**DECODE, "key_heads": 3}], "found key_heads that do not divide heads"),
        ([{**PACKED, "length": 90}], "found both length and lengths, or neither; expected one of them"),
        ([{**PACKED, "batch": 2}], "found lengths with a batch or keys; expected lengths alone"),
        ([{**PACKED, "lengths": [3, 0]}], "found lengths [3, 0], expected a list of whole numbers from 1 on"),
        ([{**DECODE, "bias": "log"}], "found bias 'log', expected a number or '-log n'"),
        ([DECODE, DECODE], "workload 2: found the name decode again"),
        ([{**MANY, "tensors": 30_000}], "found tensors 30000 of 20000 parameters"),
        ([{**MANY, "states": "4bit"}], "found states '4bit', expected one of 'float32', 'bfloat16', '8bit'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_words(entries: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadWorkloads) as refused:
        workload_file.read(written(tmp_path, entries))
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadWorkloads, match="No such file"):
        workload_file.read(str(tmp_path / "none.json"))


def test_the_option_goes_with_measuring_alone(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]

    def refused(*words: str) -> str:
        command = [sys.executable, "-m", "pytest", "conformance/ademamix", "-q", "--collect-only", "-p", "no:cacheprovider"]
        return subprocess.run([*command, *words], cwd=root, capture_output=True, text=True, check=False).stderr

    assert "found it without --benchmark-only; expected both" in refused("--workloads", written(tmp_path, [MANY]))
    said = refused("--benchmark-only", "--workloads", written(tmp_path, [{}]))
    assert "workload 1: found the system None, expected one of" in said
