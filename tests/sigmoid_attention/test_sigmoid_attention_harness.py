"""The harness of sigmoid attention passes functions the options that they accept, and sees what they write to."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.engine.comparison import compare
from conformance.engine.mutation import mutants_of
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.arguments import AttentionArguments
from conformance.sigmoid_attention.harness.numpy_backend import NumpySubject
from conformance.sigmoid_attention.harness.problem import LAYOUTS, AttentionLoad, place
from conformance.sigmoid_attention.harness.subject import ALL_FEATURES, connect, recognise
from conformance.sigmoid_attention.requirements import REQUIREMENTS
from conformance.sigmoid_attention.requirements.comparisons import gradient, output
from conformance.sigmoid_attention.workloads import BASELINE, WORKLOADS, prepare, unsuited
from impls.implementation import Implementation, NotRun, PlugError, Unsupported
from impls.sigmoid_attention.numpy_attention import attention as numpy_attention
from impls.sigmoid_attention.registry import IMPLEMENTATIONS
from reference.sigmoid_attention import forward, forward_bound

ROOT = Path(__file__).resolve().parents[2]
PLAIN = AttentionCase(id="plain", nq=5, nk=6, d=16, dv=16)


def torch_subject(function: Any, **settings: Any) -> Any:
    from conformance.sigmoid_attention.harness.torch_backend import TorchSubject

    return TorchSubject(function, "cpu", "", settings)


def named(name: str) -> Implementation:
    return next(i for i in IMPLEMENTATIONS if i.name == f"sigmoid_attention/{name}")


# What is declared.


def test_features_are_words_that_the_harness_explains() -> None:
    for implementation in IMPLEMENTATIONS:
        assert implementation.features is not None
        assert implementation.features <= ALL_FEATURES
    assert named("torch-blocked").features == ALL_FEATURES
    assert named("numpy").features == ALL_FEATURES - {"long"}
    for check in REQUIREMENTS.checks:
        for case in check.cases:
            assert case.needs <= ALL_FEATURES


def test_every_requirement_is_checked_quickly_and_catches_a_mutant() -> None:
    known = {r.id for r in REQUIREMENTS}
    assert {check.requirement for check in REQUIREMENTS.checks} == known
    # All but what takes long by its nature.
    long = {check.requirement for check in REQUIREMENTS.checks if all(case.thorough for case in check.cases)}
    assert long == {"SIG-50", "SIG-51"}
    assert {check.requirement for check in REQUIREMENTS.checks if any(case.quick for case in check.cases)} == known - long
    assert {r for mutant in mutants_of("sigmoid_attention") for r in mutant.killed_by} == known


def test_listing_and_reading_the_checks_imports_no_framework() -> None:
    program = (
        "import sys, impls.sigmoid_attention;"
        "import conformance.sigmoid_attention.requirements, conformance.sigmoid_attention.workloads;"
        "print([m for m in ('torch', 'triton', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What a third party's function accepts.


def test_options_are_given_under_the_function_s_own_names() -> None:
    def theirs(
        q: Any, k: Any, v: Any, softmax_scale: Any = None, is_causal: bool = False, sigmoid_bias: float = 0.0
    ) -> None: ...

    arguments = AttentionArguments(theirs)
    options = {"scale": 0.5, "causal": True, "bias": -1.0, "window": None, "key_lengths": None}
    assert arguments.keywords(options) == {"softmax_scale": 0.5, "is_causal": True, "sigmoid_bias": -1.0}
    with pytest.raises(Unsupported, match="does not accept window"):
        arguments.keywords({"window": (1, 1)})


def test_what_asks_for_nothing_is_left_out_where_it_is_not_accepted_and_given_where_it_is() -> None:
    assert AttentionArguments(lambda q, k, v: None).keywords({"bias": 0.0, "causal": False, "scale": None}) == {}
    # A default bias is not assumed to be 0.
    assert AttentionArguments(lambda q, k, v, bias=None: None).keywords({"bias": 0.0}) == {"bias": 0.0}
    assert AttentionArguments(lambda q, k, v, **rest: None).keywords({"window": (1, 1)}) == {"window": (1, 1)}
    assert AttentionArguments(lambda q, k, v, **rest: None).keywords({"causal": False}) == {}
    assert AttentionArguments(lambda q, k, v, b=0: None, {"bias": "b"}).keywords({"bias": 1.0}) == {"b": 1.0}


def test_a_function_without_gradients_is_a_declared_gap() -> None:
    subject = torch_subject(lambda q, k, v: (q @ k.transpose(-1, -2)).sigmoid().detach() @ v.detach())
    with pytest.raises(Unsupported, match="forward only"):
        subject.forward_backward(cases.problem(PLAIN, "float32"))
    with pytest.raises(Unsupported, match="backward"):
        NumpySubject(lambda q, k, v: q).forward_backward(cases.problem(PLAIN, "float32"))


def test_a_gradient_that_reaches_only_some_inputs_is_no_declared_gap() -> None:
    subject = torch_subject(lambda q, k, v: (q @ k.transpose(-1, -2)).sigmoid() @ v.detach())
    with pytest.raises(AssertionError, match="none reaches v"):
        subject.forward_backward(cases.problem(PLAIN, "float32"))


@pytest.mark.parametrize("backward", [False, True])
def test_an_interrupted_call_is_the_call_unless_something_is_shared(backward: bool) -> None:
    p, other = cases.problem(PLAIN, "float32"), cases.problem(PLAIN.again(1), "float32")
    buffer = torch.empty(p.grad.shape)

    def plain(q: Any, k: Any, v: Any) -> Any:
        return (q @ k.transpose(-1, -2)).sigmoid() @ v

    def shared(q: Any, k: Any, v: Any) -> Any:
        out = plain(q, k, v)
        buffer.copy_(out.detach())
        out.data = buffer
        return out

    for function, same in ((plain, True), (shared, False)):
        subject = torch_subject(function)
        alone = subject.forward_backward(p) if backward else subject.forward(p)
        expected = alone.output.copy()
        assert np.array_equal(subject.interrupted(p, other, backward).output, expected) == same


def test_a_result_that_is_no_tensor_is_named() -> None:
    with pytest.raises(TypeError, match=r"returned tuple, expected one torch\.Tensor"):
        torch_subject(lambda q, k, v: (q, None)).forward(cases.problem(PLAIN, "float32"))


# What the guards see.


@pytest.mark.parametrize("layout", LAYOUTS[:4])
def test_places_do_not_overlap_and_keep_their_distance_from_the_ends(layout: str) -> None:
    shape = (2, 3, 5, 7)
    where = place(shape, layout)
    reached = where.offset + np.tensordot(where.strides, np.indices(shape), axes=1)
    assert len(np.unique(reached)) == 2 * 3 * 5 * 7
    assert reached.min() >= 128
    assert reached.max() < where.size - 128 + (8 if layout == "padded" else 0)
    assert (where.offset % 8 != 0) == (layout == "unaligned")


def test_rows_that_lie_far_apart_take_address_space_and_no_memory() -> None:
    case = replace(PLAIN, heads=1, kv_heads=1, nk=18, layout="far")
    p = cases.problem(case, "float16")
    where = place(p.v.shape, p.layout_of("v"))
    assert where.offset + 17 * where.strides[2] > 2**31
    expected = (p.q.astype(np.float16) @ p.k.swapaxes(-1, -2).astype(np.float16)) @ p.v.astype(np.float16)

    def plain(q: Any, k: Any, v: Any) -> Any:
        return (q @ k.swapaxes(-1, -2)) @ v

    assert np.array_equal(NumpySubject(plain).forward(p).output, expected)
    result = torch_subject(plain).forward(p)
    assert result.output.shape == expected.shape
    assert result.mutated == ()


@pytest.mark.parametrize("layout", LAYOUTS[:4])
@pytest.mark.parametrize("tensor_layout", ["BHND", "BNHD"])
def test_every_layout_shows_the_same_values(layout: str, tensor_layout: str) -> None:
    def add(q: Any, k: Any, v: Any) -> Any:
        return q + 2 * k + 4 * v

    case = replace(PLAIN, nk=5, layout=layout)
    p = cases.problem(case, "float32")
    expected = add(*(x.astype(np.float32) for x in (p.q, p.k, p.v)))
    got = torch_subject(add, layout=tensor_layout).forward(p)
    assert np.array_equal(got.output, expected)
    assert got.dtype == "float32"
    assert got.mutated == ()
    assert np.array_equal(NumpySubject(add).forward(p).output, expected)


def test_a_write_to_an_input_or_beside_it_is_seen() -> None:
    def scales(q: Any, k: Any, v: Any) -> Any:
        q *= 2
        return q

    def overruns(q: Any, k: Any, v: Any) -> Any:
        k.as_strided((1,), (1,), k.storage_offset() + k.numel())[0] = 1.0
        return q.clone()

    p = cases.problem(PLAIN, "float16")
    assert torch_subject(scales).forward(p).mutated == ("q",)
    assert NumpySubject(scales).forward(p).mutated == ("q",)
    assert torch_subject(overruns).forward(p).mutated == ("k",)


def test_a_read_beside_an_input_and_an_element_never_written_are_nan() -> None:

    def overruns(q: Any, k: Any, v: Any) -> Any:
        return q + k.as_strided((1,), (1,), k.storage_offset() + k.numel())

    def forgets(q: Any, k: Any, v: Any) -> Any:
        out = torch.empty_like(q)
        out[:, :, 1:] = 0
        return out

    p, before = cases.problem(PLAIN, "float32"), torch.are_deterministic_algorithms_enabled()
    assert np.isnan(torch_subject(overruns).forward(p).output).all()
    assert np.isnan(torch_subject(forgets).forward(p).output[:, :, 0]).all()
    assert torch.are_deterministic_algorithms_enabled() == before


POISONED = """
import sys, torch
from conformance.sigmoid_attention.harness.torch_backend import poisoned_allocations
before = torch.are_deterministic_algorithms_enabled()
with poisoned_allocations():
    filled = bool(torch.empty(3).isnan().all())
print(filled, torch.are_deterministic_algorithms_enabled() == before, "torch._dynamo" in sys.modules)
"""


def test_memory_is_poisoned_without_an_import_of_the_compiler() -> None:
    """It would take half of the time that all tests of a quick run take."""
    done = subprocess.run([sys.executable, "-c", POISONED], capture_output=True, text=True, check=False)
    assert done.stdout == "True True False\n", done.stderr


def test_writing_to_an_options_memory_is_seen() -> None:
    def spoils(q: Any, k: Any, v: Any, *, alibi_slopes: Any = None, key_lengths: Any = None) -> Any:
        alibi_slopes[0] += 1
        key_lengths[0] = 0
        return q + v

    p = cases.problem(replace(PLAIN, nk=5, alibi=True, key_lengths=(4,)), "float32")
    assert torch_subject(spoils).forward(p).mutated == ("alibi_slopes", "key_lengths")
    assert NumpySubject(spoils).forward(p).mutated == ("alibi_slopes", "key_lengths")


def test_no_two_inputs_of_the_mixed_layout_have_the_same_strides() -> None:
    p = cases.problem(replace(PLAIN, nk=5, layout="mixed"), "float32")
    assert len({place(p.q.shape, p.layout_of(name)).strides for name in ("q", "k", "v")}) == 3
    assert {p.layout_of(name) for name in ("q", "k", "v", "grad")} <= set(LAYOUTS)


def test_an_expanded_gradient_has_no_strides() -> None:
    seen = []

    class Spy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, q: Any, k: Any, v: Any) -> Any:
            return q + k + v

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            seen.append(grad.stride())
            return grad, grad, grad

    case = replace(PLAIN, nk=5, grad_layout="expanded", backward=True)
    result = torch_subject(lambda q, k, v: Spy.apply(q, k, v)).forward_backward(cases.problem(case, "float32"))
    assert seen == [(0, 0, 0, 0)]
    assert (result.gradients["q"] == 1).all()


# What is recognised.


def function(q: Any, k: Any, v: Any, *, bias: float, scale: float | None = None) -> None: ...


def array_function(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> None: ...


def needy(query: Any, key: Any, value: Any, dropout: float) -> None: ...


class Layer:
    def forward(self, query: Any, key: Any, value: Any) -> None: ...


class JITFunction:
    def __call__(self, q: Any, k: Any, v: Any) -> None: ...


def test_functions_of_query_key_and_value_are_recognised() -> None:
    found = recognise(function, "function")
    assert found is not None
    assert found["protocol"] == "torch"
    found = recognise(array_function, "array_function")
    assert found is not None
    assert found["protocol"] == "numpy"
    found = recognise(NumpySubject(numpy_attention), "subject")
    assert found is not None
    assert found["protocol"] == "subject"
    for other in (len, int, "text", lambda text: text, lambda params, lr, betas: None):
        assert recognise(other, "other") is None


def test_an_instance_of_a_torch_module_is_called_by_the_names_of_its_forward() -> None:

    class Module(torch.nn.Module):
        def forward(self, q: Any, k: Any, v: Any, is_causal: bool = False) -> Any:
            return q

    found = recognise(Module(), "module")
    assert found is not None
    assert found["protocol"] == "torch"
    arguments = AttentionArguments(Module())
    assert arguments.name_of("causal") == "is_causal"
    assert not arguments.accepts("window")


@pytest.mark.parametrize(
    ("found", "message"),
    [(needy, "also requires dropout"), (Layer, "an instance"), (JITFunction(), "that launches it")],
)
def test_what_is_nearly_usable_is_told_what_would_make_it_so(found: Any, message: str) -> None:
    with pytest.raises(PlugError, match=message):
        recognise(found, "found")


def test_an_unknown_protocol_or_layout_is_refused() -> None:
    with pytest.raises(PlugError, match="torch, numpy, command and subject"):
        connect(replace(named("numpy"), protocol="mind reading"), "cpu")
    with pytest.raises(ValueError, match="BNHD"):
        torch_subject(function, layout="NBHD")


# Our own implementations beyond what the cases reach.


def test_the_eager_implementation_gives_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from impls.sigmoid_attention import torch_eager

    rng = np.random.default_rng(0)
    q, k, v = (torch.tensor(rng.normal(size=(3, heads, 5, 8))) for heads in (6, 3, 3))
    options: dict[str, Any] = {"bias": -1.0, "causal": True, "key_lengths": torch.tensor([5, 2, 4])}
    for slopes in (rng.random(6), rng.random((3, 6))):
        options["alibi_slopes"] = torch.tensor(slopes)
        whole = torch_eager.attention(q, k, v, **options)
        with monkeypatch.context() as patch:
            patch.setattr(torch_eager, "MOST_SCORES", 1)
            parts = torch_eager.attention(q, k, v, **options)
        given = {**options, "key_lengths": [5, 2, 4], "alibi_slopes": slopes}
        inputs = q.numpy(), k.numpy(), v.numpy()
        expected, bound = forward(*inputs, **given), forward_bound(*inputs, dtype="float64", **given)
        for got in (whole, parts):
            assert compare("output", got.numpy(), expected, bound).passed


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    case=st.builds(
        AttentionCase,
        id=st.just("drawn"),
        batch=st.integers(1, 2),
        heads=st.sampled_from([2, 4]),
        kv_heads=st.sampled_from([1, 2]),
        nq=st.integers(1, 12),
        nk=st.integers(1, 12),
        d=st.integers(1, 20),
        dv=st.integers(1, 20),
        bias=st.floats(-12, 12),
        scale=st.none() | st.floats(-2, 2),
        causal=st.booleans(),
        window=st.none() | st.tuples(st.integers(-1, 12), st.integers(-1, 12)),
        alibi=st.booleans(),
        seed=st.integers(0, 1000),
    ),
    dtype=st.sampled_from(cases.ALL_DTYPES),
)
def test_any_case_is_computed_within_its_bounds(case: AttentionCase, dtype: str) -> None:
    problem = cases.problem(case, dtype)
    for subject in (NumpySubject(numpy_attention), connect(named("torch-eager"), "cpu")):
        found = subject.forward_backward(problem)
        assert output(subject, case, dtype, found).passed
        for name in ("q", "k", "v"):
            assert gradient(name, subject, case, dtype, found).passed


# Workloads.


def test_work_is_counted_as_the_field_counts_it() -> None:
    by_id = {workload.id: workload for workload in WORKLOADS}
    assert len(by_id) == len(WORKLOADS)
    full = by_id["fwd-full-B8-H16-N2048-D128-bfloat16"]
    assert full.flops == full.amount == 4 * 8 * 16 * 2048**2 * 128
    assert by_id["fwd-causal-B8-H16-N2048-D128-bfloat16"].amount == full.amount / 2
    assert by_id["fwd-bwd-full-B8-H16-N2048-D128-bfloat16"].amount == full.amount * 3.5
    assert by_id["bwd-full-B8-H16-N2048-D128-bfloat16"].amount == full.amount * 2.5
    assert BASELINE in {i.name for i in IMPLEMENTATIONS}


def test_the_grid_is_the_paper_s_with_as_many_tokens_at_every_length() -> None:
    loads = [workload.parameters["load"] for workload in WORKLOADS if workload.devices == ("cuda",)]
    directions = {"forward": (False, False), "backward": (True, True), "both": (True, False)}
    grid = itertools.product((64, 128, 256), (512, 1024, 2048, 4096, 8192, 16384), (False, True), directions.values())
    assert {(load.dim, load.length, load.causal, (load.backward, load.alone)) for load in loads} == set(grid)
    assert len(loads) == 3 * 6 * 2 * 3
    assert {(load.batch * load.length, load.heads * load.dim) for load in loads} == {(16384, 2048)}
    # Each is one point of a family that has all the lengths.
    families = Counter(workload.family for workload in WORKLOADS if workload.devices == ("cuda",))
    assert set(families.values()) == {6}


class Wrong:
    """Right but for one element of dK."""

    def __call__(self, q: Any, k: Any, v: Any, *, bias: float = 0.0, causal: bool = False) -> Any:
        return numpy_attention(q, k, v, bias=bias, causal=causal)

    def backward(self, q: Any, k: Any, v: Any, grad: Any, *, bias: float = 0.0, causal: bool = False) -> Any:
        gradients = numpy_attention.backward(q, k, v, grad, bias=bias, causal=causal)
        gradients["k"][0, 0, -1, 0] *= 1.01
        return gradients


wrong = Wrong()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_last_timed_answer_is_found_as_the_clock_left_it(dtype: str) -> None:
    shortest = min(
        (w for w in WORKLOADS if w.devices == ("cpu",) and w.dtype == dtype and "backward" in w.needs), key=lambda w: w.scale
    )
    right = prepare(named("torch-eager"), shortest, "cpu")
    right.run()
    assert right.verify_timed is not None
    found = list(right.verify_timed())
    assert found
    assert all(c.passed for c in found)


def test_a_workload_s_answer_is_compared_with_the_reference() -> None:
    workload = next(w for w in WORKLOADS if w.quick and "backward" in w.needs)
    right = prepare(named("numpy"), workload, "cpu")
    right.run()
    comparisons = list(right.verify())
    assert comparisons
    assert all(c.passed for c in comparisons)
    record = replace(named("numpy"), target=f"{__file__}:wrong")
    (failed,) = (c for c in prepare(record, workload, "cpu").verify() if not c.passed)
    assert failed.quantity.startswith("gradient of k, batch 0 head 0, 17 places from ")
    assert failed.worst.startswith("(255,")


def test_an_interpreted_kernel_is_not_timed() -> None:
    assert "interpreter" in unsuited(named("triton"), WORKLOADS[0], "cpu")
    assert unsuited(named("native"), WORKLOADS[0], "cpu") == ""


def test_a_speed_baseline_is_timed_and_tested_by_no_requirement() -> None:
    record = named("softmax-fused")
    subject = connect(record, "cpu")
    with pytest.raises(Unsupported, match="computes softmax attention: a speed baseline"):
        subject.forward(cases.problem(PLAIN, "float32"))
    with pytest.raises(Unsupported, match="speed baseline"):
        subject.interrupted(cases.problem(PLAIN, "float32"), cases.problem(PLAIN, "float32"), True)
    workload = next(w for w in WORKLOADS if w.quick and "cpu" in w.devices)
    prepared = prepare(record, workload, "cpu")
    prepared.run()
    assert all(c.passed for c in prepared.verify())
    # What does not compute softmax is no baseline of it.
    mistaken = replace(record, target="impls.sigmoid_attention.torch_eager:attention")
    assert not all(c.passed for c in prepare(mistaken, workload, "cpu").verify())


def test_a_backward_pass_timed_alone_is_the_one_of_both() -> None:
    load = AttentionLoad(batch=1, heads=1, length=8, dim=16, dtype="float32", bias=-1.0, causal=True, backward=True)
    gradients = []
    for each in (load, replace(load, alone=True)):
        work = connect(named("torch-blocked"), "cpu").timed(each)
        work.renew(3)
        work.make([None, None])
        gradients.append(work.head(0, 0)["dq"])
    assert np.array_equal(*gradients)
    with pytest.raises(Unsupported, match="alone"):
        connect(named("numpy"), "cpu").timed(replace(load, alone=True))


def test_what_is_another_program_on_a_cpu_is_tested_there_where_it_is_the_same() -> None:
    subject = connect(named("flex-attention"), "cpu")
    assert subject.forward(cases.problem(PLAIN, "float32")).output.shape == (1, 2, 5, 16)
    with pytest.raises(NotRun, match="whatever the dtype"):
        subject.forward(cases.problem(PLAIN, "bfloat16"))
