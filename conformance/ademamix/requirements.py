"""The rules of AdEMAMix, each with its source and with the bug that it exists to catch."""

from __future__ import annotations

from conformance.requirement import Requirement

_PAPER = "arXiv:2409.03137"

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        "ADM-01",
        "The fast EMA keeps beta1 of itself and takes in 1 - beta1 of the gradient.",
        f"{_PAPER}, algorithm 1, line 9",
        "a gain of 1, or the two weights exchanged",
    ),
    Requirement(
        "ADM-02",
        "The fast EMA is divided by 1 - beta1**t, with t = 1 at the first step.",
        f"{_PAPER}, algorithm 1, lines 5 and 12",
        "no bias correction, or one that is a step late",
    ),
    Requirement(
        "ADM-03",
        "The slow EMA is not bias-corrected.",
        f"{_PAPER}, section 3",
        "dividing the whole numerator by 1 - beta1**t (a step size of lr / bias_correction1), or m2 by 1 - beta3**t",
    ),
    Requirement(
        "ADM-04",
        "The slow EMA keeps beta3 of itself and takes in 1 - beta3 of the gradient.",
        f"{_PAPER}, algorithm 1, line 10",
        "beta1's or a constant gain in the slow EMA",
    ),
    Requirement(
        "ADM-05",
        "The numerator is the corrected fast EMA plus alpha times the slow one.",
        f"{_PAPER}, algorithm 1, line 13",
        "a convex mixture, or alpha applied to both",
    ),
    Requirement(
        "ADM-06",
        "The second moment keeps beta2 of itself and takes in 1 - beta2 of the squared gradient.",
        f"{_PAPER}, algorithm 1, line 11",
        "beta3 or beta1 used for the second moment; squaring after averaging",
    ),
    Requirement(
        "ADM-07",
        "The second moment is divided by 1 - beta2**t, with t = 1 at the first step.",
        f"{_PAPER}, algorithm 1, lines 5 and 12",
        "an uncorrected second moment: first steps too long by 1 / sqrt(1 - beta2)",
    ),
    Requirement(
        "ADM-08",
        "eps is outside the square root.",
        f"{_PAPER}, algorithm 1, line 13",
        "sqrt(nu + eps)",
    ),
    Requirement(
        "ADM-09",
        "eps is added to the square root; it is not a floor under it.",
        f"{_PAPER}, algorithm 1, line 13",
        "max(sqrt(nu), eps), which doubles the update where sqrt(nu) equals eps",
    ),
    Requirement(
        "ADM-10",
        "eps is added after the bias correction of the second moment.",
        f"{_PAPER}, algorithm 1, lines 12 and 13",
        "(sqrt(nu) + eps) / sqrt(1 - beta2**t): an eps that is larger in the first steps",
    ),
    Requirement(
        "ADM-11",
        "Weight decay is decoupled: it never enters the moments.",
        f"{_PAPER}, algorithm 1, line 13",
        "coupled L2: adding weight_decay * theta to the gradient",
    ),
    Requirement(
        "ADM-12",
        "Weight decay is multiplied by the learning rate of the step.",
        f"{_PAPER}, algorithm 1, line 13",
        "theta * (1 - weight_decay), whatever the learning rate",
    ),
    Requirement(
        "ADM-13",
        "Weight decay is taken from the parameter as it was before the update.",
        f"{_PAPER}, algorithm 1, line 13",
        "(theta - lr u)(1 - lr weight_decay): decay after the update",
    ),
    Requirement(
        "ADM-14",
        "The learning rate is that of the step, applied to that step's update only.",
        f"{_PAPER}, algorithm 1, lines 6 and 13",
        "a learning rate kept from construction, or folded into the moments",
    ),
    Requirement(
        "ADM-15",
        "alpha warms up as t alpha / T_alpha.",
        f"{_PAPER}, equation (f_alpha)",
        "another shape of warm-up (square root, cosine)",
    ),
    Requirement(
        "ADM-16",
        "beta3 warms up from beta1 along half-lives that grow linearly.",
        f"{_PAPER}, equation (f_beta3) and appendix A.1",
        "a linear or geometric warm-up of beta3 itself; a start from another decay than beta1",
    ),
    Requirement(
        "ADM-17",
        "The schedules count from 1: the first update uses alpha(1) and beta3(1).",
        f"{_PAPER}, algorithm 1, lines 5 and 6 (listing 2 contradicts it and is not normative)",
        "schedules evaluated at the step count before it is incremented",
    ),
    Requirement(
        "ADM-18",
        "No epsilon is added inside the logarithms of the half-life.",
        f"{_PAPER}, appendix A.1",
        "log(beta + 1e-8), which lengthens the half-life of 0.9999 by 1e-4 and that of 0.999999 by 1e-2",
    ),
    Requirement(
        "ADM-19",
        "From t = T on, alpha and beta3 have exactly their end values.",
        f"{_PAPER}, equations (f_alpha) and (f_beta3)",
        "schedules that overshoot their end, or start again",
    ),
    Requirement(
        "ADM-20",
        "Without warm-ups alpha and beta3 are constant from the first step.",
        f"{_PAPER}, section 4.1 and appendix B.1 (T = 0)",
        "a built-in warm-up that cannot be turned off; 0 / 0",
    ),
    Requirement(
        "ADM-21",
        "One warm-up length for both schedules may be anything from one step to far beyond the run.",
        f"{_PAPER}, algorithm 1 (T_alpha,beta3), table 2 (up to 1.5 million steps)",
        "rounding or integer division of t / T; a warm-up of one step that divides by zero",
    ),
    Requirement(
        "ADM-22",
        "The two warm-ups may have different lengths.",
        f"{_PAPER}, equations (f_alpha) and (f_beta3)",
        "one length used for both",
    ),
    Requirement(
        "ADM-23",
        "With beta1 = 0 the fast EMA is the gradient.",
        f"{_PAPER}, section 3 and appendix C.1.7",
        "a fast EMA that stays at zero, or a correction that divides by it",
    ),
    Requirement(
        "ADM-24",
        "With alpha = 0 it is AdamW.",
        f"{_PAPER}, section 3; arXiv:1711.05101, algorithm 2",
        "an update that still looks at the slow EMA",
    ),
    Requirement(
        "ADM-25",
        "A gradient of zero moves nothing before the first gradient that is not zero, and gives no NaN.",
        "algorithm 1 evaluated: 0 / (0 + eps) = 0",
        "0 / 0 in a denominator without eps, or a direction normalised by it",
    ),
    Requirement(
        "ADM-26",
        "Tiny and huge gradients follow the equations as long as their squares fit the format.",
        "algorithm 1 evaluated within the range of the format",
        "clipping, or treating small gradients as zero",
    ),
    Requirement(
        "ADM-27",
        "A NaN or infinity in one element of a gradient touches no other element.",
        "algorithm 1 is elementwise",
        "skipping or zeroing a whole tensor, or a norm taken over it",
    ),
    Requirement(
        "ADM-28",
        "A parameter without a gradient does not move, decay included.",
        "the convention of torch.optim; the paper is silent",
        "decaying, or going on by momentum, where there is no gradient",
    ),
    Requirement(
        "ADM-29",
        "Tensors of one group share nothing: each is updated as if it were alone.",
        "algorithm 1 is stated for one theta",
        "scheduled values that compound from one parameter to the next; one step count advanced by each",
    ),
    Requirement(
        "ADM-30",
        "Each parameter group has its own hyperparameters and learning rate.",
        "the convention of torch.optim",
        "reading the first group's, or the constructor's, hyperparameters for all groups",
    ),
    Requirement(
        "ADM-31",
        "Every shape works, every element is updated: scalars, empty tensors, sizes that no block divides.",
        "algorithm 1 is elementwise",
        "a tail that is never updated",
    ),
    Requirement(
        "ADM-32",
        "Parameters and gradients may be non-contiguous.",
        "the convention of torch.optim",
        "reading memory in order where a tensor's elements are not",
    ),
    Requirement(
        "ADM-33",
        "Saving the state in the middle of a warm-up, loading it into a new optimizer and going on changes nothing.",
        "algorithm 1: the state is m1, m2, nu and t",
        "a step count that starts again, or moments that lose precision on loading",
    ),
    Requirement(
        "ADM-34",
        "A parameter that joins later starts at t = 1, in its bias corrections and in its schedules.",
        "algorithm 1, line 2, for the parameter that starts; the convention of torch.optim's add_param_group",
        "one clock for the whole optimizer",
    ),
    Requirement(
        "ADM-35",
        "A low-precision parameter is rounded once per step.",
        f"{_PAPER}, appendix B.1 (operations in float32)",
        "storing the decayed parameter first: in bfloat16 that undoes a decay below 2**-9",
    ),
    Requirement(
        "ADM-36",
        "The moments of a low-precision parameter are kept in float32.",
        f"{_PAPER}, appendix B.1 (optimizer states in float32)",
        "moments in bfloat16, where 1 - beta2 = 0.001 is below half a unit in the last place and nu stands still",
    ),
    Requirement(
        "ADM-37",
        "A running AdamW can be switched to AdEMAMix: m2 = 0, schedules from t - t_switch, everything else untouched.",
        f"{_PAPER}, section 4.1 and appendix B.1",
        "restarting the bias corrections, or schedules that count the AdamW steps",
    ),
    Requirement(
        "ADM-38",
        "The same run gives the same bits.",
        "algorithm 1 has no randomness",
        "a race, or an uninitialised buffer",
    ),
    Requirement(
        "ADM-39",
        "The gradient is left as it was.",
        "algorithm 1 only reads g; a training loop may still log or accumulate it",
        "averaging, decaying or scaling in the gradient's own memory",
    ),
    Requirement(
        "ADM-40",
        "Where the moments can be read, they are the algorithm's.",
        f"{_PAPER}, algorithm 1, lines 9 to 11",
        "moments kept bias-corrected or scaled, which another implementation cannot take over",
    ),
    Requirement(
        "ADM-41",
        "A run with the published hyperparameters stays within the rounding bound of every step.",
        f"{_PAPER}, algorithm 1 and section 4.1",
        "small systematic errors that single steps hide: 1 - beta2 formed with too few bits",
    ),
    Requirement(
        "ADM-42",
        "With beta1 = 0 beta3 warms up as beta3**(T / t).",
        f"{_PAPER}, the limit of equation (f_beta3); the paper is silent about its ln(0)",
        "log(0) in the schedule, or a start that an epsilon inside the logarithm has moved",
    ),
)
