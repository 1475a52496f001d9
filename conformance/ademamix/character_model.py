"""A small character-level language model in NumPy, and the text, shipped with every Python, that it is trained on.

The model is that of Bengio et al. (2003): the last characters are embedded, a tanh layer mixes them, a softmax predicts the
next. It has some twenty thousand parameters, all in one flat vector, which is what the reference steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from reference.ademamix import Hyperparameters, OptimizerState, adamw_step, step

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

CONTEXT, EMBEDDED, HIDDEN = 8, 12, 96
BATCH = 64


@dataclass(frozen=True, eq=False)
class Corpus:
    """Characters as numbers, in three parts that share no topic."""

    train: Codes
    validation: Codes
    test: Codes
    symbols: int
    sha256: str


@cache
def corpus() -> Corpus:
    """Python's own reference, as `pydoc` holds it (`pydoc_data.topics`): some 700,000 characters, of this Python's version."""
    from pydoc_data.topics import topics

    texts = [topics[name] for name in sorted(topics)]
    whole = "".join(texts)
    known = {c: i for i, c in enumerate(sorted(set(whole)))}
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for number, text in enumerate(texts):
        part = {8: "validation", 9: "test"}.get(number % 10, "train")
        parts[part] += [known[c] for c in text]
    arrays = {name: np.array(codes) for name, codes in parts.items()}
    return Corpus(**arrays, symbols=len(known), sha256=hashlib.sha256(whole.encode()).hexdigest())


def initial(symbols: int, seed: int) -> Array:
    """Parameters of a new model, in one vector."""
    rng = np.random.default_rng(seed)
    shapes = _shapes(symbols)
    scales = {"embedding": 1.0, "mixing": 1 / np.sqrt(CONTEXT * EMBEDDED), "output": 1 / np.sqrt(HIDDEN)}
    return np.concatenate([rng.standard_normal(shape).ravel() * scales.get(name, 0.0) for name, shape in shapes.items()])


def _shapes(symbols: int) -> dict[str, tuple[int, ...]]:
    return {
        "embedding": (symbols, EMBEDDED),
        "mixing": (CONTEXT * EMBEDDED, HIDDEN),
        "mixing_bias": (HIDDEN,),
        "output": (HIDDEN, symbols),
        "output_bias": (symbols,),
    }


def _parts(theta: Array, symbols: int) -> dict[str, Array]:
    parts, at = {}, 0
    for name, shape in _shapes(symbols).items():
        size = int(np.prod(shape))
        parts[name] = theta[at : at + size].reshape(shape)
        at += size
    return parts


def batch(codes: Codes, rng: np.random.Generator, size: int = BATCH) -> tuple[Codes, Codes]:
    """Contexts and the characters that follow them, drawn at random."""
    first = rng.integers(0, len(codes) - CONTEXT, size)
    return codes[first[:, None] + np.arange(CONTEXT)], codes[first + CONTEXT]


def loss_and_gradient(theta: Array, symbols: int, contexts: Codes, following: Codes) -> tuple[float, Array]:
    """Mean cross-entropy in nats per character, and its gradient."""
    p = _parts(theta, symbols)
    inputs, hidden, probabilities = _forward(p, contexts)
    rows = np.arange(len(following))
    loss = -float(np.mean(np.log(probabilities[rows, following])))
    back = probabilities
    back[rows, following] -= 1
    back /= len(following)
    to_hidden = (back @ p["output"].T) * (1 - hidden**2)
    to_inputs = (to_hidden @ p["mixing"].T).reshape(-1, EMBEDDED)
    embedding = np.zeros_like(p["embedding"])
    np.add.at(embedding, contexts.ravel(), to_inputs)
    parts = (embedding, inputs.T @ to_hidden, to_hidden.sum(0), hidden.T @ back, back.sum(0))
    return loss, np.concatenate([part.ravel() for part in parts])


def loss_of(theta: Array, symbols: int, contexts: Codes, following: Codes) -> float:
    """Mean cross-entropy in nats per character."""
    return float(cross_entropy(theta, symbols, contexts, following))


def cross_entropy(theta: npt.NDArray[Any], symbols: int, contexts: Codes, following: Codes) -> Any:
    """`loss_of` for complex parameters too, whose imaginary part then carries the derivative."""
    *_, probabilities = _forward(_parts(theta, symbols), contexts)
    return -np.mean(np.log(probabilities[np.arange(len(following)), following]))


def _forward(p: dict[str, Array], contexts: Codes) -> tuple[Array, Array, Array]:
    inputs = p["embedding"][contexts].reshape(len(contexts), -1)
    hidden = np.tanh(inputs @ p["mixing"] + p["mixing_bias"])
    scores = hidden @ p["output"] + p["output_bias"]
    scores -= scores.real.max(axis=1, keepdims=True)
    probabilities = np.exp(scores)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return inputs, hidden, probabilities


@dataclass(frozen=True)
class Training:
    """One training: AdEMAMix where ``hyper.alpha`` is positive, AdamW where it is 0."""

    hyper: Hyperparameters
    peak: float
    steps: int
    seed: int

    def rate(self, t: int) -> float:
        """Warm-up over a twentieth of the run, then half a cosine to zero; the same for both optimizers."""
        warm = max(self.steps // 20, 1)
        return self.peak * min(t / warm, (1 + float(np.cos(np.pi * t / self.steps))) / 2)


Swap = Callable[[int], tuple[Codes, Codes] | None]


def train(training: Training, replaced: Swap = lambda t: None) -> Iterator[tuple[int, Array]]:
    """The step, counted from 1, and the parameters after it. ``replaced`` may give a batch instead of the one drawn."""
    text = corpus()
    rng = np.random.default_rng([training.seed, 1])
    theta = initial(text.symbols, training.seed)
    state = OptimizerState.zeros(theta.shape)
    advance = step if training.hyper.alpha else adamw_step
    for t in range(1, training.steps + 1):
        drawn = batch(text.train, rng)
        _, gradient = loss_and_gradient(theta, text.symbols, *(replaced(t) or drawn))
        theta, state = advance(theta, gradient, state, training.hyper, training.rate(t))
        yield t, theta
