"""The two warm-ups."""

from __future__ import annotations

from conformance.ademamix import cases
from conformance.ademamix.requirements.base import followed
from conformance.engine.requirement import Level

followed(
    "ADM-15", Level.DEFINITION, "alpha warms up as t alpha / T_alpha.",
    source="equation (f_alpha)", catches="another shape of warm-up (square root, cosine)", cases=cases.ALPHA_SHAPE,
)  # fmt: skip

followed(
    "ADM-16", Level.DEFINITION, "beta3 warms up from beta1 along half-lives that grow linearly.",
    source="equation (f_beta3) and appendix A.1",
    catches="a linear or geometric warm-up of beta3 itself; a start from another decay than beta1", cases=cases.BETA3_SHAPE,
)  # fmt: skip

followed(
    "ADM-17", Level.DEFINITION, "The schedules count from 1: the first update uses alpha(1) and beta3(1).",
    source="algorithm 1, lines 5 and 6 (listing 2 contradicts it and is not normative)",
    catches="schedules evaluated at the step count before it is incremented", cases=cases.FIRST_STEP,
)  # fmt: skip

followed(
    "ADM-18", Level.DEFINITION, "No epsilon is added inside the logarithms of the half-life.",
    source="appendix A.1",
    catches="log(beta + 1e-8), which lengthens the half-life of 0.9999 by 1e-4 and that of 0.999999 by 1e-2",
    cases=cases.NO_EPSILON_IN_LOG,
)  # fmt: skip

followed(
    "ADM-19", Level.DEFINITION, "From t = T on, alpha and beta3 have exactly their end values.",
    source="equations (f_alpha) and (f_beta3)", catches="schedules that overshoot their end, or start again",
    cases=cases.SCHEDULE_END,
)  # fmt: skip

followed(
    "ADM-20", Level.DEFINITION, "Without warm-ups alpha and beta3 are constant from the first step.",
    source="section 4.1 and appendix B.1 (T = 0)", catches="a built-in warm-up that cannot be turned off; 0 / 0",
    cases=cases.NO_SCHEDULE,
)  # fmt: skip

followed(
    "ADM-21", Level.DEFINITION, "One warm-up length for both schedules may be anything from one step to far beyond the run.",
    source="algorithm 1 (T_alpha,beta3), table 2 (up to 1.5 million steps)",
    catches="rounding or integer division of t / T; a warm-up of one step that divides by zero", cases=cases.WARMUP_LENGTHS,
)  # fmt: skip

followed(
    "ADM-22", Level.DEFINITION, "The two warm-ups may have different lengths.",
    source="equations (f_alpha) and (f_beta3)", catches="one length used for both", cases=cases.SEPARATE_WARMUPS,
)  # fmt: skip
