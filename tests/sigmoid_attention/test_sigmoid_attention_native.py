"""The C++ path agrees with the reference at any width of vectors, end of blocks and tiles, and number of threads."""

from __future__ import annotations

import ctypes
import itertools
import platform
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
from conformance.sigmoid_attention.requirements.comparisons import gradient, output
from impls import compiler
from impls.sigmoid_attention import native
from reference.rounding import FLOAT32
from reference.sigmoid_attention.attention import sigmoid

NARROWER = ("-mno-avx512f", "-mno-avx") if platform.machine() in ("x86_64", "AMD64") else ()
"""What makes the compiler take narrower vectors and fewer registers than this machine's own."""
IN_PAIRS = ("-DMULTIPLIES_PAIRS",)
IN_UNITS = (*IN_PAIRS, "-DMULTIPLIES_UNITS")
"""What makes it multiply bfloat16s in pairs, in vectors or in matrix units, as it does by itself where the processor can."""
PROCESSORS = {"cooperlake": {"vdpbf16ps"}, "sapphirerapids": {"vdpbf16ps", "tdpbf16ps"}} if NARROWER else {}

LONG = (
    # Several blocks of queries, several tiles of keys, and ends inside all of them.
    AttentionCase(id="full", batch=2, heads=2, nq=401, nk=333, d=24, dv=40, bias=-1.0, wanted=("bias",)),
    AttentionCase(id="causal", heads=4, nq=300, nk=450, d=64, dv=64, causal=True, bias=-3.0, wanted=("bias",)),
    AttentionCase(id="more-queries-than-keys", heads=2, nq=450, nk=200, d=16, dv=16, causal=True),
    AttentionCase(
        id="window", heads=3, kv_heads=3, nq=420, nk=430, d=17, dv=5, window=(70, 9), alibi=True, wanted=("alibi_slopes",)
    ),
    AttentionCase(
        id="lengths", batch=3, heads=1, kv_heads=1, nq=200, nk=260, d=8, dv=8, key_lengths=(260, 0, 67), data="padding"
    ),
)


@pytest.fixture(params=[(), *((flag,) for flag in NARROWER)], ids=lambda flags: " ".join(flags) or "this machine's")
def vectors(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "FLAGS", request.param)


@pytest.fixture(params=[1, 2, 3])
def threads(request: Any) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def judge(case: AttentionCase, dtype: str) -> None:
    subject = TorchSubject(native.attention, "cpu", "", {})
    result = subject.forward_backward(cases.problem(case, dtype))
    assert output(subject, case, dtype, result).passed
    for name in ("q", "k", "v", *case.wanted):
        assert gradient(name, subject, case, dtype, result).passed, name


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize("case", LONG, ids=lambda case: case.id)
def test_blocks_and_tiles_add_up_in_vectors_of_any_width(case: AttentionCase) -> None:
    judge(case, "float32")


@pytest.mark.parametrize("flags", [IN_PAIRS, (*IN_PAIRS, *NARROWER[:1]), (*IN_PAIRS, *NARROWER), IN_UNITS], ids=" ".join)
def test_bfloat16s_are_multiplied_in_pairs(flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "FLAGS", flags)
    for case in LONG:
        judge(case, "bfloat16")


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_processor_s_own_products_of_bfloat16s_are_used(processor: str) -> None:
    command = [*compiler.compiler(), "-std=c++17", "-O1", f"-march={processor}", "-S", "-o", "-", str(native.SOURCE)]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {name for name in ("vdpbf16ps", "tdpbf16ps") if name in code} == PROCESSORS[processor]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("case", LONG, ids=lambda case: case.id)
def test_threads_share_the_work_whether_there_are_more_heads_or_fewer(case: AttentionCase) -> None:
    judge(case, "bfloat16")


def test_results_do_not_depend_on_which_thread_comes_first(threads: int) -> None:
    # One key head for up to three threads: its gradients are added up from several parts.
    inputs = [torch.randn(1, 1, 700, 32, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    leaves = [x.requires_grad_() for x in inputs[:3]]
    runs = [torch.autograd.grad(native.attention(*leaves, causal=True), leaves, inputs[3]) for _ in range(5)]
    for first, again in itertools.pairwise(runs):
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.usefixtures("vectors")
def test_the_activation_is_relatively_accurate_wherever_it_is_a_normal_number() -> None:
    points = np.concatenate([np.linspace(-87.3, 90, 40_001), np.geomspace(1e-30, 1, 1000), -np.geomspace(1e-30, 1, 1000)])
    x = torch.tensor(points, dtype=torch.float32)
    one = torch.ones(1, 1, 1, 1)
    found = native.attention(x.view(1, 1, -1, 1), one, one, scale=1.0).flatten().double().numpy()
    exact = sigmoid(x.double().numpy())
    # The exponential's two units, the sum and the quotient: half of what the bounds allow to the activation alone.
    assert (np.abs(found - exact) / exact).max() <= 4 * FLOAT32.unit_roundoff
    special = torch.tensor([-torch.inf, -1e30, -104.0, 104.0, torch.inf, torch.nan]).view(1, 1, -1, 1)
    values = native.attention(special, one, one, scale=1.0).flatten().tolist()
    assert values[:5] == [0, 0, 0, 1, 1]
    assert np.isnan(values[5])


def test_what_it_cannot_compute_is_refused() -> None:
    x = torch.ones(1, 1, 2, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="backend='blocked' takes float64"):
        native.attention(x, x, x)


def test_fields_lie_where_the_library_looks_for_them() -> None:
    assert compiler.library(native.SOURCE, native.FLAGS).sigmoid_attention_size() == ctypes.sizeof(native._Call)
