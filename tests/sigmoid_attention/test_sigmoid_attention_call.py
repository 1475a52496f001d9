"""The public call says which backend computes and why, is differentiable under torch.compile, and fits a transformer block."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import impls.sigmoid_attention
from conformance.engine.comparison import compare
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.torch_backend import TorchSubject
from conformance.sigmoid_attention.requirements.comparisons import gradient, output
from impls import compiler as compiling
from impls.implementation import NotRun
from impls.sigmoid_attention import native, torch_blocked, triton_kernels
from impls.sigmoid_attention.api import BACKENDS, choose, sigmoid_attention
from impls.sigmoid_attention.module import SigmoidAttention
from impls.sigmoid_attention.numpy_attention import stored
from reference.rounding import FLOAT64, format_of, gamma
from reference.sigmoid_attention import (
    backward,
    backward_bounds,
    forward,
    layer_scale,
    layer_scale_gradients,
    qk_norm,
    qk_norm_gradients,
)

ROOT = Path(__file__).resolve().parents[2]


def tensors(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


# Which backend, and why.


def test_the_call_says_which_backend_computed_and_why() -> None:
    q, k, v = tensors((1, 2, 5, 16), (1, 2, 6, 16), (1, 2, 6, 16), dtype=torch.float32)
    out, choice = sigmoid_attention(q, k, v, return_backend=True)
    assert (choice.backend, choice.reason) == ("native", "compiled for this CPU, with tiles of scores in registers and cache")
    assert torch.equal(out, native.attention(q, k, v))
    assert sigmoid_attention(q, k, v, backend="eager", return_backend=True)[1].reason == "asked for"
    out, choice = sigmoid_attention(q.double(), k.double(), v.double(), return_backend=True)
    assert choice.backend == "blocked"
    assert "float32" in choice.reason
    assert torch.equal(out, torch_blocked.attention(q.double(), k.double(), v.double()))


def test_without_a_compiler_the_call_computes_in_plain_torch_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GAUGEBLOCK_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiling.library.cache_clear()
    q, k, v = tensors((1, 2, 5, 16), (1, 2, 6, 16), (1, 2, 6, 16), dtype=torch.float32)
    try:
        out, choice = sigmoid_attention(q, k, v, return_backend=True)
        assert choice.backend == "blocked"
        assert "needs a C++ compiler" in choice.reason
        assert torch.equal(out, torch_blocked.attention(q, k, v))
        with pytest.raises(NotRun, match="needs a C"):
            sigmoid_attention(q, k, v, backend="native")
    finally:
        compiling.library.cache_clear()


def test_a_device_without_a_kernel_and_a_dtype_without_one_are_computed_eagerly() -> None:
    def on(device: str, dtype: torch.dtype, dim: int) -> Any:
        with torch.device("meta"):
            probe = torch.empty(1, 1, 1, dim, dtype=dtype)

        class Elsewhere:
            def __getattr__(self, name: str) -> Any:
                return torch.device(device) if name == "device" else getattr(probe, name)

        return Elsewhere()

    def chosen(device: str, dtype: torch.dtype = torch.bfloat16, dim: int = 64) -> Any:
        return choose(on(device, dtype, dim), on(device, dtype, dim))

    assert chosen("cuda").backend == "triton"
    assert chosen("meta").backend == "eager"
    assert "float64" in chosen("cuda", torch.float64).reason
    assert "512" in chosen("cuda", dim=512).reason
    with pytest.raises(ValueError, match="blocked"):
        choose(on("cpu", torch.float32, 64), on("cpu", torch.float32, 64), "fastest")


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "auto"])
def test_every_backend_agrees_with_the_reference(backend: str) -> None:
    case = AttentionCase(id="each", batch=2, heads=4, nq=17, nk=33, d=16, dv=24, bias=-1.0, causal=True, alibi=True)
    subject = TorchSubject(
        sigmoid_attention, "cpu", "renormalised" if backend == "flex" else "", {"arguments": {"backend": backend}}
    )
    assert output(subject, case, "float32").passed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": (1, 2, 5)}, "head dim"),
        ({"k": (1, 2, 6, 8)}, "one head dim"),
        ({"q": (1, 3, 5, 16)}, "2 key heads, not 3 query heads"),
        ({"cu_seqlens_k": True}, "cu_seqlens_k alone"),
        ({"cu_seqlens_q": True, "key_lengths": True}, "batch of 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_found(change: dict[str, Any], message: str) -> None:
    shapes = {"q": (1, 2, 5, 16), "k": (1, 2, 6, 16), "v": (1, 2, 6, 16)}
    given = {name: torch.ones(change.get(name, shape)) for name, shape in shapes.items()}
    options = {name: torch.tensor([0, 5]) for name in change if name not in shapes}
    with pytest.raises(ValueError, match=message):
        sigmoid_attention(**given, **options)


# Tiles.


@pytest.mark.parametrize(
    "case",
    [
        AttentionCase(id="tiles", batch=3, heads=4, nq=70, nk=90, bias=-1.0),
        AttentionCase(id="causal", batch=2, heads=4, nq=90, nk=90, causal=True),
        AttentionCase(id="window", heads=4, nq=90, nk=70, window=(20, 3)),
        AttentionCase(id="lengths", batch=3, heads=4, nq=40, nk=90, key_lengths=(90, 0, 33), data="padding"),
        AttentionCase(id="slopes", batch=2, heads=4, nq=50, nk=60, alibi=True, wanted=("alibi_slopes", "bias"), bias=-0.5),
    ],
    ids=lambda case: case.id,
)
def test_tiles_of_any_size_add_up(case: AttentionCase, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small ones, so that every loop turns several times and every end falls inside a tile.
    monkeypatch.setattr(torch_blocked, "QUERIES", 48)
    monkeypatch.setattr(torch_blocked, "QUERIES_MASKED", (32, 32))
    monkeypatch.setattr(torch_blocked, "KEYS", 17)
    monkeypatch.setattr(torch_blocked, "MOST_SCORES", 2000)
    subject = TorchSubject(torch_blocked.attention, "cpu", "", {})
    result = subject.forward_backward(cases.problem(case, "float32"))
    assert output(subject, case, "float32", result).passed
    for name in ("q", "k", "v", *case.wanted):
        assert gradient(name, subject, case, "float32", result).passed


def test_a_long_sequence_takes_memory_for_tiles_and_not_for_its_scores() -> None:
    # 2^32 scores would be 16 GiB; one tile is a mebibyte.
    q, k, v = (torch.randn(1, 1, 2**16, 16) for _ in range(3))
    out = sigmoid_attention(q, k, v, bias=-math.log(100), window=(50, 50))
    row = 40000
    near = slice(row - 50, row + 51)
    one = [x[:, :, i].numpy() for x, i in ((q, slice(row, row + 1)), (k, near), (v, near))]
    assert np.abs(forward(*one, bias=-math.log(100)) - out[:, :, row].numpy()).max() < 2**-16 * 101


# Operators.


def leaf(values: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype, requires_grad=True)


def option_sets() -> dict[str, dict[str, Any]]:
    return {
        "plain": {},
        "causal": {"causal": True, "bias": -1.5, "scale": 0.3},
        "window": {"window": (3, 1)},
        "lengths": {"key_lengths": torch.tensor([7, 3], dtype=torch.int32)},
        "gradients": {
            "bias": torch.tensor(-1.0, requires_grad=True),
            "alibi_slopes": torch.tensor([0.5, 0.1], requires_grad=True),
        },
    }


OPERATORS = {"blocked": torch_blocked.attention, "native": native.attention, "triton": triton_kernels.attention}


@pytest.mark.parametrize("options", option_sets())
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
def test_one_graph_holds_the_call_and_its_gradients(name: str, options: str, compiler: str) -> None:
    if compiler == "eager" and options != "gradients":
        compiler = "aot_eager"
    function, given = OPERATORS[name], option_sets()[options]
    q, k, v = tensors((2, 2, 5, 16), (2, 2, 7, 16), (2, 2, 7, 16), dtype=torch.float32)
    wanted = [q, k, v, *(x for x in given.values() if isinstance(x, torch.Tensor) and x.requires_grad)]

    def step(q: Any, k: Any, v: Any) -> Any:
        return function(q * 2, k, v, **given).sin()

    plain = torch.autograd.grad(step(q, k, v).sum(), wanted)
    torch._dynamo.reset()
    compiled = torch.compile(step, backend=compiler, fullgraph=True)
    found = torch.autograd.grad(compiled(q, k, v).sum(), wanted)
    for a, b in zip(plain, found, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("packed", [False, True])
def test_the_operators_keep_torch_s_rules(name: str, packed: bool) -> None:
    q, k, v = tensors((1, 2, 5, 16), (1, 1, 7, 16), (1, 1, 7, 16), dtype=torch.float32)
    slopes, bias = leaf([0.5, 0.1]), leaf([-1.0])
    edges = (torch.tensor([0, 2, 5]), torch.tensor([0, 4, 7])) if packed else (None, None)
    operator = getattr(torch.ops.gaugeblock, f"sigmoid_attention_{name}").default
    arguments = (q, k, v, bias, slopes, None, *edges, 0.0, 0.25, 2**30, 0)
    found = torch.library.opcheck(operator, arguments)
    assert set(found.values()) == {"SUCCESS"}


def test_gradients_agree_with_differences() -> None:
    q, k, v = tensors((1, 2, 4, 3), (1, 1, 5, 3), (1, 1, 5, 2))
    slopes, bias = (
        torch.tensor([0.5, 0.1], dtype=torch.float64, requires_grad=True),
        torch.tensor(-1.0, dtype=torch.float64, requires_grad=True),
    )

    def call(q: Any, k: Any, v: Any, slopes: Any, bias: Any) -> Any:
        return torch_blocked.attention(q, k, v, causal=True, alibi_slopes=slopes, bias=bias)

    assert torch.autograd.gradcheck(call, (q, k, v, slopes, bias))


# The module.


def parts_of(module: SigmoidAttention, x: np.ndarray) -> tuple[Any, ...]:
    weights = {name: p.detach().numpy() for name, p in module.named_parameters()}
    projected = x @ weights["in_projection.weight"].T + weights["in_projection.bias"]
    sizes = np.cumsum([module.num_heads, module.num_kv_heads]) * module.head_dim
    q, k, v = (
        part.reshape(*part.shape[:2], -1, module.head_dim).swapaxes(1, 2) for part in np.split(projected, sizes, axis=2)
    )
    return weights, q, k, v


def test_the_module_agrees_with_the_reference_between_its_projections() -> None:
    torch.manual_seed(0)
    module = SigmoidAttention(24, 4, max_length=7, num_kv_heads=2, causal=True, layer_scale=0.3, dtype=torch.float64)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
    (x,) = tensors((2, 7, 24))
    out = module(x)
    weights, q, k, v = parts_of(module, x.detach().numpy())
    epsilon = module.q_norm.eps
    normal_q = qk_norm(q, weights["q_norm.weight"], weights["q_norm.bias"], epsilon)
    normal_k = qk_norm(k, weights["k_norm.weight"], weights["k_norm.bias"], epsilon)
    options: dict[str, Any] = {"bias": -math.log(7), "causal": True}
    mixed = forward(normal_q, normal_k, v, **options)
    flat = mixed.swapaxes(1, 2).reshape(2, 7, 24)
    projected = flat @ weights["out_projection.weight"].T + weights["out_projection.bias"]
    expected = layer_scale(projected, weights["layer_scale"])
    # Every step is a sum of at most 24 terms, each of size 1 and known to float64.
    roundings = gamma(1000, FLOAT64.unit_roundoff) * 100
    assert compare("output", out.detach().numpy(), expected, roundings).passed

    grad = np.random.default_rng(1).normal(size=expected.shape)
    found = torch.autograd.grad(out, [module.layer_scale, module.q_norm.weight, module.k_norm.weight], torch.tensor(grad))
    back, dscale = layer_scale_gradients(projected, weights["layer_scale"], grad)
    upstream = (back @ weights["out_projection.weight"]).reshape(2, 7, 4, 6).swapaxes(1, 2)
    inner = backward(normal_q, normal_k, v, upstream, **options)
    _, dq_weight, _ = qk_norm_gradients(q, weights["q_norm.weight"], epsilon, inner.q)
    _, dk_weight, _ = qk_norm_gradients(k, weights["k_norm.weight"], epsilon, inner.k)
    for got, exact in zip(found, (dscale, dq_weight, dk_weight), strict=True):
        assert compare("gradient", got.numpy(), exact, roundings).passed
    assert backward_bounds(normal_q, normal_k, v, upstream, dtype="float64", **options).q.max() < roundings


def test_the_module_starts_almost_closed_and_can_do_without_its_parts() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 16)
    module = SigmoidAttention(16, 2, max_length=6)
    open_module = SigmoidAttention(16, 2, max_length=None, layer_scale=None, qk_norm=False, alibi=True, output_norm=True)
    assert module(x).abs().max() < 1e-3
    assert open_module(x).shape == x.shape
    assert open_module.alibi_slopes is not None
    assert open_module.alibi_slopes.tolist() == [2**-4, 2**-8]
    assert [n for n, _ in open_module.named_parameters() if "norm" in n] == ["output_norm.weight", "output_norm.bias"]
    assert "backend=native" in repr(module)
    assert set(module.state_dict()) == {n for n, _ in module.named_parameters()}
    with pytest.raises(ValueError, match="divide"):
        SigmoidAttention(16, 3, max_length=6)


def test_padded_rows_do_not_reach_the_module_s_other_rows() -> None:
    torch.manual_seed(0)
    module = SigmoidAttention(16, 2, max_length=6)
    x = torch.randn(2, 6, 16)
    other = x.clone()
    other[0, 4:] = 1e3
    lengths = torch.tensor([4, 6])
    assert torch.equal(module(x, lengths)[0, :4], module(other, lengths)[0, :4])


def test_the_module_trains_in_one_graph() -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()
    module = SigmoidAttention(16, 2, max_length=6, causal=True, layer_scale=1.0)
    x, target = torch.randn(4, 6, 16), torch.randn(4, 6, 16)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = (compiled(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(later < earlier for earlier, later in itertools.pairwise(losses[:10]))


# The package.


def test_the_package_imports_neither_torch_nor_the_suite_before_it_is_used() -> None:
    program = (
        "import sys, impls.sigmoid_attention; assert 'torch' not in sys.modules;"
        "from impls.sigmoid_attention import SigmoidAttention, sigmoid_attention;"
        "import impls.sigmoid_attention.numpy_tanh;"
        "print([m for m in sys.modules if m.partition('.')[0] in ('reference', 'conformance')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'softmax'"):
        getattr(impls.sigmoid_attention, "softmax")  # noqa: B009


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("wide", [np.float32, np.float64])
def test_the_numpy_implementation_stores_as_the_reference_rounds(dtype: str, wide: Any) -> None:
    rng = np.random.default_rng(0)
    exponents = np.linspace(-150, 127.9, 20_000)
    drawn = (rng.choice([-1, 1], exponents.size) * 2.0**exponents * rng.uniform(1, 2, exponents.size)).astype(wide)
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 2.0**-134, 3 * 2.0**-134], wide)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65519.0, 65520.0, 3.39e38], wide)
    values = np.concatenate([drawn, ties, -ties, special])
    found, expected = stored(values, dtype), format_of(dtype).round(values).astype(wide)
    assert found.dtype == wide
    assert found.tobytes() == expected.tobytes()
    assert stored(values, "float32") is values
