"""Barriers in shared memory: a warp that copies and one that reads pass two slots to and fro; planted bugs are found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from conformance.ptx.faults import KernelFault
from tests.ptx.small_kernels import kernel, run
from tests.ptx.test_ptx_planted_bugs import changed

TILES = 5
SLOT = """
and.b32 %r4, %r3, 1;
shr.u32 %r5, %r3, 1;
and.b32 %r5, %r5, 1;
xor.b32 %r8, %r5, 1;
shl.b32 %r6, %r4, 3;
add.u32 %r7, %r2, %r6;
shl.b32 %r9, %r4, 7;
add.u32 %r10, %r1, %r9;
mul.wide.u32 %rd10, %r3, 128;
"""
RING = kernel(
    f"""
mov.u32 %r1, ring;
mov.u32 %r2, bars;
mov.u32 %r3, 0;
setp.ne.u32 %p1, %r0, 0;
@%p1 bra ready;
mbarrier.init.shared::cta.b64 [%r2], 1;
mbarrier.init.shared::cta.b64 [%r2+8], 1;
mbarrier.init.shared::cta.b64 [%r2+16], 32;
mbarrier.init.shared::cta.b64 [%r2+24], 32;
ready:
bar.sync 0;
setp.ge.u32 %p2, %r0, 32;
@%p2 bra consumer;
@%p1 bra done;
producer:
{SLOT}
wait_empty:
mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r7+16], %r8;
@!%p3 bra wait_empty;
mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r7], 128;
add.s64 %rd11, %rd0, %rd10;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r10], [%rd11], 128, [%r7];
add.u32 %r3, %r3, 1;
setp.lt.u32 %p4, %r3, {TILES};
@%p4 bra producer;
bra done;
consumer:
{SLOT}
wait_full:
mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r7], %r5;
@!%p3 bra wait_full;
sub.u32 %r11, %r0, 32;
shl.b32 %r11, %r11, 2;
add.u32 %r12, %r10, %r11;
ld.shared.u32 %r13, [%r12];
mbarrier.arrive.shared::cta.b64 _, [%r7+16];
add.s64 %rd11, %rd1, %rd10;
add.s64 %rd12, %rd11, %rd9;
st.global.u32 [%rd12+-128], %r13;
add.u32 %r3, %r3, 1;
setp.lt.u32 %p4, %r3, {TILES};
@%p4 bra consumer;
done:
""",
    outside=".shared .align 128 .b8 ring[256];\n.shared .align 8 .b8 bars[32];\n",
)
ARRIVAL = r"mbarrier\.arrive\.shared::cta\.b64 _, \[%r7\+16\];"
PLANTED: dict[str, tuple[Callable[[str], str], str]] = {
    "an arrival before the load": (changed(rf"(ld\.shared[^;]*;)\n({ARRIVAL})", r"\2\n\1"), "is loaded by warp 1"),
    "an arrival less": (changed(ARRIVAL, ""), "a deadlock; .*warps 0 .* 32 of 32 arrivals and 0 bytes are missing"),
    "an arrival too many": (changed(f"({ARRIVAL})", r"\1 \1"), "has had its 32 arrivals|is loaded by|a deadlock"),
    "a count one too large": (changed(r"(init\S+ \[%r2\+16\], )32", r"\g<1>33"), "1 of 33 arrivals and 0 bytes are missing"),
    "the consumer's phase wrong": (changed(r"(\[%r7\], )%r5", r"\1%r8"), "still being copied|never stored|a race|a deadlock"),
    "the producer's phase wrong": (changed(r"(\[%r7\+16\], )%r8", r"\1%r5"), "a deadlock"),
    "a phase that never turns": (changed(r"(\[%r7\], )%r5", r"\g<1>0"), "still being copied|a race|a deadlock"),
    "no wait for the copy": (changed(r"@!%p3 bra wait_full;", ""), "still being copied|never stored|a race"),
    "no wait for the slot": (changed(r"@!%p3 bra wait_empty;", ""), "still being copied|is loaded by|a race"),
    "bytes that do not come": (changed(r"(_, \[%r7\], )128", r"\g<1>144"), "a deadlock; warps 1 .* 16 bytes are missing"),
    "a copy 32 KiB off": (changed(r"\[%rd11\], 128", "[%rd11+32768], 128"), "bytes from the beginning of p"),
    "barriers used before all know of them": (changed(r"bar\.sync 0;", ""), "was initialised|was not initialised"),
}


def passed(ptx: str, seed: int) -> None:
    """Run it in one order of warps and copies; all must come out as it went in, stored once."""
    values, found = np.arange(TILES * 32, dtype=np.uint32), np.zeros(TILES * 32, np.uint32)
    stores = run(ptx, values, found, threads=64, seed=seed)
    np.testing.assert_array_equal(found, values)
    assert np.all(stores.counts["p1"] == 1)


def passed_in_all_orders(ptx: str) -> None:
    """In six orders."""
    for seed in range(6):
        passed(ptx, seed)


def test_slots_are_passed_to_and_fro() -> None:
    passed_in_all_orders(RING)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bugs_in_the_protocol_are_found(name: str) -> None:
    change, message = PLANTED[name]
    with pytest.raises(KernelFault, match=message):
        passed_in_all_orders(change(RING))
