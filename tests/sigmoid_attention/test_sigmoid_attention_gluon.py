"""The Gluon kernels agree with the reference when their Python is run on a CPU, whatever the order of warps and copies."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import linecache
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.torch_backend import TorchSubject, poisoned_allocations
from conformance.sigmoid_attention.requirements.comparisons import gradient, output
from gaugeblock.inspection.machine_code import KernelCode, Resources, parse
from impls.implementation import NotRun, Unsupported
from impls.sigmoid_attention import gluon_backward_kernel, gluon_forward_kernel, triton_gluon, triton_kernels
from impls.sigmoid_attention.gluon_tiles import is_seen_whole, is_whole, key_tiles, place, query_blocks
from impls.sigmoid_attention.options import FAR, AttentionOptions
from tests.sigmoid_attention.gluon_interpreter import Interpreted
from tools import gluon_sass

Way = Callable[..., None]


@pytest.fixture(name="interpreted", params=[0, 1])
def _interpreted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels in this process, on a device of three multiprocessors. Two orders of events."""
    for module in (gluon_forward_kernel, gluon_backward_kernel):
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(triton_gluon, name, Interpreted(module, name, request.param))
    monkeypatch.setattr(triton_gluon, "_multiprocessors", lambda device: 3)
    monkeypatch.setattr(triton_gluon, "_require_device", lambda q: None)


def case(name: str, **options: Any) -> AttentionCase:
    return AttentionCase(id=name, **{"nq": 70, "nk": 90, "d": 64, "dv": 64, "bias": -1.0, **options})


WAYS = [
    case("full", nq=128, nk=256),
    case("ragged", batch=2),
    case("grouped", heads=4, nk=200),
    case("many", heads=3, kv_heads=3, nq=300, nk=300),
    case("causal", nq=256, nk=256, causal=True),
    case("causal-longer", nq=130, nk=300, causal=True),
    case("causal-shorter", nq=192, nk=100, causal=True),
    case("causal-grouped", batch=2, heads=4, nq=150, nk=150, causal=True),
    case("slopes", batch=2, nq=140, nk=150, causal=True, alibi=True, slopes_by_row=True),
    case("wide", nq=130, nk=150, d=128, dv=128),
    case("widest", nq=70, nk=150, d=256, dv=192, causal=True),
    case("narrow", d=40, dv=56),
    case("odd", d=33, dv=61, layout="unaligned"),
    case("window", nq=200, nk=400, window=(30, 5)),
    case("window-left", nq=300, nk=300, window=(100, -1), causal=True),
    case("lengths", batch=3, nq=70, nk=300, key_lengths=(0, 129, 300)),
    case("lengths-causal", batch=2, nq=130, nk=260, key_lengths=(100, 250), causal=True),
]


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_the_output_agrees_with_the_reference(way: AttentionCase, dtype: str) -> None:
    subject = TorchSubject(triton_gluon.attention, "cpu", "", {})
    found = output(subject, way, dtype)
    assert found.passed, found


GRADIENTS = ("full", "ragged", "grouped", "causal-longer", "causal-shorter", "causal-grouped", "slopes", "odd", "window")


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("way", [way for way in WAYS if way.id in GRADIENTS], ids=lambda way: way.id)
def test_the_gradients_agree_with_the_reference(way: AttentionCase, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_kernels, "backward", None)  # which would be taken for others
    # Memory is poisoned by way of torch's deterministic mode.
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: False)
    subject = TorchSubject(triton_gluon.attention, "cpu", "", {})
    result = subject.forward_backward(cases.problem(way, dtype))
    for name in ("q", "k", "v"):
        found = gradient(name, subject, way, dtype, result)
        assert found.passed, found


@pytest.mark.usefixtures("interpreted")
def test_who_asks_for_deterministic_algorithms_gets_other_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    monkeypatch.setattr(triton_kernels, "backward", lambda grad, q, k, v, *options: (q, k, v, q.new_empty(0), q.new_empty(0)))
    q, k, v = (torch.ones(1, 1, 64, 64).half().requires_grad_() for _ in range(3))
    with poisoned_allocations():
        found = torch.autograd.grad(triton_gluon.attention(q, k, v).sum(), (q, k, v))
    assert all(torch.equal(x, q) for x in found)


@pytest.mark.usefixtures("interpreted")
def test_a_bias_tensor_is_read_by_the_kernel() -> None:
    q, k, v = (torch.randn(1, 2, 70, 64, generator=torch.Generator().manual_seed(0)).half() for _ in range(3))
    with poisoned_allocations():
        by_tensor = triton_gluon.attention(q, k, v, bias=torch.tensor([-2.0]))
        by_number = triton_gluon.attention(q, k, v, bias=-2.0)
    assert torch.equal(by_tensor, by_number)


@pytest.mark.usefixtures("interpreted")
def test_nothing_beyond_a_length_is_read() -> None:
    q, k, v = (torch.randn(2, 1, 200, 64, generator=torch.Generator().manual_seed(0)).half() for _ in range(3))
    lengths = torch.tensor([70, 150])
    with poisoned_allocations():
        expected = triton_gluon.attention(q, k, v, key_lengths=lengths)
        for row, length in enumerate(lengths.tolist()):
            k[row, :, length:], v[row, :, length:] = torch.nan, torch.inf
        assert torch.equal(triton_gluon.attention(q, k, v, key_lengths=lengths), expected)


# Which tiles are computed, in which order, and which need a mask.


@pytest.mark.parametrize("longest_first", [False, True])
@pytest.mark.parametrize(("blocks", "heads", "section"), [(1, 1, 1), (5, 6, 1), (5, 6, 4), (5, 6, 6), (1, 7, 3), (7, 1, 1)])
def test_every_tile_has_a_turn_and_the_longest_the_first(blocks: int, heads: int, section: int, longest_first: bool) -> None:
    order = [place.fn(tile, blocks, heads, section, longest_first) for tile in range(blocks * heads)]
    assert sorted(order) == sorted(itertools.product(range(blocks), range(heads)))
    for _, group in itertools.groupby(order, key=lambda found: found[1] // section):
        lengths = [block for block, _ in group]
        assert lengths == sorted(lengths, reverse=longest_first)
    # Sections one after the other.
    assert [head // section for _, head in order] == sorted(head // section for _, head in order)


SPANS = list(itertools.product((1, 5, 64, 200), (1, 64, 129, 300), (0, 3, 70, FAR), (0, 2, 100, FAR)))


@pytest.mark.parametrize("rows", [64, 128])
def test_tiles_hold_all_that_is_seen_and_masks_are_left_out_where_all_is(rows: int) -> None:
    seen_kinds = Counter[bool]()
    for (nq, nk, left, right), length in itertools.product(SPANS, (0, 40, 300)):
        length, keys = min(length, nk), 64
        for first in range(0, nq, rows):
            positions = range(first + nk - nq, first + nk - nq + rows)
            begin, end = key_tiles.fn(positions[0], positions[-1], length, left, right, keys)
            assert 0 <= begin < end
            visible = {j // keys for i in positions for j in range(max(0, i - left), min(length, i + right + 1))}
            assert visible <= set(range(begin, end))
            # No more than those between, but for one where there is none.
            assert not visible or (begin, end) == (min(visible), max(visible) + 1)
            for tile in range(begin, end):
                whole = all(
                    max(0, i - left) <= tile * keys and (tile + 1) * keys <= min(length, i + right + 1) for i in positions
                )
                assert is_whole.fn(tile * keys, positions[0], positions[-1], length, left, right, keys) == whole
                seen_kinds[whole] += 1
    assert min(seen_kinds[True], seen_kinds[False]) > 100


def test_blocks_of_queries_are_those_that_see_a_tile_of_keys() -> None:
    kinds = Counter[bool]()
    for nq, nk, left, right in SPANS:
        for first in range(0, nk, 64):
            last, offset = first + 63, nk - nq
            begin, end = query_blocks.fn(first, last, nq, nk, left, right, 64)
            seeing = {i // 64 for i in range(nq) if first - right <= i + offset <= min(last, nk - 1) + left}
            assert seeing <= set(range(begin, end))
            for block in range(begin, end):
                queries = range(64 * block, 64 * block + 64)
                whole = last < nk and all(i < nq and last - right <= i + offset <= first + left for i in queries)
                assert is_seen_whole.fn(first, last, queries[0] + offset, nk, left, right, 64) == whole
                kinds[whole] += 1
    assert min(kinds[True], kinds[False]) > 10


def test_heads_are_worked_on_together_as_the_cache_holds_them() -> None:
    causal, plain, window = (AttentionOptions(causal=c, window=w) for c, w in ((True, None), (False, None), (True, (9, 0))))
    # Keys and values of one head of 4096 and 128 in 16 bits are 2 MiB.
    assert triton_gluon.section(causal, 64, 1, 4096, 128) == 16
    assert triton_gluon.section(causal, 64, 4, 4096, 128) == 64
    assert triton_gluon.section(causal, 64, 1, 1 << 20, 128) == 1
    assert triton_gluon.section(causal, 4, 1, 64, 128) == 4
    assert {triton_gluon.section(x, 64, 1, 4096, 128) for x in (plain, window)} == {1}


# Mistakes in the protocol of barriers are found.


STORE = "fence_async_shared()\n        tma.async_copy_shared_to_global"
BROKEN = {
    "a buffer is filled again too early": ("mbarrier.wait(k_empty.index(stage), phase)", "pass"),
    "values are not waited for": ("mbarrier.wait(v_full.index(before), (turn // STAGES) & 1)", "pass"),
    "a wrong phase": ("mbarrier.wait(q_full, done & 1)", "mbarrier.wait(q_full, (done & 1) ^ 1)"),
    "an arrival is missing": ("mbarrier.arrive(v_empty.index(before), count=1)", "pass"),
    "scores are not waited for": ("warpgroup_mma_wait(1, deps=[scores])", "warpgroup_mma_wait(2, deps=[scores])"),
    "an output is overwritten": ("tma.store_wait(0)\n        out.store", "out.store"),
    "an output is changed while it is stored": (STORE, "out.store(total.to(DTYPE) * 0)\n        " + STORE),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_protocol_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, other = BROKEN[name]
    module = changed_module(found, other)
    monkeypatch.setattr(triton_gluon, "_multiprocessors", lambda device: 1)
    monkeypatch.setattr(triton_gluon, "_require_device", lambda q: None)
    subject = TorchSubject(triton_gluon.attention, "cpu", "", {})
    way = case("broken", nq=300, nk=600)
    verdicts = []
    for seed in range(4):
        monkeypatch.setattr(triton_gluon, "gluon_forward_kernel", Interpreted(module, "gluon_forward_kernel", seed))
        try:
            verdicts.append(output(subject, way, "bfloat16").passed)
        except AssertionError:
            verdicts.append(False)
    assert not all(verdicts)


def changed_module(found: str, other: str) -> Any:
    """The kernel's module with a change in its source."""
    source = inspect.getsource(gluon_forward_kernel)
    assert source.count(found) >= 1
    changed = source.replace(found, other)
    name = f"changed_kernel_{abs(hash(changed))}"
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    path = f"<{name}>"
    # A kernel reads its own source.
    linecache.cache[path] = (len(changed), None, changed.splitlines(keepends=True), path)
    sys.modules[name] = module
    exec(compile(changed, path, "exec"), vars(module))
    return module


# The call.


def test_what_the_kernels_do_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    q = torch.zeros(1, 2, 70, 64).half()
    with pytest.raises(NotRun, match="nothing interprets"):
        triton_gluon.attention(q, q, q)
    monkeypatch.setattr(triton_gluon, "_require_device", lambda q: None)
    wide = torch.zeros(1, 2, 70, 300).half()
    for message, inputs, options in (
        ("float32", (q.float(), q.float(), q.float()), {}),
        ("head dims", (q, q, wide), {}),
        ("lengths", (q, q, wide[..., :256]), {"key_lengths": torch.tensor([3])}),
        ("packed", (q[:1], q[:1], q[:1]), {"cu_seqlens_q": torch.tensor([0, 30, 70], dtype=torch.int32)}),
    ):
        with pytest.raises(Unsupported, match=message):
            triton_gluon.attention(*inputs, **options)


# The machine code.


def test_a_few_configurations_compile_with_products_under_the_activation() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-m", "tools.gluon_sass", "--quick"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines[-len(gluon_sass.few()) :]] == [c.name for c in gluon_sass.few()]
    assert set(gluon_sass.few()) <= set(gluon_sass.configurations())


LISTING = """
        /*0000*/                   HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], RZ ;   /* 0x00 */
        /*0010*/                   HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], R24, gsb0 ;   /* 0x00 */
        /*0020*/                   WARPGROUP.DEPBAR.LE gsb0, 0x1 ;           /* 0x00 */
        /*0030*/                   MUFU.EX2 R4, R4 ;                         /* 0x00 */
        /*0040*/                   WARPGROUP.DEPBAR.LE gsb0, 0x0 ;           /* 0x00 */
        /*0050*/                   UTMALDG.4D [UR4], [UR6] ;                 /* 0x00 */
        /*0060*/                   UTMASTG.4D [UR4], [UR6] ;                 /* 0x00 */
        /*0070*/                   EXIT ;                                    /* 0x00 */
"""


def read_listing(text: str, spilled: int = 0, shared: int = 1000) -> gluon_sass.GluonReading:
    code = KernelCode("kernel", Resources(168, 0, spilled), tuple(parse(text)))
    return replace(gluon_sass.reading_of(code, shared, 384), products=8)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("0x1 ;", "0x0 ;"), "nothing overlaps"),
        (("MUFU.EX2", "FADD"), "no activation"),
        (("UTMASTG.4D", "STG"), "not copied in bulk"),
        (("FFMA", "FFMA"), ""),
    ],
)
def test_what_the_machine_code_must_not_lack_is_named(change: tuple[str, str], fault: str) -> None:
    found = read_listing(LISTING.replace(*change)).faults
    assert any(fault in one for one in found) if fault else not found


def test_what_the_machine_code_must_not_hold_is_named() -> None:
    assert "8 bytes spilled" in read_listing(LISTING, spilled=8).faults
    assert "shared memory" in read_listing(LISTING, shared=2**18).faults[0]
    serial = replace(read_listing(LISTING), products=2)
    assert serial.faults == ["the assembler made each product wait for its end"]
    assert serial.blocks == 1
    assert replace(serial, registers=80).blocks == 2
