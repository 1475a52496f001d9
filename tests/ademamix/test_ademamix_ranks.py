"""Processes of torch.distributed are started, agree, and when they do not, say clearly why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.ademamix.harness import ranks
from conformance.ademamix.harness.problem import GroupProblem, OptimizerProblem, Ranks, TensorProblem
from conformance.ademamix.harness.subject import _from_anywhere
from impls.implementation import Unsupported
from reference.ademamix import Hyperparameters, bounded_trajectory, numerical_class
from reference.rounding import FLOAT32

PLUGS = '''
import os, time
import torch

class Plain(torch.optim.Optimizer):
    """theta -= lr * gradient, counted in its state; with AdEMAMix's arguments."""

    def __init__(self, params, lr=1.0, betas=(0, 0, 0), alpha=0.0, eps=0.0, weight_decay=0.0, t_alpha=None, t_beta3=None):
        super().__init__(params, dict(lr=lr, betas=betas, alpha=alpha, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["sum"] = state.get("sum", torch.zeros_like(p)) + p.grad
                    self.one(p, state["sum"], group["lr"])

    def one(self, p, total, lr):
        p -= lr * total

class ByRank(Plain):
    def one(self, p, total, lr):
        p -= lr * (1 + torch.distributed.get_rank()) * total

class Dies(Plain):
    def one(self, p, total, lr):
        os._exit(3)

class Raises(Plain):
    def one(self, p, total, lr):
        if torch.distributed.get_rank() == 1:
            raise ValueError("rank one is unwell")

class Declines(Plain):
    def one(self, p, total, lr):
        from impls.implementation import Unsupported
        raise Unsupported("not under torch.distributed")
'''

HYPER = Hyperparameters(alpha=4.0)


def _problem(steps: int = 4, **options: Any) -> OptimizerProblem:
    rng = np.random.default_rng(0)
    tensors = tuple(
        TensorProblem(rng.integers(-4, 4, shape).astype(float), tuple(rng.integers(-4, 4, (steps, *shape)).astype(float)))
        for shape in ((5, 3), (3,))
    )
    return OptimizerProblem("float32", (GroupProblem(tensors, HYPER, (0.25,) * steps),), **options)


@pytest.fixture
def plug(tmp_path: Path) -> Any:
    file = tmp_path / "plugs.py"
    file.write_text(PLUGS)
    return lambda name: f"{file}:{name}"


def _expected(problem: OptimizerProblem) -> list[np.ndarray]:
    return [t.start - 0.25 * np.cumsum(np.cumsum(t.gradients, axis=0), axis=0) for t in problem.tensors]


def test_replicated_sharded_and_resharded_runs_are_the_single_process_run_of_a_loose_file(
    plug: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    target = _from_anywhere("plugs.py:Plain")
    problem, interrupted = _problem(), _problem(resume_after=2)
    jobs = ((problem, Ranks("ddp", 2)), (problem, Ranks("fsdp", 4)), (interrupted, Ranks("fsdp", 4, 2)))
    for number in range(len(jobs)):
        outcome = ranks.run(target, {}, jobs, number)
        for got, expected in zip(outcome.parameters, _expected(problem), strict=True):
            np.testing.assert_array_equal(np.stack(got), expected)
        assert len(outcome.replicas) == (1, 3, 1)[number]
        steps = (4, 4, 4)[number]
        assert all(len(history) == steps for rank in outcome.replicas for history in rank)


def test_moments_in_8_bits_are_sharded_and_survive_another_sharding() -> None:
    rng = np.random.default_rng(2)
    steps, rates = 6, (0.25,) * 6
    gradients = FLOAT32.round(rng.normal(size=(steps, 50, 100)))  # no shard's first element begins a block of the whole
    tensor = TensorProblem(np.ones((50, 100)), tuple(gradients))
    problem = OptimizerProblem("float32", (GroupProblem((tensor,), HYPER, rates),))
    jobs = ((problem, Ranks("fsdp", 4)), (replace(problem, resume_after=3), Ranks("fsdp", 4, 2)))
    settings = {"arguments": {"state_dtype": "8bit", "backend": "eager"}}
    # The bound for blocks as large as the tensor holds for any that are part of it, and one step more for the checkpoint.
    numerical = replace(numerical_class("ratios-8bit"), block=5000)
    again = [*gradients, gradients[-1]]
    bounds = [s.theta_bound for s in bounded_trajectory(tensor.start, again, (*rates, 0.25), HYPER, "float32", numerical)]
    strict = [s.theta for s in bounded_trajectory(tensor.start, gradients, rates, HYPER, "float32")]
    for number in range(len(jobs)):
        outcome = ranks.run("impls.ademamix.optimizer:AdEMAMix", settings, jobs, number)
        (got,) = outcome.parameters
        worst = [float(np.max(np.abs(a - b) / c)) for a, b, c in zip(got, strict, bounds[1:], strict=True)]
        assert 0 < max(worst) <= 1, worst  # a bound that is infinite would make it 0
        assert np.abs(got[-1] - strict[-1]).max() > 0  # 8 bits, and not what they stand for
        for replica in outcome.replicas:
            np.testing.assert_array_equal(np.stack(replica[0]), np.stack(got)[-len(replica[0]) :])


def test_what_goes_wrong_on_a_rank_is_said_once_with_its_rank(plug: Any) -> None:
    jobs = ((_problem(), Ranks("ddp", 2)),)
    with pytest.raises(RuntimeError, match=r"rank 1 of 2: ValueError: rank one is unwell \(plugs\.py:\d+\)"):
        ranks.run(plug("Raises"), {}, jobs, 0)
    with pytest.raises(RuntimeError, match="rank 0 ended with 3"):
        ranks.run(plug("Dies"), {}, jobs, 0)
    with pytest.raises(Unsupported, match=r"not under torch\.distributed"):
        ranks.run(plug("Declines"), {}, jobs, 0)


def test_ranks_that_disagree_are_shown(plug: Any) -> None:
    outcome = ranks.run(plug("ByRank"), {}, ((_problem(), Ranks("ddp", 2)),), 0)
    assert not np.array_equal(outcome.replicas[0][0], outcome.parameters[0])


def test_processes_that_hang_are_ended(plug: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "START_S", 0.2)
    monkeypatch.setattr(ranks, "JOB_S", 0.0)
    with pytest.raises(RuntimeError, match="did not finish within 0 s"):
        ranks.run(plug("Plain"), {}, ((_problem(), Ranks("ddp", 2)),), 0)


def test_torch_without_gloo_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pickle

    import torch.distributed as dist

    from conformance.ademamix.harness import rank_worker

    monkeypatch.setattr(dist, "is_gloo_available", lambda: False)
    problem = _problem()
    jobs = ((problem, Ranks("ddp", 1)),)
    (tmp_path / "jobs.pickle").write_bytes(pickle.dumps(("nowhere:Nothing", {}, jobs)))
    ended: list[int] = []
    monkeypatch.setattr(rank_worker.os, "_exit", ended.append)
    rank_worker._rank(tmp_path, 0)
    assert ended == [0]
    kind, words = ranks._outcome(tmp_path, 0, jobs[0][1], "")
    assert kind == "not run"
    assert "without gloo" in words


def test_what_came_of_the_jobs_is_kept(plug: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = ((_problem(), Ranks("ddp", 1)),)
    calls: list[Any] = []
    answer = ("unsupported", "because")
    monkeypatch.setattr(ranks, "_all", lambda *given: calls.append(given) or [answer])
    for _ in range(2):
        with pytest.raises(Unsupported, match="because"):
            ranks.run(plug("Plain"), {}, jobs, 0)
    assert len(calls) == 1
    with pytest.raises(Unsupported):
        ranks.run(plug("Plain"), {}, ((replace(jobs[0][0]), jobs[0][1]),), 0)
    assert len(calls) == 2
