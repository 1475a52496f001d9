"""What the compiler made of every Triton kernel of the room, read from its machine code; no GPU is needed.

``python -m conformance.sigmoid_attention.sass`` compiles each configuration that `launch_options` can pick for sm_90a, reads
its SASS and writes a table: does it use the matrix units (HGMMA) and bulk tensor copies (UTMALDG), does it spill, what does it
hold, and what does one score cost in its innermost loop. From the last it predicts a ceiling: what the kernel could reach if
nothing else cost anything. A prediction is not a measurement.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED_LIMIT = 227 * 1024
"""Bytes of shared memory that one block may have on sm_90."""

DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
DIMS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Configuration:
    """One kernel, as it would be compiled for one call."""

    kernel: str
    dtype: str
    dim: int
    options: bool
    """With slopes, a bias tensor, lengths and packing (for the Hopper kernel: causal, with a tail), or with none of them."""


@dataclass(frozen=True)
class Machine:
    """What the model of the inner loop takes from an sm_90 chip; per SM and clock."""

    sms: int = 132
    gigahertz: float = 1.755
    tensor_flops: float = 4096
    special: float = 16
    lanes: float = 128


@dataclass(frozen=True)
class Reading:
    """What stands in one kernel's machine code."""

    configuration: Configuration
    registers: int
    spilled: int
    """Bytes of local memory and stack."""
    shared: int
    threads: int
    loop: dict[str, int]
    """How often each kind of instruction stands in the innermost loop that computes scores; by opcode."""
    whole: dict[str, int]
    """The same of the whole kernel."""
    scores: float
    """Scores that one thread computes in one turn of that loop."""
    products: int
    """Matrix products of tile size in one turn."""

    def per_score(self, *opcodes: str) -> float:
        """Instructions of a kind, for each score."""
        return sum(count for opcode, count in self.loop.items() if opcode.split(".")[0] in opcodes) / self.scores

    def clocks(self, machine: Machine) -> dict[str, float]:
        """Clocks of an SM that one score costs, by what is busy."""
        issued = sum(self.loop.values()) / self.scores
        return {
            "tensor": 2 * self.products * self.configuration.dim / machine.tensor_flops,
            "special": self.per_score("MUFU") / machine.special,
            "issue": issued / machine.lanes,
        }

    def ceiling(self, machine: Machine, *, overlapped: bool) -> float:
        """TFLOP/s at most: with everything overlapped, or with the matrix units waiting for all else."""
        clocks = self.clocks(machine)
        rest = max(clocks["special"], clocks["issue"])
        total = max(clocks["tensor"], rest) if overlapped else clocks["tensor"] + rest
        return machine.sms * machine.gigahertz * 2 * self.products * self.configuration.dim / total / 1000


def configurations(quick: bool = False) -> Iterator[Configuration]:
    """Every configuration; or a few that between them use every kernel, dtype and switch."""
    kernels = ("forward_kernel", "query_gradient_kernel", "key_gradient_kernel")
    if quick:
        yield Configuration("forward_kernel", "bfloat16", 128, False)
        yield Configuration("forward_kernel", "float32", 64, True)
        yield Configuration("query_gradient_kernel", "float16", 64, True)
        yield Configuration("key_gradient_kernel", "bfloat16", 128, False)
        yield Configuration("hopper_kernel", "bfloat16", 64, False)
        return
    for dtype in ("bfloat16", "float16"):
        for dim in (64, 128):
            for options in (False, True):
                yield Configuration("hopper_kernel", dtype, dim, options)
    for kernel in kernels:
        for dtype in DTYPES:
            for dim in DIMS:
                for options in (False, True):
                    yield Configuration(kernel, dtype, dim, options)


def read(configuration: Configuration) -> Reading:
    """Compile one configuration and read it."""
    import torch

    from impls.sigmoid_attention import triton_hopper, triton_kernels

    dtype, dim = getattr(torch, configuration.dtype), configuration.dim
    if configuration.kernel == "hopper_kernel":
        kernel = triton_hopper.hopper_kernel
        meta = {**triton_hopper.launch_options(dim), "CAUSAL": configuration.options, "MASKED": configuration.options}
    else:
        kernel = getattr(triton_kernels, configuration.kernel)
        meta = triton_kernels.launch_options(dtype, dim, dim, kernel=configuration.kernel.partition("_")[0])
    tile = meta["BLOCK_M"] * meta["BLOCK_N"]
    compiled = compile_for_hopper(kernel, configuration, meta)
    resources = resources_of(compiled.asm["cubin"])
    instructions = list(parse(disassemble(compiled.asm["cubin"])))
    loop = innermost(instructions)
    # A specialised kernel has a second group of warps that computes, and one more that only copies.
    threads = 32 * meta["num_warps"] * (2 if meta.get("SPECIALISED") else 1)
    return Reading(
        configuration,
        resources["REG"],
        resources["LOCAL"] + resources["STACK"],
        int(compiled.metadata.shared),
        threads,
        dict(Counter(opcode for _, opcode, _ in loop)),
        dict(Counter(opcode for _, opcode, _ in instructions)),
        tile / threads,
        {"hopper_kernel": 2, "forward_kernel": 2, "query_gradient_kernel": 3, "key_gradient_kernel": 4}[configuration.kernel],
    )


def compile_for_hopper(kernel: Any, configuration: Configuration, meta: dict[str, Any]) -> Any:
    """As a launch with contiguous 16-byte aligned tensors would be."""
    import triton

    meta = dict(meta)
    launch = {name: meta.pop(name) for name in ("num_warps", "num_stages")}
    switches = dict.fromkeys(("HAS_SLOPES", "HAS_BIAS", "HAS_LENGTHS", "PACKED"), configuration.options)
    names = {parameter.name for parameter in kernel.params}
    types, constants = {}, {name: value for name, value in {**meta, **switches}.items() if name in names}
    for parameter in kernel.params:
        name = parameter.name
        if parameter.is_constexpr:
            types[name] = "constexpr"
        elif name in ("Q", "K", "V", "O", "G", "DQ", "DK", "DV"):
            types[name] = f"*{DTYPES[configuration.dtype]}"
        elif name in ("Slopes", "Bias", "RowSum", "RowReach"):
            types[name] = "*fp32"
        elif name in ("Lengths", "CuQ", "CuK"):
            types[name] = "*i32"
        elif name in ("scale", "scale2", "bias2"):
            types[name] = "fp32"
        elif name.endswith("_d"):  # contiguous along the last axis, which a launch specialises on
            types[name], constants[name] = "constexpr", 1
        else:
            types[name] = "i32"
    divisible = {
        (i,): [["tt.divisibility", 16]]
        for i, (name, kind) in enumerate(types.items())
        if kind.startswith("*") or name.endswith(("_b", "_h", "_n")) or name in ("d", "dv")
    }
    source = triton.compiler.ASTSource(kernel, types, constants, divisible)
    return triton.compile(source, target=triton.backends.compiler.GPUTarget("cuda", 90, 32), options=launch)


Instruction = tuple[int, str, str]
"""Address, opcode with its suffixes, operands."""


def parse(listing: str) -> Iterator[Instruction]:
    """The instructions of an nvdisasm listing with addresses."""
    for match in re.finditer(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Za-z0-9_.]*)([^;]*);", listing):
        yield int(match[1], 16), match[2], match[3]


def innermost(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The shortest loop that computes scores, that is with exponentials or a tanh in it; all of the kernel where none has.

    A loop is what lies between a branch and the earlier address that it jumps to.
    """
    found: list[list[Instruction]] = []
    for address, opcode, operands in instructions:
        target = re.search(r"0x([0-9a-f]+)", operands)
        if opcode.split(".")[0] != "BRA" or target is None or int(target[1], 16) >= address:
            continue
        body = [i for i in instructions if int(target[1], 16) <= i[0] <= address]
        if any(i[1].startswith("MUFU") for i in body):
            found.append(body)
    return min(found, key=len) if found else list(instructions)


def disassemble(cubin: bytes) -> str:
    """The SASS of a cubin, by the disassembler that ships with Triton."""
    return _tool("cuobjdump", cubin, "-sass")


def resources_of(cubin: bytes) -> dict[str, int]:
    """Registers, stack and local memory, as the assembler recorded them."""
    report = _tool("cuobjdump", cubin, "-res-usage")
    return {name: int(re.search(rf"{name}:(\d+)", report)[1]) for name in ("REG", "STACK", "LOCAL")}  # type: ignore[index]


def _tool(name: str, cubin: bytes, *options: str) -> str:
    import triton

    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([str(path), *options, file.name], capture_output=True, text=True, check=True).stdout


COLUMNS = (
    "kernel", "dtype", "dim", "options", "registers", "spilled", "shared KiB", "HGMMA", "bulk copies",
    "special/score", "issued/score", "ceiling TFLOP/s",
)  # fmt: skip


def row(reading: Reading, machine: Machine) -> list[str]:
    """One line of the table."""
    c, whole = reading.configuration, reading.whole

    def count(*opcodes: str) -> int:
        return sum(n for opcode, n in whole.items() if opcode.split(".")[0] in opcodes)

    return [
        c.kernel, c.dtype, str(c.dim), "all" if c.options else "none", str(reading.registers), str(reading.spilled),
        f"{reading.shared / 1024:.0f}", str(count("HGMMA")), str(count("UTMALDG", "UBLKCP")),
        f"{reading.per_score('MUFU'):.2f}", f"{sum(reading.loop.values()) / reading.scores:.1f}",
        f"{reading.ceiling(machine, overlapped=False):.0f}-{reading.ceiling(machine, overlapped=True):.0f}",
    ]  # fmt: skip


def faults(reading: Reading) -> list[str]:
    """What must not be in any configuration that could be picked."""
    found = []
    if reading.shared > SHARED_LIMIT:
        found.append(f"{reading.shared} bytes of shared memory, and a block may have {SHARED_LIMIT}")
    if reading.configuration.dtype != "float32" and not any(opcode.startswith("HGMMA") for opcode in reading.whole):
        found.append("no HGMMA: the matrix units stand idle")
    if reading.spilled:
        found.append(f"{reading.spilled} bytes spilled")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; 1 where a configuration has a fault."""
    parser = argparse.ArgumentParser(prog="python -m conformance.sigmoid_attention.sass", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few configurations that use every kernel, dtype and switch")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the table goes; default: standard output")
    given = parser.parse_args(arguments)
    # Before anything imports Triton, which settles then whether kernels are compiled.
    os.environ["TRITON_INTERPRET"] = "0"
    machine = Machine()
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    complaints = []
    for configuration in configurations(given.quick):
        reading = read(configuration)
        lines.append("| " + " | ".join(row(reading, machine)) + " |")
        complaints += [f"{' '.join(row(reading, machine)[:4])}: {fault}" for fault in faults(reading)]
    text = "\n".join([*lines, "", *complaints, ""])
    if given.output:
        given.output.write_text(text)
    else:
        sys.stdout.write(text)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
