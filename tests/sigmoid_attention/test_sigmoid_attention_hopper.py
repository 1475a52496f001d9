"""The Hopper kernels agree with the reference, forward and backward, however masked, and refuse what they do not take."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from conformance.engine.comparison import compare
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
from conformance.sigmoid_attention.requirements.comparisons import gradient, output
from impls.implementation import Unsupported
from impls.sigmoid_attention import triton_hopper, triton_kernels
from impls.sigmoid_attention.options import FAR, AttentionOptions
from reference.sigmoid_attention import forward, forward_bound

triton = triton_kernels.triton


def halves(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).half().requires_grad_() for shape in shapes]


WAYS = [
    AttentionCase(id="full", heads=2, nq=64, nk=128, d=64, dv=64, bias=-1.0),
    AttentionCase(id="ragged", heads=2, nq=70, nk=90, d=64, dv=64, bias=-1.0),
    AttentionCase(id="grouped", heads=4, kv_heads=2, nq=70, nk=64, d=64, dv=64, bias=-1.0),
    AttentionCase(id="causal", heads=1, kv_heads=1, nq=128, nk=128, d=64, dv=64, causal=True),
    AttentionCase(id="causal-longer", heads=1, kv_heads=1, nq=64, nk=128, d=128, dv=128, causal=True),
    AttentionCase(id="causal-shorter", heads=1, kv_heads=1, nq=192, nk=128, d=64, dv=64, causal=True),
    AttentionCase(id="causal-unaligned", heads=2, nq=70, nk=90, d=64, dv=64, causal=True, bias=-1.0),
    AttentionCase(id="causal-grouped", heads=4, kv_heads=2, nq=64, nk=128, d=64, dv=64, causal=True),
    AttentionCase(id="slopes", batch=2, heads=2, nq=64, nk=64, d=64, dv=64, causal=True, alibi=True),
    AttentionCase(id="gradients", heads=2, nq=20, nk=30, d=64, dv=64, alibi=True, wanted=("alibi_slopes", "bias"), bias=-0.5),
]


SHORT, NARROW = {"BLOCK_M": 32}, {"BLOCK_N": 32}
"""Tiles that are not square: with them more than one step is written out behind a loop."""

TRIED: list[tuple[AttentionCase, dict[str, int]]] = [
    *((case, {}) for case in WAYS),
    *((case, change) for case in WAYS if case.id in ("causal", "ragged") for change in (SHORT, NARROW)),
]


@pytest.mark.parametrize(("case", "change"), TRIED, ids=lambda x: x.id if isinstance(x, AttentionCase) else "-".join(x))
def test_every_way_of_masking_agrees_with_the_reference(case: AttentionCase, change: dict[str, int]) -> None:
    with triton_kernels.changed(change):
        subject = TorchSubject(triton_hopper.attention, "cpu", "", {})
        result = subject.forward_backward(cases.problem(case, "float16"))
    assert output(subject, case, "float16", result).passed
    for name in ("q", "k", "v", *case.wanted):
        assert gradient(name, subject, case, "float16", result).passed


def test_the_ways_of_masking_are_all_met() -> None:
    for kernel in ("forward", "query", "key"):
        met = set()
        for case, change in TRIED:
            with triton_kernels.changed(change):
                options = triton_hopper.launch_options(
                    case.d, case.nq, case.nk, kernel=kernel, causal=case.causal, grouped=case.kv_heads != case.heads
                )
            met.add((options["CAUSAL"], options["MASKED"], options["PEELED"]))
        plain = {(False, False, 0), (False, True, 1), (True, True, 0), (True, True, 1), (True, True, 2)}
        assert met == plain | ({(False, True, 0)} if kernel == "key" else set())


@pytest.mark.parametrize(
    ("kernel", "dim", "lengths", "causal", "grouped", "expected"),
    [
        ("forward", 64, (4096, 4096), False, False, (128, 128, 0)),
        ("forward", 64, (4096, 4096), True, True, (128, 128, 1)),
        ("forward", 128, (4096, 4096), True, False, (128, 64, 2)),
        ("forward", 128, (4096, 4100), True, False, (128, 128, 0)),
        ("query", 128, (64, 4096), True, False, (128, 64, 2)),
        ("query", 64, (64, 4097), False, False, (128, 128, 1)),
        ("key", 128, (4096, 4096), True, False, (64, 128, 2)),
        ("key", 128, (4096, 4096), True, True, (64, 128, 0)),
        ("key", 64, (4097, 4097), True, False, (128, 128, 0)),
    ],
)
def test_masks_are_written_out_where_blocks_meet_them(
    kernel: str,
    dim: int,
    lengths: tuple[int, int],
    causal: bool,
    grouped: bool,
    expected: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(triton_hopper, "interpreted", lambda: False)
    found = triton_hopper.launch_options(dim, *lengths, kernel=kernel, causal=causal, grouped=grouped)
    assert (found["BLOCK_M"], found["BLOCK_N"], found["PEELED"]) == expected
    assert found["SPECIALISED"]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", ["q", "k"])
def test_what_is_infinite_reaches_nothing_through_the_ends_of_sequences(name: str, causal: bool) -> None:
    # The copies fill the end of a sequence with zeros, and zero times infinity is NaN.
    shapes = ((1, 1, 70, 64), (1, 1, 90, 64), (1, 1, 90, 64), (1, 1, 70, 64))
    q, k, v, grad = (torch.where(x == 0, torch.ones_like(x), x).detach() for x in halves(*shapes))
    given = {"q": q, "k": k, "v": v}
    given[name][..., 3, 0] = torch.inf
    arrays = {key: x.double().numpy() for key, x in given.items()}
    expected = forward(**arrays, bias=0.0, causal=causal)
    # Of a number so large that nearly all weights are 0 and 1 too.
    stand_in = {key: np.where(np.isinf(x), 2.0**15, x) for key, x in arrays.items()}
    bound = forward_bound(**stand_in, dtype="float16", bias=0.0, causal=causal)
    assert compare("output", triton_hopper.attention(**given, causal=causal).double().numpy(), expected, bound).passed
    leaves = {key: x.clone().requires_grad_() for key, x in given.items()}
    out = triton_hopper.attention(**leaves, causal=causal)
    found = dict(zip(leaves, torch.autograd.grad(out, list(leaves.values()), grad), strict=True))
    # 0 times infinity is in the definition of the one's gradient at every row of the other, and nowhere else.
    assert found["v"].isfinite().all()
    rows = torch.ones(found[name].shape[2], dtype=torch.bool)
    rows[3] = False
    assert found[name][:, :, rows].isfinite().all()


def test_a_call_is_one_graph_with_its_gradients() -> None:
    q, k, v = halves((1, 2, 5, 64), (1, 2, 7, 64), (1, 2, 7, 64))

    def step(q: Any, k: Any, v: Any) -> Any:
        return triton_hopper.attention(q * 2, k, v, causal=True).sin()

    plain = torch.autograd.grad(step(q, k, v).float().sum(), (q, k, v))
    torch._dynamo.reset()
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    found = torch.autograd.grad(compiled(q, k, v).float().sum(), (q, k, v))
    for a, b in zip(plain, found, strict=True):
        assert torch.equal(a, b)


def test_the_operator_keeps_torch_s_rules() -> None:
    q, k, v = halves((1, 2, 5, 64), (1, 1, 7, 64), (1, 1, 7, 64))
    slopes, bias = (torch.tensor(x, requires_grad=True) for x in ([0.5, 0.1], [-1.0]))
    operator = torch.ops.gaugeblock.sigmoid_attention_hopper.default
    for given in ((None, None), (bias, slopes)):
        arguments = (q, k, v, *given, None, None, None, 0.0, 0.25, FAR, 0)
        assert set(torch.library.opcheck(operator, arguments).values()) == {"SUCCESS"}


def test_what_the_kernels_do_not_take_is_refused() -> None:
    q, k, v = (x.detach() for x in halves((1, 2, 70, 64), (1, 2, 70, 64), (1, 2, 70, 64)))
    triton_hopper.attention(q, k, v, causal=True)
    refused: list[tuple[str, Any, dict[str, Any]]] = [
        ("float32", (q.float(), k.float(), v.float()), {}),
        ("head dims", (q, k, torch.zeros(1, 2, 70, 192, dtype=torch.float16)), {}),
        ("windows", (q, k, v), {"window": (3, 3)}),
        ("lengths", (q, k, v), {"key_lengths": torch.tensor([3])}),
    ]
    for message, inputs, options in refused:
        with pytest.raises(Unsupported, match=message):
            triton_hopper.attention(*inputs, **options)


def test_what_the_copy_engine_cannot_take_is_copied_or_filled_up_first() -> None:
    q, k, v = halves((1, 2, 70, 64), (1, 2, 70, 64), (1, 2, 70, 64))
    whole = triton_hopper.attention(q, k, v, causal=True)
    one_byte_off = torch.cat([torch.zeros_like(v[..., :1]), v], dim=-1)[..., 1:]
    assert not triton_hopper._copied(one_byte_off)
    assert torch.equal(triton_hopper.attention(q, k, one_byte_off, causal=True), whole)
    same_keys = k[:, :, :1].expand(-1, -1, 70, -1)
    assert torch.equal(triton_hopper.attention(q, same_keys, v), triton_hopper.attention(q, same_keys.contiguous(), v))
    # narrower queries than values: as if the missing numbers were 0, but by a scale of their own
    narrow = triton_hopper.attention(q[..., :24], k[..., :24], v[..., :48])
    zeros = torch.cat([q[..., :24], torch.zeros_like(q[..., 24:])], dim=-1)
    assert torch.equal(narrow, triton_hopper.attention(zeros, k, v, scale=24**-0.5)[..., :48])
    (gradient,) = torch.autograd.grad(narrow.float().sum(), q)
    assert gradient[..., :24].count_nonzero()
    assert not gradient[..., 24:].count_nonzero()


def test_the_stride_of_one_element_says_nothing() -> None:
    q, k, v = (x.detach() for x in halves((1, 1, 70, 64), (1, 1, 70, 64), (1, 1, 70, 64)))
    odd = q.as_strided(q.shape, (7, 3, 64, 1))
    leaf = odd.requires_grad_()
    got = triton_hopper.attention(leaf, k, v)
    assert torch.equal(got, triton_hopper.attention(q, k, v))
    # A gradient that is one number everywhere has no strides that the engine could follow, and is copied.
    (found,) = torch.autograd.grad(got.sum(), leaf)
    (expected,) = torch.autograd.grad(triton_hopper.attention(leaf, k, v), leaf, torch.ones_like(got))
    assert torch.equal(found, expected)


def test_nothing_to_attend_to_is_nothing() -> None:
    q, k, v = halves((1, 2, 5, 64), (1, 2, 0, 64), (1, 2, 0, 64))
    out = triton_hopper.attention(q, k, v)
    assert not out.any()
    assert not torch.autograd.grad(out.sum(), q)[0].any()


class Recorder:
    """Stands in a kernel's place and keeps what it is launched with."""

    def __init__(self) -> None:
        self.grids: list[Any] = []
        self.allocators: list[Any] = []

    def __getitem__(self, grid: Any) -> Any:
        self.grids.append(grid)
        return lambda *given, **options: self.allocators.append(allocator())


def allocator() -> Any:
    from triton.runtime._allocation import _allocator

    return _allocator.get()


def test_descriptors_get_memory_in_any_thread_and_the_caller_keeps_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    for name in ("hopper_forward_kernel", "hopper_query_kernel", "hopper_key_kernel"):
        monkeypatch.setattr(triton_hopper, name, recorder)
    q, k, v = halves((1, 2, 5, 64), (1, 2, 7, 64), (1, 2, 7, 64))
    before = allocator()
    out = triton_hopper.attention(q, k, v)
    thread = threading.Thread(target=lambda: torch.autograd.grad(out.float().sum(), q))
    thread.start()
    thread.join()
    assert allocator() is before
    assert len(recorder.allocators) == 3
    assert all(found is not before and found(128, 128, None).numel() == 128 for found in recorder.allocators)


def test_more_heads_than_a_grid_s_second_axis_holds_are_on_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    for name in ("forward_kernel", "query_gradient_kernel", "key_gradient_kernel"):
        monkeypatch.setattr(triton_kernels, name, recorder)
    for name in ("hopper_forward_kernel", "hopper_query_kernel", "hopper_key_kernel"):
        monkeypatch.setattr(triton_hopper, name, recorder)
    many = torch.empty(70000, 1, 1, 64, dtype=torch.float16)
    options = AttentionOptions(scale=1.0)
    for module in (triton_kernels, triton_hopper):
        module.forward(many, many, many, options)
        module.backward(many, many, many, many, options, False, False)
    assert recorder.grids == [(70000,)] * 6


def test_packed_lengths_are_not_read_while_a_graph_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    on_a_device: Any = SimpleNamespace(is_cuda=True, shape=(1, 2, 50, 64))
    edges: Any = SimpleNamespace(numel=lambda: 4)  # whose differences cannot be taken
    options = AttentionOptions(cu_seqlens_q=edges, cu_seqlens_k=edges)
    found = triton_kernels._Shape.of(on_a_device, on_a_device, on_a_device, options)
    assert (found.rows, found.longest_q, found.longest_k) == (3, 50, 50)
