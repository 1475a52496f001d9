"""Optimizers are called as training loops call them, and what they do wrong there is seen for what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from conformance.ademamix import cases
from conformance.ademamix.harness import checkpointing, large_tensors, torch_usage
from conformance.ademamix.harness import subject as harness
from conformance.ademamix.harness.problem import GroupProblem, Huge, OptimizerProblem, TensorProblem
from conformance.ademamix.harness.run_loop import OptimizerPlug
from conformance.ademamix.harness.torch_backend import TorchBackend
from conformance.ademamix.requirements import REQUIREMENTS
from conformance.engine.check import run_check, worst_of
from conformance.engine.harness import connect
from impls.ademamix.registry import IMPLEMENTATIONS
from impls.implementation import NotRun, Unsupported
from reference.ademamix import Hyperparameters

HYPER = Hyperparameters(alpha=4.0)
EAGER = next(i for i in IMPLEMENTATIONS if i.name == "ademamix/torch-eager")


class Plain(torch.optim.Optimizer):
    """``theta -= lr * gradient``, with AdEMAMix's arguments."""

    def __init__(self, params: Any, lr: float = 1.0, betas: Any = (0, 0, 0), alpha: float = 0.0, eps: float = 0.0,
                 weight_decay: float = 0.0, t_alpha: Any = None, t_beta3: Any = None) -> None:  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "t_alpha": t_alpha, "t_beta3": t_beta3})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.one(p, group["lr"])
        return loss

    def one(self, p: Any, lr: float) -> None:
        p -= lr * p.grad


def _problem(steps: int = 2, **options: Any) -> OptimizerProblem:
    tensor_options = {k: options.pop(k) for k in list(options) if k in ("sparse", "layout", "gradient_layout")}
    tensor = TensorProblem(np.array([1.0, 1.0, 1.0]), tuple(np.full(3, t + 1.0) for t in range(steps)), **tensor_options)
    return OptimizerProblem("float32", (GroupProblem((tensor,), HYPER, (0.25,) * steps),), **options)


def _run(optimizer: type, problem: OptimizerProblem, **settings: Any) -> Any:
    return TorchBackend(OptimizerPlug(optimizer, settings), problem).outcome()


def test_use_that_nobody_knows_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="expected one of '', 'closure', 'accumulated', 'scaler', 'compiled', 'graph'"):
        _problem(use="backwards")


def test_closure_is_seen_to_be_called_once_with_gradients_and_its_loss_to_come_back() -> None:
    class Twice(Plain):
        def step(self, closure: Any = None) -> Any:
            closure()
            return super().step(closure)

    class Blind(Plain):
        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            loss = closure()
            super().step()
            return float(loss)

    class Silent(Plain):
        def step(self, closure: Any = None) -> Any:
            super().step(closure)

    class Without(Plain):
        def step(self) -> None:  # type: ignore[override]
            super().step()

    assert _run(Plain, _problem(use="closure")).closures == ((1, True, True),) * 2
    assert _run(Twice, _problem(use="closure")).closures == ((2, True, True),) * 2
    assert _run(Blind, _problem(use="closure")).closures == ((1, False, True),) * 2
    assert _run(Silent, _problem(use="closure")).closures == ((1, True, False),) * 2
    with pytest.raises(Unsupported, match=r"Without\.step takes no closure"):
        _run(Without, _problem(use="closure"))


def test_scaled_gradients_reach_the_optimizer_unscaled_and_overflows_do_not() -> None:
    seen: list[Any] = []

    class Watches(Plain):
        def one(self, p: Any, lr: float) -> None:
            seen.append(p.grad.tolist())
            super().one(p, lr)

    problem = _problem(3, use="scaler")
    (tensor,) = problem.tensors
    gone = replace(tensor, gradients=(tensor.gradients[0], None, tensor.gradients[2]))
    outcome = _run(Watches, replace(problem, groups=(replace(problem.groups[0], tensors=(gone,)),)))
    assert seen == [[1.0] * 3, [3.0] * 3]
    np.testing.assert_array_equal(outcome.parameters[0][1], outcome.parameters[0][0])


def test_accumulated_gradients_keep_their_memory() -> None:
    seen: list[Any] = []

    class Watches(Plain):
        def one(self, p: Any, lr: float) -> None:
            seen.append((p.grad.data_ptr(), p.grad.tolist()))

    _run(Watches, _problem(3, use="accumulated"))
    assert len({pointer for pointer, _ in seen}) == 1
    assert [values[0] for _, values in seen] == [1.0, 2.0, 3.0]


def test_options_that_a_constructor_does_not_know_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="Plain takes no argument 'foreach'"):
        _run(Plain, _problem(options=(("foreach", True),)))


def test_compiled_steps_are_captured_with_the_rate_of_each_step() -> None:
    problem = _problem(3, use="compiled")
    changing = replace(problem, groups=(replace(problem.groups[0], learning_rates=(0.5, 0.25, 1.0)),))
    np.testing.assert_array_equal(_run(Plain, changing).parameters[0][-1], 1.0 - (0.5 + 0.5 + 3.0))


def test_graphs_need_a_device() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(NotRun, match="need a CUDA device"):
            torch_usage.loop_of("graph", "cpu")


def test_refusal_is_kept_with_the_parameter_as_it_was_left() -> None:
    class Refuses(Plain):
        def one(self, p: Any, lr: float) -> None:
            if p.grad.is_sparse:
                raise RuntimeError("no sparse gradients, please")

    class Breaks(Plain):
        def one(self, p: Any, lr: float) -> None:
            raise RuntimeError("no sparse gradients, please")

    outcome = _run(Refuses, _problem(sparse=True))
    assert outcome.refused == "RuntimeError: no sparse gradients, please"
    np.testing.assert_array_equal(outcome.parameters[0][-1], [1.0, 1.0, 1.0])
    with pytest.raises(RuntimeError, match="no sparse"):  # where nothing may be refused an error is an error
        _run(Breaks, _problem())


def test_expanded_gradients_share_one_place_with_nothing_readable_behind() -> None:
    strides: list[Any] = []

    class Watches(Plain):
        def one(self, p: Any, lr: float) -> None:
            strides.append(p.grad.stride())
            behind = torch.as_strided(p.grad, (3,), (1,))
            assert torch.isnan(behind[1:]).all()

    _run(Watches, _problem(gradient_layout="last axis expanded"))
    assert strides == [(0,)] * 2


def test_expanded_parameters_are_refused_by_torch_and_writing_behind_them_is_seen() -> None:
    class Walks(Plain):
        def one(self, p: Any, lr: float) -> None:
            torch.as_strided(p, (3,), (1,)).fill_(0.0)

    class WalksAndComplains(Walks):
        def one(self, p: Any, lr: float) -> None:
            super().one(p, lr)
            raise RuntimeError("overlapping")

    assert "RuntimeError" in _run(Plain, _problem(layout="last axis expanded")).refused
    for damaging in (Walks, WalksAndComplains):
        with pytest.raises(AssertionError, match="wrote between the elements"):
            _run(damaging, _problem(layout="last axis expanded"))


def test_state_survives_safetensors_with_the_types_that_it_had() -> None:
    state = {
        "state": {0: {"m": torch.arange(3.0), "step": 4, "rate": 0.1, "on": True, "none": None}},
        "param_groups": [{"betas": (0.9, 0.99), "params": [0], "name": "a"}],
    }
    back = checkpointing.through_safetensors(state, torch.device("cpu"))
    assert torch.equal(back["state"][0].pop("m"), state["state"][0].pop("m"))
    assert back == state
    assert type(back["param_groups"][0]["betas"]) is tuple
    with pytest.raises(TypeError, match="the state holds set"):
        checkpointing.through_safetensors({"state": {0: {"seen": {1}}}}, torch.device("cpu"))


def test_tensors_that_share_memory_are_saved_all_the_same() -> None:
    whole = torch.arange(6.0)
    back = checkpointing.through_safetensors({"a": whole[:3], "b": whole, "c": whole[::2]}, torch.device("cpu"))
    assert back["c"].tolist() == [0.0, 2.0, 4.0]


# --- Huge tensors, at a size that fits here ------------------------------------------------------------------------------


def test_huge_values_are_the_same_on_the_device_and_at_the_sampled_places() -> None:
    huge = Huge(10_007, HYPER, (0.5, 0.25))
    for salt in range(3):
        filled = large_tensors._filled(huge, salt, "cpu").double().numpy()
        np.testing.assert_array_equal(filled, huge.values(np.arange(huge.count), salt))


def test_sampled_places_hold_both_sides_of_each_power_of_two_and_the_end() -> None:
    places = set(large_tensors.sampled_places(2**20 + 77).tolist())
    assert {0, 255, 2**19 - 1, 2**19, 2**20 - 1, 2**20, 2**20 + 76} <= places
    assert max(places) == 2**20 + 76


def test_update_that_stops_short_of_the_end_is_seen() -> None:
    class Short(Plain):
        def one(self, p: Any, lr: float) -> None:
            p[: 2**13] -= lr * p.grad[: 2**13]

    huge = Huge(2**13 + 300, HYPER, (0.5,))
    for optimizer, same in ((Plain, True), (Short, False)):
        [start], [gradient], [got] = large_tensors.sampled(optimizer, {}, "cpu", huge)
        assert np.array_equal(got, start - 0.5 * gradient) is same


def test_more_elements_than_32_bits_count_need_a_device() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(NotRun, match="tested on a CUDA device"):
            connect(EAGER, "cpu").run_sampled(cases.HUGE[0].huge)


# --- What is not tested on whom------------------------------------------------------------------------------------------


def test_triton_interpreter_is_spared_long_runs_and_compilers() -> None:
    record = next(i for i in IMPLEMENTATIONS if i.name == "ademamix/triton")
    interpreted = replace(connect(EAGER, "cpu"), interpreted=True)
    assert harness.connect(record, "cpu").interpreted
    with pytest.raises(NotRun, match="take minutes in an interpreter"):
        interpreted.run(_problem(harness.LONG))
    with pytest.raises(NotRun, match=r"torch\.compile cannot look into"):
        interpreted.run(_problem(use="compiled"))
    interpreted.run(_problem())


def test_numpy_optimizers_are_not_judged_on_what_torch_alone_has() -> None:
    subject = connect(IMPLEMENTATIONS[0], "cpu")
    for options in ({"use": "closure"}, {"options": (("foreach", True),)}, {"sparse": True}):
        with pytest.raises(Unsupported, match=r"a notion of torch\.optim"):
            subject.run(_problem(**options))
    with pytest.raises(Unsupported, match=r"torch\.distributed runs a torch\.optim\.Optimizer"):
        subject.run_in_processes((), 0)


def test_slow_moments_that_stand_still_are_measured_where_they_are_declared_and_failed_where_not() -> None:
    from conformance.engine.mutation import mutants_of

    (check,) = [c for c in REQUIREMENTS.checks if c.requirement == "ADM-48"]
    case = next(c for c in check.cases if c.id == "forgets")
    still = next(m for m in mutants_of("ademamix") if m.name == "slow-ema-stands-still")
    assert not worst_of(run_check(check, still.subject(), case, "bfloat16")).passed
    declared = replace(still.subject(), numerical_class="parameter-dtype-moments")
    with pytest.raises(Unsupported, match=r"declares parameter-dtype-moments: .* it made -?\d+% \(even elements\)"):
        run_check(check, declared, case, "bfloat16")
