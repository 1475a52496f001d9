"""What torch tests its own optimizers on, taken from the wheel: constructor errors, settings, schedulers and checkpoints."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.testing._internal.common_optimizers import (  # type: ignore[attr-defined]
    ErrorOptimizerInput,
    OptimizerErrorEnum,
    OptimizerInput,
    get_error_inputs_for_all_optims,
    optim_error_inputs_func_adam,
    optim_inputs_func_adamw,
)

from impls.ademamix.optimizer import AdEMAMix

NOT_OURS = ("amsgrad", "foreach", "fused", "differentiable")
"""Options of torch's AdamW that AdEMAMix has no name for: `backend` takes their place."""


def _ours(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """AdamW's keyword arguments as AdEMAMix's with alpha = 0; None where it lacks one, or takes it for something else."""
    if any(name in kwargs for name in NOT_OURS) or any(torch.is_tensor(each) for each in kwargs.get("betas", ())):
        return None
    betas = (*kwargs["betas"], 0.9999) if "betas" in kwargs else (0.9, 0.999, 0.9999)
    return {"lr": 1e-3, "weight_decay": 1e-2, **kwargs, "betas": betas, "alpha": 0.0, "backend": "eager"}


ERRORS = [e for e in optim_error_inputs_func_adam("cpu", torch.float32) if _ours(e.optimizer_error_input.kwargs) is not None]
INPUTS = [each for each in optim_inputs_func_adamw("cpu") if _ours(each.kwargs) is not None]


@pytest.mark.parametrize("error", ERRORS, ids=lambda each: each.optimizer_error_input.desc.replace(" ", "-"))
def test_what_torch_expects_to_be_refused_is_refused_for_that_reason(error: ErrorOptimizerInput) -> None:
    assert error.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
    given = error.optimizer_error_input
    general = given.desc in {e.optimizer_error_input.desc for e in get_error_inputs_for_all_optims("cpu", torch.float32)}
    # A wrong setting is named before it is noticed that there are no parameters (params=None).
    words = r"(lr|betas?\d?|weight_decay|eps) = .*expected" if given.params is None else error.error_regex
    context: Any = (
        pytest.warns(error.error_type)
        if issubclass(error.error_type, Warning)
        else pytest.raises(error.error_type, match=words)
    )
    assert general or given.params is None
    with context:
        AdEMAMix(given.params, **_ours(given.kwargs) or {})


def _train(parameters: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer, first: int, steps: int) -> None:
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        optimizer.step()


def _pair(given: OptimizerInput) -> tuple[list[torch.nn.Parameter], Any, list[torch.nn.Parameter], Any]:
    """Parameters under AdEMAMix without slow EMA, and the same ones under AdamW."""
    mine = [torch.nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)) for _ in range(2)]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in mine]
    ours = _ours(given.kwargs)
    assert ours is not None
    return mine, AdEMAMix(mine, **ours), theirs, torch.optim.AdamW(theirs, **{"foreach": False, **given.kwargs})


@pytest.mark.parametrize("given", INPUTS, ids=lambda each: each.desc.replace(" ", "-"))
def test_each_of_torchs_settings_without_a_slow_average_is_adamw(given: OptimizerInput) -> None:
    mine, ours, theirs, adamw = _pair(given)
    _train(mine, ours, 0, 5)
    _train(theirs, adamw, 0, 5)
    for own, other in zip(mine, theirs, strict=True):
        assert torch.equal(own.float(), other.float())  # float64, in another order of operations


SCHEDULERS: list[Any] = [
    lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
    lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
    lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=9, cycle_momentum=True),
    lambda o: torch.optim.lr_scheduler.CyclicLR(o, 1e-4, 1e-2, step_size_up=3, cycle_momentum=True),
    lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.ConstantLR(o, 0.1, 2), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
]


@pytest.mark.parametrize("number", range(len(SCHEDULERS)))
def test_torchs_schedulers_write_the_same_rates_as_for_adamw(number: int) -> None:
    mine, ours, theirs, adamw = _pair(INPUTS[0])
    schedulers = [SCHEDULERS[number](each) for each in (ours, adamw)]
    for step in range(6):
        _train(mine, ours, step, 1)
        _train(theirs, adamw, step, 1)
        for scheduler in schedulers:
            scheduler.step()
        assert ours.param_groups[0]["lr"] == adamw.param_groups[0]["lr"]
        assert ours.param_groups[0]["betas"][0] == adamw.param_groups[0]["betas"][0]
    for own, other in zip(mine, theirs, strict=True):
        assert torch.equal(own.float(), other.float())  # float64, in another order of operations


@pytest.mark.parametrize("given", INPUTS, ids=lambda each: each.desc.replace(" ", "-"))
def test_a_state_dict_is_saved_loaded_and_deep_copied_as_adamws(given: OptimizerInput) -> None:
    mine, ours, _, _ = _pair(given)
    _train(mine, ours, 0, 3)
    saved = copy.deepcopy(ours.state_dict())
    others = [torch.nn.Parameter(p.detach().clone()) for p in mine]
    again = AdEMAMix(others, backend="eager")
    again.load_state_dict(saved)
    _train(mine, ours, 3, 2)
    _train(others, again, 3, 2)
    assert all(torch.equal(a, b) for a, b in zip(mine, others, strict=True))
    for key, value in saved["param_groups"][0].items():
        assert again.state_dict()["param_groups"][0][key] == value
