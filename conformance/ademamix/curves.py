"""Follow the cost of low precision: how far parameters are from the float64 trajectory of the same gradients.

Gradients are fixed (normal deviates with some drift), so that no loss pulls a trajectory back. Both warm-ups last for the
whole run. Each element has a scale of its own. Its logarithm is normal with the deviation ``spread``, which is hard on
moments that share a block's scale. The error is the distance of the whole tensor from the reference's, relative to how far
the reference has moved. The plot shows the median of several seeds, with the least and the largest.

One curve more shows how the cost of a step grows with ranks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from conformance.ademamix.harness.problem import OptimizerProblem, Ranks, TensorProblem
from conformance.engine.comparison import compare
from conformance.engine.harness import connect
from conformance.studies.curves import Curve, Trace
from conformance.studies.study import Axes, Effort
from impls.implementation import Implementation, NotRun, Unsupported
from reference.ademamix import Hyperparameters, bounded_trajectory, numerical_class, trajectory
from reference.rounding import FLOAT32

Array = npt.NDArray[np.float64]

PARAMETERS = 4096
"""Elements of the smallest tensor that published optimizers quantise."""
RATE = 1e-3
STEPS = (1, 3, 10, 30, 100, 300, 1000, 2000)
SPREADS = (0.0, 0.5, 1.0, 1.5, 2.0)
SCALES = (1e-9, 1e-7, 1e-5, 1e-3, 1e-1, 10.0, 1e3)
SPREAD, SCALE = 1.0, 1e-3
"""The value of one while the other varies."""
SHORT = 300
"""Steps after which spreads and scales are compared."""
RANKS = (1, 2, 4)
SHARDED_SIDE = 1024
FIRST_STEPS, TIMED_STEPS = 2, 7
"""The first steps allocate moments, and may meet a compiler."""
SEEDS, QUICK_SEEDS, QUICK_STEPS = 3, 1, 100


def error_against_steps(implementation: Implementation, effort: Effort) -> Iterator[Trace]:
    """One run, read at several steps."""
    marks = tuple(step for step in STEPS if not effort.quick or step <= QUICK_STEPS)
    runs = _errors(implementation, effort, lambda seed: _errors_of(implementation, effort, marks, SPREAD, SCALE, seed))
    yield _trace(implementation, marks, runs, {"spread": SPREAD, "scale": SCALE})


def error_against_spread(implementation: Implementation, effort: Effort) -> Iterator[Trace]:
    """One run for each spread, read at its end."""
    steps = QUICK_STEPS if effort.quick else SHORT

    def of(seed: int) -> list[float]:
        return [_errors_of(implementation, effort, (steps,), spread, SCALE, seed)[0] for spread in SPREADS]

    yield _trace(implementation, SPREADS, _errors(implementation, effort, of), {"steps": steps, "scale": SCALE})


def error_against_scale(implementation: Implementation, effort: Effort) -> Iterator[Trace]:
    """One run for each size of all gradients together, read at its end."""
    steps = QUICK_STEPS if effort.quick else SHORT

    def of(seed: int) -> list[float]:
        return [_errors_of(implementation, effort, (steps,), SPREAD, scale, seed)[0] for scale in SCALES]

    yield _trace(implementation, SCALES, _errors(implementation, effort, of), {"steps": steps, "spread": SPREAD})


def _errors(implementation: Implementation, effort: Effort, of: Callable[[int], list[float]]) -> Array:
    """One row for each seed."""
    if "float32" not in implementation.dtypes:
        raise Unsupported(f"steps {', '.join(implementation.dtypes)} only")
    if implementation.features is not None and "schedules" not in implementation.features:
        raise Unsupported("declares no warm-ups")
    if connect(implementation, effort.device).interpreted:
        raise NotRun("hundreds of steps take minutes in Triton's interpreter; followed on a CUDA device")
    rows = []
    for seed in range(QUICK_SEEDS if effort.quick else SEEDS):
        effort.say(f"seed {seed}")
        rows.append(of(seed))
    return np.array(rows)


def _trace(implementation: Implementation, x: tuple[float, ...], errors: Array, settings: dict[str, float]) -> Trace:
    floor = FLOAT32.unit_roundoff / 2  # a logarithm cannot show an error of 0
    median, low, high = (np.maximum(reduce(errors, axis=0), floor) for reduce in (np.median, np.min, np.max))
    return Trace(
        x=x,
        y=median.tolist(),
        low=low.tolist() if len(errors) > 1 else None,
        high=high.tolist() if len(errors) > 1 else None,
        dtype="float32",
        settings={**settings, "parameters": PARAMETERS, "seeds": len(errors)},
    )


def _errors_of(
    implementation: Implementation, effort: Effort, marks: tuple[int, ...], spread: float, scale: float, seed: int
) -> list[float]:
    problem, expected = problem_of(marks, spread, scale, seed)
    (got,) = connect(implementation, effort.device).run(problem).parameters
    return [
        float(np.linalg.norm(got[mark - 1] - right) / np.linalg.norm(right))
        for mark, right in zip(marks, expected, strict=True)
    ]


@functools.lru_cache(maxsize=2 * max(len(SPREADS), len(SCALES)))
def problem_of(marks: tuple[int, ...], spread: float, scale: float, seed: int) -> tuple[OptimizerProblem, list[Array]]:
    """The run, and the reference's parameters after the steps of ``marks``: starting from 0, this is how far they moved."""
    rng = np.random.default_rng((seed, marks[-1]))
    sizes = scale * np.exp(spread * rng.standard_normal(PARAMETERS))
    drift = rng.standard_normal(PARAMETERS) / 10
    gradients = [FLOAT32.round(sizes * (drift + rng.standard_normal(PARAMETERS))) for _ in range(marks[-1])]
    start, rates = np.zeros(PARAMETERS), (RATE,) * marks[-1]
    hyper = Hyperparameters(alpha=8.0, t_alpha=marks[-1], t_beta3=marks[-1])
    run = enumerate(trajectory(start, gradients, rates, hyper), start=1)
    expected = [theta for step, (theta, _) in run if step in marks]
    return OptimizerProblem.of_one(TensorProblem(start, tuple(gradients)), hyper, rates), expected


def step_against_ranks(implementation: Implementation, effort: Effort) -> Iterator[Trace]:
    """CPU time of one step of the slowest rank, where each has its share of one sharded tensor (FSDP2, gloo).

    Not wall time, which shows how CPUs are shared where they are fewer than ranks. What does not shrink with the shares is a
    cost that every rank pays. A run counts only if it agrees with the reference.
    """
    if "torch" not in implementation.requires or "float32" not in implementation.dtypes:
        raise Unsupported("torch.distributed shards float32 parameters of a torch.optim.Optimizer")
    if "untimed" in implementation.settings:
        raise Unsupported(implementation.settings["untimed"])
    subject = connect(implementation, effort.device)
    if subject.interpreted:
        raise NotRun("a speed in Triton's interpreter means nothing")
    steps = FIRST_STEPS + TIMED_STEPS
    rng = np.random.default_rng(0)
    start, gradient = (FLOAT32.round(rng.standard_normal((SHARDED_SIDE, SHARDED_SIDE))) for _ in range(2))
    hyper, rates = Hyperparameters(alpha=8.0), (RATE,) * steps
    problem = OptimizerProblem.of_one(TensorProblem(start, (gradient,) * steps), hyper, rates)
    jobs = tuple((problem, Ranks("fsdp", world)) for world in RANKS)
    numerical, rows = numerical_class(implementation.numerical_class), slice(8)  # of the first rank, in whole blocks
    *_, last = bounded_trajectory(start[rows], [gradient[rows]] * steps, rates, hyper, "float32", numerical)
    times = []
    for number, world in enumerate(RANKS):
        effort.say(f"{world} ranks")
        outcome = subject.run_in_processes(jobs, number)
        found = compare("sharded parameter", outcome.parameters[0][-1][rows], last.theta, last.theta_bound)
        if not found.passed:
            raise AssertionError(f"{world} ranks: {found.quantity} {found.worst} is {found.got}, expected {found.expected}")
        times.append(np.max(outcome.cpu_seconds, axis=0)[FIRST_STEPS:])
    yield Trace(
        x=RANKS,
        y=[float(np.median(own)) for own in times],
        low=[float(own.min()) for own in times],
        high=[float(own.max()) for own in times],
        dtype="float32",
        settings={"parameters": SHARDED_SIDE**2, "steps": TIMED_STEPS, "threads of a rank": 1},
    )


_OFF = "distance from the reference / way made"

CURVES: tuple[Curve, ...] = (
    Curve(
        name="error-against-steps", system="ademamix", title="How far parameters drift from the float64 trajectory",
        axes=Axes("steps", _OFF, "xy"), run=error_against_steps, quick=True,
    ),
    Curve(
        name="error-against-spread", system="ademamix",
        title="How far parameters are off where gradients of neighbours differ in scale",
        axes=Axes("deviation of the logarithm of the gradients' scales", _OFF, "y"), run=error_against_spread, quick=True,
    ),
    Curve(
        name="error-against-scale", system="ademamix",
        title="How far parameters are off where all gradients are small, or large",
        axes=Axes("scale of the gradients", _OFF, "xy"), run=error_against_scale, quick=True,
    ),
    Curve(
        name="step-against-ranks", system="ademamix", title="What one rank's step of a sharded tensor costs",
        axes=Axes("ranks", "CPU seconds of a step, the slowest rank", "xy"), run=step_against_ranks, devices=("cpu",),
    ),
)  # fmt: skip
