"""The rules in combination: each case is a row of a covering array of `conformance.ademamix.interactions`."""

from __future__ import annotations

from conformance.ademamix.edge_cases import IN_PLACE
from conformance.ademamix.interactions import definition_cases, interface_cases, memory_cases
from conformance.ademamix.requirements.base import REQUIREMENTS, followed
from conformance.ademamix.requirements.properties import closure_is_called_once
from conformance.engine.requirement import Level

followed(
    "ADM-70", Level.DEFINITION,
    "Settings, schedules, shapes and sizes follow the algorithm together, each two of their values as each alone.",
    source="algorithm 1 and equations (f_alpha) and (f_beta3), whose terms are independent of each other",
    catches="a branch for one value that forgets another: a tail with a decay, a scalar with a warm-up, an empty tensor first",
    cases=definition_cases(),
)  # fmt: skip


REQUIREMENTS.add(
    "ADM-71",
    Level.INTERFACE,
    "Layouts, groups, ways of calling and of resuming may be combined with each other and with every setting.",
    source="the conventions of torch.optim, which are independent of each other",
    catches="maximize lost where a closure is given, groups that are mixed up by a copy, a decay of the first group in a tail",
    cases=interface_cases(),
)(closure_is_called_once)

followed(
    "ADM-72", Level.INTERFACE,
    "Parameters, gradients and loaded states may lie in memory in any way, each of its own.",
    source="the convention of torch.optim: tensors have strides; gradients of sums, of expanded and of permuted tensors",
    catches="walking parameter, gradient and moments in one order, where one is in channels-last format or has gaps",
    cases=(*memory_cases(), *IN_PLACE),
)  # fmt: skip
