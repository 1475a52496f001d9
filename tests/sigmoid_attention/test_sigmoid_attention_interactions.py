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
from conformance.engine.interactions import combinations, made
from conformance.engine.runner import list_test_cases, run_test_case
from conformance.engine.selection import Options, checks_of
from conformance.records.schema import RED, Verdict
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import place
from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
from conformance.sigmoid_attention.harness.torch_contexts import MAY_REFUSE
from conformance.sigmoid_attention.interactions import DEFINITION, PARTS
from impls.implementation import Unsupported
from impls.sigmoid_attention import torch_eager
from impls.sigmoid_attention.api import BACKENDS, sigmoid_attention
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


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.file.stem)
def test_kept_combinations_are_those_of_the_declaration(part: Any) -> None:
    assert combinations(part) == made(part)


def test_no_case_of_what_the_paper_defines_needs_an_option() -> None:
    needs = {word for check in checks_of("sigmoid_attention") if check.requirement == "SIG-57" for case in check.cases
             for word in case.needs}  # fmt: skip
    assert needs == {"backward", "bias", "causal", "odd_head_dim", "rectangular", "value_dim"}
    assert len(combinations(DEFINITION)) > 30


@pytest.mark.parametrize("layout", ["turned", "broadcast"])
def test_further_layouts_lie_where_they_say(layout: str) -> None:
    where = place((2, 3, 5, 7), layout)
    reached = where.offset + np.tensordot(where.strides, np.indices((2, 3, 5, 7)), axes=1)
    assert len(np.unique(reached)) == (2 if layout == "turned" else 1) * 3 * 5 * 7
    assert 128 <= reached.min() <= reached.max() < where.size - 128
    assert where.strides[3 if layout == "turned" else 0] == (5 if layout == "turned" else 0)


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


def test_a_wrong_function_is_not_explained_away(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE.format(before="scale = 1.0", parameters="q, k, v, *, scale=None, bias=0.0, causal=False",
                                  result="out, None"))  # fmt: skip
    plugged = plug(f"{file}:attention")
    assert dict(plugged.settings) == {"result": "first"}
    found = [run_test_case(each).verdict for each in list_test_cases("sigmoid_attention", [plugged], Options(quick=True))]
    assert Verdict.FAIL in found
    assert Verdict.ERROR not in found
