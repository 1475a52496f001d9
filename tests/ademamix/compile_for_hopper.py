"""Compiles the Triton kernel for sm_90a without a GPU and reads the code: a program, so that nothing is interpreted."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from impls.ademamix.backends import triton_kernel

triton = triton_kernel.triton

VARIANTS = (
    ("float32", "float32", True, False),
    ("float32", "float32", False, False),
    ("bfloat16", "float32", True, False),
    ("bfloat16", "bfloat16", True, True),
    ("float16", "float32", True, True),
    ("float32", "8bit", True, False),
    ("bfloat16", "8bit", True, True),
)


def compile_one(parameter: str, state: str, has_fast: bool, stochastic: bool, chunk: int, warps: int) -> Any:
    """One variant, its lists aligned, as a launch would specialise it."""
    constants = {
        "PARAMETER": parameter,
        "STATE": state,
        "HAS_FAST": has_fast,
        "STOCHASTIC": stochastic,
        "CAPTURABLE": False,
        "ALIGNED": True,
        "CHUNK": chunk,
    }
    types = {"addresses": "*i64", "scalars": "*fp32", "keys": "*i32", "chunks": "*i32"}
    types |= dict.fromkeys(constants, "constexpr")
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(4)}
    source = triton.compiler.ASTSource(triton_kernel.step_kernel, types, constants, aligned)
    target = triton.backends.compiler.GPUTarget("cuda", 90, 32)
    return triton.compile(source, target=target, options={"num_warps": warps})


def machine_code(cubin: bytes) -> tuple[dict[str, int], Counter[str]]:
    """Registers, stack and so on, and how often each instruction on global memory stands there."""
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        usage = subprocess.run(
            [tools / "cuobjdump", "--dump-resource-usage", file], capture_output=True, text=True, check=True
        )
        sass = subprocess.run([tools / "cuobjdump", "-sass", file], capture_output=True, text=True, check=True)
    resources = {name: int(value) for name, value in re.findall(r"(REG|STACK|SHARED|LOCAL):(\d+)", usage.stdout)}
    return resources, Counter(re.findall(r"\b(?:LDG|STG|LDL|STL)\.[A-Z0-9.]+", sass.stdout))


def main() -> None:
    """Print one line per variant: its name, registers, stack, and the widest loads and stores with their number."""
    from impls.ademamix.backends.fused_triton import SHAPES

    for parameter, state, has_fast, stochastic in VARIANTS:
        shape = SHAPES["8bit" if state == "8bit" else "16"]
        compiled = compile_one(parameter, state, has_fast, stochastic, shape.chunk, shape.warps)
        resources, instructions = machine_code(compiled.asm["cubin"])
        wide = sum(count for name, count in instructions.items() if ".128" in name)
        print(
            parameter, state, "m1" if has_fast else "no-m1", "stochastic" if stochastic else "nearest", resources["REG"],
            resources["STACK"], wide, dict(sorted(instructions.items())),
        )  # fmt: skip


if __name__ == "__main__":
    main()
