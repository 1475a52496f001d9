"""Runs of several groups of several tensors, each of its own kind: rows of three covering arrays, dealt out to each other.

A run has the values of a row of `RUNS`, each of its groups those of a row of `GROUPS`, and each tensor of a group those of a
row of `TENSORS` (`conformance.ademamix.interactions`). So one run tests many tensors, and three values of which one belongs
to the run, one to a group and one to a tensor meet nearly always, at hardly more cost.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from conformance.ademamix.cases import LOW, GroupCase, RunCase, TensorCase
from conformance.ademamix.harness.layouts import SHARING
from conformance.ademamix.interactions import (
    EPS,
    GROUPS,
    RATES,
    RUNS,
    SHAPES,
    STEPS,
    TENSORS,
    WARMUPS,
    ZEROS,
    called_as,
    changed_hyper,
    shape_of,
)
from conformance.engine.interactions import Combination, combinations
from reference.ademamix import Hyperparameters

QUICK = 4
"""So many runs are made by ``--quick``, and by Triton's interpreter where the run is not thorough."""
JOINS_AT = 2
_SMALL = tuple(TensorCase(shape) for shape in ((3,), (), (2, 2), (1,), (5,)))


def nested_cases() -> tuple[RunCase, ...]:
    """The runs. Deterministic: rows are shuffled by a seed, so that those of one group have nothing in common."""
    runs = combinations(RUNS)
    groups = _shuffled(combinations(GROUPS))
    tensors = _shuffled(combinations(TENSORS))
    slots = [number for number, run in enumerate(runs) for _ in range(run["groups"])]
    rows_of_groups = list(itertools.islice(itertools.cycle(groups), len(slots)))
    rows_of_tensors: list[list[Combination]] = [[] for _ in slots]
    # Each tensor goes to the next place that may have it. Accumulating, torch itself cannot write into places that are shared.
    places = itertools.cycle(range(len(slots)))
    for row in (*tensors, *tensors[: max(0, len(slots) - len(tensors))]):
        allowed = (
            place for place in places if row["gradient lies"] not in SHARING or runs[slots[place]]["use"] != "accumulated"
        )
        rows_of_tensors[next(allowed)].append(row)
    given: list[list[tuple[Combination, list[Combination]]]] = [[] for _ in runs]
    for number, group, own in zip(slots, rows_of_groups, rows_of_tensors, strict=True):
        given[number].append((group, own))
    return tuple(_case(number, run, own) for number, (run, own) in enumerate(zip(runs, given, strict=True)))


def _shuffled(rows: Sequence[Combination]) -> list[Combination]:
    order = list(rows)
    random.Random(1).shuffle(order)
    return order


def _case(number: int, run: Combination, groups: Sequence[tuple[Combination, list[Combination]]]) -> RunCase:
    last = len(groups) - 1
    return RunCase(
        run.id,
        tuple(
            _group(run, group, tensors, JOINS_AT if run["joins later"] != "none" and index == last else 0)
            for index, (group, tensors) in enumerate(groups)
        ),
        STEPS,
        quick=number < QUICK,
        dtypes=(run["dtype"],),
        **called_as(run),
        seed=number + 1,
        combination=run,
        combinations=tuple(row for group, tensors in groups for row in (group, *tensors)),
        interpreted="always" if number < QUICK else "thorough",
    )


def _group(run: Combination, row: Combination, tensors: Sequence[Combination], joins_at: int) -> GroupCase:
    t_alpha, t_beta3 = WARMUPS[row["warm-ups"]]
    hyper = Hyperparameters(
        row["beta1"], row["beta2"], row["beta3"], row["alpha"], EPS[row["eps"]], row["decay"], t_alpha, t_beta3
    )
    changed = changed_hyper(hyper, row["changed later"])
    narrow = run["in float32"] == "every second tensor"
    own = (*map(_tensor, tensors), *itertools.islice(itertools.cycle(_SMALL), run["tensors beside"]))
    return GroupCase(
        hyper,
        tuple(
            replace(
                tensor,
                joins_at=joins_at,
                start=0.5 if run["dtype"] in LOW else 1.0,
                dtype="float32" if narrow and not index % 2 else "",
            )
            for index, tensor in enumerate(_with_empty(own, run["empty tensors"]))
        ),
        # 16 bits hold small steps from 1 badly: larger ones, from nearer to 0, show more
        tuple(rate * (4 if run["dtype"] in LOW else 1) for rate in RATES[row["learning rate"]]),
        ((3, changed),) if changed != hyper else (),
        row["maximize"] == "yes",
    )


def _with_empty(tensors: Sequence[TensorCase], where: str) -> Iterator[TensorCase]:
    """The tensors, and an empty one among them."""
    place = {"none": None, "first": 0, "in the middle": len(tensors) // 2, "last": len(tensors)}[where]
    for index, tensor in enumerate(tensors):
        if index == place:
            yield TensorCase((0,))
        yield tensor
    if place == len(tensors):
        yield TensorCase((0,))


def _tensor(row: Combination) -> TensorCase:
    rank, size = row["rank"], row["size"]
    shape = (1,) * rank if size == "one" else SHAPES["small"][rank] if size == "small" else shape_of(size, rank)
    own, of_gradient = ("" if row[which] == "in order" else row[which] for which in ("parameter lies", "gradient lies"))
    zeros = {**ZEROS, "always": "zero"}[row["zero gradients"]]
    gone = {"none": (), "from a step on": range(3, STEPS), "always": range(STEPS)}[row["missing gradients"]]
    return TensorCase(shape, zeros, missing=tuple(gone), layout=own, gradient_layout=of_gradient)
