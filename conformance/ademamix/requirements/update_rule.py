"""The rule of one update: moments, corrections, mixture, eps, decay and learning rate."""

from __future__ import annotations

from conformance.ademamix import cases
from conformance.ademamix.requirements.base import followed
from conformance.engine.requirement import Level

followed(
    "ADM-01", Level.DEFINITION, "The fast EMA keeps beta1 of itself and takes in 1 - beta1 of the gradient.",
    source="algorithm 1, line 9", catches="a gain of 1, or the two weights exchanged", cases=cases.FAST_AVERAGE,
)  # fmt: skip

followed(
    "ADM-02", Level.DEFINITION, "The fast EMA is divided by 1 - beta1**t, with t = 1 at the first step.",
    source="algorithm 1, lines 5 and 12", catches="no bias correction, or one that is a step late",
    cases=cases.FAST_CORRECTION,
)  # fmt: skip

followed(
    "ADM-03", Level.DEFINITION, "The slow EMA is not bias-corrected.",
    source="section 3",
    catches="dividing the whole numerator by 1 - beta1**t (a step size of lr / bias_correction1), or m2 by 1 - beta3**t",
    cases=cases.SLOW_UNCORRECTED,
)  # fmt: skip

followed(
    "ADM-04", Level.DEFINITION, "The slow EMA keeps beta3 of itself and takes in 1 - beta3 of the gradient.",
    source="algorithm 1, line 10", catches="beta1's or a constant gain in the slow EMA", cases=cases.SLOW_AVERAGE,
)  # fmt: skip

followed(
    "ADM-05", Level.DEFINITION, "The numerator is the corrected fast EMA plus alpha times the slow one.",
    source="algorithm 1, line 13", catches="a convex mixture, or alpha applied to both", cases=cases.MIXTURE,
)  # fmt: skip

followed(
    "ADM-06", Level.DEFINITION, "The second moment keeps beta2 of itself and takes in 1 - beta2 of the squared gradient.",
    source="algorithm 1, line 11", catches="beta3 or beta1 used for the second moment; squaring after averaging",
    cases=cases.SECOND_AVERAGE,
)  # fmt: skip

followed(
    "ADM-07", Level.DEFINITION, "The second moment is divided by 1 - beta2**t, with t = 1 at the first step.",
    source="algorithm 1, lines 5 and 12", catches="an uncorrected second moment: first steps too long by 1 / sqrt(1 - beta2)",
    cases=cases.SECOND_CORRECTION,
)  # fmt: skip

followed(
    "ADM-08", Level.DEFINITION, "eps is outside the square root.",
    source="algorithm 1, line 13", catches="sqrt(nu + eps)", cases=cases.EPS_OUTSIDE,
)  # fmt: skip

followed(
    "ADM-09", Level.DEFINITION, "eps is added to the square root; it is not a floor under it.",
    source="algorithm 1, line 13", catches="max(sqrt(nu), eps), which doubles the update where sqrt(nu) equals eps",
    cases=cases.EPS_ADDED,
)  # fmt: skip

followed(
    "ADM-10", Level.DEFINITION, "eps is added after the bias correction of the second moment.",
    source="algorithm 1, lines 12 and 13",
    catches="(sqrt(nu) + eps) / sqrt(1 - beta2**t): an eps that is larger in the first steps", cases=cases.EPS_AFTER,
)  # fmt: skip

followed(
    "ADM-11", Level.DEFINITION, "Weight decay is decoupled: it never enters the moments.",
    source="algorithm 1, line 13", catches="coupled L2: adding weight_decay * theta to the gradient",
    cases=cases.DECAY_DECOUPLED,
)  # fmt: skip

followed(
    "ADM-12", Level.DEFINITION, "Weight decay is multiplied by the learning rate of the step.",
    source="algorithm 1, line 13", catches="theta * (1 - weight_decay), whatever the learning rate", cases=cases.DECAY_RATE,
)  # fmt: skip

followed(
    "ADM-13", Level.DEFINITION, "Weight decay is taken from the parameter as it was before the update.",
    source="algorithm 1, line 13", catches="(theta - lr u)(1 - lr weight_decay): decay after the update",
    cases=cases.DECAY_BEFORE,
)  # fmt: skip

followed(
    "ADM-14", Level.DEFINITION, "The learning rate is that of the step, applied to that step's update only.",
    source="algorithm 1, lines 6 and 13", catches="a learning rate kept from construction, or folded into the moments",
    cases=cases.RATE_PER_STEP,
)  # fmt: skip
