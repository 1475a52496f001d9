"""``gaugeblock inspect SPEC``: registers, spills, shared memory, waits and occupancy of a kernel, without a GPU."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from gaugeblock.commands.parser import OneLineParser
from gaugeblock.inspection.architecture import ARCHITECTURES, HOPPER, Architecture, architecture
from gaugeblock.inspection.kernel import InspectedKernel
from gaugeblock.installation import CannotRun
from impls.implementation import PlugError, load_target

MOST_THREADS = 1024
"""That one block may have."""

DECLARATION = "GAUGEBLOCK_INSPECT"
"""The variable in which a module describes how its kernels are launched: words, or a list of words, by the kernel's name."""

DESCRIPTION = """Compile GPU kernels and read their machine code; no GPU is needed, and nothing is run on one.
Ends with 1 where a kernel spills, or a block of it does not fit a multiprocessor."""
SPEC_HELP = """path/to/file.py:NAME or package.module:NAME, a Triton kernel or a function without arguments that launches some;
path/to/file.cu, or one kernel of it: path/to/file.cu:NAME"""


def main(arguments: Sequence[str]) -> int:
    """Print what each kernel holds; 1 where one spills."""
    parser = OneLineParser(prog="gaugeblock inspect", description=DESCRIPTION)
    parser.add_argument("specs", nargs="+", metavar="SPEC", help=SPEC_HELP)
    parser.add_argument(
        "--with", dest="words", action="append", default=[], metavar="WORDS",
        help="how a Triton kernel is launched: 'x=*fp32 n=i32 BLOCK=1024 num_warps=4'; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--arch", dest="architectures", action="append", default=[], metavar="ARCH",
        help=f"{', '.join(ARCHITECTURES)}; repeatable. Default: {HOPPER.name}",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=256, help="threads of a CUDA kernel's block, for the occupancy (256)")
    parser.add_argument(
        "--flag", dest="flags", action="append", default=[], help="an option of nvcc or NVRTC: --flag=-O3; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print one object for each kernel, with all opcodes")
    options = parser.parse_args(arguments)
    if not 1 <= options.threads <= MOST_THREADS:
        parser.error(f"found --threads {options.threads}, expected 1 to {MOST_THREADS}")
    architectures = [architecture(name) for name in options.architectures] or [HOPPER]
    found: list[InspectedKernel] = []
    for spec in options.specs:
        if re.search(r"\.cuh?(:\w+)?$", spec):
            from gaugeblock.inspection import cuda_files

            for each in architectures:
                found += cuda_files.inspected(spec, options.flags, options.threads, each)
        else:
            found += _of_triton(spec, options.words, architectures)
    if options.json:
        print("\n".join(json.dumps(each.as_json()) for each in found))
    else:
        print("\n\n".join(each.in_words() for each in found))
    return 0 if all(each.is_sound for each in found) else 1


def _of_triton(spec: str, words: Sequence[str], architectures: Sequence[Architecture]) -> list[InspectedKernel]:
    if importlib.util.find_spec("triton") is None:
        raise CannotRun("Triton is not installed here; get it with: pip install triton (Linux)")
    os.environ["TRITON_INTERPRET"] = "0"  # before its first import, which decides whether kernels are compiled
    from gaugeblock.inspection import triton_kernels

    try:
        loaded = triton_kernels.only_kernel(spec) if spec.endswith(".py") else load_target(spec)
    except PlugError as error:
        raise CannotRun(str(error)) from None
    if triton_kernels.is_kernel(loaded):
        launches = [triton_kernels.described(loaded, each) for each in words or _declared(loaded) or ("",)]
    elif callable(loaded) and not isinstance(loaded, type) and not _required(loaded):
        try:
            launches = triton_kernels.recorded(loaded)
        except CannotRun:
            raise
        except Exception as error:
            raise CannotRun(f"{spec} was called, and raised {type(error).__name__}: {error}") from None
    else:
        raise CannotRun(
            f"found {spec}, a {type(loaded).__name__}, expected a Triton kernel, or a function without arguments that "
            f"launches some: its tensors may lie on the CPU or on the device 'meta'"
        )
    if not launches:
        raise CannotRun(f"{spec} launched no Triton kernel")
    return [launch.inspected(each) for each in architectures for launch in launches]


def _required(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _declared(kernel: Any) -> Sequence[str]:
    """What the kernel's module says of its launches."""
    from gaugeblock.inspection.triton_kernels import innermost, name_of

    module = sys.modules.get(innermost(kernel).fn.__module__)
    words = getattr(module, DECLARATION, {}).get(name_of(kernel), ())
    return (words,) if isinstance(words, str) else tuple(words)
