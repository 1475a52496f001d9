"""What torch expects of an operator: its own checks over many options, its FLOP counter, and its jagged tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from impls.sigmoid_attention import native, torch_blocked, torch_eager, triton_kernels  # noqa: F401 (they register operators)
from impls.sigmoid_attention.api import sigmoid_attention

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "heads": ((2, 2, 3, 3), (2, 2, 3, 3), (2, 2, 3, 3)),
    "shared heads": ((1, 4, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3)),
    "more queries": ((1, 2, 6, 4), (1, 1, 2, 4), (1, 1, 2, 6)),
    "one query": ((2, 2, 1, 4), (2, 1, 5, 4), (2, 1, 5, 4)),
    "one key": ((1, 2, 3, 4), (1, 2, 1, 4), (1, 2, 1, 1)),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True, "bias": -1.5},
    "window": {"window": (1, 0), "scale": -0.4},
    "slopes": {"alibi_slopes": True, "bias": True},
    "slopes by row": {"alibi_slopes": "by row", "causal": True, "window": (2, -1)},
    "lengths": {"key_lengths": True, "bias": True},
    "packed": {"cu_seqlens": True, "causal": True},
    "packed slopes": {"cu_seqlens": True, "alibi_slopes": "by row", "bias": True},
}


def drawn(shape: str, options: str, dtype: torch.dtype, seed: int = 0) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """q, k, v, and the options with tensors in place of what only says that there is one; all that can ask for gradients."""
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(s, generator=generator, dtype=dtype).requires_grad_() for s in SHAPES[shape])
    given = dict(OPTIONS[options])
    batch, heads, nq, nk = q.shape[0], q.shape[1], q.shape[2], k.shape[2]
    if given.pop("cu_seqlens", False):
        q, k, v = (x.detach()[:1].clone().requires_grad_() for x in (q, k, v))
        batch = 3
        given["cu_seqlens_q"], given["cu_seqlens_k"] = torch.tensor([0, nq // 2, nq // 2, nq]), torch.tensor([0, 1, 1, nk])
    wide = torch.promote_types(dtype, torch.float32)
    if "alibi_slopes" in given:
        size = (batch, heads) if given["alibi_slopes"] == "by row" else (heads,)
        given["alibi_slopes"] = torch.rand(size, generator=generator, dtype=wide).requires_grad_()
    if given.get("bias") is True:
        given["bias"] = torch.tensor(-0.7, dtype=wide).requires_grad_()
    if "key_lengths" in given:
        given["key_lengths"] = torch.tensor([nk // 2, nk][:batch])
    return [q, k, v], given


def flat(inputs: list[torch.Tensor], given: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of the registered operator."""
    bias = given.get("bias", 0.0)
    number, tensor = (0.0, bias) if isinstance(bias, torch.Tensor) else (bias, None)
    left, right = given.get("window", (-1, -1))
    sides = [2**30 if side < 0 else side for side in (left, 0 if given.get("causal") else right)]
    names = ("alibi_slopes", "key_lengths", "cu_seqlens_q", "cu_seqlens_k")
    return (*inputs, tensor, *(given.get(name) for name in names), number, given.get("scale") or 0.5, *sides)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", ["heads", "shared heads", "more queries"])
@pytest.mark.parametrize("name", ["native", "blocked"])
def test_operators_keep_torch_s_rules(name: str, shape: str, options: str) -> None:
    operator = getattr(torch.ops.gaugeblock, f"sigmoid_attention_{name}").default
    found = torch.library.opcheck(operator, flat(*drawn(shape, options, torch.float32)))
    assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_first_and_second_derivatives_agree_with_differences(shape: str, options: str) -> None:
    inputs, given = drawn(shape, options, torch.float64)
    names = [name for name, x in given.items() if isinstance(x, torch.Tensor) and x.requires_grad]

    def call(q: Any, k: Any, v: Any, *others: Any) -> Any:
        return sigmoid_attention(q, k, v, **{**given, **dict(zip(names, others, strict=True))}, backend="blocked")

    leaves = (*inputs, *(given[name] for name in names))
    assert torch.autograd.gradcheck(call, leaves, check_forward_ad=True, check_batched_grad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


def test_an_operator_called_by_its_name_checks_its_arguments() -> None:
    inputs, given = drawn("heads", "lengths", torch.float32)
    arguments = list(flat(inputs, given))
    arguments[5] = torch.tensor([1, 2, 3])
    for name in ("native", "blocked"):
        with pytest.raises(ValueError, match="one per batch row"):
            getattr(torch.ops.gaugeblock, f"sigmoid_attention_{name}")(*arguments)


# Floating-point operations, as torch counts those of its own attention.


def counted(call: Any) -> tuple[int, int]:
    """Forward, and backward."""
    with FlopCounterMode(display=False) as counter:
        out = call()
        forward = counter.get_total_flops()
        out.sum().backward()
    return forward, counter.get_total_flops() - forward


@pytest.mark.parametrize("backend", ["native", "blocked", "triton"])
def test_flops_are_those_of_the_products(backend: str) -> None:
    inputs, _ = drawn("shared heads", "plain", torch.float32)
    pairs, d, dv = 1 * 4 * 3 * 5, 4, 3
    found = counted(lambda: sigmoid_attention(*inputs, backend=backend))
    assert found == (2 * pairs * (d + dv), 2 * pairs * (3 * d + 2 * dv))
    # Plain torch counts its own products; it keeps the weights, and makes them once.
    assert counted(lambda: torch_eager.attention(*inputs)) == (2 * pairs * (d + dv), 4 * pairs * (d + dv))


def test_flops_of_packed_sequences_are_those_within_each() -> None:
    inputs, given = drawn("shared heads", "packed", torch.float32)
    pairs, d, dv = 4 * (1 * 1 + 0 * 0 + 2 * 4), 4, 3
    found = counted(lambda: sigmoid_attention(*inputs, **given, backend="blocked"))
    assert found == (2 * pairs * (d + dv), 2 * pairs * (3 * d + 2 * dv))


# Jagged nested tensors.


def jagged(*lengths: int, heads: int = 4, dim: int = 8, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randn(n, heads, dim, generator=generator) for n in lengths]
    return torch.nested.nested_tensor(rows, layout=torch.jagged, requires_grad=True)


@pytest.mark.parametrize("backend", ["native", "blocked", "eager"])
def test_jagged_tensors_give_what_each_row_gives(backend: str) -> None:
    q, k, v = jagged(3, 0, 5), jagged(4, 2, 6, heads=2, seed=1), jagged(4, 2, 6, heads=2, dim=3, seed=2)
    slopes = torch.linspace(0.1, 0.9, 12).view(3, 4)
    views = [x.transpose(1, 2) for x in (q, k, v)]
    out, choice = sigmoid_attention(*views, causal=True, bias=-1.0, alibi_slopes=slopes, backend=backend, return_backend=True)
    assert choice.backend == backend
    assert out.shape[2] == views[0].shape[2]  # the same ragged length, so that the two can be added
    assert (out.shape[0], out.shape[1], out.shape[3]) == (3, 4, 3)
    found = torch.autograd.grad(out.values().square().sum(), (q, k, v))
    alone = [[x[row].detach().requires_grad_() for row in range(3)] for x in (q, k, v)]
    rows = [
        sigmoid_attention(
            *(x[row].transpose(0, 1)[None] for x in alone),
            causal=True, bias=-1.0, alibi_slopes=slopes[row], backend=backend,
        )
        for row in range(3)
    ]  # fmt: skip
    for row, expected in enumerate(rows):
        assert torch.equal(out[row], expected[0])
    sum(x.square().sum() for x in rows).backward()  # type: ignore[union-attr]
    for jag, leaves in zip(found, alone, strict=True):
        for row, leaf in enumerate(leaves):
            assert torch.equal(jag[row], leaf.grad)


def test_jagged_tensors_that_do_not_fit_are_refused() -> None:
    q, k, v = (jagged(3, 5).transpose(1, 2) for _ in range(3))
    with pytest.raises(ValueError, match="transpose dimensions 1 and 2"):
        sigmoid_attention(jagged(3, 5), jagged(3, 5), jagged(3, 5))
    with pytest.raises(ValueError, match="each holds lengths"):
        sigmoid_attention(q, k, v, key_lengths=torch.tensor([3, 5]))
    with pytest.raises(ValueError, match="other lengths in v than in k"):
        sigmoid_attention(q, k, jagged(5, 3).transpose(1, 2))
    with pytest.raises(ValueError, match="as many"):
        sigmoid_attention(q, *(jagged(3, 5, 1).transpose(1, 2) for _ in range(2)))
