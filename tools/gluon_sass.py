"""Compile the Gluon kernels for sm_90a and read what must be in their machine code; needs no GPU.

``python -m tools.gluon_sass`` writes a table of all configurations: registers, spills, shared memory, how far products and
activation overlap. ``--quick`` takes a few. It ends with 1 where one has a fault.

A product that is begun runs beside what follows until a wait. Where ptxas cannot keep its registers apart from others, it
makes every product wait for its end: that compiles without an error and loses the overlap. So the waits are read from the
machine code: ``WARPGROUP.DEPBAR.LE gsb0, n`` lets ``n`` products run on.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gaugeblock.inspection.architecture import HOPPER, REGISTERS
from gaugeblock.inspection.machine_code import KernelCode, read


@dataclass(frozen=True)
class GluonConfiguration:
    """One kernel as it is compiled for one call."""

    kernel: str = "forward"
    dtype: str = "bfloat16"
    width: int = 128
    switches: frozenset[str] = frozenset()
    """Those of the kernel's HAS_... constants that are set, and LONGEST_FIRST."""

    @property
    def name(self) -> str:
        return ", ".join([self.kernel, self.dtype, f"D{self.width}", *sorted(self.switches)])


SWITCHES = {
    "forward": ("LONGEST_FIRST", "HAS_LENGTHS", "HAS_SLOPES", "HAS_BIAS"),
    "backward": ("HAS_SLOPES", "HAS_BIAS"),
}


def configurations() -> Iterator[GluonConfiguration]:
    """Everything that a call can pick."""
    for kernel, switches in SWITCHES.items():
        every = itertools.product(
            ("bfloat16", "float16"), (64, 128, 256), itertools.product((False, True), repeat=len(switches))
        )
        for dtype, width, chosen in every:
            configuration = GluonConfiguration(kernel, dtype, width, frozenset(itertools.compress(switches, chosen)))
            if width == 64 or (kernel == "forward" and (width == 128 or "HAS_LENGTHS" not in configuration.switches)):
                yield configuration


def few() -> list[GluonConfiguration]:
    """Every width, dtype and switch once."""
    return [
        GluonConfiguration("forward", "bfloat16", 128, frozenset({"LONGEST_FIRST"})),
        GluonConfiguration("forward", "float16", 64, frozenset(SWITCHES["forward"])),
        GluonConfiguration("forward", "bfloat16", 256, frozenset({"LONGEST_FIRST", "HAS_BIAS", "HAS_SLOPES"})),
        GluonConfiguration("backward", "bfloat16", 64, frozenset(SWITCHES["backward"])),
    ]


@dataclass(frozen=True)
class GluonReading:
    """What the machine code of one configuration holds."""

    registers: int
    """Of each thread at the start; groups of warps hand some on (``setmaxnreg``)."""
    spilled: int
    shared: int
    threads: int
    waits: dict[int, int]
    """How many waits allow so many products to run on."""
    products: int
    """Matrix instructions."""
    interleaved: int
    """Stretches of special functions between two matrix instructions, with no wait for all products between."""
    copies: int
    stores: int
    instructions: int

    @property
    def blocks(self) -> int:
        """Blocks of threads that a multiprocessor holds at once."""
        by_registers = REGISTERS // (self.registers * self.threads)
        return min(by_registers, HOPPER.shared * 1024 // (self.shared + 1024))

    @property
    def faults(self) -> list[str]:
        """What no configuration may have."""
        found = []
        if self.spilled:
            found.append(f"{self.spilled} bytes spilled")
        if self.shared > HOPPER.most_shared:
            found.append(f"{self.shared} bytes of shared memory, and a block may have {HOPPER.most_shared}")
        if not any(count for allowed, count in self.waits.items() if allowed):
            found.append("every wait is for all products: nothing overlaps")
        if sum(self.waits.values()) > self.products // 2:
            found.append("the assembler made each product wait for its end")
        if not self.interleaved:
            found.append("no activation between a product's start and its end")
        if not self.copies or not self.stores:
            found.append("something is not copied in bulk")
        return found


def compile_for_hopper(configuration: GluonConfiguration) -> Any:
    """As a launch would."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.experimental.gluon import language as gl
    from triton.experimental.gluon._runtime import GluonASTSource

    from impls.sigmoid_attention import gluon_backward_kernel, gluon_forward_kernel, triton_gluon

    c = configuration
    short = {"bfloat16": "bf16", "float16": "fp16"}[c.dtype]
    forward = c.kernel == "forward"
    kernel = gluon_forward_kernel.gluon_forward_kernel if forward else gluon_backward_kernel.gluon_backward_kernel
    chosen = triton_gluon.forward_options(c.width) if forward else triton_gluon.backward_options(c.width)
    constants = {**chosen, **{name: name in c.switches for name in SWITCHES[c.kernel]}}
    options = {"num_warps": constants.pop("num_warps")}
    keys = constants.get("BLOCK_N", 64)
    pointers = {"Lengths": "*i32", "Slopes": "*fp32", "Bias": f"*{short}"}
    types = {}
    for parameter in kernel.params:
        name = parameter.name
        if parameter.is_constexpr:
            types[name] = "constexpr"
        elif name.endswith("_rows"):
            kind, bits = ("fp32", 32) if name == "dq_rows" else (short, 16)
            layout = gl.NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=bits, rank=4)
            types[name] = f"tensordesc<{kind}[1, 1, {keys if name[0] in 'kv' else 64}, {c.width}],{layout!r}>"
        else:
            types[name] = pointers.get(name, "fp32" if name in ("scale", "scale2", "bias2") else "i32")
    source = GluonASTSource(kernel, types, constants)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


def reading(configuration: GluonConfiguration) -> GluonReading:
    """Compile one configuration and read it."""
    made = compile_for_hopper(configuration)
    (code,) = read(made.asm["cubin"])
    return reading_of(code, int(made.metadata.shared), 32 * int(made.metadata.num_warps))


def reading_of(code: KernelCode, shared: int, threads: int) -> GluonReading:
    """The counts of a kernel's machine code."""
    waits: Counter[int] = Counter()
    interleaved = 0
    running = special = False
    for instruction in code.instructions:
        if instruction.kind == "HGMMA":
            running, special = True, False
        elif instruction.opcode.startswith("WARPGROUP.DEPBAR"):
            allowed = int(instruction.operands.split(",")[1].strip().rstrip(" ;"), 16)
            waits[allowed] += 1
            if allowed == 0:
                interleaved += special and running
                running = special = False
        elif instruction.kind == "MUFU":
            special = True
    return GluonReading(
        code.resources.registers, max(code.resources.spilled, code.count("STL", "LDL")), shared, threads, dict(waits),
        code.count("HGMMA"), interleaved, code.count("UTMALDG"), code.count("UTMASTG", "UTMAREDG"), len(code.instructions),
    )  # fmt: skip


COLUMNS = (
    "kernel", "registers", "spilled", "shared KiB", "blocks/SM", "HGMMA", "waits for 0", "waits for 1", "overlaps",
    "instructions",
)  # fmt: skip


def row(configuration: GluonConfiguration, found: GluonReading) -> list[str]:
    """One line of the table."""
    waits = [str(found.waits.get(allowed, 0)) for allowed in (0, 1)]
    return [
        configuration.name, str(found.registers), str(found.spilled), f"{found.shared / 1024:.0f}", str(found.blocks),
        str(found.products), *waits, str(found.interleaved), str(found.instructions),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; 1 where a configuration has a fault."""
    parser = argparse.ArgumentParser(prog="python -m tools.gluon_sass", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few configurations that use every width, dtype and switch")
    given = parser.parse_args(arguments)
    os.environ["TRITON_INTERPRET"] = "0"
    faulty = False
    sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
    for configuration in few() if given.quick else configurations():
        found = reading(configuration)
        faulty |= bool(found.faults)
        sys.stdout.write(f"| {' | '.join(row(configuration, found))} |\n")
        sys.stderr.write(f"{configuration.name}: {'; '.join(found.faults) or 'no fault'}\n")
    return int(faulty)


if __name__ == "__main__":
    sys.exit(main())
