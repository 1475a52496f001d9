"""What sigmoid attention is timed on: self-attention, forward alone and with its backward pass, causal and not.

Work is counted as the papers of the field count it: ``4 B H N^2 D`` floating-point operations forward, half of it under a
causal mask, and 2.5 times the forward again for the backward pass. Inputs are normal deviates and never zeros, on which a
GPU runs faster than on data.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.benchmark.apart import Request, process_of, request
from conformance.benchmark.on_device import Elsewhere
from conformance.benchmark.unforeseen import generator, one_in_each
from conformance.benchmark.workload import Prepared, Workload
from conformance.benchmark.workload_file import BadWorkloads, fields_of
from conformance.engine.comparison import Comparison, compare, equal
from conformance.engine.harness import connect
from conformance.sigmoid_attention.harness.problem import AttentionLoad
from conformance.sigmoid_attention.harness.subject import inputs_of
from conformance.sigmoid_attention.harness.timed_work import Signs
from conformance.sigmoid_attention.sampled_rows import compare_group, compare_places
from impls.implementation import Implementation, Unsupported
from reference.sigmoid_attention import log_length_bias, softmax_row, softmax_row_bound

BASELINE = "sigmoid_attention/softmax-fused"
"""Softmax attention as torch ships it, so that a ratio can be compared with the paper's: sigmoid against FlashAttention-2. It
is a speed baseline, not an implementation: no requirement applies to it."""

TOKENS = 16384
"""Batch times length on CUDA: held constant, so that only the share of attention grows."""

WIDTH = 2048
"""Heads times head dim on CUDA."""

LENGTHS = (2048, 8192, 512, 16384, 1024, 4096)
"""The paper's lengths, on CUDA, in an order that mixes short and long ones, should the run be cut short."""

TILE = 16
"""In each tile of so many, one random row of the output and one random key of the gradients are verified, in every head and
batch row. No kernel's tile has fewer rows, so that a whole tile that is wrong is always met."""

MOST_PRODUCTS = 2**32
"""The multiplications that verifying one answer may take. Where tiles of `TILE` take more, they are made larger."""

OF_KEYS = ("k", "v", "dk", "dv")
"""What query heads share where there are fewer heads of keys."""

SPAN = 256
"""Places within so many neighbours are verified together."""

_WORDS = {"fwd": "forward", "bwd": "backward alone", "fwd-bwd": "forward and backward"}


def _workload(
    load: AttentionLoad, devices: tuple[str, ...], quick: bool, representative: bool, name: str = "", family: str = ""
) -> Workload:
    direction = ("bwd" if load.alone else "fwd-bwd") if load.backward else "fwd"
    flops = 4.0 * load.batch * load.heads * _pairs(load) * load.dim * {"fwd": 1.0, "bwd": 2.5, "fwd-bwd": 3.5}[direction]
    words = [direction, "causal" if load.causal else "full"]
    of_queries, of_keys = {"fwd": (2, 2), "bwd": (3, 4), "fwd-bwd": (4, 4)}[direction]
    elements = of_queries * math.prod(load.shape) + of_keys * math.prod(load.key_shape)
    needs = {
        "backward": load.backward,
        "causal": load.causal,
        "bias": load.bias != 0,
        "gqa": load.key_shape[1] != load.heads,
        "rectangular": load.key_shape[2] != load.length,
        "packed": bool(load.lengths),
    }
    return Workload(
        id=name or "-".join([*words, *_shape_words(load), load.dtype]),
        system="sigmoid_attention",
        description=(
            f"{_WORDS[direction]}, {'causal' if load.causal else 'no mask'}, "
            f"batch {load.batch}, {load.heads} heads, length {load.length}, head dim {load.dim}, "
            f"b = {'-log n' if load.bias else '0'}" + _further(load)
        ),
        dtype=load.dtype,
        amount=flops,
        unit="FLOP",
        quick=quick,
        representative=representative,
        needs=frozenset(word for word, condition in needs.items() if condition),
        devices=devices,
        bytes_moved=float(elements * {"float32": 4}.get(load.dtype, 2)),
        flops=flops,
        parameters={"load": load},
        family=family or "-".join([*words, f"D{load.dim}", load.dtype, "bias" if load.bias else "no-bias"]),
        scale=float(load.length),
        scale_name="length",
    )


def _pairs(load: AttentionLoad) -> float:
    """Pairs of query and key that see each other. The papers count half of them under a causal mask over as many keys."""
    if load.lengths:
        return sum(n * n for n in load.lengths) * (0.5 if load.causal else 1.0)
    queries, keys = load.length, load.key_shape[2]
    if load.causal and keys != queries:
        return float(sum(max(0, keys - queries + i + 1) for i in range(queries)))
    return queries * keys * (0.5 if load.causal else 1.0)


def _shape_words(load: AttentionLoad) -> list[str]:
    words = [f"B{load.batch}", f"H{load.heads}"]
    words += [f"HK{load.key_heads}"] if load.key_heads else []
    words += [f"N{load.length}", *([f"K{load.keys}"] if load.keys else []), f"D{load.dim}"]
    return words + ([f"packed{len(load.lengths)}"] if load.lengths else [])


def _further(load: AttentionLoad) -> str:
    parts = [f", {load.key_heads} heads of keys" if load.key_heads else "", f", {load.keys} keys" if load.keys else ""]
    return "".join(parts) + (f", {len(load.lengths)} packed sequences" if load.lengths else "")


def custom(entry: Mapping[str, Any]) -> Workload:
    """A workload of somebody's own, from the fields of a file; BadWorkloads where they are wrong."""
    defaults = {
        "name": "", "batch": 1, "heads": None, "key_heads": 0, "length": 0, "keys": 0, "lengths": (), "dim": None,
        "dtype": "bfloat16", "causal": False, "direction": "fwd", "bias": "-log n",
    }  # fmt: skip
    choices = {"dtype": ("float32", "float16", "bfloat16"), "direction": tuple(_WORDS)}
    numbers = fields_of({name: value for name, value in entry.items() if name != "bias"}, defaults, choices)
    bias = entry.get("bias", "-log n")
    if bias != "-log n" and (isinstance(bias, bool) or not isinstance(bias, int | float)):
        raise BadWorkloads(f"found bias {bias!r}, expected a number or '-log n'")
    lengths = tuple(numbers["lengths"])
    for wrong, found, expected in (
        (bool(lengths) == bool(numbers["length"]), "both length and lengths, or neither", "one of them"),
        (bool(lengths) and (numbers["batch"] > 1 or numbers["keys"] > 0), "lengths with a batch or keys", "lengths alone"),
        (numbers["key_heads"] and numbers["heads"] % numbers["key_heads"], "key_heads that do not divide heads", "a divisor"),
        (numbers["batch"] < 1, "batch 0", "1 or more"),
    ):
        if wrong:
            raise BadWorkloads(f"found {found}; expected {expected}")
    length = sum(lengths) or numbers["length"]
    direction = numbers["direction"]
    load = AttentionLoad(
        batch=numbers["batch"], heads=numbers["heads"], length=length, dim=numbers["dim"], dtype=numbers["dtype"],
        bias=log_length_bias(max(lengths, default=numbers["keys"] or length)) if bias == "-log n" else float(bias),
        causal=numbers["causal"], backward=direction != "fwd", alone=direction == "bwd",
        key_heads=0 if numbers["key_heads"] == numbers["heads"] else numbers["key_heads"],
        keys=0 if numbers["keys"] == length else numbers["keys"], lengths=lengths,
    )  # fmt: skip
    return _workload(load, ("cpu", "cuda"), False, False, numbers["name"], family="own")


def _cpu(
    length: int, causal: bool, backward: bool, *, dtype: str = "float32", heads: int = 4, quick: bool = False
) -> Workload:
    # The quick ones have no bias, so that implementations without one can be timed too.
    bias = 0.0 if quick else log_length_bias(length)
    load = AttentionLoad(batch=1, heads=heads, length=length, dim=64, dtype=dtype, bias=bias, causal=causal, backward=backward)
    # The short one is the only one without a bias; masks are what models train with.
    representative = dtype == "float32" and causal and (length == 1024 or (length == 256 and backward))
    return _workload(load, ("cpu",), quick, representative)


def _cuda(length: int, dim: int, causal: bool, backward: bool = False, alone: bool = False) -> Workload:
    load = AttentionLoad(
        batch=TOKENS // length,
        heads=WIDTH // dim,
        length=length,
        dim=dim,
        dtype="bfloat16",
        bias=log_length_bias(length),
        causal=causal,
        backward=backward,
        alone=alone,
    )
    representative = dim == 128 and causal and not alone and length in (2048, 16384)
    return _workload(load, ("cuda",), length == 2048 and dim == 128, representative)


WORKLOADS: tuple[Workload, ...] = (
    _cpu(256, False, False, quick=True),
    _cpu(256, True, False, quick=True),
    _cpu(256, True, True, quick=True),
    *(
        _cpu(length, causal, with_backward)
        for length in (1024, 2048, 4096)
        for with_backward in (False, True)
        for causal in (False, True)
    ),
    # Short lengths are where a processor's own bfloat16 products decide who is ahead.
    *(
        _cpu(length, causal, with_backward, dtype="bfloat16", heads=8 if length == 256 else 4)
        for length in (256, 1024, 4096)
        for with_backward in (False, True)
        for causal in (False, True)
    ),
    *(
        _cuda(length, dim, causal, **direction)
        for length in LENGTHS
        for dim in (128, 64, 256)
        for causal in (False, True)
        for direction in ({}, {"backward": True, "alone": True}, {"backward": True})
    ),
)


def unsuited(implementation: Implementation, workload: Workload, device: str) -> str:
    """Why an implementation that offers all that a workload needs is not timed on it; empty where it is."""
    if device == "cpu" and implementation.settings.get("interpreted_on_cpu"):
        return "runs in Triton's interpreter on a CPU, where its speed would mean nothing"
    return str(implementation.settings.get("untimed_on_cpu", "")) if device == "cpu" else ""


def prepare(implementation: Implementation, workload: Workload, device: str) -> Prepared:
    """Prepare the implementation with inputs on its device; the guards of the checks are not timed."""
    subject = connect(implementation, device)
    if not hasattr(subject, "timed"):
        raise Unsupported("is a subject of its own, and does not say how to time it")
    load: AttentionLoad = workload.parameters["load"]
    if "speed_baseline" in implementation.settings:
        compared: Compared = functools.partial(_compare_softmax, load)
    else:
        comparing = _compare_sigmoid if load.plain else _compare_groups
        compared = functools.partial(comparing, load, implementation.numerical_class)
    return _Timed(implementation, load, device, subject.timed(load), compared).prepared(0)


Compared = Callable[["_Timed"], Iterator[Comparison]]
"""Compares the results for the present inputs with what is expected."""

_SEEDS = itertools.count(10**9)
"""Of the inputs that are verified: far from those of samples."""


class _Timed:
    """One set of buffers, with the same inputs drawn here where they lie in another process."""

    def __init__(
        self, implementation: Implementation, load: AttentionLoad, device: str, work: Any, compared: Compared
    ) -> None:
        self.load, self.work = load, work
        self._more = implementation, load, device
        self._compared = compared
        self._process = process_of(work)
        self._signs = Signs(load.dim, generator())
        self._inputs = inputs_of(implementation, load, device) if self._process else work
        self._salt = int(generator().integers(2**40)) if self._process else 0
        """Added to all seeds: nobody knows beforehand what is drawn."""
        self._seen: dict[str, Any] | None = {}
        """What was seen of the last call when the clock stopped; None where that call was not timed."""
        self._seed = 0
        self._drawn_for: tuple[int, bytes] | None = None

    def prepared(self, number: int) -> Prepared:
        """See `Prepared`."""
        self.renew(number)
        return Prepared(
            self.run,
            self._verify_new,
            another=self._another,
            # A CUDA graph leaves its results where it was captured.
            verify_timed=self._verify_last if self._more[2] == "cpu" or self._process else None,
            renew=self.renew,
            inputs="normal deviates, drawn anew in place before each sample; " + self._further_inputs,
            process=self._process,
            request=functools.partial(self._request, "make") if self._process else None,
            exchange=functools.partial(self._request, "exchange") if self._process else None,
            elsewhere=self._elsewhere(),
        )

    @property
    def _further_inputs(self) -> str:
        if self._process is None:
            return "calls within one sample repeat them"
        if self._more[2] != "cpu":
            return "calls within one sample repeat them; the signs of the keys' columns are told right before the clock runs"
        return "the signs of the keys' columns are drawn for each call, and told on the clock"

    def _elsewhere(self) -> Elsewhere | None:
        if self._process is None or self._more[2] == "cpu":
            return None
        return Elsewhere(self._process, self.work.on_device(), lambda: self._told(1)[0], self._made)

    def _made(self, told: Sequence[Any], seen: Any) -> None:
        if seen is not None:
            self._look(seen)

    def renew(self, seed: int) -> None:
        """Draw the inputs anew."""
        self._signs.reset()
        self._seed = (seed + self._salt) % 2**62
        self.work.renew(self._seed)

    def run(self) -> None:
        """One call."""
        seen = self.work.make(self._told(1))
        self._look(seen if self._more[2] == "cpu" or not self._process else None)  # a device was not waited for

    def head(self, batch: int, head: int) -> dict[str, Any]:
        """One head of the inputs and of the results."""
        return {**self._drawn().inputs(batch, head), **self.work.head(batch, head)}

    def _another(self, number: int) -> Prepared:
        implementation, load, device = self._more
        return _Timed(implementation, load, device, connect(implementation, device).timed(load), self._compared).prepared(
            number
        )

    def _told(self, calls: int) -> list[Any]:
        # A backward pass alone goes with a forward pass that was made before.
        return self._signs.draw(calls) if self._process and not self.load.alone else [None] * calls

    def _request(self, method: str, calls: int) -> Request:
        return request(self.work, method, self._told(calls), self._look)

    def _look(self, seen: Any) -> None:
        self._seen = seen

    def _drawn(self) -> Any:
        """The inputs as this process knows them."""
        wanted = self._seed, self._signs.product.tobytes()
        if self._process and self._drawn_for != wanted:
            self._inputs.renew(self._seed)
            self._inputs.turn(self._signs.product)
            self._drawn_for = wanted
        return self._inputs

    def _verify_new(self) -> Iterator[Comparison]:
        """Verify a new call on new inputs; a later call must leave its results as they are."""
        self.renew(next(_SEEDS))
        self.run()
        yield from self._compared(self)
        if "speed_baseline" not in self._more[0].settings:
            yield from self._still_there()

    def _verify_last(self) -> Iterator[Comparison]:
        """Verify what the last timed call left behind, and that it was there when the clock stopped."""
        for batch, head in itertools.product(range(self.load.batch), range(self.load.heads)):
            for name, now in self.work.head(batch, head).items():
                if self._seen is None:
                    continue
                rows = now.max(-1) if self._process and not self.load.alone else now[:, 0]
                heads = self._seen[name][batch]
                same = bool(np.array_equal(rows, heads[head * len(heads) // self.load.heads], equal_nan=True))
                yield equal(f"{name} was complete when the clock stopped", same, True)
        yield from self._compared(self)

    def _still_there(self) -> Iterator[Comparison]:
        """Check that a later call leaves the results of an earlier one alone: to reuse buffers would be cheaper."""
        rng = generator()
        where = int(rng.integers(self.load.batch)), int(rng.integers(self.load.heads))
        before = self.work.head(*where)
        self.work.keep()
        self.renew(next(_SEEDS))
        self.run()
        after = self.work.kept(*where)
        for name in before:
            same = bool(np.array_equal(before[name], after[name], equal_nan=True))
            yield equal(f"{name} of an earlier call is as it was after a later one", same, True)


def _compare_sigmoid(load: AttentionLoad, numerical_class: str, timed: _Timed) -> Iterator[Comparison]:
    """Compare one random row and key in each tile of every head."""
    rng = generator()
    tile = TILE
    while load.batch * load.heads * (load.length / tile) * load.length * load.dim > MOST_PRODUCTS:
        tile *= 2
    # Read all before comparing, the last first: there unfinished work would show.
    everywhere = itertools.product(reversed(range(load.batch)), reversed(range(load.heads)))
    heads = {where: timed.head(*where) for where in everywhere}
    for (batch, head), found in heads.items():
        chosen = one_in_each(load.length, tile, rng).tolist()
        rule: dict[str, Any] = {"dtype": load.dtype, "bias": load.bias, "causal": load.causal, "span": SPAN}
        yield from compare_places(found, chosen, f"batch {batch} head {head}", numerical_class=numerical_class, **rule)


def _compare_groups(load: AttentionLoad, numerical_class: str, timed: _Timed) -> Iterator[Comparison]:
    """The same where heads share keys, queries are fewer than keys, or sequences are packed: of each sequence its own."""
    rng, tile = generator(), TILE
    most = max(load.length, load.key_shape[2])
    while load.batch * load.heads * (most / tile) * most * load.dim > MOST_PRODUCTS:
        tile *= 2
    edges = list(itertools.pairwise(load.edges)) or [(0, most)]
    size = load.heads // load.key_shape[1]
    for batch, head in itertools.product(reversed(range(load.batch)), reversed(range(load.key_shape[1]))):
        heads = [timed.head(batch, head * size + each) for each in range(size)]
        of_queries = {name: np.stack([found[name] for found in heads]) for name in heads[0] if name not in OF_KEYS}
        group = {**heads[0], **of_queries}
        for start, end in reversed(edges):
            part = {name: x[..., start:end, :] for name, x in group.items()}
            rows, keys = (one_in_each(part[name].shape[-2], tile, rng) for name in ("q", "k"))
            yield from compare_group(
                part, rows, keys, f"batch {batch} head {head} of keys from {start}", dtype=load.dtype,
                numerical_class=numerical_class, bias=load.bias, causal=load.causal, span=SPAN,
            )  # fmt: skip


def _compare_softmax(load: AttentionLoad, timed: _Timed) -> Iterator[Comparison]:
    """Check on its output that a speed baseline computes softmax attention."""
    rng = generator()
    head = timed.head(int(rng.integers(load.batch)), int(rng.integers(load.heads)))
    for i in one_in_each(load.length, SPAN, rng).tolist():
        keys = slice(0, i + 1 if load.causal else load.length)
        row = head["q"][i], head["k"][keys], head["v"][keys]
        expected, bound = softmax_row(*row), softmax_row_bound(*row, dtype=load.dtype)
        yield compare(f"softmax output, row {i}", head["output"][i], expected, bound)
