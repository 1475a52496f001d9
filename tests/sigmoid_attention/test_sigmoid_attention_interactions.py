"""The covering arrays are what they are declared to be, contexts are what they are called, and honest functions pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conformance.engine.check import run_check
from conformance.engine.comparison import compare
from conformance.engine.discovery import plug
from conformance.engine.interactions import combinations
from conformance.engine.runner import list_test_cases, run_test_case
from conformance.engine.selection import Options, checks_of
from conformance.records.schema import RED, Verdict
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import ONE_TENSOR, REPEATED, place
from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
from conformance.sigmoid_attention.harness.torch_contexts import MAY_REFUSE
from conformance.sigmoid_attention.interactions import DEFINITION, INTERACTIONS, rows
from impls.implementation import Unsupported
from impls.sigmoid_attention import torch_blocked, torch_eager
from impls.sigmoid_attention.api import BACKENDS, sigmoid_attention
from reference.rounding import FLOAT32, gamma
from reference.sigmoid_attention import backward, second_derivatives

TORCH = ("SIG-56", "SIG-60")


def subject(function: Any, **settings: Any) -> TorchSubject:
    return TorchSubject(function, "cpu", "", settings)


def verdicts(one: TorchSubject, *requirements: str) -> Iterator[tuple[str, AttentionCase, str]]:
    """Requirement, case and ``pass``, what failed, or why it is unsupported."""
    for check in checks_of("sigmoid_attention"):
        if check.requirement not in requirements:
            continue
        for case in check.cases:
            try:
                wrong = [c.quantity for c in run_check(check, one, case, case.dtypes[0]) if not c.passed]
                yield check.requirement, case, ", ".join(wrong) or "pass"
            except Unsupported as reason:
                yield check.requirement, case, f"unsupported: {reason}"


@pytest.mark.parametrize("part", INTERACTIONS[:4], ids=lambda part: part.file.stem)
def test_gradients_are_asked_for_wherever_no_pair_is_lost_by_it(part: Any) -> None:
    kept, asking = combinations(part), rows(part)
    pairs, asked = (frozenset[Any]().union(*(row.pairs for row in each)) for each in (kept, asking))
    assert pairs == asked & pairs
    assert all(each.holds(*(row[name] for name in each.names)) for each in part.constraints for row in asking)
    changed = [(row["asked"], other["asked"]) for row, other in zip(kept, asking, strict=True) if row.labels != other.labels]
    assert {now for _, now in changed} == {"all"}
    for row in asking:
        assert row["asked"] == dict(row.labels)["asked"]


def test_no_case_of_what_the_paper_defines_needs_an_option() -> None:
    needs = {word for check in checks_of("sigmoid_attention") if check.requirement == "SIG-57" for case in check.cases
             for word in case.needs}  # fmt: skip
    assert needs == {"backward", "bias", "causal", "odd_head_dim", "rectangular", "value_dim"}
    assert len(combinations(DEFINITION)) > 30


@pytest.mark.parametrize(("layout", "shared"), [("turned", None), ("broadcast", 0), ("one head", 1), ("one row", 2)])
def test_further_layouts_lie_where_they_say(layout: str, shared: int | None) -> None:
    shape = (2, 3, 5, 7)
    where = place(shape, layout)
    reached = where.offset + np.tensordot(where.strides, np.indices(shape), axes=1)
    assert len(np.unique(reached)) == 2 * 3 * 5 * 7 // (1 if shared is None else shape[shared])
    assert 128 <= reached.min() <= reached.max() < where.size - 128
    assert [axis for axis, stride in enumerate(where.strides) if stride == 0] == ([] if shared is None else [shared])


@pytest.mark.parametrize("layout", ["one key head", "broadcast values", "broadcast"])
@pytest.mark.parametrize("form", ["BHND", "BNHD"])
def test_shared_memory_holds_what_the_problem_says(layout: str, form: str) -> None:
    case = AttentionCase(
        id="shared", batch=2, heads=3, kv_heads=3, nq=5, nk=5, layout=layout, grad_layout="one row", backward=True
    )
    seen = {}

    def add(q: Any, k: Any, v: Any) -> Any:
        seen.update(q=q, k=k, v=v)
        return q + k + v

    problem = cases.problem(case, "float32")
    result = subject(add, layout=form).forward_backward(problem)
    assert np.isfinite(result.output).all()
    for name, x in seen.items():
        assert ((x if form == "BHND" else x.transpose(1, 2)).numpy(force=True) == getattr(problem, name)).all()
    assert (result.gradients["q"] == problem.grad).all()
    heads = 1 if form == "BHND" else 2
    assert (seen["k"].stride(heads) == 0) == (layout == "one key head")


def test_rows_that_no_query_of_its_sequence_sees_are_known() -> None:
    case = next(case for case in cases.UNSEEN if case.sequences)
    queries, keys = cases.unseen(case)
    assert (int(queries.sum()), int(keys.sum())) == (0, 33 + 7)
    hidden = cases.problem(case, "float32")
    assert np.isnan(hidden.k).any(axis=(0, 1, 3)).tolist() == keys[0].tolist()


@pytest.mark.parametrize("context", ["q is k", "k is v", "same tensor", "reentrant checkpoint", "backward()", "vjp"])
def test_contexts_give_the_gradients_of_a_plain_call(context: str) -> None:
    data = {"same tensor": "same"}.get(context, context if context in ONE_TENSOR else "normal")
    case = AttentionCase(id="where", nq=5, nk=5, backward=True, data=data)
    problem = cases.problem(case, "float32")
    plain, found = (
        subject(naive).forward_backward(problem).gradients,
        subject(naive).in_context(context, problem, True).gradients,
    )
    first, *others = ONE_TENSOR.get(context, ("q",))
    expected = {name: x for name, x in plain.items() if name not in others}
    expected[first] = sum(plain[name] for name in (first, *others))
    assert found.keys() == expected.keys()
    for name, x in expected.items():
        size = np.abs(np.asarray([plain[each] for each in plain])).sum(axis=0).max()
        assert compare(name, found[name], x, gamma(4, FLOAT32.unit_roundoff) * size).passed


def test_siblings_share_a_size_or_an_option_and_ask_for_nothing() -> None:
    case = next(case for check in checks_of("sigmoid_attention") for case in check.cases if case.context == "other sizes")
    found = cases.siblings(case)
    assert len({(each.nq, each.d, each.causal, each.window, each.seed) for each in found}) == len(found) > 4
    assert not any(each.wanted or each.backward for each in found)


@pytest.mark.parametrize("way", REPEATED)
@pytest.mark.parametrize("backward", [False, True])
def test_calls_share_all_but_one_argument(way: str, backward: bool) -> None:
    case = AttentionCase(id="shared", batch=2, nq=5, nk=5, bias=-1.0, key_lengths=(4, 3), context=way, backward=backward)
    seen: list[dict[str, Any]] = []

    def spy(q: Any, k: Any, v: Any, **options: Any) -> Any:
        found = {"q": q, "k": k, "v": v, "key_lengths": options["key_lengths"]}
        seen.append({name: (x, x.data_ptr(), x.tolist()) for name, x in found.items()} | {"bias": (options["bias"],) * 3})
        return torch_eager.attention(q, k, v, **options)

    problem = cases.problem(case, "float32")
    others = cases.one_argument_changed(case, "float32")
    wanted = {"q", "k", "v", "key_lengths"} | ({"incoming gradient"} if backward else set())
    assert others.keys() == wanted | ({"bias", "length"} if way == "same arrays" else set())
    for name in others.keys() - {"length", "incoming gradient"}:
        seen.clear()
        subject(spy).repeated(problem, others[name], way, backward)
        first, second, *between = seen
        for each in seen[0]:
            same_object = first[each][0] is second[each][0]
            same_place, same_values = (first[each][n] == second[each][n] for n in (1, 2))
            assert same_values == (each != name)
            if each != "bias":
                assert same_object == (way == "changed in place" or (way == "same arrays" and each != name))
                assert same_place == (way != "same arrays" or each != name)
        assert len(between) == (way == "same arrays")


def test_an_option_that_autocast_casts_is_told_from_scores_that_it_rounds() -> None:
    def cast(q: Any, k: Any, v: Any, bias: float = 0.0) -> Any:
        rounded = torch.tensor(bias).bfloat16().item() if torch.is_autocast_enabled("cpu") else bias
        return torch_blocked.attention(q, k, v, bias=rounded)

    said = [
        {verdict for _, case, verdict in verdicts(subject(function), "SIG-61") if case.id == "bias"}
        for function in (torch_blocked.attention, cast, naive)
    ]
    assert said[:2] == [{"pass"}, {"output"}]
    assert "stores scores in 16 bits" in said[2].pop()


@pytest.mark.parametrize("backend", BACKENDS)
def test_ours_refuse_no_context(backend: str) -> None:
    # A refusal is no failure there, so that it would not be noticed.
    if backend in ("triton", "flex"):  # in an interpreter; without gradients on a CPU
        ones = list(verdicts(subject(sigmoid_attention, arguments={"backend": backend}), "SIG-56"))
        assert all(verdict == "pass" or (backend == "flex" and case.backward) for _, case, verdict in ones)
        return
    found = list(verdicts(subject(sigmoid_attention, arguments={"backend": backend}), *TORCH))
    assert [(case.id, verdict) for _, case, verdict in found if verdict != "pass"] == []


@pytest.mark.parametrize("context", ["compiled"])
@pytest.mark.parametrize("options", [{}, {"causal": True, "bias": -1.0}, {"key_lengths": (3, 9), "batch": 2}])
def test_compiled_they_are_the_same(context: str, options: dict[str, Any]) -> None:
    case = AttentionCase(id="compiled", nq=9, nk=9, backward=True, context=context, **options)
    one = subject(sigmoid_attention, arguments={"backend": "auto"})
    result = one.in_context(context, cases.problem(case, "float32"), True)
    for name, found in result.gradients.items():
        expected, bound = cases.expected_gradients(case, "float32"), cases.gradient_bounds(case, "float32", "")
        assert compare(name, found, getattr(expected, name), getattr(bound, name)).passed


# Honest functions that refuse what nobody has promised.


def naive(q: Any, k: Any, v: Any, *, scale: Any = None, bias: float = 0.0, causal: bool = False) -> Any:
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = (q.float() @ k.float().transpose(-1, -2)) * scale + bias
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).tril() == 0, -torch.inf)
    return (scores.sigmoid() @ v.float()).to(q.dtype)


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Any, k: Any, v: Any) -> Any:
        ctx.save_for_backward(q, k, v)
        return torch_eager.attention(q, k, v)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        leaves = [x.detach().requires_grad_() for x in ctx.saved_tensors]
        with torch.enable_grad():
            return torch.autograd.grad(torch_eager.attention(*leaves), leaves, grad)


def _once(q: Any, k: Any, v: Any) -> Any:
    return _Once.apply(q, k, v)


@pytest.mark.parametrize("function", [naive, _once], ids=["naive", "once differentiable"])
def test_honest_functions_pass_or_refuse(function: Any) -> None:
    found = list(verdicts(subject(function), "SIG-57", *TORCH))
    wrong = [(requirement, case.id, verdict) for requirement, case, verdict in found
             if verdict != "pass" and not verdict.startswith("unsupported")]  # fmt: skip
    assert wrong == []
    assert sum(verdict == "pass" for *_, verdict in found) > 12
    refused = {case.context for _, case, verdict in found if "refuses" in verdict and case.context}
    assert refused <= set(MAY_REFUSE)


# Derivatives beyond the first.


@pytest.mark.parametrize("options", [{}, {"causal": True, "bias": -1.0, "scale": -0.4}, {"window": (2, 1), "alibi": True}])
def test_second_derivatives_are_those_of_an_independent_way(options: dict[str, Any]) -> None:
    case = AttentionCase(id="second", dtypes=("float64",), batch=2, nq=5, nk=8, d=4, dv=3, backward=True, **options)
    p = cases.problem(case, "float64")
    direction = np.random.default_rng(3).normal(size=p.q.shape)
    known = second_derivatives(p.q, p.k, p.v, p.grad, direction, dtype="float64", **p.reference_options())
    eager = subject(torch_eager.attention)
    found = {**eager.second_derivatives(p, direction), "tangent": eager.tangent(p, direction)}
    for name, values in found.items():
        value, bound = known[name]
        result = compare(name, values, value, bound)
        assert result.passed
        assert result.resolution is not None
        assert result.resolution < 2**-30  # a bound that says something
    # And by differences of the first gradients: their error is the square of the step times a derivative of the fourth order.
    step = 2.0**-16
    ahead, behind = (backward(p.q + h * direction, p.k, p.v, p.grad, **p.reference_options()) for h in (step, -step))
    size = np.abs(direction).sum() ** 3 * np.abs(p.k).max() ** 4 * np.abs(p.grad).sum() * np.abs(p.v).max()
    assert np.abs((ahead.q - behind.q) / (2 * step) - known["q"][0]).max() <= step**2 * size + 2**-30 * size


def test_second_derivatives_are_not_for_16_bits() -> None:
    p = cases.problem(replace(cases.BEYOND_FIRST[0], id="half"), "float16")
    with pytest.raises(ValueError, match="expected float32 or float64"):
        second_derivatives(p.q, p.k, p.v, p.grad, p.q, dtype="float16", **p.reference_options())


# Honest functions in forms that nobody declared.

FORMS = {
    "plain": ("", "q, k, v, *, scale=None, bias=0.0, causal=False", "out", {}),
    "without a scale": ("scale = None", "q, k, v, *, bias=0.0, causal=False", "out", {}),
    "length before heads": ("q, k, v = (x.transpose(1, 2) for x in (q, k, v))",
                            "q, k, v, *, scale=None, bias=0.0, causal=False", "out.transpose(1, 2)", {"layout": "BNHD"}),
    "a tuple": ("", "q, k, v, *, scale=None, bias=0.0, causal=False", "out, None", {"result": "first"}),
    "always causal": ("causal = True", "q, k, v, *, scale=None, bias=0.0", "out", {"causal": "always"}),
    "all of it": ("q, k, v = (x.transpose(1, 2) for x in (q, k, v)); causal, scale, bias = True, None, 0.0", "q, k, v",
                  "(out.transpose(1, 2), 0)", {"layout": "BNHD", "result": "first", "causal": "always"}),
}  # fmt: skip
SOURCE = """
import torch

def attention({parameters}):
    {before}
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = (q.float() @ k.float().transpose(-1, -2)) * scale + bias
    if causal:
        i, j = (torch.arange(n, device=q.device) for n in scores.shape[-2:])
        scores = scores.masked_fill(j > i[:, None] + len(j) - len(i), -torch.inf)
    out = (scores.sigmoid() @ v.float()).to(q.dtype)
    return {result}
"""


@pytest.mark.parametrize("form", FORMS)
def test_honest_functions_of_any_form_are_accused_of_nothing(form: str, tmp_path: Path) -> None:
    before, parameters, result, settings = FORMS[form]
    file = tmp_path / "mine.py"
    file.write_text(SOURCE.format(before=before or "pass", parameters=parameters, result=result))
    plugged = plug(f"{file}:attention")
    assert dict(plugged.settings) == settings
    assert len([sentence for sentence in plugged.found if not sentence.startswith("takes")]) == len(settings)
    counts: Counter[Verdict] = Counter()
    for test_case in list_test_cases("sigmoid_attention", [plugged], Options(quick=True)):
        record = run_test_case(test_case)
        reading = test_case.check.requirement == "SIG-55"  # which decides no verdict
        assert reading or record.verdict not in RED, (test_case.id, record.quantity, record.message)
        counts[record.verdict] += 1
    assert counts[Verdict.PASS] > 5


def test_what_a_function_of_any_keyword_refuses_by_itself_is_a_gap() -> None:
    def careful(q: Any, k: Any, v: Any, **options: Any) -> Any:
        if options:
            raise TypeError(f"unexpected keyword: {', '.join(options)}")
        return (q @ k.mT * q.shape[-1] ** -0.5).sigmoid() @ v

    plain = AttentionCase(id="any-keyword", nq=5, nk=5)
    problem = cases.problem(plain, "float32")
    right = cases.expected_output(plain, "float32")
    assert compare("output", subject(careful).forward(problem).output, right, cases.output_bound(plain, "float32", "")).passed
    with pytest.raises(Unsupported, match="does not accept bias"):
        subject(careful).forward(cases.problem(replace(plain, bias=-1.0), "float32"))
    with pytest.raises(TypeError, match="out of order"):
        subject(lambda q, k, v, **options: exec("raise TypeError('out of order')")).forward(problem)


def test_a_wrong_function_is_not_explained_away(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE.format(before="scale = 1.0", parameters="q, k, v, *, scale=None, bias=0.0, causal=False",
                                  result="out, None"))  # fmt: skip
    plugged = plug(f"{file}:attention")
    assert dict(plugged.settings) == {"result": "first"}
    found = [run_test_case(each).verdict for each in list_test_cases("sigmoid_attention", [plugged], Options(quick=True))]
    assert Verdict.FAIL in found
    assert Verdict.ERROR not in found
