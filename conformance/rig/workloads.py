"""What RIG parsers are timed on: answers as models write them, answers that are little but annotations, and hostile ones.

Every call gets a text that was never parsed before, and whose answer differs from every other (it begins with an annotation
that holds a serial number), so that nothing can be answered from memory. The last answer that was timed is checked as well,
and lists that are not plain are read out under the clock, so that no work is left for afterwards. No floor is claimed on
bytes moved: how many bytes a character takes is the language's affair.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterable

from conformance._texts import equal_lists
from conformance.comparison import Comparison
from conformance.workload import Prepared, Workload
from impls._text import Found, as_annotations
from impls.contract import Implementation
from impls.rig.driver import connect
from reference import rig

BASELINE = "rig/re"

SERIAL = len(rig.serialise([("serial", f"{0:012d}")]))
"""Characters of the annotation with the serial number, with which each text begins."""

_DESCRIPTIONS = {
    "typical": "an answer in Markdown with an annotation every few hundred characters",
    "dense": "an answer of annotations, with a word between",
    "hostile": "openers and arrows that never become an annotation",
    "unclosed": "one annotation after another without its closing quote",
}


def _workload(kind: str, name: str, length: int, quick: bool = False) -> Workload:
    return Workload(
        id=f"{kind}-{name}",
        system="rig",
        description=f"{_DESCRIPTIONS[kind]}, {length:,} characters",
        dtype="",
        amount=float(length),
        unit="characters",
        quick=quick,
        devices=("cpu",),
        parameters={"kind": kind, "length": length},
        family=kind,
        scale=float(length),
        scale_name="characters",
    )


WORKLOADS: tuple[Workload, ...] = (
    _workload("typical", "64k", 65_536, quick=True),
    _workload("dense", "64k", 65_536, quick=True),
    _workload("typical", "1m", 1_048_576),
    _workload("dense", "1m", 1_048_576),
    _workload("hostile", "1m", 1_048_576),
    _workload("unclosed", "1m", 1_048_576),
)

_PROSE = (
    "the population of Sunnyvale has grown since it was founded in 1912 and median income – by county [1] – rose (see below) "
    "**much** faster than in café-lined streets elsewhere; about half of all households own a home, and employment:\n\n* San "
    "Francisco, CA: the share of adults with a degree is among the highest in the state."
)


@functools.lru_cache(maxsize=4)
def body(kind: str, length: int) -> str:
    """The text of a workload but for its serial number; cut at its length wherever that is, as a model's answer may be."""
    source = random.Random(f"{kind} {length}")
    pieces: list[str] = []
    have = 0
    while have < length:
        if kind == "hostile":
            piece = source.choice(('[__DC__("a") --> "', '[__DC__("', "[[__DC__(", '[__DC__("a[__DC__(") --> ", "x'))
        elif kind == "unclosed":
            piece = f'[__DC__("what was statistic {source.randrange(10**6)}?") --> "{source.randrange(10**6)}] '
        else:
            words = source.randint(40, 80) if kind == "typical" else 1
            value = f"{source.randrange(10**6):,}" + source.choice(("", "%", " million", " €"))
            annotation = f'[__DC__("what was statistic {source.randrange(10**6)} of Paris, TX in 2020?") --> "{value}"] '
            piece = " ".join(source.choices(_PROSE.split(" "), k=words)) + " " + annotation
        pieces.append(piece)
        have += len(piece)
    return "".join(pieces)[: length - SERIAL]


def prepare(implementation: Implementation, workload: Workload, device: str) -> Prepared:
    """One reading of a new text, and its verification against the law in the parser's profile."""
    subject = connect(implementation, device)
    parse = subject.raw_parse()
    text = body(workload.parameters["kind"], workload.parameters["length"])
    serial = itertools.count()
    timed: list[tuple[int, object]] = []
    plain = is_plain(subject.answer(fresh(next(serial), text)))

    def run() -> object:
        number = next(serial)
        answer = parse(fresh(number, text))
        timed[:] = [(number, answer if plain else as_annotations(answer))]
        return answer

    def verify() -> Iterable[Comparison]:
        number = next(serial)
        yield compared("annotations with their spans", number, subject.parse(fresh(number, text)))
        for number, answer in timed:
            yield compared("annotations of the last timed call", number, subject.read(answer, fresh(number, text)))

    def compared(quantity: str, number: int, found: list[Found]) -> Comparison:
        first = ("serial", f"{number:012d}", 0, SERIAL)
        return equal_lists(quantity, found, [first, *_law(text, subject.profile.name)], fresh(number, text))

    return Prepared(
        run, verify, inputs="each call reads a text that was never read before; it is put together on the clock, by one copy"
    )


def fresh(number: int, text: str) -> str:
    """The text of one call."""
    return f'[__DC__("serial") --> "{number:012d}"]{text}'


def is_plain(answer: object) -> bool:
    """Whether an answer is lists, tuples and dicts of Python's own, in which nothing can be left to be worked out later."""
    return type(answer) in (list, tuple) and all(type(item) in (tuple, list, dict) for item in answer)  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=4)
def _law(text: str, profile: str) -> tuple[tuple[str, str, int, int], ...]:
    """The annotations of the text behind a serial number."""
    found = rig.annotations("0" * SERIAL + text, rig.PROFILES[profile])
    return tuple((a.query, a.value, a.span.start, a.span.end) for a in found)
