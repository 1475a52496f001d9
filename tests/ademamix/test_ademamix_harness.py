"""Optimizers of any naming are driven as a training loop would, and what they do wrong around the equations is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from conformance.ademamix import cases
from conformance.ademamix.harness import subject as harness
from conformance.ademamix.harness.arguments import OptimizerArguments
from conformance.ademamix.harness.numpy_backend import NumpyBackend
from conformance.ademamix.harness.problem import BY_GROUP, GroupProblem, OptimizerProblem, TensorProblem
from conformance.ademamix.harness.run_loop import OptimizerPlug
from conformance.ademamix.harness.torch_backend import TorchBackend
from conformance.ademamix.requirements import REQUIREMENTS, stochastic_rounding
from conformance.engine.comparison import Comparison
from conformance.engine.selection import is_thorough
from impls import implementation
from impls.ademamix.optimizer import AdEMAMix
from impls.ademamix.registry import IMPLEMENTATIONS
from reference.ademamix import Hyperparameters

HYPER = Hyperparameters(alpha=4.0, weight_decay=0.1, t_alpha=3, t_beta3=3)


class TwoBetas(torch.optim.SGD):
    def __init__(self, params: Any, learning_rate: float, betas: Any, beta_slow: float, alpha: float, epsilon: float,
                 wd: float, T_alpha: int, T_beta3: int = 500) -> None: ...  # fmt: skip


class OneLength(torch.optim.SGD):
    def __init__(self, params: Any, lr: float, beta1: float, beta2: float, beta3: float, alpha: float, eps: float,
                 T_alpha_beta3: int | None = None) -> None: ...  # fmt: skip


def test_two_betas_and_a_slow_one_are_found_under_other_names() -> None:
    given = OptimizerArguments.of(TwoBetas, {}).keywords(HYPER, 0.5)
    assert given == {
        "learning_rate": 0.5,
        "betas": (0.9, 0.999),
        "beta_slow": 0.9999,
        "alpha": 4.0,
        "epsilon": 1e-8,
        "wd": 0.1,
        "T_alpha": 3,
        "T_beta3": 3,
    }


def test_no_warmup_is_zero_where_the_default_is_a_length_and_none_elsewhere() -> None:
    given = OptimizerArguments.of(TwoBetas, {}).keywords(replace(HYPER, t_alpha=None, t_beta3=None), 0.5)
    assert given["T_alpha"] is None
    assert given["T_beta3"] == 0


def test_one_warmup_length_serves_both_or_the_case_is_unsupported() -> None:
    arguments = OptimizerArguments.of(OneLength, {})
    without_decay = replace(HYPER, weight_decay=0.0)
    assert arguments.keywords(without_decay, 0.5)["T_alpha_beta3"] == 3
    with pytest.raises(implementation.Unsupported, match="one warm-up length, 'T_alpha_beta3'"):
        arguments.keywords(replace(without_decay, t_alpha=4), 0.5)
    with pytest.raises(implementation.Unsupported, match="OneLength takes no argument for weight_decay"):
        arguments.keywords(HYPER, 0.5)


def test_missing_warmups_are_unsupported_only_where_a_case_needs_them() -> None:
    class Constant(torch.optim.SGD):
        def __init__(self, params: Any, lr: float, betas: Any, alpha: float, eps: float, weight_decay: float) -> None: ...

    arguments = OptimizerArguments.of(Constant, {})
    assert "betas" in arguments.keywords(replace(HYPER, t_alpha=None, t_beta3=0), 0.5)
    with pytest.raises(implementation.Unsupported, match="takes no warm-up length t_alpha"):
        arguments.keywords(HYPER, 0.5)


def test_names_can_be_given_where_they_are_not_recognised() -> None:
    class Odd(torch.optim.SGD):
        def __init__(self, params: Any, lr: float, betas: Any, gamma: float, eps: float, weight_decay: float) -> None: ...

    with pytest.raises(implementation.PlugError, match="no argument for the mixing coefficient alpha"):
        OptimizerArguments.of(Odd, {})
    assert (
        OptimizerArguments.of(Odd, {"alpha": "gamma"}).keywords(replace(HYPER, t_alpha=None, t_beta3=None), 0.1)["gamma"]
        == 4.0
    )


def test_recognise_tells_optimizers_factories_and_the_rest_apart() -> None:
    def factory(learning_rate: float, b1: float, b2: float, b3: float, alpha: float, **rest: Any) -> None: ...

    torch_record = harness.recognise(AdEMAMix, "mine")
    assert torch_record is not None
    assert torch_record["protocol"] == "torch-optimizer"
    optax_record = harness.recognise(factory, "mine")
    assert optax_record is not None
    assert optax_record["protocol"] == "optax"
    assert optax_record["numerical_class"] == "float32-hyperparameters"
    assert harness.recognise(lambda q, k, v: q, "mine") is None
    assert harness.recognise(len, "mine") is None
    assert harness.recognise(42, "mine") is None
    with pytest.raises(implementation.PlugError, match="expected 'alpha'"):
        harness.recognise(torch.optim.AdamW, "mine")


def test_unknown_protocol_is_refused_with_the_known_ones() -> None:
    record = replace(IMPLEMENTATIONS[0], protocol="keras")
    with pytest.raises(
        implementation.PlugError, match="found protocol 'keras', expected one of torch-optimizer, optax, numpy"
    ):
        harness.connect(record, "cpu")


def _problem(tensors: tuple[TensorProblem, ...], steps: int, **options: Any) -> OptimizerProblem:
    return OptimizerProblem("float32", (GroupProblem(tensors, HYPER, (0.25,) * steps),), **options)


def _tensor(steps: int, **options: Any) -> TensorProblem:
    return TensorProblem(np.array([1.0, -2.0, 3.0]), tuple(np.full(3, t + 1.0) for t in range(steps)), **options)


class Toy(torch.optim.Optimizer):
    """``theta -= lr * gradient``, with AdEMAMix's arguments and a hook."""

    def __init__(self, params: Any, lr: float = 1.0, betas: Any = (0, 0, 0), alpha: float = 0.0, eps: float = 0.0,
                 weight_decay: float = 0.0, t_alpha: Any = None, t_beta3: Any = None) -> None:  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "t_alpha": t_alpha, "t_beta3": t_beta3})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["count"] = self.state[p].get("count", 0) + 1
                    self.one(p, group)

    def one(self, p: Any, group: dict[str, Any]) -> None:
        p -= group["lr"] * p.grad


def _run(optimizer: type[Toy], problem: OptimizerProblem) -> Any:
    return TorchBackend(OptimizerPlug(optimizer), problem).outcome()


def test_parameters_are_read_after_every_step_from_the_one_they_join_at() -> None:
    outcome = _run(Toy, _problem((_tensor(3), _tensor(2, joins_at=1)), 3))
    assert [len(steps) for steps in outcome.parameters] == [3, 2]
    np.testing.assert_array_equal(outcome.parameters[0][2], np.array([1.0, -2.0, 3.0]) - 0.25 * 6)
    np.testing.assert_array_equal(outcome.parameters[1][1], np.array([1.0, -2.0, 3.0]) - 0.25 * 3)
    assert outcome.changed_gradients == ()


def test_gradient_that_was_changed_is_named() -> None:
    class Scales(Toy):
        def one(self, p: Any, group: dict[str, Any]) -> None:
            if self.state[p]["count"] == 2:
                p.grad.mul_(2)

    assert _run(Scales, _problem((_tensor(3),), 3)).changed_gradients == ((0, 1),)


def test_gradient_taken_away_is_not_a_changed_one() -> None:
    class Consumes(Toy):
        def one(self, p: Any, group: dict[str, Any]) -> None:
            p.grad = None

    assert _run(Consumes, _problem((_tensor(2),), 2)).changed_gradients == ()


def test_writing_between_the_elements_of_a_strided_parameter_is_seen() -> None:
    class Walks(Toy):
        def one(self, p: Any, group: dict[str, Any]) -> None:
            torch.as_strided(p, (2 * p.numel() - 1,), (1,)).fill_(0.0)

    _run(Toy, _problem((_tensor(1, layout="every second place"),), 1))
    with pytest.raises(AssertionError, match="wrote between the elements"):
        _run(Walks, _problem((_tensor(1, layout="every second place"),), 1))


@pytest.mark.parametrize("which", ["layout", "gradient_layout"])
def test_one_of_parameter_and_gradient_may_be_transposed(which: str) -> None:
    strides: list[Any] = []

    class Watches(Toy):
        def one(self, p: Any, group: dict[str, Any]) -> None:
            strides.append((p.stride(), p.grad.stride()))

    tensor = TensorProblem(np.zeros((2, 3)), (np.arange(6.0).reshape(2, 3),), **{which: "transposed"})
    _run(Watches, _problem((tensor,), 1))
    assert strides == [((1, 2), (3, 1)) if which == "layout" else ((3, 1), (1, 2))]


def test_a_run_that_has_switched_resumes_as_what_it_switched_to() -> None:
    problem = _problem((TensorProblem(np.zeros(2), (np.ones(2),) * 6),), 6)
    whole, resumed = (
        _run(AdEMAMix, replace(problem, switch_at=2, resume_after=after)).parameters[0][-1] for after in (None, 4)
    )
    assert np.array_equal(whole, resumed)


def test_missing_gradient_is_none_and_state_is_carried_over_a_resume() -> None:
    seen: list[Any] = []

    class Watches(Toy):
        def one(self, p: Any, group: dict[str, Any]) -> None:
            seen.append((id(self), self.state[p]["count"]))

    tensor = TensorProblem(np.ones(2), (np.ones(2), None, np.ones(2), np.ones(2)))
    _run(Watches, _problem((tensor,), 4, resume_after=3))
    assert [count for _, count in seen] == [1, 2, 3]
    assert seen[0][0] == seen[1][0] != seen[2][0]


def test_rate_that_cannot_change_and_groups_that_cannot_differ_are_unsupported() -> None:
    class NoGroups(Toy):
        def __init__(self, params: Any, lr: float, betas: Any, alpha: float, eps: float, weight_decay: float, t_alpha: Any,
                     t_beta3: Any) -> None:  # fmt: skip
            torch.optim.Optimizer.__init__(self, params, {})

    changing = OptimizerProblem("float32", (GroupProblem((_tensor(2),), HYPER, (0.5, 0.25)),))
    with pytest.raises(implementation.Unsupported, match="cannot change per step"):
        _run(NoGroups, changing)
    two = OptimizerProblem(
        "float32", (GroupProblem((_tensor(1),), HYPER, (0.5,)), GroupProblem((_tensor(1),), replace(HYPER, eps=1e-3), (0.5,)))
    )
    with pytest.raises(implementation.Unsupported, match="takes no 'eps' per parameter group"):
        _run(NoGroups, two)


def test_switch_needs_from_adamw() -> None:
    with pytest.raises(implementation.Unsupported, match="no class method from_adamw"):
        _run(Toy, _problem((_tensor(3),), 3, switch_at=2))


def test_problems_survive_their_runs() -> None:
    problem = _problem((_tensor(2, layout="every second place"),), 2)
    before = [problem.tensors[0].start.copy(), *(np.array(g) for g in problem.tensors[0].gradients)]
    for backend, loaded in ((TorchBackend, AdEMAMix), (NumpyBackend, harness.load_target(IMPLEMENTATIONS[0].target))):
        backend(OptimizerPlug(loaded), problem).outcome()
        after = [problem.tensors[0].start, *problem.tensors[0].gradients]
        np.testing.assert_array_equal(before, after)


# --- Cases and rules -----------------------------------------------------------------------------------------------------


def test_every_rule_has_a_check_with_a_quick_case_and_every_check_a_rule() -> None:
    ids = [rule.id for rule in REQUIREMENTS]
    assert len(set(ids)) == len(ids) == 81
    assert {check.requirement for check in REQUIREMENTS.checks} == set(ids)
    for id_ in ids:
        own = [case for check in REQUIREMENTS.checks if check.requirement == id_ for case in check.cases]
        assert any(case.quick for case in own) or all(is_thorough(case) for case in own), id_


def test_needs_follow_from_what_a_case_asks() -> None:
    assert cases.RESUME[0].needs == {"schedules", "state-round-trip"}
    assert cases.LATE[0].needs == {"schedules", "late-parameters", "groups"}
    assert cases.SEPARATE_WARMUPS[0].needs == {"schedules", "separate-warmups"}
    assert cases.STRIDED[0].needs == {"strided"}
    assert cases.MISSING.needs == {"missing-gradients", "weight-decay"}
    assert cases.SWITCH[0].needs == {"schedules", "switch", "weight-decay"}
    assert cases.BETA1_ZERO[0].needs == {"beta1-zero"}


def test_arrays_of_a_case_cannot_be_written_to() -> None:
    problem = cases.problem_of(cases.REPEAT[0], "float32")
    with pytest.raises(ValueError, match="read-only"):
        problem.tensors[0].start[0] = 0.0


def test_margins_of_the_eager_optimizer_are_neither_tiny_nor_near_one() -> None:
    subject = harness.connect(IMPLEMENTATIONS[1], "cpu")
    margins: list[float] = []
    for check in REQUIREMENTS.checks:
        for case in check.cases:
            if "float32" not in case.dtypes or is_thorough(case) or getattr(case, "options", ()):
                continue
            if isinstance(case, stochastic_rounding.ChanceCase) or case in cases.SIDE_BY_SIDE:  # of other roundings
                continue
            found: list[Comparison] = list(check.run(subject, case, "float32"))
            margins.extend(c.margin for c in found if c.margin)
    assert 0.02 < float(np.median(margins)) < 0.5
    assert max(margins) < 0.5


def test_hyperparameters_change_in_param_groups_or_the_case_is_unsupported() -> None:
    seen: list[Any] = []

    class Watches(Toy):
        def one(self, p: Any, group: dict[str, Any]) -> None:
            seen.append((group["alpha"], group["weight_decay"], id(self)))

    changes = ((1, replace(HYPER, alpha=7.0)), (2, replace(HYPER, alpha=7.0, weight_decay=0.5)))
    problem = OptimizerProblem("float32", (GroupProblem((_tensor(3),), HYPER, (0.5,) * 3, changes),))
    _run(Watches, problem)
    assert [each[:2] for each in seen] == [(4.0, 0.1), (7.0, 0.1), (7.0, 0.5)]
    assert len({each[2] for each in seen}) == 1

    class Forgets(Toy):
        def add_param_group(self, group: Any) -> None:
            super().add_param_group(group)
            del group["alpha"]

    with pytest.raises(implementation.Unsupported, match="Forgets keeps no 'alpha' in its param_groups"):
        _run(Forgets, problem)


def test_who_has_no_maximize_is_not_judged_by_groups_that_maximize() -> None:
    groups = tuple(GroupProblem((_tensor(1),), HYPER, (0.25,), maximize=m) for m in (False, True))
    problem = OptimizerProblem("float32", groups, options=(("maximize", BY_GROUP),))
    with pytest.raises(implementation.Unsupported, match="Toy takes no argument 'maximize'"):
        _run(Toy, problem)

    seen: list[bool] = []

    class Maximizes(Toy):
        def __init__(self, params: Any, maximize: bool = False, **arguments: Any) -> None:
            super().__init__(params, **arguments)
            self.defaults["maximize"] = self.param_groups[0]["maximize"] = maximize

        def one(self, p: Any, group: dict[str, Any]) -> None:
            seen.append(group["maximize"])

    _run(Maximizes, problem)
    assert seen == [False, True]


def test_new_optimizer_may_be_built_with_other_hyperparameters_than_the_saved() -> None:
    built: list[float] = []

    class Watches(Toy):
        def add_param_group(self, group: Any) -> None:
            super().add_param_group(group)
            built.append(group["alpha"])

        def one(self, p: Any, group: dict[str, Any]) -> None:
            built.append(group["alpha"])

    _run(Watches, _problem((_tensor(2),), 2, resume_after=1, rebuilt_otherwise=True))
    assert built == [4.0, 4.0, 7.0, 4.0]


def test_values_are_put_into_the_parameter_and_dtypes_stand_side_by_side() -> None:
    written = _tensor(3, writes={1: np.array([8.0, 8.0, 8.0])})
    outcome = _run(Toy, _problem((written,), 3))
    np.testing.assert_array_equal(outcome.parameters[0][1], np.full(3, 8.0 - 0.25 * 2))

    seen: list[Any] = []

    class Watches(Toy):
        def one(self, p: Any, group: dict[str, Any]) -> None:
            seen.append((p.dtype, p.grad.dtype))

    _run(Watches, _problem((_tensor(1, dtype="bfloat16"), _tensor(1)), 1))
    assert seen == [(torch.bfloat16, torch.bfloat16), (torch.float32, torch.float32)]
