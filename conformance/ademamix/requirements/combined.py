"""The rules in combination: each case is a row of a covering array of `conformance.ademamix.interactions`."""

from __future__ import annotations

from conformance.ademamix.interactions import definition_cases, interface_cases
from conformance.ademamix.requirements.base import followed
from conformance.engine.requirement import Level

followed(
    "ADM-70", Level.DEFINITION,
    "Settings, schedules, shapes and sizes follow the algorithm together, each two of their values as each alone.",
    source="algorithm 1 and equations (f_alpha) and (f_beta3), whose terms are independent of each other",
    catches="a branch for one value that forgets another: a tail with a decay, a scalar with a warm-up, an empty tensor first",
    cases=definition_cases(),
)  # fmt: skip

followed(
    "ADM-71", Level.INTERFACE,
    "Layouts, groups, ways of calling and of resuming may be combined with each other and with every setting.",
    source="the conventions of torch.optim, which are independent of each other",
    catches="maximize lost where a closure is given, groups that are mixed up by a copy, a decay of the first group in a tail",
    cases=interface_cases(),
)  # fmt: skip
