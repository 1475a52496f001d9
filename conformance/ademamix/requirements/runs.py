"""Limits, ranges, several tensors and groups, states, and what a training loop does: each a run, followed step by step."""

from __future__ import annotations

from conformance.ademamix import cases
from conformance.ademamix.requirements.base import followed
from conformance.engine.requirement import Level

followed(
    "ADM-23", Level.DEFINITION, "With beta1 = 0 the fast EMA is the gradient.",
    source="section 3 and appendix C.1.7", catches="a fast EMA that stays at zero, or a correction that divides by it",
    cases=cases.BETA1_ZERO,
)  # fmt: skip

followed(
    "ADM-24", Level.DEFINITION, "With alpha = 0 it is AdamW.",
    source="section 3; arXiv:1711.05101, algorithm 2", catches="an update that still looks at the slow EMA",
    cases=cases.IS_ADAMW,
)  # fmt: skip

followed(
    "ADM-26", Level.ROBUSTNESS, "Tiny and huge gradients follow the equations as long as their squares fit the format.",
    source="algorithm 1 evaluated within the range of the format", catches="clipping, or treating small gradients as zero",
    cases=cases.RANGE,
)  # fmt: skip

followed(
    "ADM-29", Level.DEFINITION, "Tensors of one group share nothing: each is updated as if it were alone.",
    source="algorithm 1 is stated for one theta",
    catches="scheduled values that compound from one parameter to the next; one step count advanced by each",
    cases=cases.SEVERAL_TENSORS,
)  # fmt: skip

followed(
    "ADM-30", Level.INTERFACE, "Each parameter group has its own hyperparameters and learning rate.",
    source="the convention of torch.optim",
    catches="reading the first group's, or the constructor's, hyperparameters for all groups", cases=cases.SEVERAL_GROUPS,
)  # fmt: skip

followed(
    "ADM-31", Level.DEFINITION,
    "Every shape works, every element is updated: scalars, empty tensors, sizes that no block divides.",
    source="algorithm 1 is elementwise", catches="a tail that is never updated", cases=cases.SHAPES,
)  # fmt: skip

followed(
    "ADM-32", Level.INTERFACE, "Parameters and gradients may be non-contiguous.",
    source="the convention of torch.optim", catches="reading memory in order where a tensor's elements are not",
    cases=cases.STRIDED,
)  # fmt: skip

followed(
    "ADM-33", Level.INTERFACE,
    "Saving the state in the middle of a warm-up, loading it into a new optimizer and going on changes nothing.",
    source="algorithm 1: the state is m1, m2, nu and t",
    catches="a step count that starts again, or moments that lose precision on loading", cases=cases.RESUME,
)  # fmt: skip

followed(
    "ADM-34", Level.INTERFACE, "A parameter that joins later starts at t = 1, in its bias corrections and in its schedules.",
    source="algorithm 1, line 2, for the parameter that starts; the convention of torch.optim's add_param_group",
    catches="one clock for the whole optimizer", cases=cases.LATE,
)  # fmt: skip

followed(
    "ADM-35", Level.DEFINITION, "A low-precision parameter is rounded once per step.",
    source="appendix B.1 (operations in float32)",
    catches="storing the decayed parameter first: in bfloat16 that undoes a decay below 2**-9", cases=cases.ONE_ROUNDING,
)  # fmt: skip

followed(
    "ADM-37", Level.DEFINITION,
    "A running AdamW can be switched to AdEMAMix: m2 = 0, schedules from t - t_switch, everything else untouched.",
    source="section 4.1 and appendix B.1", catches="restarting the bias corrections, or schedules that count the AdamW steps",
    cases=cases.SWITCH,
)  # fmt: skip

followed(
    "ADM-41", Level.DEFINITION, "A run with the published hyperparameters stays within the rounding bound of every step.",
    source="algorithm 1 and section 4.1",
    catches="small systematic errors that single steps hide: 1 - beta2 formed with too few bits", cases=cases.PUBLISHED_RUN,
)  # fmt: skip

followed(
    "ADM-42", Level.READING, "With beta1 = 0 beta3 warms up as beta3**(T / t).",
    source="the limit of equation (f_beta3); the paper is silent about its ln(0)",
    catches="log(0) in the schedule, or a start that an epsilon inside the logarithm has moved",
    cases=cases.BETA1_ZERO_SCHEDULE,
)  # fmt: skip

followed(
    "ADM-43", Level.DEFINITION,
    "After others, a gradient of zero is one like any other: the moments decay, and the parameter moves on by them.",
    source="algorithm 1, lines 9 to 13", catches="skipping the elements, or the tensors, whose gradient is zero",
    cases=cases.ZERO_AFTERWARDS,
)  # fmt: skip

followed(
    "ADM-44", Level.READING, "A parameter that skipped steps is bias-corrected by the number of its own updates.",
    source="algorithm 1, lines 5 and 12 (the weights of the gradients seen sum to one); torch.optim's convention",
    catches="one step count for the group: a first gradient at step 10 is divided by 1 - beta1**10", cases=cases.OWN_COUNT,
)  # fmt: skip

followed(
    "ADM-49", Level.DEFINITION, "1 - beta3 has the precision that the numerical class declares.",
    source="algorithm 1, line 10",
    catches="forming 1 - beta3 in float32 undeclared, which is wrong by 1.7e-4 at 0.9999; or in fewer bits",
    cases=cases.DECLARED_GAIN,
)  # fmt: skip

followed(
    "ADM-50", Level.INTERFACE, "The state is arrays and plain values: it survives safetensors, which hold nothing else.",
    source="algorithm 1: the state is m1, m2, nu and t; the safetensors format",
    catches="a step count, or a schedule's position, kept where only pickling finds it", cases=cases.PLAIN_STATE,
)  # fmt: skip

followed(
    "ADM-52", Level.INTERFACE, "The arguments foreach and fused change how the update is made, not what it is.",
    source="the convention of torch.optim",
    catches="a batched path with a rule of its own, or one that treats all tensors alike", cases=cases.FLAGS,
)  # fmt: skip

followed(
    "ADM-53", Level.INTERFACE, "Gradients may be accumulated in the same memory from step to step.",
    source="the convention of torch.optim: gradient accumulation, zero_grad(set_to_none=False)",
    catches="keeping the gradient by reference, where the next one overwrites it", cases=cases.ACCUMULATED,
)  # fmt: skip

followed(
    "ADM-55", Level.INTERFACE, "A step that loss scaling skips, because a gradient overflowed, counts for nothing.",
    source="torch.amp.GradScaler; algorithm 1, line 5",
    catches="a clock that the skipped step has advanced, or an update without unscaling", cases=cases.LOSS_SCALING,
)  # fmt: skip

followed(
    "ADM-56", Level.INTERFACE, "A step under torch.compile is the same step.",
    source="torch.compile", catches="scalars of the first step kept for ever by the compiled one", cases=cases.COMPILED_STEP,
)  # fmt: skip

followed(
    "ADM-57", Level.INTERFACE,
    "A step captured in a CUDA graph goes on with its schedules and corrections when it is replayed.",
    source="the argument capturable of torch.optim",
    catches="step counts and learning rates that live on the host, and stay as they were when the graph was captured",
    cases=cases.GRAPH,
)  # fmt: skip

followed(
    "ADM-62", Level.DEFINITION, "After ten thousand steps the parameter is within the propagated rounding bound.",
    source="algorithm 1 and section 4.1",
    catches="errors that build up: a relative error of 1e-6 in a coefficient, 1 - beta in float32, a product of powers",
    cases=cases.LONG_RUN,
)  # fmt: skip

followed(
    "ADM-63", Level.INTERFACE, "maximize=True reverses the gradient, and nothing else.",
    source="the convention of torch.optim (the argument maximize): the paper minimises",
    catches="reversing the whole update, decay included, so that parameters grow; an argument that is accepted and ignored",
    cases=cases.MAXIMIZED,
)  # fmt: skip

followed(
    "ADM-66", Level.INTERFACE, "Hyperparameters that a training changes in param_groups hold from the next step on.",
    source="the convention of torch.optim (its schedulers write there)",
    catches="alpha, eps or the decay as they were at construction, kept in attributes or compiled in", cases=cases.CHANGED,
)  # fmt: skip

followed(
    "ADM-67", Level.INTERFACE, "Loading a state brings back the hyperparameters with which it was saved.",
    source="torch.optim.Optimizer.load_state_dict", catches="going on with those of the constructor of the new optimizer",
    cases=cases.RESTORED,
)  # fmt: skip

followed(
    "ADM-68", Level.INTERFACE, "A step starts from the parameter as it is, whoever has changed it since the last one.",
    source="algorithm 1, line 13: the update is subtracted from theta(t-1); trainings clamp, average and load weights",
    catches="a private copy of the parameter that the optimizer goes on with", cases=cases.WRITTEN,
)  # fmt: skip
