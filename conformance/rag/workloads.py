"""What RAG readers are timed on: the lists that models write, and one that is far too long.

Every call gets a new text, with a serial number in its first query. The last timed answer is verified too, and an answer that
is not a plain list is read on the clock, so that no work is put off.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

from conformance.benchmark.workload import Prepared, Workload
from conformance.engine.comparison import Comparison, equal
from conformance.engine.text_comparison import equal_lists
from conformance.rag.harness.subject import connect
from conformance.rig.harness.text import as_queries
from conformance.rig.workloads import text_workload, timed_reading
from impls.implementation import Implementation
from reference import rag

BASELINE = "rag/reference"

SERIAL = 12
"""Characters of serial number at the beginning of each text."""


WORKLOADS: tuple[Workload, ...] = (
    text_workload("rag", "list-1k", "about 20 queries, a few of them twice", 1_024, quick=True, distinct=20),
    text_workload("rag", "repeating-64k", "a model in a loop: 20 queries again and again", 65_536, quick=True, distinct=20),
    text_workload("rag", "repeating-1m", "a model in a loop: 20 queries again and again", 1_048_576, distinct=20),
    text_workload("rag", "endless-1m", "thousands of different queries", 1_048_576, distinct=10**6),
)


@functools.lru_cache(maxsize=4)
def body(length: int, distinct: int) -> str:
    """The text of a workload without its serial number, cut at its length, as a model's answer may be."""
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
    text = body(workload.parameters["length"], workload.parameters["distinct"])

    def fresh(number: int) -> str:
        return f"{number:0{SERIAL}d}{text}"

    def compared(quantity: str, number: int, found: list[str]) -> Iterator[Comparison]:
        if subject.profile.name == "strict":
            yield equal_lists(quantity, found, rag.parse(fresh(number)).queries, fresh(number))
        else:
            possible = rag.official.accepts(fresh(number), found)
            yield equal(f"{quantity}: the official reader could have returned them", possible, True)

    return timed_reading(subject, fresh, as_queries, is_plain, compared, "queries")


def is_plain(answer: object) -> bool:
    """Whether an answer is one of Python's own lists or tuples, which cannot put work off."""
    return type(answer) in (list, tuple)
