"""Claims of the sigmoid attention paper that a small machine can measure: norms at initialisation, regularity, training.

Norms and regularity are computed with the reference (float64), so that no implementation's error is in them; the small model
trains in float32 with the blocked path. Sizes are thousands of times smaller than the paper's: what does not hold here is a
finding about this scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.studies.claims import Claim, Finding
from conformance.studies.study import Axes, Effort, Series
from impls.implementation import NotRun
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
    """Fit how norms grow: the slope of log norm against log n in each draw, over lengths that span a factor of 64 or more."""
    lengths, draws = ((64, 256, 1024, 4096), 2) if effort.quick else ((64, 256, 1024, 4096, 16384), 5)
    kinds = ("sigmoid, b = 0", "sigmoid, b = -log n", "softmax")
    found = np.zeros((len(kinds), draws, len(lengths)))
    for place, length in enumerate(lengths):
        effort.say(f"length {length}")
        for draw in range(draws):
            plain, softmax = norms(length, 0.0, draw)
            biased, _ = norms(length, log_length_bias(length), draw)
            found[:, draw, place] = plain, biased, softmax
    slopes = {kind: np.polyfit(np.log(lengths), np.log(norm.T), 1)[0] for kind, norm in zip(kinds, found, strict=True)}
    plain_slopes, biased_slopes = slopes[kinds[0]], slopes[kinds[1]]
    # Halfway between a norm that does not depend on n and one that is proportional to it.
    holds = plain_slopes.min() > 0.5 > np.abs(biased_slopes).max()
    return Finding(
        measured=f"norm ~ n^{_range(plain_slopes)} without the bias, n^{_range(biased_slopes)} with it",
        verdict="holds" if holds else "does not hold",
        message=(
            f"Rows of the output for normal q and k and values of mean 1, lengths {lengths[0]} to {lengths[-1]}; "
            f"softmax's grow as n^{_range(slopes['softmax'])}. Points are means of {draws} draws, intervals their range."
        ),
        series=tuple(
            Series(kind, lengths, norm.mean(0).tolist(), norm.min(0).tolist(), norm.max(0).tolist())
            for kind, norm in zip(kinds, found, strict=True)
        ),
        axes=Axes("length n", "mean norm of an output row", "xy"),
        settings={"head_dim": WIDTH, "queries": 64, "draws": draws},
    )


def _range(values: Array) -> str:
    low, high = (f"{value + 0.0:.2f}".replace("-0.00", "0.00") for value in (values.min(), values.max()))
    return low if low == high else f"{low}..{high}"


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
        return np.asarray((e / e.sum(axis=1, keepdims=True)) @ (x @ wv))
    return np.asarray(sigmoid(scores + bias) @ (x @ wv))


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

    The suprema are taken over the scores that occur, u = x_i W x_j, the mean over positions. The Jacobian is a sum of three
    maps, each with its own bound: ``n sup sigma`` through the values; ``sup sigma' |W| sum |x_j|^2`` through the queries, and
    the same through the keys (Cauchy and Schwarz).
    """
    wq, wk, wv = weights
    n = len(x)
    scores = (x @ wq) @ (x @ wk).T + bias
    activation = np.asarray(sigmoid(scores), dtype=np.float64)
    value = n * float(activation.max())
    slope = n * float((activation * (1 - activation)).max())
    spread = float((x**2).sum(axis=1).mean())
    return float(np.linalg.norm(wv, ord=2)) * (value + 2 * slope * float(np.linalg.norm(wq @ wk.T, ord=2)) * spread)


def ball_bound(radius: float, length: int) -> float:
    """`theorem` for every input within a radius, weights of norm 1 and b = -log n: scores are at most ``radius^2 + b``."""
    top = radius**2 + log_length_bias(length)
    value = float(sigmoid(top))
    slope = float(sigmoid(min(top, 0.0)) * sigmoid(-min(top, 0.0)))  # sigma' rises up to 0
    return length * (value + 2 * slope * radius**2)


def climb(
    objective: Callable[[Array], float], x: Array, radius: float, tries: int, rng: np.random.Generator
) -> tuple[float, Array]:
    """The largest value that random steps from ``x`` within the ball reach, and where."""
    best, step = objective(x), 0.5 * radius
    for _ in range(tries):
        moved = x + step * rng.normal(size=x.shape) * (rng.random(len(x)) < 0.3)[:, None]
        moved *= np.minimum(1, radius / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), radius))
        value = objective(moved)
        step *= 1.3 if value > best else 0.95
        if value > best:
            best, x = value, moved
    return best, x


def run_regularity(effort: Effort) -> Finding:
    """Search balls of growing radius for inputs with large Jacobians, and check the bound at every input on the way."""
    radii = (0.5, 1.0, 2.0, 3.0) if effort.quick else (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
    n, d, starts, tries = (16, 4, 2, 20) if effort.quick else (16, 4, 4, 250)
    bias = log_length_bias(n)
    found: dict[str, list[float]] = {"sigmoid, largest found": [], "softmax, largest found": []}
    shares = []
    for radius in radii:
        effort.say(f"radius {radius:g}")
        worst = dict.fromkeys(found, 0.0)
        for seed in range(starts):
            rng = np.random.default_rng([int(10 * radius), seed])
            x = rng.normal(size=(n, d))
            x *= radius / np.linalg.norm(x, axis=1, keepdims=True)
            wq, wk, wv = (np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(3))
            weights = (wq, wk, wv)

            def sigmoid_norm(x: Array, weights: tuple[Array, Array, Array] = weights) -> float:
                norm = jacobian_norm(x, weights, bias)
                shares.append(norm / theorem(x, weights, bias))
                return norm

            def softmax_norm(x: Array, weights: tuple[Array, Array, Array] = weights) -> float:
                return jacobian_norm(x, weights, None)

            for name, objective in zip(found, (sigmoid_norm, softmax_norm), strict=True):
                worst[name] = max(worst[name], climb(objective, x, radius, tries, rng)[0])
        for name, value in worst.items():
            found[name].append(value)
    limits = [ball_bound(radius, n) for radius in radii]
    tops = [values[-1] for values in found.values()]
    held = max(shares) <= 1 and all(v <= limit for v, limit in zip(found["sigmoid, largest found"], limits, strict=True))
    return Finding(
        measured=f"at most {max(shares):.2f} of the bound, at {len(shares)} points on the way to large Jacobians",
        verdict="holds" if held else "does not hold",
        message=(
            f"n = {n}, d = {d}, orthogonal weights. At each point the bound is evaluated on the scores that occur; "
            f"drawn is the one for the whole ball. At radius {radii[-1]:g} the largest Jacobian norm found is {tops[0]:.3g} "
            f"for sigmoid and {tops[1]:.3g} for softmax, by random steps uphill: no more than what such a search finds. "
            "Softmax's bounds that grow exponentially are for any number of tokens, and nothing of them shows at this one."
        ),
        series=(
            *(Series(name, radii, values) for name, values in found.items()),
            Series("sigmoid, bound for the ball", radii, limits),
        ),
        axes=Axes("radius of the ball of inputs", "spectral norm of the Jacobian", "y"),
        settings={"length": n, "width": d, "starts": starts, "tries": tries, "bias": "-log n"},
    )


# --- A small model ---------------------------------------------------------------------------------------------------------


SOFTMAX, BIASED, PLAIN = "softmax", "sigmoid, b = -log n", "sigmoid, b = 0"


def train(kind: str, rate: float, steps: int, seed: int) -> tuple[list[float], float]:
    """Train a two-layer causal model to copy earlier symbols; returns its losses, and the first gradient's norm."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy, scaled_dot_product_attention

    from impls.sigmoid_attention.api import sigmoid_attention

    length, symbols, width, heads, lag = 128, 16, 32, 2, 3
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    bias = {BIASED: log_length_bias(length), PLAIN: 0.0}.get(kind)

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
            return torch.add(x, self.mlp(self.last(x)))

    embed, place = nn.Embedding(symbols, width), nn.Parameter(0.1 * torch.randn(length, width))
    blocks, head = nn.Sequential(Block(), Block()), nn.Linear(width, symbols)
    parameters = [*embed.parameters(), place, *blocks.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    losses, first = [], 0.0
    for step in range(steps):
        text = torch.randint(symbols, (8, length), generator=generator)
        logits = head(blocks(embed(text) + place))
        loss = cross_entropy(logits[:, lag:].flatten(0, 1), text[:, :-lag].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if step == 0:
            first = float(torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm())
        optimizer.step()
        losses.append(loss.item())
    return losses, first


def run_training(effort: Effort) -> Finding:
    """Train at learning rates over a factor of 30 with several seeds: final losses, and how far losses rise on the way.

    Runs with and without the bias share a seed and its texts, so they are compared in pairs.
    """
    steps, seeds = (30, 1) if effort.quick else (300, 3)
    rates = (3e-3, 3e-2) if effort.quick else (1e-3, 3e-3, 1e-2, 3e-2)
    kinds = (SOFTMAX, BIASED, PLAIN)
    ends, rises, starts = (np.zeros((len(kinds), len(rates), seeds)) for _ in range(3))
    for place in np.ndindex(ends.shape):
        kind, rate, seed = kinds[place[0]], rates[place[1]], place[2]
        effort.say(f"{kind}, learning rate {rate:g}, seed {seed}")
        losses, starts[place] = train(kind, rate, steps, seed)
        ends[place] = np.mean(losses[-max(1, steps // 10) :])
        rises[place] = (np.array(losses) - np.minimum.accumulate(losses)).max()
    biased, plain = kinds.index(BIASED), kinds.index(PLAIN)
    # A NaN counts as the highest loss.
    ends, rises = (np.nan_to_num(x, nan=math.inf, posinf=math.inf) for x in (ends, rises))
    ahead = (ends[biased] < ends[plain]) & (rises[biased] < rises[plain])
    better, pairs = int(ahead.sum()), ahead.size
    by_rate = ", ".join(f"{count} at {rate:g}" for rate, count in zip(rates, ahead.sum(axis=1), strict=True))
    details = "; ".join(
        f"{kind}: first gradient {starts[k].mean():.3g}, best end {ends[k].mean(1).min():.3g}, "
        f"rises by up to {rises[k].max():.2g}"
        for k, kind in enumerate(kinds)
    )
    return Finding(
        measured=f"steadier and lower with the bias in {better} of {pairs} pairs of runs",
        verdict="holds" if better == pairs else "undecided" if better > pairs / 2 else "does not hold",
        message=(
            f"Two layers, width 32, length 128, {steps} steps of AdamW, {seeds} seeds at each learning rate: {by_rate}. "
            f"{details}. A rise is one above the lowest loss before it. A model of this size says nothing of large ones."
        ),
        series=tuple(
            Series(kind, rates, ends[k].mean(1).tolist(), ends[k].min(1).tolist(), ends[k].max(1).tolist())
            for k, kind in enumerate(kinds)
        ),
        axes=Axes("learning rate", "loss at the end (mean and range of the seeds)", "xy"),
        settings={"steps": steps, "seeds": seeds, "length": 128, "width": 32, "heads": 2, "batch": 8, "lag": 3},
    )


def run_speed(effort: Effort) -> Finding:
    """Time our kernel against FlashAttention-2 on a CUDA device, in pairs."""
    if effort.device != "cuda":
        raise NotRun("needs a CUDA device: the claim is about a GPU kernel against FlashAttention-2")
    import torch

    from impls.sigmoid_attention.adapters.softmax import fused
    from impls.sigmoid_attention.api import sigmoid_attention

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
                start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
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
    details = ", ".join(f"{n}: {r:.2f}" for n, r in zip(lengths, ratios, strict=True))
    saved = 100 * (1 - 1 / float(np.mean(ratios)))
    return Finding(
        measured=saved,
        verdict="holds" if saved >= 17 else "does not hold",
        message=f"Median paired ratios {details}; head dim 64, bf16, no mask.",
        series=(Series("FlashAttention-2 time / ours", lengths, ratios),),
        axes=Axes("length n", "ratio of times", "x"),
        settings={"tokens": 16384, "heads": 32, "head_dim": 64, "samples": 20},
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="SIG-C1", system=SYSTEM,
        statement="At initialisation sigmoid attention's norm grows with the sequence unless b = -log n.",
        source="section 3 (b = -log n); section 5 (attention norms)", expected="norms that do not grow with n", run=run_norms,
        quick=True,
    ),
    Claim(
        id="SIG-C2", system=SYSTEM,
        statement="Sigmoid attention's Jacobian is bounded by |W_v| (sup n sigma + 2 sup n sigma' |W_q W_k^T| mean |x|^2).",
        source="section 3 (theorem on regularity)", expected="never above the bound", run=run_regularity, quick=True,
    ),
    Claim(
        id="SIG-C3", system=SYSTEM,
        statement="Training with sigmoid attention is stable with b = -log n, and less so without.",
        source="section 5 (stability)",
        expected="a smaller rise of the loss, and a lower end, with the bias, at every learning rate", run=run_training,
        quick=True, needs=("torch",),
    ),
    Claim(
        id="SIG-C4", system=SYSTEM, statement="The sigmoid kernel takes 17 % less time forward than FlashAttention-2.",
        source="abstract; section 4", expected=17.0, unit="% less time", run=run_speed, quick=True, needs=("torch", "triton"),
        devices=("cuda",),
    ),
)  # fmt: skip
