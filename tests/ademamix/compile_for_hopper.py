"""Compiles the Triton kernel for sm_90a without a GPU and reads the code: a program, so that nothing is interpreted."""

from __future__ import annotations

from typing import Any

from gaugeblock.inspection.machine_code import read
from gaugeblock.inspection.triton_kernels import Launch
from impls.ademamix.backends import triton_kernel

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
    return Launch(triton_kernel.step_kernel, types, constants, frozenset([*types][:4]), {"num_warps": warps}).compiled()


def main() -> None:
    """Print one line per variant: its name, registers, stack, and the widest loads and stores with their number."""
    from impls.ademamix.backends.fused_triton import SHAPES

    for parameter, state, has_fast, stochastic in VARIANTS:
        shape = SHAPES["8bit" if state == "8bit" else "16"]
        compiled = compile_one(parameter, state, has_fast, stochastic, shape.chunk, shape.warps)
        (code,) = read(compiled.asm["cubin"])
        instructions = {name: number for name, number in code.opcodes.items() if name.startswith(("LDG", "STG", "LDL", "STL"))}
        wide = sum(count for name, count in instructions.items() if ".128" in name)
        print(
            parameter, state, "m1" if has_fast else "no-m1", "stochastic" if stochastic else "nearest",
            code.resources.registers, code.resources.stack, wide, dict(sorted(instructions.items())),
        )  # fmt: skip


if __name__ == "__main__":
    main()
