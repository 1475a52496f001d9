"""What RIG parsers are timed on: answers as models write them, answers that are little but annotations, and hostile ones.

Every call gets a new text: it begins with an annotation that holds a serial number, so that no answer can come from a cache.
The last timed answer is verified too, and answers that are not plain lists are read on the clock, so that no work is put
off. No minimum of bytes moved is claimed, since the bytes of a character depend on the language.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from conformance.benchmark.workload import Prepared, Workload
from conformance.engine.comparison import Comparison, equal
from conformance.engine.text_comparison import equal_lists
from conformance.engine.time_limit import time_limit
from conformance.rig.harness.subject import RigSubject, connect
from conformance.rig.harness.text import Found, Item, TextSubject, TimeLimitExceeded, as_annotations, seconds_for
from impls.implementation import Implementation, Unsupported
from reference import rig

BASELINE = "rig/re"

SERIAL = len(rig.serialise([("serial", f"{0:012d}")]))
"""Characters of the annotation with the serial number, with which each text begins."""

_DESCRIPTIONS = {
    "typical": "an answer in Markdown with an annotation every few hundred characters",
    "dense": "an answer of annotations, with a word between",
    "hostile": "openers and arrows that never become an annotation",
    "unclosed": "one annotation after another without its closing quote",
    "openers": "one opener a line, none of which becomes an annotation",
}


def text_workload(system: str, id_: str, description: str, length: int, quick: bool = False, **parameters: Any) -> Workload:
    """A text to read in one call; the quick ones represent the system too.

    Workloads whose ids differ only behind the last hyphen are one family.
    """
    return Workload(
        id=id_,
        system=system,
        description=f"{description}, {length:,} characters",
        dtype="",
        amount=float(length),
        unit="characters",
        quick=quick,
        representative=quick,
        devices=("cpu",),
        parameters={"length": length, **parameters},
        family=id_.rpartition("-")[0],
        scale=float(length),
        scale_name="characters",
    )


def _stream(size: int, quick: bool = False) -> Workload:
    """A text in chunks of one size, as tokens come from a model."""
    chunks = -(-STREAMED // size)
    return Workload(
        id=f"stream-{size}",
        system="rig",
        description=f"{_DESCRIPTIONS['typical']}, {STREAMED:,} characters in {chunks:,} chunks of {size}",
        dtype="",
        amount=float(chunks),
        unit="chunks",
        quick=quick,
        representative=quick,
        needs=frozenset({"stream"}),
        devices=("cpu",),
        parameters={"kind": "typical", "length": STREAMED, "chunk": size},
        family="stream",
        scale=float(size),
        scale_name="characters per chunk",
    )


GROWN = ("hostile", "unclosed", "openers")
"""Texts on which the work of a careless reader grows as their square."""
CHUNK = 4096
"""Characters of a chunk where the length of the text is what grows."""
OPERATIONS = {"in-chunks": "stream", "recovered": "recover", "recovered-in-chunks": "recover_stream"}
"""What else than ``parse`` reads them, by the feature word that it needs."""


def _grown(kind: str, name: str, length: int, operation: str) -> Workload:
    """A text that is read in another way than by ``parse``."""
    how = "leniently, " * operation.startswith("recovered") + f"in chunks of {CHUNK:,}, " * operation.endswith("chunks")
    whole = text_workload("rig", f"{kind}-{operation}-{name}", f"{_DESCRIPTIONS[kind]}, {how}".rstrip(", "), length,
                          kind=kind, operation=operation, chunk=CHUNK if operation.endswith("chunks") else length)  # fmt: skip
    return replace(whole, needs=frozenset({OPERATIONS[operation]}))


STREAMED = 16_384
"""Characters of a text that is read in chunks."""

SIZES = {"1k": 2**10, "8k": 2**13, "64k": 2**16, "1m": 2**20, "10m": 10 * 2**20, "100m": 100 * 2**20}
WORKLOADS: tuple[Workload, ...] = (
    *(
        text_workload("rig", f"{kind}-{name}", words, length, name == "64k" and kind in ("typical", "dense"), kind=kind)
        for kind, words in _DESCRIPTIONS.items()
        for name, length in SIZES.items()
    ),
    *(
        _grown(kind, name, length, operation)
        for kind in GROWN
        for operation in OPERATIONS
        for name, length in SIZES.items()
        if length >= 2**16
    ),
    *(_stream(size, quick=size == 16) for size in (1, 2, 4, 8, 16, 32, 64)),
)

TILE = 2**20
"""Longer texts repeat one of this length, whose end closes whatever has begun in it, in every profile."""
_END_OF_ALL = '""\n'

_PROSE = (
    "the population of Sunnyvale has grown since it was founded in 1912 and median income – by county [1] – rose (see below) "
    "**much** faster than in café-lined streets elsewhere; about half of all households own a home, and employment:\n\n* San "
    "Francisco, CA: the share of adults with a degree is among the highest in the state."
)


@functools.lru_cache(maxsize=2)
def body(kind: str, length: int) -> str:
    """The text of a workload without its serial number, cut at its length, as a model's answer may be."""
    if length <= TILE:
        return _written(kind, length)[: length - SERIAL]
    return (_tile(kind) * (length // TILE + 1))[: length - SERIAL]


def _tile(kind: str) -> str:
    return _written(kind, TILE)[: TILE - len(_END_OF_ALL)] + _END_OF_ALL


def _written(kind: str, length: int) -> str:
    """A text of at least this length."""
    source = random.Random(f"{kind} {length}")
    pieces: list[str] = []
    have = 0
    while have < length:
        if kind == "openers":
            piece = '[__DC__("a\n'
        elif kind == "hostile":
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
    return "".join(pieces)


def prepare(implementation: Implementation, workload: Workload, device: str) -> Prepared:
    """One reading of a new text, and its comparison with the reference in the parser's profile."""
    subject = connect(implementation, device)
    if "chunk" in workload.parameters:
        return _prepare_reader(subject, workload, seconds_for(implementation.settings))
    kind, length = workload.parameters["kind"], workload.parameters["length"]
    text = body(kind, length)

    def compared(quantity: str, number: int, found: list[Found]) -> Iterator[Comparison]:
        yield equal_lists(quantity, found, _expected(kind, length, subject.profile.name, number), fresh(number, text))

    try:
        return timed_reading(subject, lambda number: fresh(number, text), as_annotations, is_plain, compared, "annotations")
    except TimeLimitExceeded as limit:
        raise Unsupported(f"{limit} on {len(text):,} characters") from None


def timed_reading(
    subject: TextSubject[Item],
    fresh: Callable[[int], str],
    listed: Callable[[Any], list[Item]],
    is_plain: Callable[[object], bool],
    compared: Callable[[str, int, list[Item]], Iterable[Comparison]],
    noun: str,
) -> Prepared:
    """One reading of a new text, and its comparison with the reference; for RIG and for RAG.

    ``fresh(n)`` is the n-th text; all hold the same but for n. ``compared(quantity, n, items)`` compares what was read in it.
    ``listed`` turns an answer into a list of items; this is done on the clock where an answer is not plain.
    """
    parse, serial = subject.raw_parse(), itertools.count()
    timed: list[tuple[int, object]] = []
    counts: set[int] = set()
    plain = is_plain(subject.answer(fresh(next(serial))))

    def run() -> object:
        number = next(serial)
        answer = parse(fresh(number))
        read: Any = answer if plain else listed(answer)
        timed[:] = [(number, read)]
        counts.add(len(read))
        return answer

    def verify() -> Iterable[Comparison]:
        number = next(serial)
        yield from compared(noun, number, subject.parse(fresh(number)))
        for number, answer in timed:
            yield from compared(f"{noun} of the last timed call", number, subject.read(answer, fresh(number)))
        if counts:
            yield equal(f"different numbers of {noun} in timed calls", len(counts), 1)

    return Prepared(
        run, verify, inputs="each call reads a text that was never read before; it is put together on the clock, by one copy"
    )


def _prepare_reader(subject: RigSubject, workload: Workload, seconds: float) -> Prepared:
    """One reading of a new text in another way than by ``parse``: in chunks, leniently, or both."""
    operation, size = workload.parameters.get("operation", "in-chunks"), workload.parameters["chunk"]
    make = subject.raw(OPERATIONS[operation])
    kind, length = workload.parameters["kind"], workload.parameters["length"]
    text = body(kind, length)
    serial = itertools.count()
    timed: list[tuple[int, list[Any]]] = []

    def read(number: int) -> list[Any]:
        whole = fresh(number, text)
        if operation == "recovered":
            return list(make(whole))
        reader = make()
        items: list[Any] = []
        for at in range(0, len(whole), size):
            items += reader.feed(whole[at : at + size])
        items += reader.close()
        return items

    def run() -> object:
        number = next(serial)
        timed[:] = [(number, read(number))]
        return timed

    try:
        with time_limit(seconds):
            run()
    except TimeLimitExceeded as limit:
        raise Unsupported(f"{limit} on {len(text):,} characters") from None

    def verify() -> Iterable[Comparison]:
        number = next(serial)
        for each, items in [*timed, (number, read(number))]:
            found = [item for item in items if not isinstance(item, str)]
            if operation == "in-chunks":
                found, expected = subject.read(found, fresh(each, text)), _expected(kind, length, subject.profile.name, each)
            else:
                known = _recovered(kind, length)
                found, expected = [item[:4] for item in found[1 : 1 + len(known)]], list(known)
            yield equal_lists("annotations", found, expected, fresh(each, text))
            if operation != "recovered":
                given = sum(len(item) if isinstance(item, str) else item[3] - item[2] for item in items)
                yield equal("characters handed out", given, SERIAL + len(text))

    return Prepared(run, verify, inputs="each call reads a text that was never read before, cut into chunks on the clock")


@functools.lru_cache(maxsize=4)
def _recovered(kind: str, length: int) -> tuple[tuple[Any, ...], ...]:
    """What a lenient reader reads behind the serial number, as far as the reference is asked: in the first 64 Ki."""
    known = rig.lenient.recover(fresh(0, body(kind, length)[: 2**16]))
    return tuple((a.query, a.value, a.start, a.end) for a in known[1:] if a.end < 2**16 - 2**13)


def fresh(number: int, text: str) -> str:
    """The text of one call."""
    return f'[__DC__("serial") --> "{number:012d}"]{text}'


def is_plain(answer: object) -> bool:
    """Whether an answer is built of Python's own lists, tuples and dicts, which cannot put work off."""
    return type(answer) in (list, tuple) and all(type(item) in (tuple, list, dict) for item in answer)  # type: ignore[attr-defined]


def _expected(kind: str, length: int, profile: str, number: int) -> list[Found]:
    """The annotations of the text with this serial number."""
    return [("serial", f"{number:012d}", 0, SERIAL), *_after_serial(kind, length, profile)]


@functools.lru_cache(maxsize=4)
def _after_serial(kind: str, length: int, profile: str) -> tuple[Found, ...]:
    """The annotations behind the serial number. Of a text that repeats, each repetition is read by itself."""
    text = body(kind, length)
    if length <= TILE:
        return _read(text, profile, SERIAL)
    tile = _tile(kind)
    once = _read(tile, profile, SERIAL)
    whole = [
        (query, value, start + at, end + at)
        for at in range(0, len(text) - len(tile) + 1, len(tile))
        for query, value, start, end in once
    ]
    rest = len(text) % len(tile)
    return (*whole, *_read(text[len(text) - rest :], profile, SERIAL + len(text) - rest))


def _read(text: str, profile: str, offset: int) -> tuple[Found, ...]:
    found = rig.annotations(text, rig.PROFILES[profile])
    return tuple((a.query, a.value, a.span.start + offset, a.span.end + offset) for a in found)
