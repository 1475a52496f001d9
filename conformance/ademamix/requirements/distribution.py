"""Data parallelism, sharding and checkpoints of torch.distributed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.ademamix import cases
from conformance.ademamix.cases import RunCase, problem_of
from conformance.ademamix.harness.subject import OptimizerSubject
from conformance.ademamix.requirements.base import REQUIREMENTS, compare_parameters
from conformance.engine.comparison import Comparison, compare
from conformance.engine.requirement import Level


@REQUIREMENTS.add(
    "ADM-60",
    Level.INTERFACE,
    "A checkpoint of sharded state goes on with fewer processes.",
    source="algorithm 1: the state is m1, m2, nu and t; torch.distributed.checkpoint",
    catches="moments whose place in the whole tensor is not known, so that each rank loads those of its own number",
    cases=cases.RESHARDED,
)
@REQUIREMENTS.add(
    "ADM-59",
    Level.INTERFACE,
    "With sharded parameters (torch's fully_shard) the run is the single-process run.",
    source="algorithm 1 is elementwise; torch.distributed.fsdp.fully_shard",
    catches="rules by the shape of the tensor at hand, which is a shard; crashing where a shard is empty",
    cases=cases.SHARDED,
)
@REQUIREMENTS.add(
    "ADM-58",
    Level.INTERFACE,
    "Under data parallelism (DistributedDataParallel) every rank follows the single-process run, with the same bits.",
    source="algorithm 1 does not know about processes; torch.nn.parallel.DistributedDataParallel",
    catches="reading a gradient, a view of a flat bucket, from the bucket's beginning; state that depends on the rank",
    cases=cases.DATA_PARALLEL,
)
def in_processes(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """All cases with processes run together, so that the processes start once; take the outcome of this one."""
    jobs = [(problem_of(each, dtype), each.ranks) for each in cases.IN_PROCESSES if each.ranks]
    outcome = subject.run_in_processes(jobs, cases.IN_PROCESSES.index(case))
    yield from compare_parameters(outcome, case, dtype, subject.numerical_class)
    for rank, others in enumerate(outcome.replicas, start=1):
        for number, (got, first) in enumerate(zip(others, outcome.parameters, strict=True)):
            yield compare(f"parameter {number} on rank {rank}, and on rank 0", np.stack(got), np.stack(first), 0.0)
