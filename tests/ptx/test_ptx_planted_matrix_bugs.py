"""Bugs planted in the PTX of a small Triton kernel of attention, as compiled for compute capability 8.0 and 9.0.

Its own process compiles it, since the tests' may have Triton interpret. Each bug must be found: by the interpreter, or in the
output, which is NaN before the launch.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from conformance.ptx.faults import KernelFault
from conformance.ptx.launch import Settings, launch, program
from conformance.ptx.memory import Allocation
from tests.ptx.test_ptx_planted_bugs import changed

ROOT = Path(__file__).resolve().parents[2]
Half = npt.NDArray[np.float16]


@functools.cache
def compiled(target: str) -> dict[str, Any]:
    """The kernel's PTX and launch."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.json"
        command = [sys.executable, str(ROOT / "tests" / "ptx" / "half_attention.py"), target, str(file)]
        environment = os.environ | {"TRITON_INTERPRET": "0", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(file.read_text())
        return found


def inputs(kernel: dict[str, Any]) -> list[Half]:
    """Queries, keys and values, and what the output is stored over."""
    draw = np.random.default_rng(0)
    queries, keys = kernel["scalars"][2:4]
    arrays = [draw.standard_normal((n, 32)).astype(np.float16) for n in (queries, keys, keys)]
    return [*arrays, np.full((queries, 32), np.nan, np.float16)]


def output(kernel: dict[str, Any], change: Callable[[str], str] = str, seed: int = 3) -> Half:
    """What the kernel stores, of the PTX that is changed first."""
    arrays = inputs(kernel)
    arguments = [*(a.ctypes.data for a in arrays), *kernel["scalars"]]
    held = [Allocation(a.ctypes.data, a.nbytes, name) for a, name in zip(arrays, ("q", "k", "v", "out"), strict=True)]
    made = program(change(kernel["ptx"]))
    launch(
        made, (kernel["grid"], 1, 1), (kernel["block"], 1, 1), arguments, held, shared=kernel["shared"],
        settings=Settings(seed),
    )  # fmt: skip
    return arrays[-1]


COPY, MMA, WGMMA = r"cp\.async\.c[ag]\S* ", r"(mma\.sync\S+ \{[^}]*\}, )", r"(wgmma\.mma_async\S+ )"
PLANTED: dict[str, tuple[str, Callable[[str], str]]] = {
    "a wait for copies less": ("80", changed(r"cp\.async\.wait_group\s+2;", "")),
    "a wait for a group too few": ("80", changed(r"cp\.async\.wait_group\s+2;", "cp.async.wait_group 3;")),
    "a group that is not committed": ("80", changed(r"cp\.async\.commit_group;", "", 3)),
    "a copy without its mask": ("80", changed(rf"({COPY}[^;]*), %r\d+;", r"\1, 16;", 4)),
    "a copy to the next row": ("80", changed(rf"({COPY}\[ %r\d+ \+) 0", r"\1 64", 1)),
    "a row of ldmatrix wrong": ("80", changed(r"(ldmatrix\S+ \{[^}]*\}, \[%r\d+\+)4608", r"\g<1>4096")),
    "a matrix not transposed": ("80", changed(r"m8n8\.x4\.trans", "m8n8.x4")),
    "two registers of A exchanged": ("80", changed(MMA + r"\{ (%r\d+), (%r\d+)", r"\1{ \3, \2")),
    "the registers of B exchanged": ("80", changed(MMA + r"(\{[^}]*\}, )\{ (%r\d+), (%r\d+)", r"\1\2{ \4, \3", 5)),
    "a barrier less before a slot is used again": ("80", changed(r"bar\.sync\s+0;", "", 2)),
    "a barrier less behind the copies": ("80", changed(r"bar\.sync\s+0;", "", 1)),
    "a store less": ("80", changed(r"@%p\d+ st\.global[^;]*;", "", -1)),
    "a store 32 KiB off": ("80", changed(r"(st\.global\S+ \[ %rd\d+ \+) 0", r"\1 32768")),
    "a wait for a product less": ("90", changed(r"wgmma\.wait_group\S+\s+0;", "")),
    "the last wait for a product less": ("90", changed(r"wgmma\.wait_group\S+\s+0;", "", -1)),
    "a product that is not committed": ("90", changed(r"wgmma\.commit_group\S+;", "")),
    "a fence less": ("90", changed(r"fence\.proxy\.async[^;]*;", "", 1)),
    "a descriptor of the product before": ("90", changed(WGMMA + r"(\{[^}]*\}), %rd22", r"\1\2, %rd20")),
    "a product that adds to what was there": ("90", changed(WGMMA + r"([^;]*), 0, 1, 1", r"\1\2, 1, 1, 1")),
    "values taken as transposed": ("90", changed(WGMMA + r"([^;]*), 1, 1, 1;", r"\1\2, 1, 1, 0;")),
    "a slot used again before its product ended": (
        "90",
        changed(r"wgmma\.wait_group\S+\s+0;", "wgmma.wait_group.sync.aligned 1;"),
    ),
}


def missing() -> str:
    """Why nothing can be compiled here; empty where it can."""
    return "" if find_spec("triton") else "not run: it needs triton"


@pytest.mark.parametrize("target", ["80", "90"])
def test_attention_is_computed(target: str) -> None:
    if why := missing():
        print(why)
        return
    kernel = compiled(target)
    q, k, v, _ = (a.astype(np.float64) for a in inputs(kernel))
    weights = 1 / (1 + np.exp(-(q @ k.T * kernel["scalars"][0] + kernel["scalars"][1])))
    expected = weights @ v
    # Weights and outputs are rounded to float16 once each; float32's errors are less than as much again.
    bound = 2 * 2.0**-11 * (weights @ abs(v) + abs(expected))
    for seed in range(3):
        assert np.all(abs(output(kernel, seed=seed) - expected) <= bound)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bugs_in_matrix_code_are_found(name: str) -> None:
    if why := missing():
        print(why)
        return
    target, change = PLANTED[name]
    kernel = compiled(target)
    assert change(kernel["ptx"]) != kernel["ptx"]
    found = None
    with contextlib.suppress(KernelFault):
        found = output(kernel, change)
    assert found is None or not np.array_equal(found, output(kernel))
