"""What the paper of sigmoid attention claims and a small machine can measure: sums at initialisation, regularity, training.

All but the speed are computed with the law itself (`reference.sigmoid_attention`, float64), so that no implementation's error
is in them; the small model trains in float32 with the blocked path. Sizes are thousands of times smaller than the paper's: a
claim that does not hold at this scale is a finding about this scale.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.claims import Claim, Finding
from conformance.studies import Axes, Effort, Series
from impls.contract import NotRun
from reference.sigmoid_attention import forward, log_length_bias, sigmoid

Array = npt.NDArray[np.float64]

SYSTEM = "sigmoid_attention"

# --- Norms at initialisation -----------------------------------------------------------------------------------------------

WIDTH = 32


def norms(length: int, bias: float, seed: int) -> tuple[float, float]:
    """Mean norm of the output's rows at initialisation (q, k and v normal), for sigmoid attention with b and for softmax."""
    rng = np.random.default_rng([length, seed])
    q = rng.normal(size=(1, 1, 64, WIDTH))
    k, v = (rng.normal(size=(1, 1, length, WIDTH)) for _ in range(2))
    # A mean in the values, as any layer but the first has: without one the terms cancel and hide how many there are.
    v = v + 1
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(WIDTH)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    softmax = (e / e.sum(axis=-1, keepdims=True)) @ v
    return _norm(forward(q, k, v, bias=bias)), _norm(softmax)


def _norm(output: Array) -> float:
    return float(np.linalg.norm(output, axis=-1).mean())


def run_norms(effort: Effort) -> Finding:
    """Lengths over a factor of 64 at least; the growth is the slope of log norm against log n."""
    lengths = (64, 256, 1024, 4096) if effort.quick else (64, 256, 1024, 4096, 16384)
    traces: dict[str, list[float]] = {"sigmoid, b = 0": [], "sigmoid, b = -log n": [], "softmax": []}
    for length in lengths:
        effort.say(f"length {length}")
        plain, softmax = norms(length, 0.0, 0)
        biased, _ = norms(length, log_length_bias(length), 0)
        for name, value in zip(traces, (plain, biased, softmax), strict=True):
            traces[name].append(value)
    slopes = {name: float(np.polyfit(np.log(lengths), np.log(values), 1)[0]) for name, values in traces.items()}
    biased = slopes["sigmoid, b = -log n"]
    # Halfway between a norm that does not depend on n and one that is proportional to it.
    holds = slopes["sigmoid, b = 0"] > 0.5 > abs(biased)
    return Finding(
        measured=f"norm ~ n^{slopes['sigmoid, b = 0']:.2f} without the bias, n^{biased:.2f} with it",
        verdict="holds" if holds else "does not hold",
        message=(
            f"Rows of the output for normal q and k and values of mean 1, lengths {lengths[0]} to {lengths[-1]}; "
            f"softmax's grow as n^{slopes['softmax']:.2f}."
        ),
        series=tuple(Series(name, lengths, values) for name, values in traces.items()),
        axes=Axes("length n", "mean norm of an output row", "xy"),
        settings={"head_dim": WIDTH, "queries": 64, "seed": 0},
    )


# --- Regularity ------------------------------------------------------------------------------------------------------------


def jacobian_norm(x: Array, weights: tuple[Array, Array, Array], bias: float | None, rounds: int = 12) -> float:
    """The spectral norm of self-attention's Jacobian at ``x`` (n, d), by power iteration; softmax where b is None."""
    step = 1e-30
    rng = np.random.default_rng(0)
    direction = rng.normal(size=x.shape)
    direction /= np.linalg.norm(direction)
    size = 0.0
    for _ in range(rounds):
        pushed = _attend(x + 1j * step * direction, weights, bias).imag / step
        pulled = _transposed(x, weights, bias, pushed)
        size = float(np.linalg.norm(pulled))
        direction = pulled / size
    return math.sqrt(size)


def _attend(x: npt.NDArray[Any], weights: tuple[Array, Array, Array], bias: float | None) -> npt.NDArray[Any]:
    wq, wk, wv = weights
    scores = (x @ wq) @ (x @ wk).T
    if bias is None:
        e = np.exp(scores - scores.real.max(axis=1, keepdims=True))
        return (e / e.sum(axis=1, keepdims=True)) @ (x @ wv)
    return sigmoid(scores + bias) @ (x @ wv)


def _transposed(x: Array, weights: tuple[Array, Array, Array], bias: float | None, grad: Array) -> Array:
    """The Jacobian transposed, times ``grad``: the backward pass."""
    wq, wk, wv = weights
    q, k, v = x @ wq, x @ wk, x @ wv
    scores = q @ k.T
    dp = grad @ v.T
    if bias is None:
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        ds = p * (dp - (p * dp).sum(axis=1, keepdims=True))
    else:
        p = np.asarray(sigmoid(scores + bias), dtype=np.float64)
        ds = p * np.asarray(sigmoid(-(scores + bias)), dtype=np.float64) * dp
    return np.asarray((ds @ k) @ wq.T + (ds.T @ q) @ wk.T + (p.T @ grad) @ wv.T)


def theorem(x: Array, weights: tuple[Array, Array, Array], bias: float) -> float:
    """The bound on the Jacobian for b = -log n: ``|W_v| (sup n sigma + 2 sup n sigma' |W_q W_k^T| mean |x|^2)``.

    The suprema are taken over the scores that occur, u = x_i W x_j. The mean is over positions.
    """
    wq, wk, wv = weights
    n = len(x)
    scores = (x @ wq) @ (x @ wk).T + bias
    activation = np.asarray(sigmoid(scores), dtype=np.float64)
    value = n * float(activation.max())
    slope = n * float((activation * (1 - activation)).max())
    spread = float((x**2).sum(axis=1).mean())
    return float(np.linalg.norm(wv, ord=2)) * (value + 2 * slope * float(np.linalg.norm(wq @ wk.T, ord=2)) * spread)


def run_regularity(effort: Effort) -> Finding:
    """Points on spheres of growing radius: softmax's Jacobian may grow exponentially with it, sigmoid's stays in its bound."""
    radii = (0.5, 1.0, 2.0, 3.0) if effort.quick else (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
    n, d, draws = 16, 4, 2 if effort.quick else 6
    bias = log_length_bias(n)
    traces: dict[str, list[float]] = {"sigmoid, measured": [], "sigmoid, bound of the theorem": [], "softmax, measured": []}
    broken = 0
    for radius in radii:
        effort.say(f"radius {radius:g}")
        worst = dict.fromkeys(traces, 0.0)
        for seed in range(draws):
            rng = np.random.default_rng([int(10 * radius), seed])
            x = rng.normal(size=(n, d))
            x *= radius / np.linalg.norm(x, axis=1, keepdims=True)
            weights = tuple(np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(3))
            measured, limit = jacobian_norm(x, weights, bias), theorem(x, weights, bias)  # type: ignore[arg-type]
            broken += measured > limit
            found = (measured, limit, jacobian_norm(x, weights, None))  # type: ignore[arg-type]
            worst = {name: max(worst[name], value) for name, value in zip(traces, found, strict=True)}
        for name, value in worst.items():
            traces[name].append(value)
    ratio = max(m / b for m, b in zip(traces["sigmoid, measured"], traces["sigmoid, bound of the theorem"], strict=True))
    return Finding(
        measured=f"at most {ratio:.2f} of the bound, over {len(radii) * draws} draws",
        verdict="does not hold" if broken else "holds",
        message=(
            f"n = {n}, d = {d}, orthogonal weights, points on a sphere; the bound is evaluated on the scores that occur. At "
            f"radius {radii[-1]:g} the largest Jacobian norm found is {traces['sigmoid, measured'][-1]:.3g} for sigmoid and "
            f"{traces['softmax, measured'][-1]:.3g} for softmax; random points are no worst case for either."
        ),
        series=tuple(Series(name, radii, values) for name, values in traces.items()),
        axes=Axes("radius of the inputs", "spectral norm of the Jacobian", "y"),
        settings={"length": n, "width": d, "draws": draws, "bias": "-log n"},
    )


# --- A small model ---------------------------------------------------------------------------------------------------------


def train(kind: str, steps: int, seed: int) -> list[float]:
    """Losses of a two-layer causal model that learns to copy what stood some places earlier."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy, scaled_dot_product_attention

    from impls.sigmoid_attention.api import sigmoid_attention

    length, symbols, width, heads, lag = 128, 16, 32, 2, 3
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    bias = {"sigmoid, b = -log n": log_length_bias(length), "sigmoid, b = 0": 0.0}.get(kind)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.last = nn.LayerNorm(width), nn.LayerNorm(width)
            self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in self.project(self.norm(x)).chunk(3, 2))
            if bias is None:
                mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                mixed = sigmoid_attention(q, k, v, bias=bias, causal=True)
            x = x + self.out(mixed.transpose(1, 2).flatten(2))
            return x + self.mlp(self.last(x))

    embed, place = nn.Embedding(symbols, width), nn.Parameter(0.1 * torch.randn(length, width))
    blocks, head = nn.Sequential(Block(), Block()), nn.Linear(width, symbols)
    parameters = [*embed.parameters(), place, *blocks.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    losses = []
    for _ in range(steps):
        text = torch.randint(symbols, (16, length), generator=generator)
        logits = head(blocks(embed(text) + place))
        loss = cross_entropy(logits[:, lag:].flatten(0, 1), text[:, :-lag].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def run_training(effort: Effort) -> Finding:
    """Three seeds each; a run is as stable as its largest rise above the best loss before it."""
    steps, seeds = (40, 1) if effort.quick else (300, 3)
    kinds = ("softmax", "sigmoid, b = -log n", "sigmoid, b = 0")
    losses: dict[str, Array] = {}
    for kind in kinds:
        effort.say(kind)
        losses[kind] = np.array([train(kind, steps, seed) for seed in range(seeds)])
    rises = {kind: float((x - np.minimum.accumulate(x, axis=1)).max()) for kind, x in losses.items()}
    ends = {kind: float(x[:, -max(1, steps // 10) :].mean()) for kind, x in losses.items()}
    biased, plain = "sigmoid, b = -log n", "sigmoid, b = 0"
    told = "; ".join(f"{kind}: ends at {ends[kind]:.3g}, rises by up to {rises[kind]:.2g}" for kind in kinds)
    steadier = rises[biased] < rises[plain]
    better = ends[biased] < ends[plain]
    return Finding(
        measured=f"final loss {ends[biased]:.3g} with the bias, {ends[plain]:.3g} without, {ends['softmax']:.3g} for softmax",
        verdict="holds" if steadier and better else "undecided" if steadier or better else "does not hold",
        message=f"Two layers, width 32, length 128, {seeds} seeds, {steps} steps at lr 0.01. {told}.",
        series=tuple(
            Series(kind, range(1, steps + 1), x.mean(0).tolist(), x.min(0).tolist(), x.max(0).tolist())
            for kind, x in losses.items()
        ),
        axes=Axes("step", "loss (mean and range of the seeds)", "y"),
        settings={"steps": steps, "seeds": seeds, "length": 128, "width": 32, "heads": 2, "lr": 0.01, "lag": 3},
    )


def run_speed(effort: Effort) -> Finding:
    """The benchmark answers it, on a device that the paper's kernel was written for."""
    if effort.device != "cuda":
        raise NotRun("needs a CUDA device: the claim is about a GPU kernel against FlashAttention-2")
    import torch

    from impls.sigmoid_attention.api import sigmoid_attention
    from impls.sigmoid_attention.softmax_yardstick import fused

    if not torch.cuda.is_available():
        raise NotRun("needs a CUDA device, and torch finds none here")
    ratios = []
    lengths = (2048, 8192) if effort.quick else (512, 1024, 2048, 4096, 8192, 16384)
    for length in lengths:
        effort.say(f"length {length}")
        q, k, v = (torch.randn(16384 // length, 32, length, 64, dtype=torch.bfloat16, device="cuda") for _ in range(3))
        times: dict[str, list[float]] = {"sigmoid": [], "softmax": []}
        for turn in range(24):
            for name in times:
                start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                start.record()
                if name == "sigmoid":
                    sigmoid_attention(q, k, v, bias=log_length_bias(length))
                else:
                    fused(q, k, v)
                stop.record()
                torch.cuda.synchronize()
                if turn >= 4:  # before that, compilers run and caches are cold
                    times[name].append(start.elapsed_time(stop))
        ratios.append(float(np.median(np.array(times["softmax"]) / np.array(times["sigmoid"]))))
    told = ", ".join(f"{n}: {r:.2f}" for n, r in zip(lengths, ratios, strict=True))
    saved = 100 * (1 - 1 / float(np.mean(ratios)))
    return Finding(
        measured=saved,
        verdict="holds" if saved >= 17 else "does not hold",
        message=f"Median paired ratios {told}; head dim 64, bf16, no mask.",
        series=(Series("FlashAttention-2 time / ours", lengths, ratios),),
        axes=Axes("length n", "ratio of times", "x"),
        settings={"tokens": 16384, "heads": 32, "head_dim": 64, "samples": 20},
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="SIG-C1",
        system=SYSTEM,
        statement="At initialisation sigmoid attention's norm grows with the sequence unless b = -log n.",
        source="section 3 (b = -log n); section 5 (attention norms)",
        expected="norms that do not grow with n",
        run=run_norms,
        quick=True,
    ),
    Claim(
        id="SIG-C2",
        system=SYSTEM,
        statement="Sigmoid attention's Jacobian is bounded by |W_v| (sup n sigma + 2 sup n sigma' |W_q W_k^T| mean |x|^2).",
        source="section 3 (theorem on regularity)",
        expected="never above the bound",
        run=run_regularity,
        quick=True,
    ),
    Claim(
        id="SIG-C3",
        system=SYSTEM,
        statement="Training with sigmoid attention is stable with b = -log n, and less so without.",
        source="section 5 (stability)",
        expected="a smaller rise of the loss, and a lower end, with the bias",
        run=run_training,
        quick=True,
        needs=("torch",),
    ),
    Claim(
        id="SIG-C4",
        system=SYSTEM,
        statement="The sigmoid kernel takes 17 % less time forward than FlashAttention-2.",
        source="abstract; section 4",
        expected=17.0,
        unit="% less time",
        run=run_speed,
        quick=True,
        needs=("torch", "triton"),
        devices=("cuda",),
    ),
)
