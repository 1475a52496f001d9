"""Run Gluon kernels for Hopper on a CPU: the kernels' own Python, with warps in a random order, all as late as it may.

Gluon has no interpreter. A kernel's source is Python, though: here its names (``gl``, ``tma``, ``mbarrier``, the products) are
given other meanings, on torch tensors. Each partition of warps is a generator, and one runs at a time. At every barrier
chance decides which goes on. A copy or a product is carried out at a random time between its start and the wait for it, so
that a buffer which is filled again too early, or read before it is full, gives a wrong result. Where none can go on, that is
a deadlock, and an error. What a copy has yet to fill holds NaN.

It shows nothing of registers, layouts and instructions. Those are read from the machine code.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import functools
import inspect
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

LOG2_E = math.log2(math.e)


class Deadlock(AssertionError):
    """Every partition waits for a barrier that nobody completes."""


class Barrier:
    """An mbarrier: a phase is complete when all have arrived and all bytes that were expected are there."""

    def __init__(self) -> None:
        self.count = 0
        self.pending = 0
        self.bytes = 0
        self.phase = 0

    def start(self, count: int) -> None:
        self.count = self.pending = count

    def change(self, *, arrivals: int = 0, expected: int = 0) -> None:
        assert self.pending >= arrivals, "more arrivals than the barrier was made for"
        self.pending -= arrivals
        self.bytes += expected
        if self.pending == 0 and self.bytes == 0:
            self.pending = self.count
            self.phase += 1

    def passed(self, parity: int) -> bool:
        """Whether the last completed phase has this parity; that before the first has 1."""
        return (self.phase - 1) % 2 == parity


@dataclass
class Shared:
    """A view of shared memory."""

    data: Tensor
    barriers: list[Any] = field(default_factory=list)

    def index(self, i: int) -> Any:
        return self.barriers[i] if self.barriers else Shared(self.data[i])

    def slice(self, start: int, length: int, dim: int = 0) -> Shared:
        return Shared(self.data.narrow(dim, start, length))

    def reshape(self, shape: list[int]) -> Shared:
        return Shared(self.data.view(shape))

    def permute(self, order: tuple[int, ...]) -> Shared:
        return Shared(self.data.permute(order))

    def load(self, layout: Any = None) -> Tensor:
        return self.data.clone()

    def store(self, values: Tensor) -> None:
        assert values.dtype == self.data.dtype
        self.data.copy_(values)


@dataclass(frozen=True)
class Rows:
    """A tensor descriptor: boxes of it are copied; what is outside is read as 0 and not written."""

    tensor: Tensor
    box: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        return self.tensor.dtype

    def _parts(self, where: list[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        inside = [max(0, min(size - at, n)) for size, at, n in zip(self.tensor.shape, where, self.box, strict=True)]
        there = tuple(slice(at, at + n) for at, n in zip(where, inside, strict=True))
        return there, tuple(slice(0, n) for n in inside)

    def read(self, where: list[int]) -> Tensor:
        there, here = self._parts(where)
        box = torch.zeros(self.box, dtype=self.dtype)
        box[here] = self.tensor[there]
        return box

    def write(self, where: list[int], box: Tensor, *, add: bool = False) -> None:
        there, here = self._parts(where)
        if add:
            self.tensor[there] += box[here]
        else:
            assert self.tensor[there].isnan().all(), "an element is stored twice"
            self.tensor[there] = box[here]


@dataclass
class Late:
    """Something begun, which is done at a random time before it is waited for."""

    work: Callable[[], Any]
    stores: bool = False
    done: bool = False
    result: Any = None

    def finish(self) -> Any:
        if not self.done:
            self.result, self.done = self.work(), True
        return self.result


class Pointer:
    """An address: numbers are loaded from it, and added to."""

    def __init__(self, tensor: Tensor, at: Any = 0) -> None:
        self.tensor, self.at = tensor, at

    def __add__(self, other: Any) -> Pointer:
        return Pointer(self.tensor, self.at + other)


def always() -> bool:
    return True


class Machine:
    """One multiprocessor that runs one program at a time, its partitions in turns that chance decides."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # How likely something that was begun is done by the next event.
        self.haste = (0.003, 0.3, 0.03, 0.9)[seed % 4]
        self.late: list[Late] = []
        self.program, self.programs = 0, 1
        self.running = 0
        self.groups: list[list[Late]] = []
        self.stores: list[list[Late]] = []

    def specialize(self, partitions: list[tuple[Any, tuple[Any, ...]]], warps: list[int], registers: list[int]) -> None:
        """Run all partitions to their end: each is a generator of what it waits for."""
        running = {i: function(*given) for i, (function, given) in enumerate(partitions)}
        waiting: dict[int, Callable[[], bool]] = dict.fromkeys(running, always)
        self.groups = [[] for _ in partitions]
        self.stores = [[] for _ in partitions]
        while running:
            self._do([work for work in self.late if self.random.random() < self.haste])
            while not (ready := [i for i, can in waiting.items() if can()]):
                if not self.late:
                    raise Deadlock("every partition waits, and nothing is under way")
                # Stores last: nobody waits for what they do, but for the memory that they read.
                self._do([self.random.choice([x for x in self.late if not x.stores] or self.late)])
            self.running = self.random.choice(ready)
            try:
                waiting[self.running] = next(running[self.running])
            except StopIteration:
                del running[self.running], waiting[self.running]
        self._do(list(self.late))

    def _do(self, works: list[Late]) -> None:
        for work in works:
            if work in self.late:
                self.late.remove(work)
            work.finish()

    def begin(self, work: Callable[[], Any], *, stores: bool = False) -> Late:
        self.late.append(late := Late(work, stores))
        return late

    # What a kernel calls.

    def wait(self, barrier: Barrier, phase: int) -> Callable[[], bool]:
        return lambda: barrier.passed(phase)

    def arrive(self, barrier: Barrier, *, count: int = 1, pred: Any = True) -> Callable[[], bool]:
        if pred:
            barrier.change(arrivals=count)
        return always

    def read(self, rows: Rows, where: list[int], barrier: Barrier, target: Shared) -> None:
        """A bulk copy into shared memory. The bytes count where they arrive, those of a box that is partly outside all."""
        target.data.fill_(torch.nan)

        def copy() -> None:
            target.data.copy_(rows.read(where))
            barrier.change(expected=-target.data.numel() * target.data.element_size())

        self.begin(copy)

    def expect(self, barrier: Barrier, expected: int) -> None:
        barrier.change(arrivals=1, expected=expected)

    def write(self, rows: Rows, where: list[int], source: Shared) -> None:
        self.stores[self.running].append(self.begin(lambda: rows.write(where, source.data), stores=True))

    def add(self, rows: Rows, where: list[int], source: Shared) -> None:
        self.stores[self.running].append(self.begin(lambda: rows.write(where, source.data, add=True), stores=True))

    def store_wait(self, pending: int) -> None:
        stores = self.stores[self.running]
        while len(stores) > pending:
            self._do([stores.pop(0)])

    def multiply(self, a: Any, b: Shared, total: Any, *, use_acc: bool = True, is_async: bool = False) -> Any:
        """A product whose operands in shared memory are read late, after those begun before it."""
        groups = self.groups[self.running]
        earlier = groups[-1] if groups else None
        start = total.clone() if isinstance(total, Tensor) else total

        def work() -> Tensor:
            if earlier is not None:
                earlier.finish()
            found = (a.data if isinstance(a, Shared) else a).float() @ b.data.float()
            return (start.finish() if isinstance(start, Late) else start) + found if use_acc else found

        groups.append(self.begin(work))
        if self.random.random() < 0.5:
            self._do([groups[-1]])
        return groups[-1] if is_async else self.wait_products(0, [groups[-1]])

    def wait_products(self, pending: int, deps: list[Any]) -> Any:
        groups = self.groups[self.running]
        while len(groups) > pending:
            self._do([groups.pop(0)])
        # Of a product that may still be under way there is no value yet.
        found = [self._value(x, groups) for x in deps]
        return found[0] if len(found) == 1 else tuple(found)

    @staticmethod
    def _value(x: Any, groups: list[Late]) -> Any:
        assert x not in groups if isinstance(x, Late) else True, "a product's result is used before it is waited for"
        return x.finish() if isinstance(x, Late) else x


def _language(machine: Machine) -> SimpleNamespace:
    def allocate(dtype: Any, shape: list[int], layout: Any) -> Any:
        if dtype == torch.int64:
            return Shared(torch.empty(0), [Barrier() for _ in range(shape[0])]) if len(shape) > 1 else Barrier()
        return Shared(torch.full(shape, torch.nan, dtype=dtype))

    def store(pointer: Pointer, values: Tensor, mask: Tensor) -> None:
        at = pointer.at[mask.expand_as(pointer.at)]
        assert pointer.tensor.view(-1)[at].isnan().all(), "an element is stored twice"
        pointer.tensor.view(-1)[at] = values[mask.expand_as(values)].to(pointer.tensor.dtype)

    def smaller(a: Tensor, b: Any) -> Tensor:
        return torch.minimum(a, torch.as_tensor(b, dtype=a.dtype))

    return SimpleNamespace(
        float32=torch.float32, int32=torch.int32, int64=torch.int64, constexpr=lambda x: x,
        program_id=lambda axis: machine.program, num_programs=lambda axis: machine.programs,
        arange=lambda start, end, layout: torch.arange(start, end, dtype=torch.int32),
        zeros=lambda shape, dtype, layout: torch.zeros(shape, dtype=dtype),
        expand_dims=torch.unsqueeze, maximum=torch.maximum, minimum=smaller,
        where=lambda seen, a, b: torch.where(seen, a, torch.as_tensor(b, dtype=a.dtype)),
        convert_layout=lambda x, layout: x, static_range=range, allocate_shared_memory=allocate,
        load=lambda pointer: pointer.tensor.view(-1)[pointer.at], store=store,
        warp_specialize=machine.specialize, inline_asm_elementwise=None,
        NVMMASharedLayout=SimpleNamespace(get_default_for=lambda shape, dtype: None),
        **dict.fromkeys(("NVMMADistributedLayout", "DotOperandLayout", "SliceLayout", "BlockedLayout"), lambda *a, **k: None),
    )  # fmt: skip


class _Yielding(ast.NodeTransformer):
    """Makes a generator of a function that waits: each wait and each arrival hands over to the machine."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("mbarrier.wait", "mbarrier.arrive"):
            return ast.Expr(ast.Yield(node.value))
        return node


@functools.cache
def _python(function: Any) -> Any:
    """A kernel's function in Python, in the names of its module."""
    tree = _Yielding().visit(ast.parse(inspect.getsource(function)))
    tree.body[0].decorator_list = []
    found: dict[str, Any] = {}
    code = compile(
        ast.fix_missing_locations(tree), function.__code__.co_filename, "exec", flags=__future__.annotations.compiler_flag
    )
    exec(code, function.__globals__, found)
    return found[function.__name__]


@contextlib.contextmanager
def interpreting(module: ModuleType, machine: Machine) -> Iterator[None]:
    """Within, the functions of a module of Gluon kernels are Python that runs on the machine."""
    before = dict(vars(module))
    own = {name: _python(found.fn) for name, found in before.items() if type(found).__name__ == "GluonJITFunction"}
    meanings = {
        "gl": _language(machine),
        "mbarrier": SimpleNamespace(
            MBarrierLayout=lambda: None, init=lambda barrier, count: barrier.start(count), wait=machine.wait,
            arrive=machine.arrive, expect=machine.expect,
        ),
        "tma": SimpleNamespace(
            async_copy_global_to_shared=machine.read, async_copy_shared_to_global=machine.write, store_wait=machine.store_wait
        ),
        "reduce_add": machine.add,
        "fence_async_shared": lambda: None,
        "warpgroup_mma": machine.multiply,
        "warpgroup_mma_wait": lambda pending, deps: machine.wait_products(pending, deps),
        "LOG2_E": LOG2_E,
        "weights_of": lambda z, reciprocals: 1 / (1 + torch.exp2(z)),
    }  # fmt: skip
    vars(module).update({**own, **{name: x for name, x in meanings.items() if name in before}})
    try:
        yield
    finally:
        vars(module).update(before)


@dataclass(frozen=True)
class Interpreted:
    """A kernel of a module, launched as Triton's are, with programs that run one after the other."""

    module: ModuleType
    name: str
    seed: int = 0

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def run(*given: Any, num_warps: int, **options: Any) -> None:
            machine = Machine(self.seed)
            (machine.programs,) = grid
            with interpreting(self.module, machine):
                for program in range(machine.programs):
                    machine.program = program
                    vars(self.module)[self.name](*map(_argument, given), **options)

        return run


def _argument(x: Any) -> Any:
    if hasattr(x, "block_shape"):
        return Rows(x.base.as_strided(x.shape, x.strides), tuple(x.block_shape))
    return Pointer(x) if isinstance(x, Tensor) else x
