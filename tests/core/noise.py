"""A simulated noisy machine: correlated samples, outliers, slow spells, and an offset that lasts for a whole run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conformance.regression.speeds import Speed


@dataclass(frozen=True)
class Machine:
    """Spreads of log(baseline / own). ``correlation`` is between one pair of samples and the next."""

    samples: int = 30
    spread: float = 0.03
    correlation: float = 0.5
    heaviness: float = 3.0
    """Degrees of freedom of Student's distribution: at 3 its fourth moment is infinite."""
    offset: float = 0.005
    """What stays the same all through one preparation and differs between two, such as where memory happens to lie."""
    spell: float = 0.02
    """How often, while one side is timed, the machine is slowed for a third of the samples."""


def figures(
    machine: Machine, generator: np.random.Generator, count: int, slowed: dict[int, float] | None = None
) -> list[Speed]:
    """One run: ``count`` workloads, an A/A pair and one implementation each; ``slowed`` maps workloads to factors."""
    n = machine.samples
    shape = (2 * count, n)
    shocks = generator.standard_t(machine.heaviness, size=shape) / np.sqrt(3.0)
    noise = np.empty(shape)
    noise[:, 0] = shocks[:, 0]
    fresh = np.sqrt(1 - machine.correlation**2)
    for i in range(1, n):
        noise[:, i] = machine.correlation * noise[:, i - 1] + fresh * shocks[:, i]
    noise *= machine.spread
    noise += machine.offset * generator.standard_t(5, size=(2 * count, 1))
    struck = generator.random(2 * count) < machine.spell
    begins = generator.integers(0, n - n // 3, size=2 * count)
    for row in np.flatnonzero(struck).tolist():
        noise[row, begins[row] : begins[row] + n // 3] += generator.choice((-0.4, 0.4))
    # The distribution-free interval of the median: no bootstrap in a loop of hundred thousands.
    ordered = np.sort(noise, axis=1)
    reach = round(0.98 * np.sqrt(n))
    middle = np.median(ordered, axis=1)
    low, high = ordered[:, max(0, n // 2 - reach)], ordered[:, min(n - 1, (n - 1) // 2 + reach)]
    made = []
    for row in range(2 * count):
        own = row >= count
        shift = -np.log((slowed or {}).get(row - count, 1.0)) if own else 0.0
        ratio, least, most = (float(np.exp(value + shift)) for value in (middle[row], low[row], high[row]))
        name = "ademamix/own" if own else "ademamix/baseline"
        made.append(
            Speed(name, f"workload-{row % count}", "float32", "cpu", "warm", ratio, least, most, 1 / ratio, n, again=not own)
        )
    return made
