"""One table of calls: every backend gives the same result, or the same error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from conformance.engine.comparison import compare
from impls.sigmoid_attention.api import BACKENDS, sigmoid_attention
from impls.sigmoid_attention.module import SigmoidAttention
from reference.rounding import FLOAT32, gamma

EACH = [name for name in BACKENDS if name != "auto"]


@dataclass(frozen=True)
class Call:
    """Shapes of q, k and v, the dtype and the options; ``error`` is the type and a part of the message, or None."""

    error: tuple[type[Exception], str] | None = None
    q: tuple[int, ...] = (2, 4, 5, 16)
    k: tuple[int, ...] = (2, 2, 7, 16)
    v: tuple[int, ...] = (2, 2, 7, 16)
    dtype: torch.dtype = torch.float32
    options: dict[str, Any] = field(default_factory=dict)

    def inputs(self) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        shapes = (self.q, self.k, self.v)
        return [torch.randn(shape, generator=generator).mul(2).to(self.dtype) for shape in shapes]


def refused(message: str, error: type[Exception] = ValueError, **fields: Any) -> Call:
    shapes = {name: fields.pop(name) for name in ("q", "k", "v", "dtype") if name in fields}
    return Call((error, message), options=fields, **shapes)


def accepted(**fields: Any) -> Call:
    shapes = {name: fields.pop(name) for name in ("q", "k", "v", "dtype") if name in fields}
    return Call(options=fields, **shapes)


def packed(message: str, queries: Any, keys: Any = None, error: type[Exception] = ValueError, **fields: Any) -> Call:
    shapes = {"q": (1, 2, 5, 16), "k": (1, 2, 5, 16), "v": (1, 2, 5, 16)}
    edges = {"cu_seqlens_q": queries} | ({} if keys is None else {"cu_seqlens_k": keys})
    return refused(message, error, **{**shapes, **edges, **fields})


ints, floats = torch.tensor, torch.tensor
"""Integers are int64 by default, and those of a packed call may be either."""

CALLS = {
    "plain": accepted(),
    "a list for a window": accepted(window=[3, 1]),
    "a window beyond 32 bits": accepted(window=(2**31, 2**40)),
    "a window without limits": accepted(window=(-1, -1)),
    "a bias of one element in five dimensions": accepted(bias=torch.full((1, 1, 1, 1, 1), -1.0)),
    "a float64 bias of one element": accepted(bias=torch.tensor([-1.0], dtype=torch.float64)),
    "float64 slopes": accepted(alibi_slopes=torch.tensor([0.5, 0.2, 0.1, 0.3], dtype=torch.float64)),
    "float16 slopes": accepted(alibi_slopes=torch.tensor([0.5, 0.25, 0.125, 0.0]).half()),
    "slopes by row": accepted(alibi_slopes=torch.linspace(0, 1, 8).view(2, 4)),
    "int64 lengths": accepted(key_lengths=ints([7, 0])),
    "int32 lengths": accepted(key_lengths=ints([3, 7], dtype=torch.int32)),
    "lengths with gaps between them": accepted(key_lengths=ints([3, 0, 7, 0])[::2]),
    "no batch": accepted(q=(0, 4, 5, 16), k=(0, 2, 7, 16), v=(0, 2, 7, 16)),
    "no queries": accepted(q=(2, 4, 0, 16)),
    "no keys": accepted(k=(2, 2, 0, 16), v=(2, 2, 0, 16)),
    "no keys and lengths": accepted(k=(2, 2, 0, 16), v=(2, 2, 0, 16), key_lengths=ints([0, 0])),
    "no queries, causal": accepted(q=(2, 4, 0, 16), causal=True),
    "packed": accepted(
        q=(1, 2, 5, 16), k=(1, 2, 7, 16), v=(1, 2, 7, 16), cu_seqlens_q=ints([0, 2, 2, 5]), cu_seqlens_k=ints([0, 0, 3, 7])
    ),
    "packed, nothing in it": accepted(q=(1, 2, 0, 16), k=(1, 2, 0, 16), v=(1, 2, 0, 16), cu_seqlens_q=ints([0, 0])),
    "a q that is no tensor": refused("expected a tensor", TypeError, q=()),
    "three dimensions": refused("head dim", q=(4, 5, 16)),
    "another head dim": refused("one head dim", k=(2, 2, 7, 8)),
    "another batch": refused("one batch", q=(3, 4, 5, 16)),
    "heads that are no multiple": refused("2 key heads, not 3 query heads", q=(2, 3, 5, 16)),
    "no head dim": refused("head dims of at least 1", q=(2, 4, 5, 0), k=(2, 2, 7, 0)),
    "no value dim": refused("head dims of at least 1", v=(2, 2, 7, 0)),
    "no heads": refused("at least one head", q=(2, 0, 5, 16)),
    "no key heads": refused("at least one head", k=(2, 0, 7, 16), v=(2, 0, 7, 16)),
    "integers": refused("found torch.int64", dtype=torch.int64),
    "complex numbers": refused("found torch.complex64", dtype=torch.complex64),
    "booleans": refused("found torch.bool", dtype=torch.bool),
    "a window of one number": refused("expected .left, right.", window=5),
    "a window of three": refused("expected .left, right.", window=(1, 2, 3)),
    "a fractional window": refused("whole numbers", window=(1.5, 2)),
    "a window below -1": refused("whole numbers", window=(-2, 0)),
    "a text for a bias": refused("a number, or a tensor", TypeError, bias="1"),
    "a list for a bias": refused("a number, or a tensor", TypeError, bias=[1.0]),
    "a bias of many elements": refused("expected one element", bias=torch.zeros(4)),
    "an integer bias tensor": refused("floating point", bias=torch.tensor(1)),
    "a bias on another device": refused("expected one device", bias=torch.zeros(1, device="meta")),
    "a tensor for a scale": refused("it has no gradient", TypeError, scale=torch.tensor(0.5)),
    "a complex scale": refused("expected a number", TypeError, scale=1j),
    "a list for slopes": refused("expected a tensor", TypeError, alibi_slopes=[0.1, 0.2, 0.3, 0.4]),
    "slopes of other heads": refused("expected .4,.", alibi_slopes=torch.ones(2)),
    "slopes of other rows": refused("expected .4,. or .2, 4.", alibi_slopes=torch.ones(3, 4)),
    "integer slopes": refused("floating point", alibi_slopes=torch.ones(4, dtype=torch.int64)),
    "slopes on another device": refused("expected one device", alibi_slopes=torch.ones(4, device="meta")),
    "a list for lengths": refused("expected a tensor", TypeError, key_lengths=[7, 7]),
    "lengths for another batch": refused("one per batch row", key_lengths=ints([1, 2, 3])),
    "a matrix of lengths": refused("one per batch row", key_lengths=ints([[1, 2]])),
    "fractional lengths": refused("expected int32 or int64", key_lengths=floats([1.0, 2.0])),
    "a length past the end": refused("from 0 to the 7 keys", key_lengths=ints([7, 8])),
    "a negative length": refused("from 0 to the 7 keys", key_lengths=ints([-1, 7])),
    "lengths on another device": refused("expected one device", key_lengths=torch.zeros(2, dtype=torch.int64, device="meta")),
    "edges of keys alone": refused("cu_seqlens_k alone", cu_seqlens_k=ints([0, 7])),
    "packed with a batch": refused("batch of 1", cu_seqlens_q=ints([0, 5])),
    "packed with lengths": packed("batch of 1", ints([0, 5]), key_lengths=ints([5])),
    "a list for edges": packed("expected a tensor", [0, 5], error=TypeError),
    "negative edges": packed("expected 0 first", ints([-1, 5])),
    "edges that do not begin at 0": packed("expected 0 first", ints([1, 5])),
    "edges past the end": packed("expected 0 first", ints([0, 3, 8])),
    "edges that end early": packed("expected 0 first", ints([0, 3])),
    "edges that go back": packed("expected 0 first", ints([0, 4, 2, 5])),
    "edges of keys past the end": packed("expected 0 first", ints([0, 5]), ints([0, 6])),
    "edges of keys that end early": packed("expected 0 first", ints([0, 5]), ints([0, 4])),
    "unequal counts": packed("expected as many", ints([0, 2, 5]), ints([0, 5])),
    "one edge": packed("sequences", ints([0])),
    "edges in two dimensions": packed("sequences", ints([[0, 5]])),
    "fractional edges": packed("expected int32 or int64", floats([0.0, 5.0])),
    "edges of queries for other keys": packed("cu_seqlens_q alone", ints([0, 5]), k=(1, 2, 7, 16), v=(1, 2, 7, 16)),
    "packed slopes of other rows": packed("expected .2,. or .1, 2.", ints([0, 5]), alibi_slopes=torch.ones(2, 2)),
}


def result_of(call: Call, backend: str) -> tuple[Any, ...]:
    q, k, v = call.inputs() if call.q else (3, *call.inputs()[1:])
    floating = [x.requires_grad_() for x in (q, k, v) if isinstance(x, torch.Tensor) and x.is_floating_point()]
    if backend == "flex":  # forward alone on a CPU
        with torch.no_grad():
            return (sigmoid_attention(q, k, v, backend=backend, **call.options),)
    out = sigmoid_attention(q, k, v, backend=backend, **call.options)
    return (out, *torch.autograd.grad(out, floating, torch.ones_like(out)))


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize("name", CALLS)
def test_the_same_result_or_the_same_error(name: str, backend: str) -> None:
    call = CALLS[name]
    if call.error is not None:
        with pytest.raises(call.error[0], match=call.error[1]):
            result_of(call, backend)
        return
    found = result_of(call, backend)  # NotRun for native means that this test needs a C++ compiler
    for got, expected in zip(found, result_of(call, "eager"), strict=False):
        assert got.dtype == call.dtype
        # Sums of fewer than a thousand terms, none of them larger than the largest result or 1.
        bound = gamma(1000, FLOAT32.unit_roundoff) * max(1.0, float(expected.abs().amax()) if expected.numel() else 0.0)
        assert compare(name, got.detach().numpy(), expected.detach().numpy(), bound).passed


@pytest.mark.parametrize("backend", EACH)
def test_devices_dtypes_and_layouts_are_one(backend: str) -> None:
    q, k, v = Call().inputs()
    nested = torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=torch.jagged)
    for inputs, message in (
        ((q, k.to("meta"), v), "expected one"),
        ((q, k.double(), v), "expected one"),
        ((nested, nested, nested), "nested tensor"),
        ((nested, k, v), "plain tensor"),
        ((q.to_sparse(), k, v), "plain tensor"),
    ):
        with pytest.raises(ValueError, match=message):
            sigmoid_attention(*inputs, backend=backend)


@pytest.mark.parametrize("backend", ["native", "blocked"])
def test_a_compiled_call_refuses_wrong_lengths_too(backend: str) -> None:
    torch._dynamo.reset()
    call = torch.compile(sigmoid_attention, backend="aot_eager", fullgraph=True)
    inputs = Call().inputs()
    assert call(*inputs, key_lengths=ints([7, 3]), backend=backend).shape == (2, 4, 5, 16)
    with pytest.raises(ValueError, match="from 0 to the 7 keys"):
        call(*inputs, key_lengths=ints([7, 9]), backend=backend)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((16, 2, 0), "max_length"), ((16, 2, -4), "max_length"), ((0, 2, 6), "at least 1"), ((16, 0, 6), "at least 1")],
)
def test_a_module_of_nothing_is_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SigmoidAttention(arguments[0], arguments[1], max_length=arguments[2])
