"""One process of `ranks`: ``python -m conformance.ademamix.harness.rank_worker FOLDER`` does the jobs found there.

torch is imported once and the ranks are forked from that, where forking is safe (Linux); elsewhere they are spawned.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import multiprocessing
import os
import pickle
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from conformance.ademamix.harness.arguments import construct
from conformance.ademamix.harness.problem import Array, OptimizerProblem, Ranks
from impls.implementation import NotRun, Unsupported, load_target

PATIENCE = datetime.timedelta(minutes=5)
"""How long a rank waits for the others in one collective call."""


def main(folder: str) -> int:
    """Do every job that the folder names, with as many ranks as the largest needs."""
    place = Path(folder)
    _, _, jobs = pickle.loads((place / "jobs.pickle").read_bytes())
    _import_early(jobs)
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    processes = [context.Process(target=_rank, args=(place, rank)) for rank in range(max(r.world for _, r in jobs))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    died = [f"rank {rank} ended with {p.exitcode}" for rank, p in enumerate(processes) if p.exitcode]
    if died:
        print(", ".join(died), file=sys.stderr)  # a negative number is a signal's: a crash that Python saw nothing of
    return 1 if died else 0


def _import_early(jobs: Any) -> None:
    """What all ranks need is imported before they are forked."""
    if not (dist.is_available() and dist.is_gloo_available()):
        return
    import torch.nn.parallel

    if any(r.kind == "fsdp" for _, r in jobs):
        import torch.distributed.checkpoint.state_dict
        import torch.distributed.fsdp  # noqa: F401


def _rank(place: Path, rank: int) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if "GLOO_SOCKET_IFNAME" not in os.environ:
        # All processes are on this machine; its name need not resolve to an address.
        names = {name for _, name in socket.if_nameindex()}
        for name in ("lo", "lo0"):
            if name in names:
                os.environ["GLOO_SOCKET_IFNAME"] = name
    target, settings, jobs = pickle.loads((place / "jobs.pickle").read_bytes())
    loaded: Any = None
    for number, (problem, ranks) in enumerate(jobs):
        if rank >= ranks.world:
            continue
        answer: tuple[str, Any]
        try:
            if not (dist.is_available() and dist.is_gloo_available()):
                raise NotRun("torch was built without gloo; install a build that has torch.distributed")
            loaded = loaded or _load(target, settings)
            job = _Job(place / f"job-{number}", rank, loaded, settings, problem, ranks)
            answer = ("outcome", (job.history(), tuple(job.cpu_seconds)))
        except Unsupported as reason:
            answer = ("unsupported", str(reason))
        except NotRun as reason:
            answer = ("not run", str(reason))
        except BaseException as error:
            answer = ("error", f"{type(error).__name__}: {error} ({_place(error)})")
        unfinished = place / f"unfinished-{number}-{rank}"
        unfinished.write_bytes(pickle.dumps(answer))
        unfinished.rename(place / f"result-{number}-{rank}.pickle")
        with contextlib.suppress(Exception):
            dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # threads of a framework must not keep a rank that is done


def _place(error: BaseException) -> str:
    """``file:line`` where it was raised, without the folder."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"


def _load(target: str, settings: Mapping[str, Any]) -> Any:
    from impls.triton_support import choose_interpreter

    choose_interpreter()
    loaded = load_target(target)
    if settings.get("start"):
        load_target(settings["start"])()
    return loaded


class _Holder(torch.nn.Module):
    """Parameters with a given gradient: the loss is their inner product with it."""

    def __init__(self, values: list[torch.Tensor]) -> None:
        super().__init__()
        self.values = torch.nn.ParameterList(torch.nn.Parameter(v.clone()) for v in values)

    def forward(self, gradients: list[torch.Tensor]) -> torch.Tensor:
        products = [(p * g).sum() for p, g in zip(self.values, gradients, strict=True)]
        return torch.stack(products).sum()


class _Job:
    """One problem on this rank."""

    def __init__(
        self, place: Path, rank: int, loaded: Any, settings: Mapping[str, Any], problem: OptimizerProblem, ranks: Ranks
    ) -> None:
        self.place, self.rank, self.loaded, self.settings = place, rank, loaded, settings
        self.problem, self.ranks, self.world = problem, ranks, ranks.world
        self.dtype: torch.dtype = getattr(torch, problem.dtype)
        (self.group,) = problem.groups
        self.cpu_seconds: list[float] = []

    def history(self) -> tuple[tuple[Array, ...], ...]:
        """The whole tensors after each step; where the run goes on with fewer ranks, those that leave know less of it."""
        self._meet("first")
        model, optimizer = self._build()
        history: list[list[Array]] = [[] for _ in self.problem.tensors]
        for step in range(self.problem.steps):
            if self.ranks.then and step == self.problem.resume_after:
                self._save(model, optimizer)
                if self.rank >= self.ranks.then:
                    break
                self.world = self.ranks.then
                self._meet("second")
                model, optimizer = self._build()
                self._load(model, optimizer)
            self._step(model, optimizer, step)
            for number, values in enumerate(self._values(model)):
                history[number].append(values)
        return tuple(tuple(steps) for steps in history)

    def _meet(self, name: str) -> None:
        store = torch._C._distributed_c10d.FileStore(f"{self.place}-{name}", self.world)
        dist.init_process_group("gloo", store=store, rank=self.rank, world_size=self.world, timeout=PATIENCE)

    def _build(self) -> tuple[Any, Any]:
        model: Any = _Holder([self._tensor(t.start) for t in self.problem.tensors])
        if self.ranks.kind == "ddp":
            # Gradients are then views of one flat memory, at offsets of their own.
            model = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
        else:
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            fully_shard(model, mesh=init_device_mesh("cpu", (self.world,)))
        rate = self.group.learning_rates[0]
        return model, construct(self.loaded, self.settings, model.parameters(), self.group.hyper, rate)

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.tensor(np.asarray(values), dtype=torch.float64).to(self.dtype)

    def _step(self, model: Any, optimizer: Any, step: int) -> None:
        # Ranks differ in their gradients; the mean over them, which both wrappers form, is the problem's.
        share = 0.5 + self.rank % 2
        gradients = [self._tensor(share * np.asarray(t.gradients[step])) for t in self.problem.tensors]
        for group in optimizer.param_groups:
            group["lr"] = self.group.learning_rates[step]
        optimizer.zero_grad()
        model(gradients).backward()
        began = time.process_time()  # CPU time, since ranks may have to wait for a CPU
        optimizer.step()
        self.cpu_seconds.append(time.process_time() - began)

    def _values(self, model: Any) -> Iterator[Array]:
        for parameter in model.parameters():
            whole = parameter.detach()
            whole = whole.full_tensor() if self.ranks.kind == "fsdp" else whole
            yield whole.to(torch.float64).numpy().copy()

    def _state(self, model: Any, optimizer: Any) -> dict[str, Any]:
        from torch.distributed.checkpoint.state_dict import get_state_dict

        models, optimizers = get_state_dict(model, optimizer)
        return {"model": models, "optimizer": optimizers}

    def _save(self, model: Any, optimizer: Any) -> None:
        from torch.distributed.checkpoint.state_dict_saver import save

        save(self._state(model, optimizer), checkpoint_id=f"{self.place}-checkpoint")
        dist.destroy_process_group()

    def _load(self, model: Any, optimizer: Any) -> None:
        from torch.distributed.checkpoint.state_dict import set_state_dict
        from torch.distributed.checkpoint.state_dict_loader import load

        state = self._state(model, optimizer)
        load(state, checkpoint_id=f"{self.place}-checkpoint")
        set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])


if __name__ == "__main__":
    # The pickles of spawned ranks need this module by its own name.
    from conformance.ademamix.harness.rank_worker import main as run_main

    sys.exit(functools.partial(run_main, sys.argv[1])())
