"""Claims of the AdEMAMix paper that a small machine can measure: Rosenbrock, forgetting, a language model, memory.

All but the memory are computed with `reference.ademamix` in float64, so that no implementation's error is in them. The text
models are some 10,000 times smaller than the paper's and train for a hundredth of its steps: a claim that does not hold here
is a finding about this scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import mean, stdev
from typing import Any

import numpy as np
from scipy import stats

from conformance.studies.claims import Claim, Finding, subject_of
from conformance.studies.study import Axes, Effort, Series
from reference.ademamix import Hyperparameters, OptimizerState, adamw_step, step

SYSTEM = "ademamix"


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval by Student's t; the mean alone where there is one value."""
    middle = mean(values)
    if len(values) < 2:
        return middle, -math.inf, math.inf
    half = float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))  # seeds are few
    return middle, middle - half, middle + half


def verdict_of(low: float, high: float) -> str:
    """What the interval of an advantage says: all of it on one side of zero, or not."""
    if low > 0:
        return "holds"
    return "does not hold" if high < 0 else "undecided"


# --- Rosenbrock ----------------------------------------------------------------------------------------------------------

START = (-3.0, 5.0)


@dataclass(frozen=True)
class Path:
    """One minimisation: values along the way, and how much of the way led nowhere."""

    values: list[float]
    distance: float
    """To the minimum at (1, 1), at the end."""
    turns: int
    """How often x1 changed its direction: what the paper calls oscillating."""


def rosenbrock(x: float, y: float) -> tuple[float, tuple[float, float]]:
    """``(1 - x)**2 + 100 (y - x**2)**2`` and its gradient."""
    valley = y - x * x
    return (1 - x) ** 2 + 100 * valley**2, (-2 * (1 - x) - 400 * x * valley, 200 * valley)


def descend(hyper: Hyperparameters, rate: float, steps: int) -> Path:
    """From the paper's starting point; AdamW without decay (Adam) where alpha is 0."""
    theta, state = np.array(START), OptimizerState.zeros((2,))
    advance = step if hyper.alpha else adamw_step
    values, turns, before, direction = [], 0, theta[0], 0.0
    for _ in range(steps):
        value, gradient = rosenbrock(float(theta[0]), float(theta[1]))
        values.append(value)
        theta, state = advance(theta, np.array(gradient), state, hyper, rate)
        moved = float(np.sign(theta[0] - before))
        turns += moved * direction < 0
        before, direction = theta[0], moved or direction
    return Path(values, float(np.hypot(*(theta - 1))), turns)


_ROSENBROCK = {
    "Adam, beta1 = 0.9": Hyperparameters(beta1=0.9, beta2=0.999, alpha=0.0),
    "Adam, beta1 = 0.99": Hyperparameters(beta1=0.99, beta2=0.999, alpha=0.0),
    "Adam, beta1 = 0.999": Hyperparameters(beta1=0.999, beta2=0.999, alpha=0.0),
    "AdEMAMix, beta3 = 0.999": Hyperparameters(beta1=0.9, beta2=0.999, beta3=0.999, alpha=9.0),
    "AdEMAMix, beta3 = 0.9999": Hyperparameters(beta1=0.9, beta2=0.999, beta3=0.9999, alpha=9.0),
}


def run_rosenbrock(effort: Effort) -> Finding:
    """Run every optimizer at every learning rate, because the paper states none, and compare the nearest of each kind."""
    steps = 2_000 if effort.quick else 10_000
    rates = (3e-3, 1e-2) if effort.quick else (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    paths: dict[float, dict[str, Path]] = {}
    for rate in rates:
        effort.say(f"lr {rate:g}")
        paths[rate] = {name: descend(hyper, rate, steps) for name, hyper in _ROSENBROCK.items()}

    def nearest(rate: float, kind: str) -> float:
        return min(path.distance for name, path in paths[rate].items() if name.startswith(kind))

    nearer = [rate for rate in rates if nearest(rate, "AdEMAMix") < nearest(rate, "Adam,")]
    best = {kind: min((nearest(rate, kind), rate) for rate in rates) for kind in ("AdEMAMix", "Adam,")}
    middle = rates[len(rates) // 2]
    shown = np.unique(np.geomspace(1, steps, 80).astype(int)) - 1
    series = tuple(
        Series(name, (shown + 1).tolist(), [max(path.values[i], float(np.finfo(float).tiny)) for i in shown])
        for name, path in paths[middle].items()
    )
    details = "; ".join(f"{name} {p.distance:.2g} and {p.turns} turns" for name, p in paths[middle].items())
    return Finding(
        measured=f"nearer at {len(nearer)} of {len(rates)} learning rates after {steps} steps",
        verdict=rosenbrock_verdict(len(nearer), len(rates), best["AdEMAMix"][0] < best["Adam,"][0]),
        message=(
            f"The paper states no learning rate. Each at its best rate: AdEMAMix {best['AdEMAMix'][0]:.2g} from the minimum "
            f"(lr {best['AdEMAMix'][1]:g}), Adam {best['Adam,'][0]:.2g} (lr {best['Adam,'][1]:g}). "
            f"At lr {middle:g}, which is plotted: {details}."
        ),
        series=series,
        axes=Axes(f"step (lr {middle:g})", "Rosenbrock function", "xy"),
        settings={"start": list(START), "steps": steps, "rates": list(rates), "beta2": 0.999, "alpha": 9},
    )


def rosenbrock_verdict(nearer: int, rates: int, nearer_at_best: bool) -> str:
    """The paper gives no learning rate: the claim holds where AdEMAMix is nearer at each one, and with each at its best."""
    if nearer == rates and nearer_at_best:
        return "holds"
    return "does not hold" if nearer == 0 and not nearer_at_best else "undecided"


# --- The language model --------------------------------------------------------------------------------------------------

ADAMW = Hyperparameters(beta1=0.9, beta2=0.999, alpha=0.0)


def ademamix_for(steps: int) -> Hyperparameters:
    """The paper's setting: alpha = 8, warm-ups as long as the run. But beta3 is 0.999, since 0.9999 remembers more steps than
    there are here."""
    return Hyperparameters(beta1=0.9, beta2=0.999, beta3=0.999, alpha=8.0, t_alpha=steps, t_beta3=steps)


def _validation(part: str) -> Any:
    from conformance.ademamix.character_model import batch, corpus

    return batch(getattr(corpus(), part), np.random.default_rng(7), 4096)


@cache
def _curve(training: Any, every: int, part: str) -> tuple[tuple[int, float], ...]:
    from conformance.ademamix.character_model import corpus, loss_of, train

    examples, symbols = _validation(part), corpus().symbols
    return tuple((t, loss_of(theta, symbols, *examples)) for t, theta in train(training) if t % every == 0)


def run_language_model(effort: Effort) -> Finding:
    """Choose each optimizer's rate and decay on validation text, then compare the two with new seeds on test text."""
    from conformance.ademamix.character_model import Training, corpus

    steps, seeds = (150, 2) if effort.quick else (6_000, 5)
    rates = (3e-3, 1e-2) if effort.quick else (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
    decays = (0.0,) if effort.quick else (0.0, 0.1)
    every = steps // 10
    chosen: dict[str, tuple[float, float]] = {}
    for name, hyper in (("AdamW", ADAMW), ("AdEMAMix", ademamix_for(steps))):
        tried = {}
        for rate in rates:
            for decay in decays:
                effort.say(f"tuning {name}, lr {rate:g}, decay {decay:g}")
                training = Training(replace(hyper, weight_decay=decay), rate, steps, seed=0)
                tried[rate, decay] = _curve(training, steps, "validation")[-1][1]
        chosen[name] = min(tried, key=lambda setting: tried[setting])
    curves: dict[str, list[tuple[tuple[int, float], ...]]] = {}
    for name, hyper in (("AdamW", ADAMW), ("AdEMAMix", ademamix_for(steps))):
        rate, decay = chosen[name]
        for seed in range(1, seeds + 1):
            effort.say(f"{name}, seed {seed}")
            training = Training(replace(hyper, weight_decay=decay), rate, steps, seed)
            curves.setdefault(name, []).append(_curve(training, every, "test"))
    differences = [a[-1][1] - b[-1][1] for a, b in zip(curves["AdamW"], curves["AdEMAMix"], strict=True)]
    middle, low, high = interval(differences)
    edges = [name for name, (rate, _) in chosen.items() if rate in (rates[0], rates[-1])]
    at_edge = f" The best rate of {' and '.join(edges)} is at the edge of those tried." if edges else ""
    return Finding(
        measured=f"{middle:.4f} nats per character less than AdamW, 95 % interval {low:.4f} to {high:.4f}",
        verdict=verdict_of(low, high),
        message=(
            f"{seeds} seeds of {steps} steps, some 20,000 parameters; lr and decay chosen on validation text out of "
            f"{len(rates) * len(decays)} for each: "
            + ", ".join(f"{name} {rate:g} and {decay:g}" for name, (rate, decay) in chosen.items())
            + f".{at_edge}"
        ),
        series=tuple(_band(name, [dict(curve) for curve in curves[name]]) for name in curves),
        axes=Axes("step", "test loss (nats per character)"),
        settings={
            "steps": steps, "seeds": seeds, "rates": list(rates), "decays": list(decays), "beta3": 0.999, "alpha": 8,
            "text": "pydoc_data.topics", "sha256": corpus().sha256,
            **{f"chosen {name}": list(setting) for name, setting in chosen.items()},
        },
    )  # fmt: skip


def _band(label: str, curves: Sequence[dict[int, float]]) -> Series:
    steps = sorted(curves[0])
    bands = [interval([curve[s] for curve in curves]) for s in steps]
    finite = [(m, low if math.isfinite(low) else m, high if math.isfinite(high) else m) for m, low, high in bands]
    return Series(label, steps, [m for m, *_ in finite], [b for _, b, _ in finite], [t for *_, t in finite])


# --- Forgetting ----------------------------------------------------------------------------------------------------------


def run_forgetting(effort: Effort) -> Finding:
    """Train once on a batch that is not in the text. How much of the gain is left a tenth of the run later?"""
    steps, seeds = (400, 3) if effort.quick else (6_000, 5)
    when, horizon = steps // 2, steps // 10
    gains: dict[str, list[dict[int, float]]] = {}
    for name, hyper in (("AdamW", ADAMW), ("AdEMAMix", ademamix_for(steps))):
        for seed in range(1, seeds + 1):
            effort.say(f"{name}, seed {seed}")
            gains.setdefault(name, []).append(_gain(hyper, steps, seed, when))
    left = {name: [gain[horizon] / max(gain.values()) for gain in curves] for name, curves in gains.items()}
    middle, low, high = interval([b - a for a, b in zip(left["AdamW"], left["AdEMAMix"], strict=True)])
    return Finding(
        measured=(
            f"{mean(left['AdEMAMix']):.0%} of the largest gain is left after {horizon} steps, with AdamW "
            f"{mean(left['AdamW']):.0%}; difference {middle:.0%}, 95 % interval {low:.0%} to {high:.0%}"
        ),
        verdict=verdict_of(low, high),
        message=(
            f"A batch of other text takes the place of the one at step {when} of {steps}; its gain is how much lower its loss "
            f"is than in the same run without it. {seeds} seeds, learning rate {FORGETTING_RATE:g} for both."
        ),
        series=tuple(_band(name, gains[name]) for name in gains),
        axes=Axes("steps after the batch", "loss of the batch saved (nats per character)"),
        settings={
            "steps": steps, "seeds": seeds, "batch at": when, "left after": horizon, "rate": FORGETTING_RATE,
            "beta3": 0.999, "alpha": 8,
        },
    )  # fmt: skip


FORGETTING_RATE = 3e-3


def _gain(hyper: Hyperparameters, steps: int, seed: int, when: int) -> dict[int, float]:
    """By steps since the batch: how much lower its loss is than in the run without it."""
    from conformance.ademamix.character_model import CONTEXT, Training, corpus, loss_of, train

    text = corpus()
    first = np.random.default_rng([seed, 2]).integers(0, len(text.test) - CONTEXT, 64)
    held_out = (text.test[first[:, None] + np.arange(CONTEXT)], text.test[first + CONTEXT])
    training = Training(hyper, FORGETTING_RATE, steps, seed)
    every = max(steps // 200, 1)

    def losses(swap: Any) -> dict[int, float]:
        return {
            t - when: loss_of(theta, text.symbols, *held_out)
            for t, theta in train(training, swap)
            if t >= when and (t < when + 20 or (t - when) % every == 0)
        }

    without, taught = losses(lambda t: None), losses(lambda t: held_out if t == when else None)
    return {s: without[s] - taught[s] for s in without}


# --- Memory --------------------------------------------------------------------------------------------------------------


def run_memory(effort: Effort) -> Finding:
    """Bytes of optimizer state per float32 parameter, of torch's AdamW and of the first listed torch AdEMAMix."""
    import torch

    from impls.ademamix.registry import IMPLEMENTATIONS

    listed = next(i for i in IMPLEMENTATIONS if i.protocol == "torch-optimizer" and i.origin.kind == "built in")
    loaded: Any = subject_of(listed, effort.device).plug.loaded
    count = 100_000

    def bytes_of(make: Any, **options: Any) -> float:
        parameter = torch.nn.Parameter(torch.ones(count, device=effort.device))
        optimizer = make([parameter], **options)
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        tensors = [v for v in optimizer.state[parameter].values() if torch.is_tensor(v) and v.numel() > 1]
        return sum(v.numel() * v.element_size() for v in tensors) / count

    adamw = bytes_of(torch.optim.AdamW)
    mix = bytes_of(loaded, betas=(0.9, 0.999, 0.9999))
    without = bytes_of(loaded, betas=(0.0, 0.999, 0.9999))
    held = mix == adamw + 4 and without == adamw
    return Finding(
        measured=f"{mix:g} bytes per parameter; AdamW {adamw:g}; with beta1 = 0 {without:g}",
        verdict="holds" if held else "does not hold",
        message=f"State tensors after one step of a float32 parameter of {count:,} elements, of {listed.name}.",
        settings={"parameters": count, "implementation": listed.name},
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="ADM-C1", system=SYSTEM,
        statement="On the Rosenbrock function AdEMAMix comes nearer to the minimum than Adam, whatever Adam's beta1.",
        source="section 3, figure on the Rosenbrock function", expected="nearer, at the same learning rate",
        run=run_rosenbrock, quick=True,
    ),
    Claim(
        id="ADM-C2", system=SYSTEM, statement="What a batch taught is forgotten more slowly under AdEMAMix than under AdamW.",
        source="section 4.2, figures 4, 9 and 10", expected="forgotten more slowly", run=run_forgetting, quick=True,
    ),
    Claim(
        id="ADM-C3", system=SYSTEM,
        statement="In as many steps AdEMAMix trains a language model to a lower loss than AdamW, each at its best.",
        source="section 4.1 (1.3 billion parameters, and fewer)", expected="a lower loss", run=run_language_model, quick=True,
    ),
    Claim(
        id="ADM-C4", system=SYSTEM,
        statement="AdEMAMix keeps one more buffer of the model's size than AdamW, and with beta1 = 0 as many.",
        source="section 3 and appendix C.1.7", expected="4 bytes more per float32 parameter; with beta1 = 0 as many",
        run=run_memory, quick=True, needs=("torch",),
    ),
)  # fmt: skip
