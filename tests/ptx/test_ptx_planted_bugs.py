"""Bugs planted in the PTX of our CUDA optimizer: each must be found, by the interpreter or by comparing all that is stored.

The kernel is compiled to PTX, the text is changed, and a step is made on tensors of all kinds: whole chunks, ragged ends,
unaligned. What it stores is compared with what the unchanged kernel stores, which the suite judges.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from conformance.ptx import cuda_launches, device
from conformance.ptx.faults import KernelFault
from conformance.ptx.memory import Stores
from impls.ademamix.backends import cuda
from impls.ademamix.optimizer import AdEMAMix

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((5500, 0), (300, 1), (1, 0))
"""Elements of each tensor, and by how many it begins off an aligned place."""


def changed(before: str, after: str, number: int = 0) -> Callable[[str], str]:
    """Replace one occurrence of a pattern; there must be that many."""

    def change(ptx: str) -> str:
        match = list(re.finditer(before, ptx))[number]
        return ptx[: match.start()] + match.expand(after) + ptx[match.end() :]

    return change


PLANTED: dict[str, tuple[str, Callable[[str], str]]] = {
    "a shuffle at the distance of the one before": ("8bit", changed(r"(shfl\S+\s+[^,]+, %r\d+), %r\d+", r"\1, 16", 1)),
    "no shuffle over half a warp": ("8bit", changed(r"(shfl\S+\s+[^,]+, %r\d+), %r\d+", r"\1, 0")),
    "a store less": ("float32", changed(r"st\.global\S+ [^;]*;", "")),
    "the last store less": ("float32", changed(r"st\.global\S+ [^;]*;", "", -1)),
    "a store 32 KiB off": ("float32", changed(r"(st\.global\S+\s+\[%rd\d+)(\+\d+)?\]", r"\1+32768]")),
    "a load four bytes off": ("float32", changed(r"(ld\.global\.f32[^\[]*\[%rd\d+)\]", r"\1+4]", -1)),
    "a condition reversed": ("float32", changed(r"setp\.lt\.s32", "setp.ge.s32")),
    "two operands swapped": ("float32", changed(r"(sub\.f32\s+%f\d+), (%f\d+), (%f\d+)", r"\1, \3, \2")),
    "a bound one too high": ("float32", changed(r"setp\.lt\.s32", "setp.le.s32", -1)),
    "a scale that is not stored": ("8bit", changed(r"st\.global\.f32[^;]*;", "", -1)),
}


@contextlib.contextmanager
def changing(change: Callable[[str], str] | None, told: list[Stores]) -> Iterator[None]:
    """Have the optimizer's launches executed, of a PTX that is changed first."""
    real, plain = cuda_launches.ptx, device.execute

    def execute(*arguments: object, **keywords: object) -> Stores:
        told.append(plain(*arguments, **keywords))  # type: ignore[arg-type]
        return told[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "STAND_IN", cuda_launches.Executed())
        patch.setattr(device, "execute", execute)
        if change is not None:
            patch.setattr(
                cuda_launches, "ptx", lambda *given: change(real(*given)) if _is_large(given, change) else real(*given)
            )
        yield


def _is_large(given: tuple[object, ...], change: object) -> bool:
    """Whether this variant is the one to be changed: 8-bit optimizers keep small tensors in float32."""
    kind = given[0]
    return getattr(kind, "states", "") == ("8bit" if change in EIGHT_BITS else "float32")


EIGHT_BITS = [change for states, change in PLANTED.values() if states == "8bit"]


def stepped(backend: str, states: str, change: Callable[[str], str] | None = None) -> tuple[list[torch.Tensor], list[Stores]]:
    """All that a step stored: parameters and moments, and the counts of the stores."""
    draw = torch.Generator().manual_seed(0)
    parameters = []
    for size, off in SIZES:
        parameters.append(torch.nn.Parameter(torch.randn(size + 8, generator=draw)[off : off + size]))
        parameters[-1].grad = torch.randn(size, generator=draw)
    told: list[Stores] = []
    with changing(change, told):
        optimizer = AdEMAMix(parameters, backend=backend, state_dtype=states, seed=5, t_alpha=10, t_beta3=10, weight_decay=0.1)
        optimizer.step()
    held = [v for p in parameters for v in optimizer.state[p].values() if torch.is_tensor(v)]
    return [*(p.detach() for p in parameters), *held], told


def missing() -> str:
    """Why nothing of this can run here."""
    obstacle = cuda_launches.Executed().obstacle()
    return "" if obstacle is None else f"not run: {obstacle}"


@pytest.mark.parametrize("states", ["float32", "bfloat16", "8bit"])
def test_no_byte_is_stored_twice(states: str) -> None:
    if why := missing():
        print(why)
        return
    _, stores = stepped("cuda", states)
    assert stores
    assert all(counts.max(initial=0) <= 1 for launch in stores for counts in launch.counts.values())
    assert not stepped("cuda-host", states)[1]


def test_the_suite_judges_the_ptx_by_its_own_bounds(tmp_path: Path) -> None:
    if why := missing():
        print(why)
        return
    records = tmp_path / "records.jsonl"
    command = [
        *(sys.executable, "-m", "pytest", "conformance", "-p", "no:cacheprovider", "-q", "--quick", "-k", "ADM-21 or SIG-01"),
        *("--device=ptx", "--impl=ademamix/cuda", "--impl=ademamix/triton", "--impl=sigmoid_attention/triton"),
        f"--records={records}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    found = [json.loads(line) for line in records.read_text().splitlines() if '"record":"verdict"' in line]
    judged = [each for each in found if each["verdict"] == "pass"]
    assert {each["implementation"] for each in judged} == {"ademamix/cuda", "ademamix/triton", "sigmoid_attention/triton"}
    assert {each["device"] for each in judged} == {"ptx"}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bugs_are_found(name: str) -> None:
    if why := missing():
        print(why)
        return
    states, change = PLANTED[name]
    expected, _ = stepped("cuda", states)
    found: list[torch.Tensor] = []
    with contextlib.suppress(KernelFault):
        found, _ = stepped("cuda", states, change)
    assert not found or not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
