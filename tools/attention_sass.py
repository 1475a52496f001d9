"""Compile every configuration of the Triton kernels for sm_90a and read the machine code; needs no GPU.

``python -m tools.attention_sass`` takes each configuration that a call or the tuning can pick, and writes a table: does it use
the matrix units (HGMMA) and bulk tensor copies (UTMALDG), does it spill, what does it hold, what does one score cost in its
innermost loop, and by the model of `Machine` what share of the matrix units' peak that loop could reach. ``-o FOLDER`` writes
the page (README.md) and the record of all counts (readings.json). It ends with 1 where a configuration has a fault: such a one
is no candidate.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import itertools
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gaugeblock.inspection.architecture import HOPPER
from gaugeblock.inspection.triton_kernels import Launch
from tools.attention_candidates import KERNELS, candidates
from tools.machine_code import KernelCounts, Machine, count, read_cubin

DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
DIMS = (16, 32, 64, 96, 128, 256)
"""Head dims of the generic kernels: each size of tile, and one that fills none."""

MASKINGS: dict[str, tuple[int, int, bool, bool]] = {
    "full": (1024, 1024, False, False),
    "causal": (1024, 1024, True, False),
    "causal, ends unaligned": (1000, 1013, True, False),
    "ragged": (1000, 1000, False, False),
    "ragged, grouped": (1000, 1000, False, True),
}
"""Lengths of queries and keys, causal, grouped. Together they use every kind of masking of the Hopper kernels. Only the
gradient of the keys has the last kind. With grouped heads and a causal mask it is compiled as for unaligned ends."""

PRODUCTS = {"forward": 2, "query": 3, "key": 4, "keys": 3, "values": 2}
"""Matrix products in one turn of a kernel's loop."""

USEFUL = {"forward": 2, "backward": 5}
"""The products that count as work of a pass; computing scores and their gradients again does not."""


@dataclass(frozen=True)
class Configuration:
    """One kernel, as it would be compiled for one call."""

    kernel: str
    """A key of `tools.attention_candidates.KERNELS`."""
    dtype: str
    dim: int
    masking: str = "full"
    options: bool = False
    """With every option that the kernel has: slopes, a bias tensor, grouped heads, lengths and packing; or with none."""
    change: tuple[tuple[str, Any], ...] = ()
    """What the tuning would put in the place of launch options in use."""

    @property
    def name(self) -> str:
        words = [self.kernel, self.dtype, f"D{self.dim}", self.masking, "all options" if self.options else "no options"]
        return ", ".join([*words, *(f"{name} {value}" for name, value in self.change)])


def configurations() -> Iterator[Configuration]:
    """Everything that a call can pick, and everything that the tuning tries.

    A candidate is compiled in bfloat16 alone, from which float16 differs in the name of the matrix instruction.
    """
    for kernel, dtype, options in itertools.product(KERNELS, DTYPES, (False, True)):
        hopper = kernel.startswith("hopper")
        for dim in (64, 128) if hopper else DIMS:
            if (hopper and dtype == "float32") or not _launched(kernel, dim):
                continue
            for masking in MASKINGS if hopper else ("full",):
                if "grouped" not in masking or (kernel == "hopper-key" and not options):
                    yield Configuration(kernel, dtype, dim, masking, options)
    for kernel in KERNELS:
        for dim in (64, 128) if kernel.startswith("hopper") else (64, 128, 256):
            for masking in ("full", "causal") if kernel.startswith("hopper") else ("full",):
                for change in candidates(kernel, dim, masking == "causal"):
                    yield Configuration(kernel, "bfloat16", dim, masking, False, tuple(sorted(change.items())))


def few() -> list[Configuration]:
    """A handful that between them use every kernel, dtype and switch."""
    return [
        Configuration("forward", "bfloat16", 128),
        Configuration("forward", "float32", 64, options=True),
        Configuration("query", "float16", 64, options=True),
        Configuration("key", "bfloat16", 128),
        Configuration("hopper-forward", "bfloat16", 64),
        Configuration("hopper-query", "float16", 128, "causal"),
        Configuration("hopper-key", "bfloat16", 64, "causal, ends unaligned", True),
    ]


def in_turn(every: Sequence[Configuration], turn: int, turns: int) -> list[Configuration]:
    """One of ``turns`` shares that together hold all of them."""
    return list(every[turn % turns :: turns])


def _launched(kernel: str, dim: int) -> bool:
    return kernel.startswith("hopper") or kernel in ("forward", "query") or (kernel == "key") == (dim <= 128)


def launch_options(configuration: Configuration) -> dict[str, Any]:
    """As the implementation would launch it."""
    import torch

    from impls.sigmoid_attention import triton_hopper, triton_kernels

    c = configuration
    kernel = c.kernel.removeprefix("hopper-")
    with triton_kernels.changed(dict(c.change)):
        if not c.kernel.startswith("hopper"):
            return triton_kernels.launch_options(getattr(torch, c.dtype), c.dim, c.dim, kernel=kernel)
        nq, nk, causal, grouped = MASKINGS[c.masking]
        return triton_hopper.launch_options(c.dim, nq, nk, kernel=kernel, causal=causal, grouped=grouped)


def read(configuration: Configuration) -> KernelCounts:
    """Compile one configuration and read it."""
    meta = launch_options(configuration)
    compiled = compile_for_hopper(configuration, meta)
    kernel = configuration.kernel.removeprefix("hopper-")
    # A specialised kernel has a group of four warps that only copies, beside those that compute.
    warps = compiled.metadata.num_warps - (4 if compiled.metadata.num_warps > meta["num_warps"] else 0)
    return read_cubin(
        compiled.asm["cubin"],
        dim=max(meta["BLOCK_D"], meta.get("BLOCK_DV", 0)),
        products=PRODUCTS[kernel],
        tile=meta["BLOCK_M"] * meta["BLOCK_N"],
        warps=warps,
        threads=32 * compiled.metadata.num_warps,
        shared=int(compiled.metadata.shared),
    )


def compile_for_hopper(configuration: Configuration, meta: dict[str, Any]) -> Any:
    """As a launch with contiguous 16-byte aligned tensors would be."""
    from impls.sigmoid_attention import triton_hopper, triton_kernels

    module, name = KERNELS[configuration.kernel]
    kernel = getattr({"generic": triton_kernels, "hopper": triton_hopper}[module], name)
    meta = dict(meta)
    launch = {name: meta.pop(name) for name in ("num_warps", "num_stages")}
    nq, nk, _, grouped = MASKINGS[configuration.masking]
    switches = dict.fromkeys(("HAS_SLOPES", "HAS_BIAS", "HAS_LENGTHS", "PACKED"), configuration.options)
    if (configuration.kernel, configuration.dim) == ("hopper-key", 128):
        switches["HAS_SLOPES"] = False  # they go to the generic kernel
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
        elif name.endswith("_d") or (name == "group" and not (grouped or configuration.options)):
            types[name], constants[name] = "constexpr", 1  # a launch makes a constant of 1
        else:
            types[name] = "i32"
    whole = {"d": configuration.dim, "dv": configuration.dim, "nq": nq, "nk": nk}
    divisible = {
        name
        for name, kind in types.items()
        if kind.startswith("*") or (name.endswith(("_b", "_h", "_n")) and name != "slopes_b") or whole.get(name, 1) % 16 == 0
    }
    return Launch(kernel, types, constants, frozenset(divisible), launch).compiled()


def faults(configuration: Configuration, reading: KernelCounts) -> list[str]:
    """The faults that no configuration that could be picked may have."""
    found = []
    if reading.shared > HOPPER.most_shared:
        found.append(f"{reading.shared} bytes of shared memory, and a block may have {HOPPER.most_shared}")
    if configuration.dtype != "float32" and not count(reading.whole, ("HGMMA",)):
        found.append("no HGMMA: the matrix units stand idle")
    if configuration.kernel.startswith("hopper"):
        if not count(reading.whole, ("UTMALDG",)):
            found.append("no UTMALDG: nothing is copied in bulk")
        if dict(configuration.change).get("SPECIALISED", True) and not reading.specialised:
            found.append("the compiler gave up specialising its warps")
    if spilled := max(reading.spilled, count(reading.whole, ("STL", "LDL"))):
        found.append(f"{spilled} bytes spilled")
    if (special := reading.per_score(("MUFU",))) > 2:
        found.append(f"{special:.2g} special-function operations for each score: it is computed more than once")
    return found


MEASURED_ELSEWHERE = (
    ("FlashAttention-3", "softmax, N 1k/2k/4k/8k, B 4, H 48", "128", "541/618/628/639", "313/435/520/561",
     "meta-pytorch/tritonbench, pull requests 1254 and 1256"),
    ("TLX (Triton with groups of warps)", "the same", "128", "465/529/581/579, later 1.00 to 1.02 of the above",
     "328/434/503/527, later 1.00 to 1.21 of it where causal", "meta-pytorch/tritonbench, pull request 1267"),
    ("triton-sigmoid", "sigmoid", "128", "515", "370", "its README"),
    ("triton-sigmoid", "sigmoid", "64", "445", "325", "its README"),
)  # fmt: skip
"""The best published figures, for the page."""


Result = tuple[Configuration, KernelCounts | None, list[str]]


def attempt(configuration: Configuration) -> Result:
    """Compile, read and look for faults; a compiler that gives up is one."""
    # Before the first import of Triton, which decides whether kernels are compiled.
    os.environ["TRITON_INTERPRET"] = "0"
    try:
        reading = read(configuration)
    except Exception as error:
        return configuration, None, [f"does not compile: {type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200]]
    return configuration, reading, faults(configuration, reading)


def attempts(chosen: Sequence[Configuration], jobs: int) -> Iterator[Result]:
    """The results in the order of the configurations, computed by so many processes at a time."""
    if jobs <= 1:
        yield from map(attempt, chosen)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(attempt, chosen)


COLUMNS = (
    "kernel", "dtype", "D", "masking", "options", "tile", "warps", "stages", "registers", "spilled", "shared KiB", "HGMMA",
    "UTMALDG", "MUFU/score", "instr./score", "waits", "blocks", "groups", "prologue KiB", "busiest", "ceiling",
)  # fmt: skip


def row(configuration: Configuration, reading: KernelCounts, machine: Machine) -> list[str]:
    """One line of the table."""
    c, meta = configuration, launch_options(configuration)
    clocks = reading.clocks(machine)
    tile = f"{meta['BLOCK_M']}x{meta['BLOCK_N']}" + (f"+{meta['PEELED']}" if meta.get("PEELED") else "")
    low, high = (reading.ceiling(machine, overlapped=overlapped) for overlapped in (False, True))
    return [
        c.kernel, c.dtype, str(c.dim), c.masking, "all" if c.options else "none", tile,
        f"{meta['num_warps']}" + (" specialised" if reading.specialised else ""), str(meta["num_stages"]),
        str(reading.registers), str(reading.spilled), f"{reading.shared / 1024:.0f}", str(count(reading.whole, ("HGMMA",))),
        str(count(reading.whole, ("UTMALDG",))), f"{reading.per_score(('MUFU',)):.2f}", f"{reading.issued:.1f}",
        ", ".join(f"{number}x{groups}" for groups, number in reading.waits.items()) or "-", str(reading.blocks),
        str(reading.independent), f"{reading.prologue / 1024:.1f}",
        max(clocks, key=lambda pipe: clocks[pipe]), f"{low:.0%}-{high:.0%}" if c.dtype != "float32" else "",
    ]  # fmt: skip


def passes(results: Sequence[Result], machine: Machine) -> list[list[str]]:
    """What whole passes could reach, from the loops of their kernels and the work that counts."""
    found = {c: reading for c, reading, _ in results if reading is not None and not c.change}
    rows = []
    for family, dims in (("hopper-", (64, 128)), ("", (64, 128, 256))):
        for dim, (direction, useful) in itertools.product(dims, USEFUL.items()):
            kernels = ["forward"] if direction == "forward" else ["query", *(k for k in PRODUCTS if k[:3] in ("key", "val"))]
            kernels = [family + kernel for kernel in kernels if family + kernel in KERNELS and _launched(family + kernel, dim)]
            parts = [found[c] for c in (Configuration(kernel, "bfloat16", dim) for kernel in kernels) if c in found]
            if len(parts) < len(kernels):
                continue
            times = [sum(part.time(machine, overlapped=overlapped) for part in parts) for overlapped in (False, True)]
            shares = [2 * useful * dim / machine.tensor_flops / time for time in times]
            name = ("triton-hopper" if family else "triton", direction, str(dim))
            rows.append([*name, "-".join(f"{x:.0%}" for x in shares), "-".join(f"{x * machine.peak:.0f}" for x in shares)])
    return rows


def page(results: Sequence[Result], machine: Machine, compiler: str) -> str:
    """The published page."""
    used = [(c, reading) for c, reading, _ in results if reading is not None and not c.change]
    tried = [(c, reading) for c, reading, _ in results if reading is not None and c.change]
    complaints = [f"- {c.name}: {fault}" for c, _, found in results for fault in found]
    m = machine
    parts = [
        "<!-- Rendered by `python -m tools.attention_sass -o` of Gaugeblock; changes made here are lost. -->",
        "# The kernels' machine code: compiled for sm_90a, not run",
        f"Nothing on this page was measured. {len(results)} configurations of sigmoid attention's Triton kernels, all that a "
        f"call or the tuning can pick, were compiled for sm_90a by {compiler}, and their machine code was read. All counts "
        "are in [readings.json](readings.json).",
        "## Faults",
        "\n".join(complaints)
        or "None: nothing spills, all fits a block's shared memory, 16-bit kernels use the matrix units.",
        "## What the inner loops could reach",
        "Of the shortest loop that computes scores, which masks nothing, the instructions are counted by the pipe that does "
        f"them. A multiprocessor is taken to do {m.tensor_flops:.0f} matrix operations, {m.special:.0f} special "
        f"functions, {m.multiply_add:.0f} float32 multiply-adds, {m.logic:.0f} comparisons, selections, conversions or "
        f"integer operations, and to issue for {m.lanes:.0f} threads in a clock. The lower figure takes the matrix units to "
        "wait for the busiest other pipe. The upper one is what the waits permit: where no wait of the loop lets products run "
        "on, only another group of four warps can use the matrix units meanwhile, and groups that meet at a barrier of the "
        "loop are one. Where groups are independent, nothing in these kernels makes them alternate; that they do is the best "
        "case. "
        "Memory, launches, the ends of sequences and everything outside the loop cost nothing in it. A backward pass is "
        "counted as five products, as the field counts it; the kernels do seven, or eight at head dim 256. TFLOP/s are at "
        f"{m.sms} multiprocessors and {m.gigahertz} GHz, where the peak is {m.peak:.0f}.",
        _table(["implementation", "pass", "D", "share of the peak", "TFLOP/s"], passes(results, machine)),
        "## What others have measured",
        "On an H100, in bfloat16, as their authors published it; not measured again here. They are whole kernels on a device, "
        "while the figures above are predictions of an inner loop, of which a whole kernel keeps a part. Softmax "
        "needs a row maximum, rescaling and row sums that sigmoid does not.",
        _table(["kernel", "attention", "D", "forward TFLOP/s", "backward TFLOP/s", "source"], MEASURED_ELSEWHERE),
        "## In use",
        "`tile` is queries x keys, and the steps written out behind the loop; `registers` are those a thread begins with, "
        "before groups of warps hand theirs on. `waits` are those for matrix products in the loop: 2x0 are two that let no "
        "group of products run on. `blocks` run on a multiprocessor at a time, and `groups` of four warps in them need not be "
        "at the same place of the loop. `prologue` is the code ahead of the loop.",
        _table(list(COLUMNS), [row(c, reading, machine) for c, reading in used]),
        "## What the tuning tries",
        _table([*COLUMNS[:4], "change", *COLUMNS[5:]], [_changed(row(c, reading, machine), c) for c, reading in tried]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headers, ["---"] * len(headers), *rows))


def _changed(cells: list[str], configuration: Configuration) -> list[str]:
    return [*cells[:4], ", ".join(f"{name} {value}" for name, value in configuration.change), *cells[5:]]


def record(results: Sequence[Result], machine: Machine, compiler: str) -> dict[str, Any]:
    """All that was read, to be written as JSON."""
    return {
        "what": "compiled for sm_90a, not run",
        "compiler": compiler,
        "kernels": digest(),
        "machine": asdict(machine),
        "configurations": [
            {
                **asdict(c),
                "change": dict(c.change),
                "launch": launch_options(c),
                "reading": None if reading is None else _brief(reading, machine),
                "faults": found,
            }
            for c, reading, found in results
        ],
    }


def _brief(reading: KernelCounts, machine: Machine) -> dict[str, Any]:
    """Of the whole kernel only the kinds of instruction that the page mentions."""
    whole = {
        kind: count(reading.whole, (kind,)) for kind in ("HGMMA", "LDL", "MUFU", "STL", "USETMAXREG", "UTMALDG", "UTMASTG")
    }
    return {**asdict(reading), "whole": whole, "clocks": reading.clocks(machine)}


def digest() -> str:
    """A digest of the kernels' code without comments and docstrings: a record with the same digest is of these kernels."""
    from impls.sigmoid_attention import triton_hopper_kernels, triton_kernels

    code = [triton_kernels._four(reciprocals) for reciprocals in range(5)]
    for module in (triton_kernels, triton_hopper_kernels):
        for node in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(ast.unparse(d) == "triton.jit" for d in node.decorator_list):
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:]
                code.append(ast.unparse(node))
    return hashlib.sha256("\n".join(code).encode()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; 1 where a configuration has a fault."""
    parser = argparse.ArgumentParser(prog="python -m tools.attention_sass", description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--quick", action="store_true", help="a few configurations that use every kernel, dtype and switch")
    chosen.add_argument("--share", metavar="N/M", help="one share of M, for instance 3/20: the Nth and every Mth after it")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="where README.md and readings.json go")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: one for each core")
    given = parser.parse_args(arguments)
    os.environ["TRITON_INTERPRET"] = "0"
    every = list(configurations())
    if given.share:
        turn, _, turns = given.share.partition("/")
        if not (turn.isdigit() and turns.isdigit() and int(turns)):
            parser.error(f"found --share {given.share}, expected two numbers as in 3/20")
        every = in_turn(every, int(turn), int(turns))
    results = []
    for result in attempts(few() if given.quick else every, given.jobs):
        results.append(result)
        configuration, _, found = result
        print(f"{configuration.name}: {'; '.join(found) or 'no fault'}", file=sys.stderr, flush=True)
    import triton

    machine, compiler = Machine(), f"Triton {triton.__version__}"
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "README.md").write_text(page(results, machine, compiler), encoding="utf-8")
        text = json.dumps(record(results, machine, compiler), indent=None, sort_keys=True)
        (given.output / "readings.json").write_text(text.replace('{"change"', '\n{"change"') + "\n", encoding="utf-8")
    else:
        rows = [row(configuration, reading, machine) for configuration, reading, _ in results if reading is not None]
        sys.stdout.write(_table(COLUMNS, rows) + "\n")
    return 1 if any(found for _, _, found in results) else 0


if __name__ == "__main__":
    sys.exit(main())
