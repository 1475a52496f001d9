"""What RAG readers are timed on: the lists that models write, and one that is far too long.

Every call gets a text that was never read before (a serial number stands in its first query). The last answer that was
timed is checked as well, and a list that is not plain is read out under the clock, so that no work is left for afterwards.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterable
from typing import Any

from conformance.benchmark.workload import Prepared, Workload
from conformance.engine.comparison import Comparison, equal
from conformance.engine.text_comparison import equal_lists
from conformance.rag.harness.subject import connect
from conformance.rig.harness.text import as_queries
from impls.implementation import Implementation
from reference import rag

BASELINE = "rag/reference"

SERIAL = 12
"""Characters of serial number at the beginning of each text."""


def _workload(name: str, description: str, length: int, distinct: int, quick: bool = False) -> Workload:
    return Workload(
        id=name,
        system="rag",
        description=f"{description}, {length:,} characters",
        dtype="",
        amount=float(length),
        unit="characters",
        quick=quick,
        devices=("cpu",),
        parameters={"length": length, "distinct": distinct},
        family=name.rpartition("-")[0],
        scale=float(length),
        scale_name="characters",
    )


WORKLOADS: tuple[Workload, ...] = (
    _workload("list-1k", "about 20 queries, a few of them twice", 1_024, 20, quick=True),
    _workload("repeating-64k", "a model in a loop: 20 queries again and again", 65_536, 20, quick=True),
    _workload("repeating-1m", "a model in a loop: 20 queries again and again", 1_048_576, 20),
    _workload("endless-1m", "thousands of different queries", 1_048_576, 10**6),
)


@functools.lru_cache(maxsize=4)
def body(length: int, distinct: int) -> str:
    """The text of a workload but for its serial number; cut at its length, as a model's answer may be."""
    source = random.Random(length)
    lines: list[str] = []
    have = 0
    while have < length:
        number = source.randrange(distinct)
        form = ("What is statistic {} in Paris, TX?", "How has statistic {} changed over time in France?")[number % 2]
        lines.append(form.format(number) + source.choice(("\n", "\r\n", "\n\n")))
        have += len(lines[-1])
    return "".join(lines)[: length - SERIAL]


def prepare(implementation: Implementation, workload: Workload, device: str) -> Prepared:
    """One reading of a new text, and its comparison with the reference in the reader's profile."""
    subject = connect(implementation, device)
    parse = subject.raw_parse()
    text = body(workload.parameters["length"], workload.parameters["distinct"])
    serial = itertools.count()
    timed: list[tuple[str, object]] = []
    counts: set[int] = set()
    plain = is_plain(subject.answer(f"{next(serial):0{SERIAL}d}{text}"))

    def run() -> object:
        fresh = f"{next(serial):0{SERIAL}d}{text}"
        answer = parse(fresh)
        read: Any = answer if plain else as_queries(answer)
        timed[:] = [(fresh, read)]
        counts.add(len(read))
        return answer

    def verify() -> Iterable[Comparison]:
        fresh = f"{next(serial):0{SERIAL}d}{text}"
        yield from compared("queries", fresh, subject.parse(fresh))
        for fresh, answer in timed:
            yield from compared("queries of the last timed call", fresh, as_queries(answer))
        # All texts hold the same but for their serial numbers.
        if counts:
            yield equal("different numbers of queries in timed calls", len(counts), 1)

    def compared(quantity: str, fresh: str, found: list[str]) -> Iterable[Comparison]:
        if subject.profile.name == "strict":
            yield equal_lists(quantity, found, rag.parse(fresh).queries, fresh)
        else:
            yield equal(f"{quantity}: the official reader could have returned them", rag.official.accepts(fresh, found), True)

    return Prepared(
        run, verify, inputs="each call reads a text that was never read before; it is put together on the clock, by one copy"
    )


def is_plain(answer: object) -> bool:
    """Whether an answer is a list or tuple of Python's own, in which nothing can be left to be worked out later."""
    return type(answer) in (list, tuple)
