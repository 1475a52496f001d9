"""What each difference does to a training run: a small character model, trained in float64 with each optimizer of a census.

Every run has the same text, seed, batches and first parameters, so that only the optimizer differs. The paper's optimizer is
written here once more. A run of `STEPS` steps takes seconds on one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from reports.census_reproduction import BY_PATH, USUAL

TEXT = Path(__file__).resolve().parents[1] / "LICENSE"
STEPS, EVERY, LENGTH, WIDTH, BATCH = 300, 10, 32, 32, 16
SETTING: dict[str, float] = {**USUAL, "lr": 0.001, "b2": 0.999, "b3": 0.9999, "decay": 0.1}
"""The paper's values; the warm-ups last as long as the run, as the paper recommends, where an implementation has them."""

Step = Callable[[], None]


def paper(parameters: list[Any], warm: int) -> Step:
    """Algorithm 1 of the paper on tensors, in float64; the warm-up of beta3 in its closed form."""
    import torch

    lr, b1, b2, b3, alpha, eps, decay = (SETTING[name] for name in ("lr", "b1", "b2", "b3", "alpha", "eps", "decay"))
    state = [(torch.zeros_like(p), torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    x, y, t = math.log(b1), math.log(b3), 0

    @torch.no_grad()
    def step() -> None:
        nonlocal t
        t += 1
        a, b = min(t / warm, 1) * alpha, math.exp(x * y / ((1 - t / warm) * y + t / warm * x)) if t < warm else b3
        for p, (m1, m2, nu) in zip(parameters, state, strict=True):
            g = p.grad
            m1 += (1 - b1) * (g - m1)
            m2 += (1 - b) * (g - m2)
            nu += (1 - b2) * (g * g - nu)
            p -= lr * ((m1 / (1 - b1**t) + a * m2) / ((nu / (1 - b2**t)).sqrt() + eps) + decay * p)

    return step


def theirs(row: Mapping[str, Any], parameters: list[Any], warm: int) -> Step:
    """The step of an implementation, constructed as its reproduction does."""
    text = (row["load"] or BY_PATH).format(place=row["repository"].replace("/", "+"), path=row["path"])
    call = row["call"].replace("[p]", "p")
    names: dict[str, Any] = {**SETTING, "T": warm, "p": parameters}
    exec(f"import importlib.util, math, sys, torch, types\n{text}\noptimizer = theirs.{row['object']}({call})", names)
    step: Step = names["optimizer"].step
    return step


def model() -> tuple[dict[str, Any], Callable[[Any], Any], Iterator[Any], Any]:
    """Parameters by name, the loss of a batch, endless batches, and the batch of the curve. One block of a transformer."""
    import torch
    from torch.nn import functional

    letters = TEXT.read_text(encoding="utf-8")
    known = {letter: index for index, letter in enumerate(sorted(set(letters)))}
    codes = torch.tensor([known[letter] for letter in letters])
    source = torch.Generator().manual_seed(0)
    sizes = {
        "embedding": (len(known), WIDTH), "position": (LENGTH, WIDTH), "qkv": (WIDTH, 3 * WIDTH), "mix": (WIDTH, WIDTH),
        "up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH), "out": (WIDTH, len(known)),
    }  # fmt: skip
    held = {
        name: (torch.randn(size, generator=source, dtype=torch.float64) * size[0] ** -0.5).requires_grad_()
        for name, size in sizes.items()
    }

    def loss(batch: Any) -> Any:
        h = held["embedding"][batch[:, :-1]] + held["position"]
        q, k, v = (functional.layer_norm(h, (WIDTH,)) @ held["qkv"]).chunk(3, -1)
        h = h + functional.scaled_dot_product_attention(q, k, v, is_causal=True) @ held["mix"]
        h = h + functional.gelu(functional.layer_norm(h, (WIDTH,)) @ held["up"]) @ held["down"]
        logits = functional.layer_norm(h, (WIDTH,)) @ held["out"]
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    def batches(size: int) -> Iterator[Any]:
        while True:
            starts = torch.randint(len(codes) - LENGTH, (size, 1), generator=source)
            yield codes[starts + torch.arange(LENGTH + 1)]

    fixed = next(batches(8 * BATCH))
    return held, loss, batches(BATCH), fixed


def trained(row: Mapping[str, Any] | None, warm: int, folder: str) -> tuple[list[float], list[Any]]:
    """The losses of a run and its parameters as arrays, both every `EVERY` steps; the paper's where the row is None."""
    import torch

    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order
    try:
        return _trained(row, warm, folder)
    finally:
        torch.set_num_threads(threads)


def _trained(row: Mapping[str, Any] | None, warm: int, folder: str) -> tuple[list[float], list[Any]]:
    import contextlib

    import torch

    held, loss, batches, fixed = model()
    parameters = list(held.values())
    losses, places = [], []
    with contextlib.chdir(folder):
        step = paper(parameters, warm) if row is None else theirs(row, parameters, warm)
        for count in range(STEPS + 1):
            if count % EVERY == 0:
                losses.append(loss(fixed).item())
                places.append(torch.cat([p.detach().flatten() for p in parameters]).numpy().copy())
            for p in parameters:
                p.grad = None
            loss(next(batches)).backward()
            step()
    return losses, places


def curves(rows: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """The losses of each that can be called alone, by name, and |theirs - the paper's| / |the paper's - the first|.

    The paper's own losses are "paper" and, without warm-ups, "paper without warm-ups". Each run is a process of its own; in
    place of the curve of one that failed stands what it raised.
    """
    right = {warm: apart(None, warm, folder) for warm in (STEPS, 1)}
    found: dict[str, Any] = {"paper": {"losses": right[STEPS][0]}, "paper without warm-ups": {"losses": right[1][0]}}
    for name, row in rows.items():
        warm = STEPS if "=T" in row["call"] else 1
        path = right[warm][1]
        try:
            losses, places = apart(row, warm, folder)
        except Exception as error:  # whatever a file raises
            found[name] = f"{type(error).__name__}: {error}"[:200]
            continue
        moved = [max(float(abs(b - path[0]).max()), math.ulp(1.0)) for b in path]
        away = [float(abs(a - b).max()) / far for a, b, far in zip(places, path, moved, strict=True)]
        found[name] = {"losses": losses, "apart": away, "warm-up": warm == STEPS}
    return found


def apart(row: Mapping[str, Any] | None, warm: int, folder: Path) -> Any:
    """`trained`, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(trained, row, warm, str(folder)).result()
