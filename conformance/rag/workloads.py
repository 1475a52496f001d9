"""What RAG readers are timed on: the lists that models write, and one that is far too long.

Every call gets a new text, with a serial number in its first query. The last timed answer is verified too, and an answer that
is not a plain list is read on the clock, so that no work is put off.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

from conformance.benchmark.apart import lives_elsewhere
from conformance.benchmark.workload import Prepared, Workload
from conformance.engine.comparison import Comparison, equal
from conformance.engine.harness import connect
from conformance.engine.text_comparison import equal_lists
from conformance.rag.harness.subject import RagSubject
from conformance.rig.workloads import VARIED, TimedReading, text_workload
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
def body(length: int, distinct: int, variant: int = 0) -> str:
    """The text of a workload without its serial number, cut at its length, as a model's answer may be."""
    source = random.Random(f"{length} {variant}" if variant else length)
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
    subject: RagSubject = connect(implementation, device)
    length, distinct = workload.parameters["length"], workload.parameters["distinct"]
    varied, strict = lives_elsewhere(subject) and length <= VARIED, subject.profile.name == "strict"

    def fresh(number: int) -> str:
        return f"{number:0{SERIAL}d}{body(length, distinct, number if varied else 0)}"

    def expected(number: int) -> list[str]:
        return list(rag.parse(fresh(number)).queries)

    def compared(quantity: str, number: int, found: list[str]) -> Iterator[Comparison]:
        if strict:
            yield equal_lists(quantity, found, expected(number), fresh(number))
        else:
            possible = rag.official.accepts(fresh(number), found)
            yield equal(f"{quantity}: the official reader could have returned them", possible, True)

    return TimedReading(subject.timed(fresh(0)), fresh, compared, "queries", expected if strict else None).prepared()
