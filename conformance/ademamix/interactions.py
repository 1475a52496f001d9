"""The factors that implementations of AdEMAMix branch on. Every two values are tested together in some case.

Arrays of whole runs: what the paper defines (`DEFINITION`), and what torch.optim promises (`INTERFACE`, `MEMORY`).
A row needs what its values need, so that a feature that an implementation lacks rules out the rows that use it, and no others.

Three more describe a run, a group of it and a tensor of it (`RUNS`, `GROUPS`, `TENSORS`). `conformance.ademamix.nested_cases`
deals the groups and tensors out to the runs, so that what a tensor is meets what its group and its run are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from conformance.ademamix.cases import EXACT, LOW, GroupCase, RunCase, TensorCase
from conformance.ademamix.harness.layouts import LAYOUTS, OWN, SHARING, fewest_axes
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
        Factor(
            "resumed",
            ("never", "torch.save", "arrays and JSON", "other settings", "pickled", "copied", "in a used one", "twice"),
        ),
        Factor("changed later", ("nothing", "alpha", "decay", "eps", "beta3", "warm-ups")),
        Factor("use", ("plain", "closure", "accumulated", "scaler")),
        Factor("groups differ in", ("nothing", "rate", "decay", "all")),
        Factor("groups", (1, 2, 3, 7)),
        Factor("empty tensors", ("none", "first", "in the middle", "last", "all others")),
        Factor("missing gradients", ("none", "from a step on", "always", "of the last group")),
        Factor("maximize", ("none", "all", "the first group", "the last group")),
        Factor("warm-ups", ("none", "equal", "past their end", "fractional")),
        Factor("tensors", (1, 5, 12)),
        Factor("joins later", ("none", "one", "two groups")),
        Factor("rate is", ("a number", "a tensor written into", "a tensor replaced")),
        Factor("size", (6, 257, 4097)),
        Factor("most tensors in", ("the first group", "the last group")),
        Factor("called under", ("nothing", "no_grad")),
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
            ("missing gradients", "tensors", "groups"),
            lambda gone, tensors, groups: gone == "none" or (groups > 1 if gone == "of the last group" else tensors > 1),
            "one tensor has a gradient",
        ),
        Constraint(
            ("groups", "maximize"), lambda groups, what: groups > 1 or what in ("none", "all"), "one group is first and last"
        ),
        Constraint(
            ("groups", "most tensors in"), lambda groups, most: groups > 1 or most == "the first group", "one group has all"
        ),
        Constraint(
            ("changed later", "warm-ups"),
            lambda what, warmups: what != "warm-ups" or warmups in ("equal", "fractional"),
            "what has begun can be made longer",
        ),
        Constraint(
            ("changed later", "beta1"),
            lambda what, beta1: what != "warm-ups" or beta1 > 0, "the paper is silent about ln(0)"
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


def _named(layout: str) -> str:
    return layout or "in order"


def _of_rank(which: str) -> Constraint:
    fewest = {_named(layout): fewest_axes(layout) for layout in LAYOUTS}
    return Constraint(
        (which, "rank"), lambda layout, rank: rank >= fewest[layout], "fewer axes have no such order, or it is another's"
    )


MEMORY = Interactions(
    "ademamix",
    name="memory",
    factors=(
        Factor("gradient lies", tuple(map(_named, LAYOUTS))),
        Factor("parameter lies", tuple(map(_named, OWN))),
        Factor("resumed", ("never", "torch.save", "arrays and JSON", "copied", "relaid")),
        Factor("rank", (1, 2, 3, 4, 5)),
        Factor("size", ("small", "above 4096")),
        Factor("place", ("alone", "first", "last")),
        Factor("use", ("plain", "accumulated")),
        Factor("warm-ups", ("none", "equal")),
        Factor("decay", (0.0, 0.125)),
        Factor("eps", ("tiny", "visible")),
        Factor("beta1", (0.875, 0.0)),
    ),
    constraints=(
        Constraint(
            ("gradient lies", "use"),
            lambda layout, use: use == "plain" or layout not in SHARING,
            "torch itself cannot write into places that are shared",
        ),
        Constraint(
            ("beta1", "warm-ups"), lambda beta1, warmups: beta1 > 0 or warmups == "none", "the paper is silent about ln(0)"
        ),
        *(_of_rank(which) for which in ("gradient lies", "parameter lies")),
    ),
)

RUNS = Interactions(
    "ademamix",
    name="runs",
    factors=(
        Factor("dtype", ("float32", "bfloat16", "float64", "float16")),
        Factor("in float32", ("as the dtype says", "every second tensor")),
        Factor(
            "resumed",
            (
                "never",
                "torch.save",
                "arrays and JSON",
                "other settings",
                "pickled",
                "copied",
                "in a used one",
                "twice",
                "relaid",
            ),
        ),
        Factor("rate is", ("a number", "a tensor written into", "a tensor replaced")),
        Factor("use", ("plain", "closure", "accumulated")),
        Factor("called under", ("nothing", "no_grad")),
        Factor("groups", (1, 2, 3, 6)),
        Factor("tensors beside", (0, 2, 36)),
        Factor("empty tensors", ("none", "first", "in the middle", "last")),
        Factor("joins later", ("none", "the last group")),
    ),
    constraints=(
        Constraint(
            ("groups", "joins later"), lambda groups, joins: groups > 1 or joins == "none", "one group is there at first"
        ),
        Constraint(
            ("groups", "tensors beside"), lambda groups, count: groups < 2 or count < 36, "many in one group, to be quick"
        ),
        Constraint(
            ("dtype", "in float32"), lambda dtype, which: dtype != "float32" or which == "as the dtype says", "they all are"
        ),
    ),
    together=(("dtype", "rate is", "use", "groups"),),
)
GROUPS = Interactions(
    "ademamix",
    name="groups",
    factors=(
        Factor(
            "warm-ups",
            ("none", "equal", "alpha longer", "beta3 longer", "alpha alone", "beta3 alone", "past their end", "fractional"),
        ),
        # Half of these no format holds exactly: what passes them on in float32 is wrong in float64.
        Factor("beta1", (0.0, 0.5, 0.9)),
        Factor("beta2", (0.9375, 0.99)),
        Factor("beta3", (0.75, 0.99)),
        Factor("alpha", (0.0, 0.5, 3.7)),
        Factor("eps", ("tiny", "visible")),
        Factor("decay", (0.0, 0.1)),
        Factor("learning rate", ("constant", "varying", "zero at times")),
        Factor("maximize", ("no", "yes")),
        Factor("changed later", ("nothing", "alpha", "decay", "eps", "beta3", "warm-ups")),
    ),
    constraints=(
        Constraint(
            ("beta1", "warm-ups"),
            lambda beta1, warmups: beta1 > 0 or warmups in ("none", "alpha alone"),
            "the paper is silent about ln(0) in beta3's warm-up",
        ),
        Constraint(
            ("beta3", "beta1", "warm-ups"),
            lambda beta3, beta1, warmups: beta3 > beta1 or warmups in ("none", "alpha alone"),
            "beta3 grows from beta1",
        ),
        Constraint(
            ("changed later", "warm-ups"),
            lambda what, warmups: what != "warm-ups" or warmups in ("equal", "fractional"),
            "what has begun can be made longer",
        ),
    ),
    together=(("warm-ups", "beta1", "beta2", "beta3", "alpha", "eps", "decay", "learning rate", "maximize", "changed later"),),
)
TENSORS = Interactions(
    "ademamix",
    name="tensors",
    factors=(
        Factor("rank", (0, 1, 2, 3, 4, 5)),
        Factor("size", ("one", "small", 256, 257, 4096, 4097)),
        Factor("gradient lies", tuple(map(_named, LAYOUTS))),
        Factor("parameter lies", tuple(map(_named, OWN))),
        Factor("zero gradients", ("none", "in rows", "at times", "always")),
        Factor("missing gradients", ("none", "from a step on", "always")),
    ),
    constraints=(
        Constraint(("size", "rank"), lambda size, rank: rank > 0 or size == "one", "a scalar has one element"),
        Constraint(("rank", "zero gradients"), lambda rank, zeros: rank > 0 or zeros != "in rows", "a scalar has no rows"),
        Constraint(
            ("zero gradients", "missing gradients"),
            lambda zeros, gone: gone != "always" or zeros == "none", "what is never there has no values",
        ),
        *(_of_rank(which) for which in ("gradient lies", "parameter lies")),
        *(
            Constraint(
                (which, "size", "zero gradients", "missing gradients"),
                lambda layout, *others: layout == "in order" or not {"one", "always"} & set(others),
                "one element has no order, and what is all alike shows none",
            )
            for which in ("gradient lies", "parameter lies")
        ),
    ),
    together=(("rank", "gradient lies", "parameter lies"), ("rank", "size", "zero gradients", "missing gradients")),
)  # fmt: skip

INTERACTIONS = (DEFINITION, INTERFACE, MEMORY, RUNS, GROUPS, TENSORS)

QUICK = 8
"""So many rows of each array, which hold the most pairs, are run by ``--quick``."""
INTERPRETED = 4
"""So many are run by Triton's interpreter, where the run is not thorough: each takes up to a second."""
STEPS = 6
WARMUPS: dict[str, tuple[float | None, float | None]] = {
    "none": (None, None), "equal": (8, 8), "alpha longer": (9, 4), "beta3 longer": (4, 9), "alpha alone": (7, None),
    "beta3 alone": (None, 7), "past their end": (2, 2), "fractional": (4.5, 7.25),
}  # fmt: skip
"""Lengths in steps of alpha's and beta3's."""
RATES = {
    "constant": (2.0**-4,) * STEPS,
    "varying": (2.0**-3, 2.0**-4, 2.0**-2, 2.0**-5, 2.0**-3, 2.0**-4),
    "zero at times": (2.0**-4, 0.0, 2.0**-3, 0.0, 0.0, 2.0**-4),
}
EPS = {"tiny": 2.0**-60, "visible": 2.0**-3}
SAVED_AS = {
    "arrays and JSON": "plain", "pickled": "pickled", "copied": "copied", "in a used one": "used", "twice": "twice",
}  # fmt: skip
"""Ways of resuming as `conformance.ademamix.harness.problem.OptimizerProblem` names them; the others are the framework's."""
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
    return _near_zero(
        RunCase(
            row.id,
            (GroupCase(hyper, _beside(tensor, row["tensors"], row["empty tensors"]), RATES[row["learning rate"]][:steps]),),
            steps,
            quick=number < QUICK,
            dtypes=(TURNS[number % len(TURNS)],),
            seed=number + 1,
            thorough=large,
            combination=row,
            interpreted="always" if number < INTERPRETED else "thorough",
        )
    )


def _near_zero(case: RunCase) -> RunCase:
    """In 16 bits parameters start nearer 0: there one rounding of a parameter is small beside the way that it makes."""
    if case.dtypes[0] not in LOW:
        return case
    return replace(
        case,
        groups=tuple(
            replace(group, tensors=tuple(replace(tensor, start=START_IN_16_BITS) for tensor in group.tensors))
            for group in case.groups
        ),
    )


START_IN_16_BITS = 0.125
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
    places: dict[str, Iterable[int]] = {
        "none": (), "first": (0,), "in the middle": (1, count - 2), "last": (count - 1,), "all others": range(count)
    }  # fmt: skip
    for place in places[empty]:
        if place != count // 2:
            tensors[place] = replace(tensor, shape=(0,))
    return tuple(tensors)


def interface_cases() -> tuple[RunCase, ...]:
    """A run for each row of `INTERFACE`."""
    return tuple(_interface_case(number, row) for number, row in enumerate(combinations(INTERFACE)))


def called_as(row: Combination) -> dict[str, Any]:
    """How the optimizer of a row is called and saved, as keywords of `RunCase`."""
    resumed = row["resumed"]
    return {
        "resume_after": None if resumed == "never" else 4,
        "saved_as": SAVED_AS.get(resumed, ""),
        "rebuilt_otherwise": resumed == "other settings",
        "relaid": resumed == "relaid",
        "use": "" if row["use"] == "plain" else row["use"],
        "within": "" if row["called under"] == "nothing" else row["called under"],
        "rate_tensors": row["rate is"].removeprefix("a tensor ").removesuffix(" into").replace("a number", ""),
    }


def _interface_case(number: int, row: Combination) -> RunCase:
    t_alpha, t_beta3 = WARMUPS[row["warm-ups"]]
    hyper = replace(
        EXACT, beta1=row["beta1"], weight_decay=row["decay"], eps=EPS[row["eps"]], t_alpha=t_alpha, t_beta3=t_beta3
    )
    groups = tuple(_group(row, hyper, index) for index in range(row["groups"]))
    for joins_at in {"none": (), "one": (2,), "two groups": (1, 3)}[row["joins later"]]:
        # as of its first step, so that a warm-up of other groups shows
        other = replace(hyper, alpha=hyper.alpha / 2, weight_decay=0.25)
        groups += (GroupCase(other, (TensorCase((4,), joins_at=joins_at),), RATES["constant"], maximize=groups[0].maximize),)
    return _near_zero(
        RunCase(
            row.id,
            groups,
            STEPS,
            quick=number < QUICK,
            # torch's GradScaler refuses gradients in float16
            dtypes=(TURNS[number % len(TURNS)] if row["use"] != "scaler" else "float32",),
            **called_as(row),
            seed=number + 1,
            combination=row,
            interpreted="always" if number < INTERPRETED else "thorough",
        )
    )


def _group(row: Combination, hyper: Hyperparameters, index: int) -> GroupCase:
    """The group of that number. Each has a tensor of the row's size; the first has the most others."""
    what = row["groups differ in"] if index else "nothing"
    if what in ("decay", "all"):
        hyper = replace(hyper, weight_decay=hyper.weight_decay + 0.0625 * index)
    if what == "all":
        hyper = replace(hyper, beta2=0.75, beta3=1 - 2.0 ** -(3 + index), alpha=hyper.alpha + index)
    rate = 2.0 ** -(4 + index % 2) if what in ("rate", "all") else 2.0**-4
    changed = changed_hyper(hyper, row["changed later"])
    changes = ((3, changed),) if changed != hyper else ()
    tensor = TensorCase(shape_of(row["size"], 2))
    last = index == row["groups"] - 1
    has_most = last if row["most tensors in"] == "the last group" else not index
    count = row["tensors"] if has_most else min(row["tensors"], 3)  # to be quick
    tensors = tuple(_laid_out(each, row["layout"]) for each in _beside(tensor, count, row["empty tensors"]))
    gone = {"from a step on": range(2, STEPS), "always": range(STEPS)}.get(row["missing gradients"], ())
    if gone:
        tensors = (replace(tensors[0], missing=tuple(gone)), *tensors[1:])
    if last and row["missing gradients"] == "of the last group":
        tensors = tuple(replace(each, missing=tuple(range(2, STEPS))) for each in tensors)
    if row["use"] == "scaler":
        tensors = tuple(replace(each, missing=(2,)) for each in tensors)
    maximize = {"none": False, "all": True, "the first group": not index, "the last group": last}[row["maximize"]]
    return GroupCase(hyper, tensors, (rate,) * 3 + (2 * rate,) * (STEPS - 3), changes, maximize)


def changed_hyper(hyper: Hyperparameters, what: str) -> Hyperparameters:
    """With another value of what a training changes on its way."""
    changed: dict[str, dict[str, float]] = {
        "nothing": {},
        "alpha": {"alpha": hyper.alpha / 4 or 1.0},
        "decay": {"weight_decay": 0.5},
        "eps": {"eps": 2.0},
        "beta3": {"beta3": 0.9375},
        "warm-ups": {name: 2 * length for name in ("t_alpha", "t_beta3") if (length := getattr(hyper, name))},
    }
    return replace(hyper, **changed[what])


def _laid_out(tensor: TensorCase, layout: str) -> TensorCase:
    """The tensor in that layout; see `conformance.ademamix.harness.layouts`."""
    of_parameter, of_gradient = {
        "contiguous": ("", ""),
        "every second place": ("every second place", "every second place"),
        "at an offset": ("at an offset", "at an offset"),
        "parameter transposed": ("transposed", ""),
        "gradient transposed": ("", "transposed"),
        "gradient expanded": ("", "last axis expanded"),
    }[layout]
    return replace(tensor, layout=of_parameter, gradient_layout=of_gradient)


def memory_cases() -> tuple[RunCase, ...]:
    """A run for each row of `MEMORY`."""
    return tuple(_memory_case(number, row) for number, row in enumerate(combinations(MEMORY)))


SHAPES = {
    "small": {1: (7,), 2: (3, 5), 3: (2, 3, 5), 4: (2, 3, 4, 5), 5: (2, 3, 2, 3, 2)},
    "above 4096": {1: (4100,), 2: (63, 66), 3: (3, 43, 33), 4: (3, 5, 17, 17), 5: (2, 3, 7, 9, 11)},
}
"""Shapes by rank, all axes of a large one of lengths of their own."""


def _memory_case(number: int, row: Combination) -> RunCase:
    t_alpha, t_beta3 = WARMUPS[row["warm-ups"]]
    hyper = replace(
        EXACT, beta1=row["beta1"], weight_decay=row["decay"], eps=EPS[row["eps"]], t_alpha=t_alpha, t_beta3=t_beta3
    )
    own, of_gradient = ("" if row[which] == "in order" else row[which] for which in ("parameter lies", "gradient lies"))
    tensor = TensorCase(SHAPES[row["size"]][row["rank"]], layout=own, gradient_layout=of_gradient)
    others = () if row["place"] == "alone" else (TensorCase((2, 2)), TensorCase(()))
    tensors = (*others, tensor) if row["place"] == "last" else (tensor, *others)
    resumed = row["resumed"]
    return _near_zero(
        RunCase(
            row.id,
            (GroupCase(hyper, tensors, 2.0**-4),),
            3,
            quick=number < QUICK,
            dtypes=(TURNS[number % len(TURNS)],),
            resume_after=None if resumed == "never" else 2,
            saved_as=SAVED_AS.get(resumed, ""),
            relaid=resumed == "relaid",
            use="" if row["use"] == "plain" else row["use"],
            seed=number + 1,
            combination=row,
            interpreted="always" if number < INTERPRETED else "thorough",
        )
    )
