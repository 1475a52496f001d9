"""Small kernels in PTX, written by hand, for the interpreter's own tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from conformance.ptx.launch import Settings, launch, program
from conformance.ptx.memory import Allocation, Stores

HEAD = ".version 8.4\n.target sm_90\n.address_size 64\n"


def kernel(body: str, registers: str = "", *, pointers: int = 2, outside: str = "") -> str:
    """A kernel ``k`` with so many pointers p0, p1, ... in %rd0, %rd1, ..., the thread in %r0 and four times it in %rd9."""
    parameters = ", ".join(f".param .u64 p{n}" for n in range(pointers))
    loads = "\n".join(f"ld.param.u64 %rd{n}, [p{n}];" for n in range(pointers))
    return f"""{HEAD}{outside}
.visible .entry k({parameters})
{{
.reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<40>; .reg .b64 %rd<40>; .reg .f32 %f<40>; {registers}
{loads}
mov.u32 %r0, %tid.x;
mul.wide.u32 %rd9, %r0, 4;
{body}
ret;
}}
"""


def run(
    ptx: str, *arrays: np.ndarray[Any, Any], threads: int = 32, blocks: int = 1, shared: int = 0, seed: int | None = None,
    sizes: Sequence[int] = (),
) -> Stores:  # fmt: skip
    """ExecutedLaunch on arrays, each a pointer; ``sizes`` says of how many bytes each is, where that is not all."""
    held = [Allocation(a.ctypes.data, sizes[n] if sizes else a.nbytes, f"p{n}") for n, a in enumerate(arrays)]
    arguments = [a.ctypes.data for a in arrays]
    return launch(program(ptx), (blocks, 1, 1), (threads, 1, 1), arguments, held, shared=shared, settings=Settings(seed))


SUM_OF_WARP = kernel("""
add.s64 %rd10, %rd0, %rd9;
ld.global.f32 %f1, [%rd10];
mov.b32 %r1, %f1;
shfl.sync.bfly.b32 %r2, %r1, 16, 31, -1;
mov.b32 %f2, %r2;
add.f32 %f1, %f1, %f2;
mov.b32 %r1, %f1;
shfl.sync.bfly.b32 %r2, %r1, 8, 31, -1;
mov.b32 %f2, %r2;
add.f32 %f1, %f1, %f2;
mov.b32 %r1, %f1;
shfl.sync.bfly.b32 %r2, %r1, 4, 31, -1;
mov.b32 %f2, %r2;
add.f32 %f1, %f1, %f2;
mov.b32 %r1, %f1;
shfl.sync.bfly.b32 %r2, %r1, 2, 31, -1;
mov.b32 %f2, %r2;
add.f32 %f1, %f1, %f2;
mov.b32 %r1, %f1;
shfl.sync.bfly.b32 %r2, %r1, 1, 31, -1;
mov.b32 %f2, %r2;
add.f32 %f1, %f1, %f2;
add.s64 %rd11, %rd1, %rd9;
st.global.f32 [%rd11], %f1;
""")
"""Each lane stores the sum of its warp."""

REVERSED = kernel(
    """
add.s64 %rd10, %rd0, %rd9;
ld.global.u32 %r1, [%rd10];
mov.u32 %r2, tile;
shl.b32 %r3, %r0, 2;
add.s32 %r4, %r2, %r3;
st.shared.u32 [%r4], %r1;
bar.sync 0;
mov.u32 %r5, %ntid.x;
sub.s32 %r5, %r5, 1;
sub.s32 %r5, %r5, %r0;
shl.b32 %r5, %r5, 2;
add.s32 %r6, %r2, %r5;
ld.shared.u32 %r7, [%r6];
add.s64 %rd11, %rd1, %rd9;
st.global.u32 [%rd11], %r7;
""",
    outside=".extern .shared .align 16 .b8 tile[];\n",
)
"""Each block stores its elements in reverse order, by way of shared memory."""
