"""Save and load an AdEMAMix optimizer in every way of torch.distributed.checkpoint: ``python checkpoint_ranks.py FOLDER``.

Four ranks are forked from one process that has imported torch. Each way is saved from one process and from 1, 2 and 4 ranks
of FSDP2, and loaded into the same. What came of each load is a line of JSON in the folder: "right", "wrong", or the refusal.
"""

from __future__ import annotations

import datetime
import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import load, save
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

from impls.ademamix import states
from impls.ademamix.optimizer import AdEMAMix

FORMATS = ("float32", "bfloat16", "8bit")
WORLDS = (0, 1, 2, 4)
"""Numbers of ranks; 0 is one process that knows of none."""
SHARDED = {"sharded": {}, "flattened": {"flatten_optimizer_state_dict": True}, "offloaded": {"cpu_offload": True}}
FULL = {
    "full": {"full_state_dict": True},
    "full flattened": {"full_state_dict": True, "flatten_optimizer_state_dict": True},
    "full broadcast": {"full_state_dict": True, "cpu_offload": True, "broadcast_from_rank0": True},
}


class Model(torch.nn.Module):
    """Large enough for moments in 8 bits, one not; rows that no number of ranks divides."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.large = torch.nn.Parameter(torch.randn(51, 100, generator=generator))
        self.small = torch.nn.Parameter(torch.randn(5, 3, generator=generator))

    def forward(self, gradients: list[torch.Tensor]) -> torch.Tensor:
        return (self.large * gradients[0]).sum() + (self.small * gradients[1]).sum()


def _build(world: int, kind: str, state_dtype: str) -> tuple[torch.nn.Module, AdEMAMix]:
    model: Any = Model()
    if kind == "fsdp1":
        model = FullyShardedDataParallel(model, device_id=torch.device("cpu"), use_orig_params=True)
    elif kind == "fsdp1-flat":
        model = FullyShardedDataParallel(model, device_id=torch.device("cpu"), use_orig_params=False)
    elif world:
        fully_shard(model, mesh=init_device_mesh("cpu", (world,)))
    return model, AdEMAMix(model.parameters(), lr=0.01, t_alpha=9, backend="eager", state_dtype=state_dtype)


def _step(model: torch.nn.Module, optimizer: AdEMAMix, steps: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    for _ in range(steps):
        gradients = [torch.randn(shape, generator=generator) for shape in ((51, 100), (5, 3))]
        gradients[0] *= torch.logspace(-3, 3, 51)[:, None]  # blocks with scales of their own
        optimizer.zero_grad()
        model(gradients).backward()
        optimizer.step()


def _moments(model: torch.nn.Module, optimizer: AdEMAMix) -> dict[str, Any]:
    """The whole moments of every parameter, wide, and the clocks, whatever the sharding."""
    found: dict[str, Any] = {}
    for name, parameter in model.named_parameters():
        state = optimizer.state[parameter]
        for moment, values in states.wide(state).items():
            whole = values.float()
            if hasattr(parameter, "to_local"):
                distributed: Any = states._as_distributed(parameter, whole)
                whole = distributed.full_tensor()
            found[f"{name}.{moment}"] = whole.clone()
        found[f"{name}.t"] = torch.tensor([state["t"], state["t_switch"]])
    return found


def _ways(world: int) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from SHARDED.items()
    yield from FULL.items()
    if not world:
        yield "plain", {}


def _save(place: Path, world: int, rank: int, state_dtype: str) -> None:
    model, optimizer = _build(world, "fsdp2", state_dtype)
    _step(model, optimizer, 3)
    moments = _moments(model, optimizer)
    if rank == 0:
        torch.save(moments, f"{place}-moments.pt")
    for way, given in _ways(world):
        options = {key: value for key, value in given.items() if key != "broadcast_from_rank0"}
        if way == "plain":
            torch.save(optimizer.state_dict(), f"{place}-plain.pt")
            continue
        state = get_optimizer_state_dict(model, optimizer, options=StateDictOptions(**options))
        if way in SHARDED:
            save({"optimizer": state}, checkpoint_id=f"{place}-{way}")
        elif rank == 0:
            torch.save(state, f"{place}-{way}.pt")
    if world:
        dist.barrier()


def _load(place: Path, world: int, rank: int, state_dtype: str, way: str, options: dict[str, Any]) -> str:
    expected = torch.load(f"{place}-moments.pt")
    model, optimizer = _build(world, "fsdp2", state_dtype)
    try:
        if way == "plain":
            optimizer.load_state_dict(torch.load(f"{place}-plain.pt"))
        elif way in SHARDED:
            state = {"optimizer": get_optimizer_state_dict(model, optimizer, options=StateDictOptions(**options))}
            load(state, checkpoint_id=f"{place}-{way}")
            set_optimizer_state_dict(model, optimizer, state["optimizer"], options=StateDictOptions(**options))
        else:
            given = torch.load(f"{place}-{way}.pt") if rank == 0 or way != "full broadcast" else {}
            set_optimizer_state_dict(model, optimizer, given, options=StateDictOptions(**options))
    except BaseException as error:  # CheckpointException is no Exception
        return _in_one_line(error)
    got = _moments(model, optimizer)
    if way in SHARDED and state_dtype == "bfloat16":  # read into tensors of that dtype
        expected = {name: values.bfloat16().to(values.dtype) for name, values in expected.items()}
    wrong = [name for name in expected if name not in got or not torch.equal(got[name], expected[name])]
    _step(model, optimizer, 1)
    optimizer.state_dict()
    return f"wrong: {', '.join(wrong)}" if wrong else "right"


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"


def _fsdp1(kind: str, state_dtype: str) -> str:
    """Save the full state of an FSDP1 model on two ranks, and load it into another."""
    model, optimizer = _build(2, kind, state_dtype)
    try:
        _step(model, optimizer, 3)
        options = StateDictOptions(full_state_dict=True)
        state = get_optimizer_state_dict(model, optimizer, options=options)
        weights = get_model_state_dict(model, options=options)
        again, other = _build(2, kind, state_dtype)
        set_model_state_dict(again, weights, options=options)
        set_optimizer_state_dict(again, other, state, options=options)
    except Exception as error:
        return _in_one_line(error)
    first, second = ([states.wide(o.state[p]) for g in o.param_groups for p in g["params"]] for o in (optimizer, other))
    right = all(torch.equal(a[name], b[name]) for a, b in zip(first, second, strict=True) for name in a)
    _step(again, other, 1)
    return "right" if right else "wrong"


def _rank(folder: str, rank: int, results: _Results) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    meetings = itertools.count()
    for state_dtype in FORMATS:
        for world in WORLDS:
            with _Group(folder, next(meetings), rank, world) as takes_part:
                if takes_part:
                    _save(Path(folder) / f"{state_dtype}-{world}", world, rank, state_dtype)
        results.barrier.wait()
        for world in WORLDS:
            with _Group(folder, next(meetings), rank, world) as takes_part:
                for source, way, options, kept in _loads(world, state_dtype) if takes_part else ():
                    said = _load(Path(folder) / f"{state_dtype}-{source}", world, rank, kept, way, options)
                    results.put([state_dtype, source, kept, world, way, rank, said])
                    if world:
                        dist.barrier()
        with _Group(folder, next(meetings), rank, 2) as takes_part:
            for kind in ("fsdp1", "fsdp1-flat") if takes_part else ():
                results.put([state_dtype, 2, state_dtype, 2, kind, rank, _fsdp1(kind, state_dtype)])
    os._exit(0)


def _loads(world: int, state_dtype: str) -> Iterator[tuple[int, str, dict[str, Any], str]]:
    """Source, way, its options and the format of the optimizer that loads, for each load into that many ranks."""
    for source, kept in itertools.product(WORLDS, FORMATS):
        for way, options in _ways(source if not world else 1):
            alone = not world and way == "full broadcast"
            if not alone and (kept == state_dtype or way in ("sharded", "full")):
                yield source, way, options, kept


class _Group:
    """A process group of that many ranks, none for 0; tells whether this rank is one of them."""

    def __init__(self, folder: str, number: int, rank: int, world: int) -> None:
        self.arguments = (f"{folder}/meeting-{number}", rank, world)

    def __enter__(self) -> bool:
        file, rank, world = self.arguments
        if rank < world:
            store = dist.FileStore(file, world)
            patience = datetime.timedelta(minutes=5)
            dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=patience)
        return rank < max(world, 1)

    def __exit__(self, *_: object) -> None:
        if self.arguments[1] < self.arguments[2]:
            dist.destroy_process_group()


class _Results:
    """One line of JSON for each load, each rank in a file of its own."""

    def __init__(self, folder: str, rank: int, barrier: Any) -> None:
        self.file = Path(folder) / f"results-{rank}"
        self.barrier = barrier

    def put(self, line: list[Any]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main(folder: str) -> int:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    ranks = [context.Process(target=_rank, args=(folder, rank, _Results(folder, rank, barrier))) for rank in range(4)]
    for process in ranks:
        process.start()
    while any(process.is_alive() for process in ranks):
        multiprocessing.connection.wait([process.sentinel for process in ranks if process.is_alive()])
        if any(process.exitcode for process in ranks):  # the others would wait for it
            for process in ranks:
                process.kill()
    return int(any(process.exitcode for process in ranks))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
