"""Compiles every Triton kernel of the room for sm_90a, with no GPU: a program of its own, so that nothing is interpreted."""

from __future__ import annotations

from typing import Any

import torch

from impls.sigmoid_attention import triton_kernels as kernels

triton = kernels.triton

POINTERS = {"Q", "K", "V", "O", "G", "DQ", "DK", "DV"}
FLOATS = {"scale", "scale2", "bias2"}


def signature(kernel: Any, element: str) -> dict[str, str]:
    """The types of a kernel's arguments, by name."""
    types = {}
    for parameter in kernel.params:
        name = parameter.name
        if parameter.is_constexpr:
            types[name] = "constexpr"
        elif name in POINTERS:
            types[name] = f"*{element}"
        elif name in ("Slopes", "Bias", "RowSum", "RowReach"):
            types[name] = "*fp32"
        elif name in ("Lengths", "CuQ", "CuK"):
            types[name] = "*i32"
        else:
            types[name] = "fp32" if name in FLOATS else "i32"
    return types


def compile_one(kernel: Any, dtype: torch.dtype, d: int, options: bool) -> Any:
    """One kernel at one head dim, with or without slopes and lengths."""
    meta = kernels.launch_options(dtype, d, d, backward=kernel is not kernels.forward_kernel)
    launch = {name: meta.pop(name) for name in ("num_warps", "num_stages")}
    element = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}[dtype]
    types = signature(kernel, element)
    constants: dict[Any, Any] = {**meta, "HAS_SLOPES": options, "HAS_LENGTHS": options, "HAS_BIAS": options, "PACKED": options}
    for name, kind in types.items():
        if name.endswith("_d") and kind == "i32":  # contiguous along the last axis, which a launch specialises on
            types[name], constants[name] = "constexpr", 1
    divisible = {
        (i,): [["tt.divisibility", 16]]
        for i, (name, kind) in enumerate(types.items())
        if kind.startswith("*") or name.endswith(("_b", "_h", "_n")) or name in ("d", "dv")
    }
    source = triton.compiler.ASTSource(kernel, types, constants, divisible)
    return triton.compile(source, target=triton.backends.compiler.GPUTarget("cuda", 90, 32), options=launch)


def main() -> None:
    """Print one line per kernel: its name, dtype, head dim, shared memory, and whether it uses the matrix units."""
    for kernel, dtype, d, options in (
        (kernels.forward_kernel, torch.bfloat16, 128, False),
        (kernels.forward_kernel, torch.float32, 64, True),
        (kernels.query_gradient_kernel, torch.bfloat16, 64, True),
        (kernels.key_gradient_kernel, torch.bfloat16, 128, False),
    ):
        compiled = compile_one(kernel, dtype, d, options)
        units = "wgmma" if "wgmma" in compiled.asm["ptx"] else "no-wgmma"
        print(kernel.fn.__name__, dtype, d, compiled.metadata.shared, units, len(compiled.asm["cubin"]))


if __name__ == "__main__":
    main()
