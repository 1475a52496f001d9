"""What is promised at the edges, and the further cases of other requirements: registered behind all others."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.ademamix import edge_cases
from conformance.ademamix.cases import RunCase, problem_of
from conformance.ademamix.harness.subject import OptimizerSubject
from conformance.ademamix.nested_cases import nested_cases
from conformance.ademamix.requirements.base import REQUIREMENTS, follow, followed
from conformance.ademamix.requirements.properties import closure_is_called_once, schedules_go_on_after_skipped_steps
from conformance.engine.comparison import Comparison, equal
from conformance.engine.requirement import Level

_OWN_CHECKS = {"ADM-45": schedules_go_on_after_skipped_steps, "ADM-54": closure_is_called_once}

for _id, _cases in edge_cases.FURTHER.items():
    REQUIREMENTS.check(_id, _cases)(_OWN_CHECKS.get(_id, follow))

followed(
    "ADM-73", Level.ROBUSTNESS, "Where beta3 is below beta1, its warm-up is beta3 from the first step.",
    source="equation (f_beta3), whose min(..., beta3) holds then at every step",
    catches="the formula without its min: a beta3 that falls from beta1, or is extrapolated", cases=edge_cases.BETA3_BELOW,
)  # fmt: skip

followed(
    "ADM-74", Level.ROBUSTNESS, "A warm-up need not be a whole number of steps.",
    source="equations (f_alpha) and (f_beta3), in which T divides; a share of a training's length is seldom whole",
    catches="a length that is cut or rounded to whole steps without a word", cases=edge_cases.FRACTIONAL,
)  # fmt: skip

followed(
    "ADM-75", Level.INTERFACE,
    "State belongs to the parameter: groups may be rearranged, a parameter be removed, or replaced with its state.",
    source="torch.optim: param_groups are public lists, and state is keyed by parameter; trainings that grow or prune models",
    catches="state that is found by its place, lists of parameters that are kept from the first step",
    cases=edge_cases.REARRANGED,
)  # fmt: skip


@REQUIREMENTS.add(
    "ADM-76",
    Level.ROBUSTNESS,
    "A state whose moments have another shape than the parameter is refused, by loading or by the next step.",
    source="torch.optim, whose updates in place refuse moments of another shape",
    catches="moments that are broadcast, or whose memory is read past its end",
    cases=edge_cases.OF_ANOTHER_SHAPE,
)
def other_shapes_are_refused(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    refused = subject.run(problem_of(case, dtype)).refused
    yield equal("refused", bool(refused), True)


followed(
    "ADM-77", Level.INTERFACE, "A state in a wider dtype is loaded as the values that it holds.",
    source="torch.optim.Optimizer.load_state_dict, which casts what it loads",
    catches="moments taken by their bytes, or left in a dtype that the step does not expect", cases=edge_cases.WIDER_STATE,
)  # fmt: skip

followed(
    "ADM-78", Level.INTERFACE, "Hooks on saving and loading a state may replace it.",
    source="torch.optim.Optimizer.register_state_dict_post_hook and register_load_state_dict_pre_hook",
    catches="a state_dict or load_state_dict of its own that goes past the hooks", cases=edge_cases.HOOKED,
)  # fmt: skip

followed(
    "ADM-79", Level.ROBUSTNESS,
    "A checkpoint may lack the options maximize, foreach, capturable, differentiable and fused.",
    source="torch.optim, which fills them in for checkpoints from before they existed (__setstate__)",
    catches="a bare KeyError in the first step after loading", cases=edge_cases.WITHOUT_OPTIONS,
)  # fmt: skip


REQUIREMENTS.add(
    "ADM-80",
    Level.INTERFACE,
    "Each group of an optimizer, and each tensor of a group, may have settings, a shape and a memory of its own.",
    source="the conventions of torch.optim: an option belongs to a group, a step to a parameter",
    catches="a warm-up of one group that starts at another's beta1, a rate that is a tensor and float64 that meets float32",
    cases=nested_cases(),
)(closure_is_called_once)


@REQUIREMENTS.add(
    "ADM-81",
    Level.INTERFACE,
    "A parameter is updated in its own memory, however it lies there.",
    source="the convention of torch.optim, whose updates are in place: tied weights, flat buffers and graphs share the memory",
    catches="an update that puts a new tensor into .data, so that what shares the parameter's memory no longer learns",
    cases=edge_cases.IN_PLACE,
)
def parameters_keep_their_memory(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    # The values are for ADM-72: an optimizer that computes otherwise may well keep the memory.
    yield equal("tensors that lie in other memory", subject.run(problem_of(case, dtype)).moved, ())
