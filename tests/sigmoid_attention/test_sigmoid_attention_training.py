"""The call and the module as a model uses them: autocast, meta initialisation, conversion, and values that nobody sees."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from impls.sigmoid_attention.api import BACKENDS, sigmoid_attention
from impls.sigmoid_attention.module import SigmoidAttention

EACH = [name for name in BACKENDS if name not in ("auto", "triton")]
"""Triton's interpreter does not compute in bfloat16."""

SLOPES = [2**-2, 2**-4, 2**-6, 2**-8]


def module(**arguments: Any) -> SigmoidAttention:
    return SigmoidAttention(16, 4, max_length=None, alibi=True, layer_scale=None, **arguments)


def slopes_of(one: SigmoidAttention) -> Any:
    assert one.alibi_slopes is not None
    assert one.alibi_slopes.dtype == torch.float32
    return one.alibi_slopes.tolist()


def test_slopes_are_right_however_the_module_came_to_be() -> None:
    torch.manual_seed(0)
    given = module()
    assert slopes_of(given) == SLOPES
    with torch.device("meta"):
        made = module()
    empty = made.to_empty(device="cpu")
    empty.load_state_dict(given.state_dict())
    assert slopes_of(empty) == SLOPES
    assigned = module(device="meta")
    assigned.load_state_dict(given.state_dict(), assign=True)
    assert slopes_of(assigned) == SLOPES
    x = torch.randn(1, 9, 16)
    for other in (empty, assigned, copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert torch.equal(other(x), given(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_slopes_are_not_rounded_with_the_weights(dtype: torch.dtype) -> None:
    uneven = SigmoidAttention(24, 6, max_length=None, alibi=True)
    before = slopes_of(uneven)
    assert slopes_of(uneven.to(dtype)) == before
    assert before == torch.tensor([2 ** (-8 * head / 6) for head in range(1, 7)]).tolist()


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize("dtypes", ["fff", "bff", "fbb", "bbb"])
def test_autocast_takes_what_torch_s_call_takes(backend: str, dtypes: str) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(1, 2, 5, 16, dtype=torch.bfloat16 if one == "b" else torch.float32) for one in dtypes]
    with torch.autocast("cpu", torch.bfloat16):
        like = scaled_dot_product_attention(*inputs)
        out = sigmoid_attention(*inputs, bias=-1.0, backend=backend)
    assert out.dtype == like.dtype
    # What autocast does to products within would show: scores are float32 whatever it says.
    right = sigmoid_attention(*(x.bfloat16() for x in inputs), bias=-1.0, backend=backend)
    assert torch.equal(out, right)
    with torch.autocast("cpu", enabled=False), pytest.raises(ValueError, match="found dtypes"):
        sigmoid_attention(inputs[0].double(), *inputs[1:], backend=backend)


def test_autocast_leaves_float64_alone_and_reaches_the_gradients() -> None:
    leaves = [torch.randn(1, 2, 5, 16, requires_grad=True) for _ in range(3)]
    with torch.autocast("cpu", torch.bfloat16):
        assert sigmoid_attention(*(x.double() for x in leaves)).dtype == torch.float64
        out = sigmoid_attention(*leaves)
    found = torch.autograd.grad(out.sum(), leaves)
    assert {x.dtype for x in found} == {torch.float32}


@pytest.mark.parametrize("backend", ["auto", "native", "blocked", "eager"])
def test_the_module_trains_under_autocast(backend: str) -> None:
    one = module(backend=backend)
    with torch.autocast("cpu", torch.bfloat16):
        loss = one(torch.randn(2, 5, 16)).float().square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in one.parameters())


UNSEEN: dict[str, tuple[dict[str, Any], slice]] = {
    "beyond the length": ({"key_lengths": torch.tensor([4])}, slice(4, None)),
    "before the window": ({"window": (1, 0)}, slice(0, 2)),
    "before the window, many": ({"window": (0, 1)}, slice(0, 3)),
    "before the window and beyond the length": ({"window": (2, 0), "key_lengths": torch.tensor([5])}, slice(0, 1)),
    "before a packed window": (
        {"window": (1, 0), "cu_seqlens_q": torch.tensor([0, 2, 4]), "cu_seqlens_k": torch.tensor([0, 2, 7])},
        slice(2, 4),
    ),
}


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
@pytest.mark.parametrize("backend", [*EACH, "triton"])
@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_query_sees_reaches_nothing(name: str, backend: str, value: float) -> None:
    options, where = UNSEEN[name]
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 2, 4, 16), torch.randn(1, 2, 7, 16), torch.randn(1, 2, 7, 16)
    spoilt = k.clone(), v.clone()
    for x in spoilt:
        x[:, :, where] = value

    def run(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = [x.clone().requires_grad_() for x in given]
        if backend == "flex":
            with torch.no_grad():
                return (sigmoid_attention(*leaves, backend=backend, **options),)
        out = sigmoid_attention(*leaves, backend=backend, **options)
        return (out, *torch.autograd.grad(out.sum(), leaves))

    for clean, found in zip(run(q, k, v), run(q, *spoilt), strict=True):
        assert torch.equal(clean, found)
