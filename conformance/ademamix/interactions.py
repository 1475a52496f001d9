"""The factors that implementations of AdEMAMix branch on. Every two values are tested together in some case.

Two arrays, since they have two levels: what the paper defines (`DEFINITION`), and what torch.optim promises (`INTERFACE`).
A row needs what its values need, so that a feature that an implementation lacks rules out the rows that use it, and no others.
"""

from __future__ import annotations

from dataclasses import replace

from conformance.ademamix.cases import EXACT, GroupCase, RunCase, TensorCase
from conformance.engine.interactions import Combination, Constraint, Factor, Interactions, combinations
from reference.ademamix import Hyperparameters

DEFINITION = Interactions(
    "ademamix",
    name="definition",
    factors=(
        Factor("size", (1, 255, 256, 257, 4095, 4096, 4097, 2**16, 2**20 + 3)),
        Factor("warm-ups", ("none", "equal", "alpha longer", "beta3 longer", "alpha alone", "beta3 alone", "past their end")),
        Factor("rank", (0, 1, 2, 3, 4)),
        Factor("empty tensors", ("none", "first", "in the middle", "last")),
        Factor("tensors", (1, 5, 40)),
        Factor("alpha", (0.0, 0.5, 4.0)),
        Factor("beta3", (0.75, 1 - 2.0**-7, 0.9999)),
        Factor("zero gradients", ("none", "in rows", "at times")),
        Factor("learning rate", ("constant", "varying", "zero at times")),
        Factor("beta1", (0.0, 0.875)),
        Factor("beta2", (0.9375, 0.999)),
        Factor("eps", ("tiny", "visible")),
        Factor("decay", (0.0, 0.125)),
    ),
    constraints=(
        Constraint(("size", "rank"), lambda size, rank: rank > 0 or size == 1, "a scalar has one element"),
        Constraint(("rank", "zero gradients"), lambda rank, zeros: rank > 0 or zeros != "in rows", "a scalar has no rows"),
        Constraint(
            ("size", "tensors"), lambda size, tensors: size < 2**16 or tensors == 1, "large ones come alone, to be quick"
        ),
        Constraint(("rank", "tensors"), lambda rank, tensors: tensors < 40 or rank < 2, "many are vectors, to be quick"),
        Constraint(
            ("empty tensors", "tensors"), lambda empty, tensors: tensors > 1 or empty == "none", "one tensor is not empty"
        ),
        Constraint(
            ("beta1", "warm-ups"),
            lambda beta1, warmups: beta1 > 0 or warmups in ("none", "alpha alone"),
            "the paper is silent about ln(0) in beta3's warm-up",
        ),
        Constraint(
            ("beta3", "warm-ups"),
            lambda beta3, warmups: beta3 > 0.875 or warmups in ("none", "alpha alone"),
            "beta3 grows from beta1",
        ),
    ),
)

INTERFACE = Interactions(
    "ademamix",
    name="interface",
    factors=(
        Factor(
            "layout",
            ("contiguous", "every second place", "at an offset", "parameter transposed", "gradient transposed",
             "gradient expanded"),
        ),
        Factor("resumed", ("never", "torch.save", "arrays and JSON", "other settings", "pickled", "copied")),
        Factor("use", ("plain", "closure", "accumulated", "scaler")),
        Factor("groups differ in", ("nothing", "rate", "decay", "all")),
        Factor("groups", (1, 2, 5)),
        Factor("empty tensors", ("none", "first", "in the middle", "last")),
        Factor("tensors", (1, 5, 12)),
        Factor("changed later", ("nothing", "alpha", "decay", "eps")),
        Factor("size", (6, 257, 4097)),
        Factor("missing gradients", ("none", "from a step on", "always")),
        Factor("warm-ups", ("none", "equal", "past their end")),
        Factor("rate is", ("a number", "a tensor")),
        Factor("joins later", ("none", "one")),
        Factor("maximize", (False, True)),
        Factor("beta1", (0.0, 0.875)),
        Factor("decay", (0.0, 0.125)),
        Factor("eps", ("tiny", "visible")),
    ),
    constraints=(
        Constraint(
            ("groups", "groups differ in"), lambda groups, what: groups > 1 or what == "nothing", "one group is like itself"
        ),
        Constraint(
            ("empty tensors", "tensors"), lambda empty, tensors: tensors > 1 or empty == "none", "one tensor is not empty"
        ),
        Constraint(
            ("missing gradients", "tensors"), lambda gone, tensors: tensors > 1 or gone == "none", "one tensor has a gradient"
        ),
        Constraint(
            ("use", "missing gradients"), lambda use, gone: use != "scaler" or gone == "none", "a scaler skips all of a step"
        ),
        Constraint(
            ("use", "joins later"), lambda use, joins: use != "scaler" or joins == "none", "or less is compared"
        ),
        Constraint(
            ("use", "layout"),
            lambda use, layout: use not in ("scaler", "accumulated") or layout != "gradient expanded",
            "torch itself cannot write into expanded gradients",
        ),
        Constraint(
            ("beta1", "warm-ups"), lambda beta1, warmups: beta1 > 0 or warmups == "none", "the paper is silent about ln(0)"
        ),
    ),
)  # fmt: skip

INTERACTIONS = (DEFINITION, INTERFACE)

QUICK = 8
"""So many rows of each array, which hold the most pairs, are run by ``--quick``."""
STEPS = 6
WARMUPS: dict[str, tuple[int | None, int | None]] = {
    "none": (None, None), "equal": (8, 8), "alpha longer": (9, 4), "beta3 longer": (4, 9), "alpha alone": (7, None),
    "beta3 alone": (None, 7), "past their end": (2, 2),
}  # fmt: skip
"""Lengths in steps of alpha's and beta3's."""
RATES = {
    "constant": (2.0**-4,) * STEPS,
    "varying": (2.0**-3, 2.0**-4, 2.0**-2, 2.0**-5, 2.0**-3, 2.0**-4),
    "zero at times": (2.0**-4, 0.0, 2.0**-3, 0.0, 0.0, 2.0**-4),
}
EPS = {"tiny": 2.0**-60, "visible": 2.0**-3}
TURNS = ("float32", "float32", "float32", "bfloat16", "float32", "float32", "float64", "float32", "float16")
"""The dtype of each row, in turn: mostly the one that every implementation takes."""


def definition_cases() -> tuple[RunCase, ...]:
    """A run for each row of `DEFINITION`."""
    return tuple(_definition_case(number, row) for number, row in enumerate(combinations(DEFINITION)))


def _definition_case(number: int, row: Combination) -> RunCase:
    t_alpha, t_beta3 = WARMUPS[row["warm-ups"]]
    hyper = Hyperparameters(
        row["beta1"], row["beta2"], row["beta3"], row["alpha"], EPS[row["eps"]], row["decay"], t_alpha, t_beta3
    )
    large = row["size"] > 2**16
    steps = 2 if large else 3 if row["tensors"] == 40 or row["size"] == 2**16 else STEPS  # to be quick
    tensor = TensorCase(shape_of(row["size"], row["rank"]), ZEROS[row["zero gradients"]])
    return RunCase(
        row.id,
        (GroupCase(hyper, _beside(tensor, row["tensors"], row["empty tensors"]), RATES[row["learning rate"]][:steps]),),
        steps,
        quick=number < QUICK,
        dtypes=(TURNS[number % len(TURNS)],),
        seed=number + 1,
        thorough=large,
        combination=row,
        compiled_only=number >= QUICK,
    )


ZEROS = {"none": "normal", "in rows": "zero-rows", "at times": "pauses"}


def shape_of(size: int, rank: int) -> tuple[int, ...]:
    """A shape of so many elements and axes; the last axis is as long as it can be."""
    shape: tuple[int, ...] = ()
    for _ in range(rank - 1):
        factor = next((f for f in (2, 3, 5, 17) if size % f == 0 and size > f), 1)
        shape, size = (*shape, factor), size // factor
    return (*shape, size) if rank else ()


def _beside(tensor: TensorCase, count: int, empty: str) -> tuple[TensorCase, ...]:
    """The tensor among small others, so many in all; some of them empty."""
    others = [replace(tensor, shape=shape) for shape in ((3,), (2, 2), (), (5,))]
    others = [replace(each, gradients="normal") if not each.shape else each for each in others]
    tensors = [others[n % len(others)] for n in range(count - 1)]
    tensors.insert(count // 2, tensor)
    places = {"none": (), "first": (0,), "in the middle": (1, count - 2), "last": (count - 1,)}[empty]
    for place in places:
        if place != count // 2:
            tensors[place] = replace(tensor, shape=(0,))
    return tuple(tensors)


def interface_cases() -> tuple[RunCase, ...]:
    """A run for each row of `INTERFACE`."""
    return tuple(_interface_case(number, row) for number, row in enumerate(combinations(INTERFACE)))


def _interface_case(number: int, row: Combination) -> RunCase:
    t_alpha, t_beta3 = WARMUPS[row["warm-ups"]]
    hyper = replace(
        EXACT, beta1=row["beta1"], weight_decay=row["decay"], eps=EPS[row["eps"]], t_alpha=t_alpha, t_beta3=t_beta3
    )
    groups = tuple(_group(row, hyper, index) for index in range(row["groups"]))
    if row["joins later"] == "one":
        other = replace(hyper, alpha=hyper.alpha / 2, weight_decay=0.25)
        groups += (GroupCase(other, (TensorCase((4,), joins_at=2),), RATES["constant"]),)
    resumed = row["resumed"]
    return RunCase(
        row.id,
        groups,
        STEPS,
        quick=number < QUICK,
        # torch's GradScaler refuses gradients in float16
        dtypes=(TURNS[number % len(TURNS)] if row["use"] != "scaler" else "float32",),
        resume_after=None if resumed == "never" else 4,
        saved_as={"arrays and JSON": "plain", "pickled": "pickled", "copied": "copied"}.get(resumed, ""),
        rebuilt_otherwise=resumed == "other settings",
        use="" if row["use"] == "plain" else row["use"],
        options=(("maximize", True),) if row["maximize"] else (),
        rate_tensors=row["rate is"] == "a tensor",
        seed=number + 1,
        combination=row,
        compiled_only=number >= QUICK,
    )


def _group(row: Combination, hyper: Hyperparameters, index: int) -> GroupCase:
    """The group of that number. Each has a tensor of the row's size; the first has the most others."""
    what = row["groups differ in"] if index else "nothing"
    if what in ("decay", "all"):
        hyper = replace(hyper, weight_decay=hyper.weight_decay + 0.0625 * index)
    if what == "all":
        hyper = replace(hyper, beta2=0.75, beta3=1 - 2.0 ** -(3 + index), alpha=hyper.alpha + index)
    rate = 2.0 ** -(4 + index % 2) if what in ("rate", "all") else 2.0**-4
    changes = {
        "nothing": (),
        "alpha": ((3, replace(hyper, alpha=hyper.alpha / 4)),),
        "decay": ((3, replace(hyper, weight_decay=0.5)),),
        "eps": ((3, replace(hyper, eps=2.0)),),
    }[row["changed later"]]
    tensor = TensorCase(shape_of(row["size"], 2))
    count = row["tensors"] if not index else min(row["tensors"], 5)  # to be quick
    tensors = tuple(_laid_out(each, row["layout"]) for each in _beside(tensor, count, row["empty tensors"]))
    gone = {"none": (), "from a step on": range(2, STEPS), "always": range(STEPS)}[row["missing gradients"]]
    if gone:
        tensors = (replace(tensors[0], missing=tuple(gone)), *tensors[1:])
    if row["use"] == "scaler":
        tensors = tuple(replace(each, missing=(2,)) for each in tensors)
    return GroupCase(hyper, tensors, (rate,) * 3 + (2 * rate,) * (STEPS - 3), changes)


def _laid_out(tensor: TensorCase, layout: str) -> TensorCase:
    """The tensor in that layout, as far as it has axes enough."""
    axes, which = len(tensor.shape), layout.partition(" ")[0]
    if layout == "every second place":
        return replace(tensor, strided=axes > 0)
    if layout == "at an offset":
        return replace(tensor, offset=True)
    if layout.endswith("transposed"):
        return replace(tensor, transposed=which if axes > 1 else "")
    return replace(tensor, expanded="gradient" if layout == "gradient expanded" and axes else "")
