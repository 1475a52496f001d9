"""Second derivatives, forward mode, and the transforms of torch.func: right from every backend, compiled too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.autograd import forward_ad

from conformance.engine.comparison import compare
from impls.sigmoid_attention import torch_eager
from impls.sigmoid_attention.api import sigmoid_attention
from reference.rounding import FLOAT32, gamma

BACKENDS = ("auto", "native", "blocked", "triton", "eager")
OPTIONS: dict[str, Any] = {"causal": True, "scale": 0.7}

Tensors = tuple[torch.Tensor, ...]
SHAPES = ((1, 2, 3, 4), (1, 1, 5, 4), (1, 1, 5, 4))
INPUTS: Tensors = (
    *(torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed, shape in enumerate(SHAPES)),
    torch.tensor(-0.5),
    torch.tensor([0.3, 0.1]),
)
"""q, k, v, bias and slopes."""


def inputs() -> Tensors:
    return tuple(x.clone() for x in INPUTS)


def loss(backend: str, q: Any, k: Any, v: Any, bias: Any, slopes: Any) -> Any:
    return call(backend, q, k, v, bias, slopes).square().sum()


def call(backend: str, q: Any, k: Any, v: Any, bias: Any, slopes: Any) -> Any:
    return sigmoid_attention(q, k, v, bias=bias, alibi_slopes=slopes, backend=backend, **OPTIONS)


def expected(q: Any, k: Any, v: Any, bias: Any, slopes: Any) -> Any:
    return torch_eager.attention(q, k, v, bias=bias, alibi_slopes=slopes, **OPTIONS)


def close(found: Any, right: Any) -> None:
    for one, other in zip(found, right, strict=True):
        # Sums of fewer than a thousand terms, none of them larger than the largest result or 1.
        bound = gamma(1000, FLOAT32.unit_roundoff) * max(1.0, float(other.abs().amax()))
        assert compare("derivative", one.detach().numpy(), other.detach().numpy(), bound).passed


def doubles() -> Tensors:
    return tuple(x.double() for x in inputs())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_derivative_is_right(backend: str) -> None:
    def penalty(function: Any, given: Tensors) -> Any:
        leaves = [x.clone().requires_grad_() for x in given]
        # The sum's gradient is a constant, which needs none itself.
        first = torch.autograd.grad(function(*leaves).sum(), leaves, create_graph=True)
        return torch.autograd.grad(sum(x.square().sum() for x in first), leaves)

    close(penalty(lambda *x: call(backend, *x), inputs()), penalty(expected, doubles()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_forward_mode_is_right(backend: str) -> None:
    tangents = tuple(torch.randn_like(x, dtype=torch.float32) for x in inputs())
    wide = tuple(x.double() for x in tangents)
    right = torch.func.jvp(expected, doubles(), wide)
    close(torch.func.jvp(lambda *x: call(backend, *x), inputs(), tangents), right)
    with forward_ad.dual_level():
        dual = [forward_ad.make_dual(x, t) for x, t in zip(inputs(), tangents, strict=True)]
        out = forward_ad.unpack_dual(call(backend, *dual))
        close((out.primal, out.tangent), right)
    close([torch.func.jacfwd(lambda q: call(backend, q, *inputs()[1:]))(inputs()[0])],
          [torch.func.jacfwd(lambda q: expected(q, *doubles()[1:]))(doubles()[0])])  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_transforms_of_torch_func_are_right(backend: str) -> None:
    every = (0, 1, 2, 3, 4)
    right = torch.func.grad(lambda *x: expected(*x).square().sum(), every)(*doubles())
    close(torch.func.grad(lambda *x: loss(backend, *x), every)(*inputs()), right)
    out, pull = torch.func.vjp(lambda *x: call(backend, *x), *inputs())
    close(pull(2 * out), right)
    close([torch.func.hessian(lambda b: loss(backend, *inputs()[:3], b, inputs()[4]))(inputs()[3])],
          [torch.func.hessian(lambda b: expected(*doubles()[:3], b, doubles()[4]).square().sum())(doubles()[3])])  # fmt: skip
    several = torch.randn(3, *inputs()[0].shape)
    found = torch.func.vmap(lambda q: call(backend, q, *inputs()[1:]))(several)
    close(found, [call("eager", q, *inputs()[1:]) for q in several])


@pytest.mark.parametrize("backend", BACKENDS)
def test_batched_gradients_are_right(backend: str) -> None:
    leaves = [x.requires_grad_() for x in inputs()]
    out = call(backend, *leaves)
    several = torch.randn(3, *out.shape)
    found = torch.autograd.grad(out, leaves, several, retain_graph=True, is_grads_batched=True)
    right = [torch.autograd.grad(out, leaves, g, retain_graph=True) for g in several]
    close(found, [torch.stack(one) for one in zip(*right, strict=True)])
    close([torch.autograd.functional.jacobian(lambda q: call(backend, q, *inputs()[1:]), inputs()[0], vectorize=True)],
          [torch.func.jacrev(lambda q: expected(q, *doubles()[1:]))(doubles()[0])])  # fmt: skip


@pytest.mark.parametrize("backend", ["native", "blocked"])
def test_in_compiled_code_they_are_right_too(backend: str) -> None:
    def compiled(transform: Any, *given: Any) -> Any:
        torch._dynamo.reset()
        return torch.compile(lambda *x: transform(*x), backend="aot_eager")(*given)

    def attend(q: Any) -> Any:
        return call(backend, q, *INPUTS[1:])

    q = INPUTS[0]
    for transform in (
        torch.func.grad(lambda q: attend(q).square().sum()),
        lambda q: torch.func.jvp(attend, (q,), (q.sin(),))[1],
        lambda q: torch.func.vmap(attend)(torch.stack([q, -q])),
    ):
        close([compiled(transform, q)], [transform(q)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_derivative_is_right_where_inputs_depend_on_each_other(backend: str) -> None:
    def penalty(x: torch.Tensor, backend: str) -> Any:
        x.requires_grad_()
        out = sigmoid_attention(x, x, x.square(), backend=backend)
        (first,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)

    x = INPUTS[1]
    close(penalty(x.clone(), backend), penalty(x.double(), "eager"))
