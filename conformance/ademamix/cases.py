"""The cases of AdEMAMix: small runs, each changed by one bug. Arrays are made from a case's description when needed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from conformance.ademamix.harness.layouts import IN_ORDER, SHARING, as_shown, order_of, relaid
from conformance.ademamix.harness.problem import Array, GroupProblem, Huge, OptimizerProblem, Ranks, TensorProblem
from conformance.engine.interactions import Combination
from conformance.engine.kept import kept
from reference.ademamix import Hyperparameters, OptimizerNumericalClass, Snapshot, bounded_trajectory, numerical_class
from reference.rounding import BFLOAT16, format_of

WIDE = ("float32", "float64")
LOW = ("bfloat16", "float16")


@dataclass(frozen=True)
class TensorCase:
    """``gradients`` names a generator of this module; ``missing`` lists steps (from 0) without a gradient."""

    shape: tuple[int, ...] = (6,)
    gradients: str = "normal"
    scale: float = 1.0
    start: float = 1.0
    """Standard deviation of the starting values."""
    start_between: tuple[float, float] | None = None
    """Where starting values are drawn uniformly instead."""
    missing: tuple[int, ...] = ()
    joins_at: int = 0
    layout: str = ""
    """How the parameter lies in memory; see `conformance.ademamix.harness.layouts`."""
    gradient_layout: str = ""
    sparse: bool = False
    written_at: tuple[int, ...] = ()
    """Steps before which the training loop puts other values into the parameter."""
    dtype: str = ""
    """Where it is not that of the case."""


@dataclass(frozen=True)
class GroupCase:
    """``rates``: one learning rate, or one per step. ``changes``: see `conformance.ademamix.harness.problem.GroupProblem`."""

    hyper: Hyperparameters
    tensors: tuple[TensorCase, ...] = (TensorCase(),)
    rates: float | tuple[float, ...] = 2.0**-4
    changes: tuple[tuple[int, Hyperparameters], ...] = ()
    maximize: bool = False


@dataclass(frozen=True)
class RunCase:
    """One run; see `conformance.ademamix.harness.problem.OptimizerProblem` for what its fields ask of an optimizer."""

    id: str
    groups: tuple[GroupCase, ...]
    steps: int
    quick: bool = True
    dtypes: tuple[str, ...] = ("float32",)
    asks: frozenset[str] = frozenset()
    resume_after: int | None = None
    switch_at: int | None = None
    saved_as: str = ""
    use: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    rebuilt_otherwise: bool = False
    ranks: Ranks | None = None
    rate_tensors: str = ""
    literal: bool = False
    relaid: bool = False
    within: str = ""
    rearranged: tuple[tuple[int, str], ...] = ()
    seed: int = 1
    combination: Combination | None = None
    """The row of a covering array that it was made from."""
    combinations: tuple[Combination, ...] = ()
    """Those that its groups and tensors were made from."""
    interpreted: Literal["always", "thorough", "never"] = "always"
    """When Triton's interpreter runs it, which is slow."""
    thorough: bool = False
    """Whether it belongs to ``--thorough`` alone; ``quick`` is then ignored."""
    needs: frozenset[str] = field(init=False)

    @property
    def large(self) -> bool:
        """See `conformance.engine.selection.is_large`."""
        return any(math.prod(tensor.shape) > 2**17 for group in self.groups for tensor in group.tensors)

    def __post_init__(self) -> None:
        hypers, tensors = [g.hyper for g in self.groups], [t for g in self.groups for t in g.tensors]
        asked = {
            "schedules": any(h.t_alpha or h.t_beta3 for h in hypers),
            "separate-warmups": any((h.t_alpha or h.t_beta3) and h.t_alpha != h.t_beta3 for h in hypers),
            "beta1-zero": any(h.beta1 == 0 for h in hypers),
            "weight-decay": any(h.weight_decay for h in hypers),
            "missing-gradients": self.use != "scaler" and any(t.missing for t in tensors),
            "late-parameters": any(t.joins_at for t in tensors),
            "strided": any({t.layout, t.gradient_layout} - IN_ORDER for t in tensors),
            "groups": len(self.groups) > 1 or any(t.joins_at for t in tensors),
            "state-round-trip": bool(self.resume_after),
            "switch": bool(self.switch_at),
        }
        object.__setattr__(self, "quick", self.quick and not self.thorough)
        object.__setattr__(self, "needs", self.asks | {feature for feature, needed in asked.items() if needed})


def several(name: str, hyper: Hyperparameters, steps: int, *tensors: TensorCase, **options: Any) -> RunCase:
    """A case of one group of these tensors: ``rates`` and ``changes`` go to `GroupCase`, the rest to `RunCase`."""
    group = {k: options.pop(k) for k in ("rates", "changes") if k in options}
    return RunCase(name, (GroupCase(hyper, tensors, **group),), steps, **options)


def single(name: str, hyper: Hyperparameters, gradients: str, steps: int, **options: Any) -> RunCase:
    """A case of one tensor, with options of `TensorCase` as well as those of `several`."""
    tensor = {k: options.pop(k) for k in list(options) if k in TensorCase.__dataclass_fields__}
    return several(name, hyper, steps, TensorCase(gradients=gradients, **tensor), **options)


def _apart(shape: tuple[int, ...]) -> TensorCase:
    """A tensor with gaps between the elements of parameter and gradients."""
    return TensorCase(shape, layout="every second place", gradient_layout="every second place")


def _gradients(case: TensorCase, steps: int, rng: np.random.Generator) -> Array:
    shape = (steps, *case.shape)
    magnitude = rng.uniform(1.0, 2.0, case.shape)  # fixed over the run: nu / correction is then exactly its square
    signs = rng.choice([-1.0, 1.0], shape)
    count = np.arange(steps).reshape(-1, *(1 for _ in case.shape))
    place = np.arange(magnitude.size).reshape(case.shape)
    made: dict[str, Array] = {
        "normal": rng.standard_normal(shape),
        "constant": np.broadcast_to(magnitude * signs[0], shape),
        "signs": magnitude * signs,
        "zero": np.zeros(shape),
        # nothing until the bias corrections of decays up to 1/2 are over, then a burst
        "late-burst": np.where(count >= 40, magnitude * signs, 0.0),
        "very-late-burst": np.where(count >= 2050, magnitude * signs, 0.0),
        # each element pauses at every third step, and all of them at every fifth
        # every second one along the first axis is always zero
        "zero-rows": rng.standard_normal(shape) * (np.indices(case.shape)[0] % 2 if case.shape else 1),
        "pauses": np.where((count + place) % 3 * (count % 5 - 4) == 0, 0.0, signs),
        "varied": rng.standard_normal(shape) * 2.0 ** rng.integers(-3, 4, shape),
        "wide-range": signs * magnitude * 2.0 ** rng.integers(-12, 13, shape),
        # from one end to the other 24 powers of two, and neighbours up to 8 apart
        "graded": magnitude * signs * 2.0 ** (rng.integers(-4, 5, case.shape) - 24 * place // max(place.size, 1)),
        "drift": rng.standard_normal(shape) + 0.5,
        # few bits, so that the means of data-parallel training are exact
        "coarse": BFLOAT16.round(rng.standard_normal(shape)),
        # three gradients, then nothing
        "early-burst": np.where(count < 3, magnitude * signs[0], 0.0),
        # the same for 500 steps, then of the other sign in every second element
        "turning": magnitude * np.where((count >= 500) & (place % 2 == 1), -1.0, 1.0),
        # one element whose square no float32 holds, among others
        "one-enormous": np.where(place == 2, 1e30, magnitude) * signs,
    }
    values = np.asarray(made[case.gradients] * case.scale, dtype=np.float64)
    if case.layout in SHARING or case.gradient_layout in SHARING:
        name = case.gradient_layout or case.layout
        values = np.stack([as_shown(name, each) for each in values])
    return values


@kept
def problem_of(case: RunCase, dtype: str) -> OptimizerProblem:
    """The arrays of a case in a dtype. They are read-only: implementations are handed copies."""
    rng = np.random.default_rng(case.seed)
    groups = []
    for group in case.groups:
        rates = group.rates if isinstance(group.rates, tuple) else (group.rates,) * case.steps
        tensors = []
        for tensor in group.tensors:
            fmt = format_of(tensor.dtype or dtype)
            drawn = rng.standard_normal(tensor.shape) * tensor.start
            start = fmt.round(rng.uniform(*tensor.start_between, tensor.shape) if tensor.start_between else drawn)
            start = as_shown(tensor.layout, start)
            values = fmt.round(_gradients(tensor, case.steps - tensor.joins_at, rng))
            written = {step: fmt.round(rng.standard_normal(tensor.shape)) for step in tensor.written_at}
            for array in (start, values, *written.values()):
                array.flags.writeable = False
            given = tuple(None if step in tensor.missing else values[step] for step in range(len(values)))
            tensors.append(
                TensorProblem(
                    start, given, tensor.joins_at, tensor.layout, tensor.gradient_layout, tensor.sparse, written,
                    tensor.dtype,
                )
            )  # fmt: skip
        groups.append(GroupProblem(tuple(tensors), group.hyper, rates, group.changes, group.maximize))
    return OptimizerProblem(
        dtype, tuple(groups), case.resume_after, case.switch_at, case.saved_as, case.use, case.options, case.rebuilt_otherwise,
        case.rate_tensors, case.literal, case.relaid, case.within, case.rearranged,
    )  # fmt: skip


@kept
def expected_of(case: RunCase, dtype: str, class_name: str, group_clock: bool = False) -> tuple[tuple[Snapshot, ...], ...]:
    """Values and bounds of every tensor after every step from the one at which it joins.

    ``group_clock``: where missing gradients count for the schedules; see `reference.ademamix.trajectory`.
    """
    numerical = numerical_class(class_name)
    return tuple(
        _either_order(*(_trajectory(case, group, tensor, dtype, numerical, group_clock, *order) for order in orders))
        for group in problem_of(case, dtype).groups
        for tensor in group.tensors
        for orders in (_orders(case, tensor, numerical),)
    )


def _trajectory(
    case: RunCase, group: GroupProblem, tensor: TensorProblem, dtype: str, numerical: OptimizerNumericalClass,
    group_clock: bool, order: tuple[int, ...], resumed: tuple[int, ...],
) -> tuple[Snapshot, ...]:  # fmt: skip
    """Values and bounds of one tensor. ``order``: the axes by which blocks are of neighbours, the outermost first, and
    ``resumed``: the same after a resume.
    """

    def placed(values: Array) -> Array:
        return np.transpose(values, order)

    def placed_back(values: Array) -> Array:
        return np.transpose(values, np.argsort(order))

    sign = -1 if group.maximize or dict(case.options).get("maximize") is True else 1
    found = bounded_trajectory(
        placed(tensor.start),
        [None if g is None else sign * placed(g) for g in tensor.gradients],
        group.learning_rates[tensor.joins_at :],
        [group.hyper_at(step) for step in range(tensor.joins_at, case.steps)],
        tensor.dtype or dtype,
        numerical,
        switch_at=case.switch_at,
        group_clock=group_clock,
        writes={step - tensor.joins_at: placed(values) for step, values in tensor.writes.items()},
        relaid=None if resumed == order else ((case.resume_after or 0) - tensor.joins_at, tuple(map(order.index, resumed))),
    )
    if order == tuple(range(tensor.start.ndim)):
        return tuple(found)
    return tuple(replace(each, **{f.name: placed_back(getattr(each, f.name)) for f in fields(each)}) for each in found)


def _orders(
    case: RunCase, tensor: TensorProblem, numerical: OptimizerNumericalClass
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Orders of the axes before and after a resume.

    Blocks are of neighbours in the tensor, or in memory, which may be laid out otherwise after a resume. What is stored is
    then quantised again.
    """
    own = (tensor.layout, relaid(tensor.layout)) if case.relaid else (tensor.layout,)
    layouts = ("", *own) if numerical.states.endswith("8bit") else ("",)
    orders = tuple(dict.fromkeys(order_of(layout, tensor.start.shape) for layout in layouts))
    return tuple((before, after) for before in orders for after in (orders if case.relaid else (before,)))


def _either_order(first: tuple[Snapshot, ...], *others: tuple[Snapshot, ...]) -> tuple[Snapshot, ...]:
    """The first, with the larger bounds of all: blocks may be in the order of the axes or of memory."""
    for other in others:
        first = tuple(
            replace(a, theta_bound=np.maximum(a.theta_bound, b.theta_bound)) for a, b in zip(first, other, strict=True)
        )
    return first


# Every format wider than bfloat16 holds these decays, and 1 minus them, exactly: no rounding of a coefficient widens a bound.
# With beta2 = 0 the denominator is |g| + eps at every step, so that the second moment does not show.
EXACT = Hyperparameters(beta1=0.875, beta2=0.9375, beta3=1 - 2.0**-7, alpha=4.0, eps=2.0**-60)
BETA2_ZERO = replace(EXACT, beta2=0.0)
# BETWEEN_TWO lies between two values of bfloat16 (just under half way) and between two of float16 (half way). The large eps of
# VARIED_DIRECTIONS gives every element another direction, and so another rounding of the result.
SCHEDULED = replace(EXACT, weight_decay=0.125, t_alpha=6, t_beta3=6)
BETWEEN_TWO = 1 + 3.5 * 2.0**-10
VARIED_DIRECTIONS = replace(BETA2_ZERO, beta3=0.5, eps=1.0)
PUBLISHED = Hyperparameters(beta1=0.9, beta2=0.999, beta3=0.9999, alpha=8.0, eps=1e-8, weight_decay=0.1)

FAST_AVERAGE = (single("burst", replace(EXACT, beta1=0.5, beta2=0.5, alpha=0.0), "late-burst", 52),)
FAST_CORRECTION = (single("constant-gradient", replace(BETA2_ZERO, alpha=0.0), "constant", 6, dtypes=WIDE),)
SLOW_UNCORRECTED = (single("constant-gradient", BETA2_ZERO, "constant", 6, dtypes=WIDE),)
SLOW_AVERAGE = (
    single("signs", replace(BETA2_ZERO, alpha=64.0), "signs", 24),
    single("paper-beta3", replace(BETA2_ZERO, alpha=64.0, beta3=0.9999), "constant", 24, quick=False, dtypes=WIDE),
)
MIXTURE = (
    single("alpha-4", BETA2_ZERO, "signs", 3),
    single("alpha-half", replace(BETA2_ZERO, alpha=0.5, beta3=0.5), "signs", 3),
    single("beta3-zero", replace(BETA2_ZERO, alpha=0.5, beta3=0.0), "signs", 3),
    single(
        "alpha-between-two", replace(VARIED_DIRECTIONS, alpha=64 * BETWEEN_TWO), "normal", 1, shape=(512,), start=0.0,
        rates=1.0, dtypes=LOW,
    ),
)  # fmt: skip
SECOND_AVERAGE = (single("varied", replace(EXACT, alpha=0.0), "varied", 16, dtypes=WIDE),)
SECOND_CORRECTION = (
    single("paper-beta2", replace(EXACT, beta2=0.999), "constant", 5, dtypes=WIDE),
    # after so many steps without a gradient the corrections alone show the step count
    single(
        "after-2050-steps", replace(EXACT, beta1=1 - 2.0**-9, beta2=1 - 2.0**-10, alpha=0.0), "very-late-burst", 2053,
        start=0.0, rates=1.0, shape=(3,), thorough=True,
    ),
)  # fmt: skip
EPS_OUTSIDE = (
    single("eps-dominates", replace(BETA2_ZERO, eps=2.0**-10), "signs", 4, scale=2.0**-40, rates=2.0**26),
    # an eps of 0 is not a missing eps
    single("no-eps", replace(BETA2_ZERO, eps=0.0), "signs", 4, scale=2.0**-40),
)
EPS_ADDED = (single("gradient-near-eps", replace(BETA2_ZERO, eps=2.0**-10), "signs", 4, scale=2.0**-10),)
# too small to show in the sum, unless it is divided by sqrt(1 - beta2)
EPS_AFTER = (single("eps-below-rounding", replace(EXACT, beta2=0.999, eps=2.0**-22), "constant", 3, start=0.0, rates=1.0),)

DECAYING = replace(BETA2_ZERO, weight_decay=0.125)
DECAY_DECOUPLED = (
    # a rate of 1 hides whether the decay is multiplied by it; without an update, the parameter before and after are the same
    single("rate-one", DECAYING, "zero", 5, rates=1.0, dtypes=WIDE),
)
DECAY_RATE = (
    single("no-gradient", DECAYING, "zero", 5, rates=(0.5, 0.25, 1.0, 0.125, 0.5), dtypes=WIDE),
    several("every-rank", DECAYING, 2, *tuple(TensorCase((3,) * rank, gradients="zero") for rank in range(5)), rates=0.5),
    single("between-two", replace(DECAYING, weight_decay=0.5 * BETWEEN_TWO), "zero", 1, shape=(512,), rates=1.0, dtypes=LOW),
)
DECAY_BEFORE = (single("large-steps", replace(DECAYING, weight_decay=0.5), "signs", 5, rates=0.5),)
RATE_PER_STEP = (
    single("changing", EXACT, "signs", 6, rates=(0.5, 0.25, 0.0, 1.0, 2.0**-6, 0.75)),
    single("warm-up-and-decay", EXACT, "normal", 12, rates=tuple(0.1 * min(t, 13 - t) / 6 for t in range(1, 13)), quick=False),
    single("between-two", VARIED_DIRECTIONS, "normal", 1, shape=(512,), start=0.0, rates=BETWEEN_TWO, dtypes=LOW),
)

# beta1 = beta3 makes beta3's warm-up constant, so that only alpha's shows even where one length sets both.
ALPHA_SHAPE = (single("eight-steps", replace(BETA2_ZERO, beta3=0.875, t_alpha=8, t_beta3=8), "constant", 7, dtypes=WIDE),)
BETA3_SHAPE = (
    single("to-0.9999", replace(BETA2_ZERO, beta3=0.9999, t_beta3=12, alpha=64.0), "constant", 11, dtypes=WIDE),
    single("from-one-half", replace(BETA2_ZERO, beta1=0.5, t_beta3=12), "signs", 11),
)
FIRST_STEP = (
    single("alpha", replace(BETA2_ZERO, beta3=0.875, t_alpha=4, t_beta3=4), "constant", 1, dtypes=WIDE),
    single("beta3", replace(BETA2_ZERO, t_beta3=4), "constant", 1, dtypes=WIDE),
)
NO_EPSILON_IN_LOG = (
    # beta3 = 1 - 2**-20: 1e-8 inside the logarithm is one percent of the half-life, far above any rounding of the schedule
    single("long-memory", replace(BETA2_ZERO, beta3=1 - 2.0**-20, alpha=2.0**16, t_beta3=1000), "constant", 10),
    single(
        "paper-beta3", replace(BETA2_ZERO, beta3=0.9999, alpha=2.0**10, t_beta3=40), "constant", 39, quick=False,
        dtypes=("float64",),
    ),
)  # fmt: skip
SCHEDULE_END = (
    single("at-and-after", replace(BETA2_ZERO, t_alpha=5, t_beta3=5), "constant", 14, dtypes=WIDE),
    single("beta3-alone", replace(BETA2_ZERO, t_beta3=3), "constant", 9, quick=False),
)
NO_SCHEDULE = (
    single("none", BETA2_ZERO, "signs", 4, dtypes=WIDE, literal=True),
    single("zero", replace(BETA2_ZERO, t_alpha=0, t_beta3=0), "signs", 4, literal=True),
)
WARMUP_LENGTHS = (
    single("one-step", replace(BETA2_ZERO, t_alpha=1, t_beta3=1), "signs", 4),
    single("two-steps", replace(BETA2_ZERO, beta3=1 - 2.0**-10, t_alpha=2, t_beta3=2, alpha=64.0), "constant", 4),
    single("three-steps", replace(BETA2_ZERO, t_alpha=3, t_beta3=3), "constant", 5, quick=False),
    single("beyond-the-run", replace(EXACT, beta3=0.9999, t_alpha=770_000, t_beta3=770_000, alpha=2.0**20), "constant", 6),
)
SEPARATE_WARMUPS = (
    single("alpha-longer", replace(BETA2_ZERO, t_alpha=9, t_beta3=4), "constant", 8, dtypes=WIDE),
    single("beta3-longer", replace(BETA2_ZERO, t_alpha=4, t_beta3=9), "constant", 8, quick=False),
    single("alpha-alone", replace(BETA2_ZERO, t_alpha=6), "constant", 8),
)
BETA1_ZERO = (single("no-schedule", replace(BETA2_ZERO, beta1=0.0), "signs", 5, dtypes=WIDE),)
BETA1_ZERO_SCHEDULE = (
    single("six-steps", replace(BETA2_ZERO, beta1=0.0, t_alpha=6, t_beta3=6), "signs", 8),
    single("long-memory", replace(BETA2_ZERO, beta1=0.0, beta3=0.9999, t_beta3=50), "constant", 9, quick=False),
)
IS_ADAMW = (
    single("decay", replace(EXACT, alpha=0.0, weight_decay=0.125), "varied", 12, dtypes=WIDE),
    single("published", replace(PUBLISHED, alpha=0.0), "normal", 40, rates=0.01, quick=False),
)
ZERO_GRADIENTS = (
    single("only-zeros", EXACT, "zero", 3, dtypes=WIDE),
    single("eps-tiny", replace(EXACT, eps=2.0**-100), "zero", 3),
    single("eps-below-the-dtype", replace(EXACT, eps=1e-8), "zero", 3, dtypes=("float16",)),
)
ZERO_AFTERWARDS = (
    single("pauses", EXACT, "pauses", 12, dtypes=WIDE),
    # until the squares have vanished beside eps; then the slow EMA alone moves the parameter, divided by eps
    single(
        "long-silence", replace(EXACT, beta2=0.5, eps=2.0**-10), "early-burst", 320, shape=(3,),
        rates=(0.0,) * 200 + (2.0**-20,) * 120, thorough=True,
    ),
)  # fmt: skip
RANGE = (
    single("tiny", replace(EXACT, beta2=0.75, eps=2.0**-110), "varied", 4, scale=2.0**-48),
    single("huge", EXACT, "varied", 4, scale=2.0**58),
    single("below-eps", replace(EXACT, eps=1e-8), "signs", 4, scale=1e-18, rates=2.0**30),
    single("many-magnitudes", EXACT, "wide-range", 12, shape=(64,), quick=False),
    # for moments in 8 bits: each block has its own scale, and codes lie closer near 0
    single("large-and-graded", EXACT, "graded", 6, shape=(4100,), dtypes=("float32",), quick=False),
    # float32 has no squares of 1e-60: eps alone is left of the denominator
    single("of-1e-30", replace(EXACT, eps=1e-8), "varied", 4, scale=1e-30, rates=2.0**72, start=2.0**-6, dtypes=WIDE),
    single("of-1e30", replace(EXACT, eps=1e-8), "varied", 4, scale=1e30, dtypes=("float64",)),
    # one element whose square overflows does not change the others
    single("one-of-1e30", EXACT, "one-enormous", 4, shape=(8,), quick=False),
)
NON_FINITE = several("one-element", EXACT, 5, TensorCase((8,)), TensorCase((3, 5)))
MISSING = several(
    "gone-and-never-there", replace(EXACT, weight_decay=0.25), 6, TensorCase(), TensorCase(missing=(3, 4, 5)),
    TensorCase(missing=tuple(range(6))),
)  # fmt: skip
SEVERAL_TENSORS = (
    several("same-shape", replace(BETA2_ZERO, t_alpha=6, t_beta3=6), 5, *((TensorCase(),) * 3)),
    several("no-schedule", EXACT, 4, TensorCase((3,)), TensorCase((2, 2)), TensorCase((5,), gradients="constant")),
    # more than fit into one launch of a kernel that takes a table of pointers
    several("four-hundred", EXACT, 2, *((TensorCase((3,)),) * 400), thorough=True),
)
SEVERAL_GROUPS = (
    RunCase(
        "own-hyperparameters",
        (
            GroupCase(replace(EXACT, weight_decay=0.25, t_alpha=4, t_beta3=4), (TensorCase(), TensorCase((2, 3))), 0.25),
            # an eps so large that nothing else is left of the denominator, and a rate that makes up for it
            GroupCase(replace(EXACT, beta1=0.5, alpha=2.0, eps=2.0**30, weight_decay=2.0**-28), (TensorCase(),), 2.0**27),
            GroupCase(replace(EXACT, beta3=0.96875, beta2=0.5, t_alpha=2, t_beta3=2), (TensorCase((1,)),), 0.0625),
        ),
        5,
    ),
    RunCase(
        "same-warm-ups",
        (
            GroupCase(replace(BETA2_ZERO, t_alpha=6, t_beta3=6)),
            GroupCase(replace(BETA2_ZERO, t_alpha=6, t_beta3=6, alpha=9.0)),
            GroupCase(replace(BETA2_ZERO, t_alpha=6, t_beta3=6, beta3=0.96875)),
        ),
        5,
    ),
    RunCase(
        "one-that-joins-later",
        (GroupCase(BETA2_ZERO), GroupCase(replace(EXACT, beta1=0.5, alpha=2.0), (TensorCase(joins_at=2),), 0.25)), 5,
    ),
)  # fmt: skip
SHAPES = (
    several("scalar", EXACT, 3, TensorCase(())),
    several("empty", EXACT, 3, TensorCase((0,)), TensorCase((3, 0)), TensorCase((2,))),
    several("odd-sizes", EXACT, 2, TensorCase((1025,)), TensorCase((7, 11, 3)), TensorCase((1,))),
    several("large", EXACT, 2, TensorCase((4100,), gradients="signs"), dtypes=("float32", *LOW)),
    # on either side of every power of two, since each may be the size of a block
    several(
        "block-boundaries", EXACT, 1,
        *tuple(TensorCase((2**k + off,), gradients="signs") for k in range(3, 17) for off in (-1, 0, 1)), thorough=True,
    ),
    several("many-blocks", EXACT, 2, TensorCase((70_001,), gradients="signs"), quick=False),
)  # fmt: skip
STRIDED = (
    several(
        "images",
        EXACT,
        2,
        TensorCase((2, 3, 4, 5), gradient_layout="transposed"),
        TensorCase((2, 3, 4, 5), layout="transposed"),
    ),
    several("every-second-place", EXACT, 4, *map(_apart, ((5,), (3, 4))), TensorCase()),
    several(
        "one-transposed", EXACT, 4, TensorCase((3, 4), gradient_layout="transposed"), TensorCase((4, 3), layout="transposed")
    ),
)
RESUME = (
    single(
        "mid-warm-up", replace(EXACT, t_alpha=8, t_beta3=8), "normal", 7, resume_after=4, dtypes=("float32", *LOW), start=0.25
    ),
    # float16 would flush the squares to zero: if loading casts moments to it, eps alone is left of the denominator
    single("small-gradients", EXACT, "signs", 5, scale=2.0**-12, resume_after=3, dtypes=("float16",)),
    single("published", replace(PUBLISHED, t_alpha=30, t_beta3=30), "drift", 30, rates=0.01, resume_after=13, quick=False),
    single("large", EXACT, "signs", 4, shape=(4100,), resume_after=2, quick=False),
    RunCase(
        "several-groups",
        (
            GroupCase(EXACT, (TensorCase(), TensorCase())),
            GroupCase(replace(EXACT, beta1=0.5), (TensorCase(), TensorCase((2, 3)))),
        ),
        5,
        resume_after=3,
    ),
    several("after-a-late-start", EXACT, 7, TensorCase(), TensorCase((4,), joins_at=2), resume_after=4),
    several(
        "before-a-first-gradient",
        # without corrections and schedules, so that no clock shows
        replace(BETA2_ZERO, beta1=0.0),
        6,
        TensorCase(missing=(0, 1, 2, 3)),
        TensorCase(),
        resume_after=3,
        quick=False,
    ),
)
RESTORED = (
    single(
        "from-other-ones", replace(EXACT, weight_decay=0.125), "normal", 6, resume_after=3, rebuilt_otherwise=True, dtypes=WIDE
    ),
)
LATE = (
    several(
        "joins-at-step-4", replace(BETA2_ZERO, t_alpha=6, t_beta3=6), 7, TensorCase(gradients="constant"),
        TensorCase((4,), gradients="constant", joins_at=3),
    ),
)  # fmt: skip
ONE_ROUNDING = (
    # starts of 1 to 1.09: bfloat16 rounds the decay of 0.0035 away by itself, but not together with the update
    single(
        "decay-below-half-a-unit", replace(EXACT, weight_decay=0.112), "signs", 1, shape=(512,), start_between=(1.0, 1.09),
        rates=2.0**-5, dtypes=LOW,
    ),
)  # fmt: skip
WIDE_MOMENTS = (
    single("slow-second-moment", replace(EXACT, beta2=0.999, alpha=0.0), "signs", 24, start=0.0, rates=1.0, dtypes=LOW),
    single("slow-average", replace(BETA2_ZERO, beta3=0.999, alpha=64.0), "constant", 24, start=0.0, dtypes=LOW),
)
SWITCH = (
    single("mid-run", replace(EXACT, weight_decay=0.125, t_alpha=6, t_beta3=6), "constant", 10, switch_at=5, dtypes=WIDE),
    single("no-schedule", replace(EXACT, alpha=2.0), "normal", 9, switch_at=4, quick=False),
    several(
        "resumed-later", replace(EXACT, t_alpha=8, t_beta3=8), 9, TensorCase(), TensorCase((3,)), switch_at=3, resume_after=6
    ),
)
REPEAT = (single("twice", replace(EXACT, weight_decay=0.125, t_alpha=4, t_beta3=4), "normal", 5, shape=(129,)),)
GRADIENT_KEPT = (
    single("decaying", replace(EXACT, weight_decay=0.125), "normal", 3, dtypes=WIDE),
    single("plain", EXACT, "normal", 3, dtypes=("float32", *LOW)),
    # the fast EMA is then the gradient itself, and may be its very memory
    single("beta1-zero", replace(EXACT, beta1=0.0), "normal", 3),
    single("maximized", EXACT, "normal", 3, options=(("maximize", True),)),
)
MOMENTS = (
    single(
        "after-a-run", replace(EXACT, weight_decay=0.125, t_alpha=6, t_beta3=6), "normal", 9, asks=frozenset({"moments"}),
        dtypes=("float32", *LOW),
    ),
)  # fmt: skip
PUBLISHED_RUN = (
    single("thirty-steps", replace(PUBLISHED, t_alpha=20, t_beta3=20), "drift", 30, rates=0.01, dtypes=WIDE),
    # starts small enough that bfloat16 holds the updates: near 1 an optimizer that stands still would be within the bound
    single("no-schedule", PUBLISHED, "normal", 30, start=2.0**-6, rates=0.001, dtypes=("float32", "bfloat16")),
    single(
        "four-hundred-steps", replace(PUBLISHED, t_alpha=300, t_beta3=300), "drift", 400,
        rates=tuple(0.01 * min(1.0, t / 30) for t in range(1, 401)), quick=False, interpreted="thorough",
    ),
)  # fmt: skip

# --- Skipped steps -------------------------------------------------------------------------------------------------------

CORRECTED = replace(EXACT, alpha=0.0, beta2=0.75)
OWN_COUNT = (
    single("first-gradient-late", CORRECTED, "constant", 7, missing=(0, 1, 2), start=0.0, dtypes=WIDE),
    several("beside-others", CORRECTED, 6, TensorCase(), TensorCase((4,), "constant", missing=(0, 2, 3)), quick=False),
)
SKIPPED_SCHEDULE = (
    # beta1's correction has ended when the gradient is missing, so that the schedules alone show a clock
    several(
        "beside-others", replace(BETA2_ZERO, beta1=2.0**-6, t_alpha=16, t_beta3=16), 13, TensorCase(gradients="constant"),
        TensorCase((4,), "constant", missing=(5, 6, 9)),
    ),
)  # fmt: skip

# --- Layouts -------------------------------------------------------------------------------------------------------------

SPARSE = (single("some-rows", EXACT, "pauses", 4, sparse=True),)
SHARED_MEMORY = (
    several(
        "expanded-gradient", EXACT, 4, TensorCase((5,), gradient_layout="last axis expanded"),
        TensorCase((3, 4), gradient_layout="last axis expanded"), TensorCase(),
    ),
    single("expanded-parameter", EXACT, "normal", 3, layout="last axis expanded"),
)  # fmt: skip

# --- Precision -----------------------------------------------------------------------------------------------------------

# No step is made until the last, at which the numerator shows in a parameter that was zero.
STANDING_STILL = replace(BETA2_ZERO, beta1=0.0, beta3=0.9999, alpha=64.0, eps=2.0**-10)
LONG_ENOUGH = 1000


def _probed(name: str, gradients: str, **options: object) -> RunCase:
    rates = (0.0,) * (LONG_ENOUGH - 1) + (1.0,)
    return single(name, STANDING_STILL, gradients, LONG_ENOUGH, start=0.0, rates=rates, thorough=True, **options)


SLOW_EMA_MOVES = (
    _probed("takes-in", "constant", dtypes=LOW),
    _probed("forgets", "early-burst", dtypes=LOW),
    # large enough for 8-bit moments: a block's scale could follow all elements together, but not every second one
    _probed("turns", "turning", shape=(4096,), dtypes=("float32",)),
)
SETTLED_AFTER = {"takes-in": 0, "forgets": 3, "turns": 500}
"""The step after which nothing more happens to a slow EMA that stands still."""
DECLARED_GAIN = (
    single("paper-beta3", replace(BETA2_ZERO, alpha=2.0**13, beta3=0.9999), "constant", 8, start=0.0),
    single("longer-memory", replace(BETA2_ZERO, alpha=2.0**16, beta3=0.99999), "signs", 8, start=0.0, quick=False),
)

# --- Saving --------------------------------------------------------------------------------------------------------------

PLAIN_STATE = (
    single("mid-warm-up", replace(EXACT, t_alpha=8, t_beta3=8), "normal", 7, resume_after=4, saved_as="plain"),
    RunCase(
        "several-groups",
        (GroupCase(EXACT, (TensorCase(), TensorCase(()))), GroupCase(replace(EXACT, beta1=0.5), (TensorCase((2, 3)),))), 5,
        resume_after=3, saved_as="plain", quick=False,
    ),
)  # fmt: skip
SAME_BITS = (
    single(
        "mid-warm-up", replace(PUBLISHED, t_alpha=12, t_beta3=12), "normal", 10, resume_after=5, shape=(33,), start=2.0**-10,
        rates=0.25, dtypes=("float32", *LOW),
    ),
)  # fmt: skip

# --- Uses ----------------------------------------------------------------------------------------------------------------

_TWO_GROUPS = (
    GroupCase(SCHEDULED, (TensorCase(), TensorCase((2, 3)), TensorCase(())), rates=(0.5, 0.25, 0.125, 0.5, 0.25)),
    GroupCase(replace(EXACT, beta1=0.5, alpha=2.0), (TensorCase((4,)), TensorCase((1,)))),
)
FLAGS = tuple(
    RunCase(f"{name}-{str(value).lower()}", _TWO_GROUPS, 5, options=((name, value),), quick=quick)
    for name, value, quick in (
        ("foreach", True, True),
        ("foreach", False, False),
        ("fused", True, True),
        ("fused", False, False),
    )
)
MAXIMIZED = (
    RunCase("ascent", _TWO_GROUPS, 5, options=(("maximize", True),)),
    # the decay is no part of the objective: it still shrinks the parameter
    single("decay", DECAYING, "zero", 3, options=(("maximize", True),), dtypes=WIDE),
    RunCase("foreach", _TWO_GROUPS, 5, options=(("foreach", True), ("maximize", True)), quick=False),
)
CHANGED = (
    # alpha, eps and the decay alone: the paper does not say how a changed beta is bias-corrected
    single(
        "alpha-eps-and-decay",
        EXACT,
        "normal",
        7,
        changes=(
            (2, replace(EXACT, alpha=1.0)),
            (4, replace(EXACT, alpha=1.0, weight_decay=0.25)),
            # an eps so large that nothing else is left of the denominator, and a rate that makes up for it
            (5, replace(EXACT, alpha=1.0, weight_decay=2.0**-28, eps=2.0**30)),
        ),
        rates=(0.0625,) * 5 + (2.0**27,) * 2,
        dtypes=WIDE,
    ),
)
WRITTEN = (single("from-outside", replace(EXACT, weight_decay=0.125), "normal", 6, written_at=(2, 4), dtypes=WIDE),)
SIDE_BY_SIDE = (
    several(
        "three-in-one-group", replace(EXACT, weight_decay=0.125), 5, TensorCase(dtype="bfloat16"), TensorCase(dtype="float32"),
        TensorCase(dtype="float16"), TensorCase((4,)),
    ),
)  # fmt: skip
ACCUMULATED = (
    several("three-parts", EXACT, 5, TensorCase(), TensorCase((2, 3)), TensorCase(()), use="accumulated"),
    single("beta1-zero", replace(EXACT, beta1=0.0), "normal", 5, use="accumulated"),
)
CLOSURE = (single("each-step", EXACT, "normal", 4, use="closure"),)
LOSS_SCALING = (
    several("two-overflows", EXACT, 8, TensorCase(missing=(2, 5)), TensorCase((2, 3), missing=(2, 5)), use="scaler"),
)
COMPILED_STEP = (RunCase("schedules-and-rates", _TWO_GROUPS, 5, use="compiled", thorough=True),)
GRAPH = (
    single(
        "schedules-and-rates", SCHEDULED, "normal", 9, rates=tuple(2.0**-k for k in (4, 3, 5, 4, 2, 6, 3, 4, 5)), use="graph",
        options=(("capturable", True),), thorough=True,
    ),
)  # fmt: skip

# --- Processes -----------------------------------------------------------------------------------------------------------

# Rows that do not divide: of five rows four ranks hold 2, 2, 1 and 0.
_SHARDED = GroupCase(SCHEDULED, tuple(TensorCase(shape, "coarse") for shape in ((5, 3), (3,), (8,))))


def _in_processes(name: str, kind: str, world: int, then: int = 0) -> RunCase:
    ranks = Ranks(kind, world, then)
    return RunCase(name, (_SHARDED,), 6, ranks=ranks, resume_after=3 if then else None, thorough=True)


DATA_PARALLEL = (_in_processes("two-ranks", "ddp", 2), _in_processes("four-ranks", "ddp", 4))
SHARDED = (_in_processes("two-ranks", "fsdp", 2), _in_processes("four-ranks", "fsdp", 4))
RESHARDED = (_in_processes("four-to-two", "fsdp", 4, then=2),)
IN_PROCESSES = (*DATA_PARALLEL, *SHARDED, *RESHARDED)

# --- Size and length -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HugeCase:
    """One tensor too large for arrays; see `conformance.ademamix.harness.problem.Huge`."""

    id: str
    huge: Huge
    quick: bool = False
    thorough: bool = True
    dtypes: tuple[str, ...] = ("float32",)
    needs: frozenset[str] = frozenset({"weight-decay"})


HUGE = (HugeCase("beyond-32-bits", Huge(2**31 + 4099, replace(EXACT, eps=1e-8, weight_decay=0.125), (0.25, 0.125))),)

# The rate falls, so that the bound on late steps does not hide errors of early ones.
LONG_RUN = (
    single(
        "ten-thousand-steps", replace(PUBLISHED, t_alpha=6000, t_beta3=6000), "drift", 10_000, shape=(4,),
        rates=tuple(2.0**-10 * min(1.0, t / 500, (10_001 - t) / 2000) for t in range(1, 10_001)), dtypes=WIDE, thorough=True,
    ),
)  # fmt: skip
