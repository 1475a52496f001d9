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
from dataclasses import dataclass, replace
from typing import Any

from conformance.benchmark.apart import Request, lives_elsewhere, process_of, request
from conformance.benchmark.unforeseen import generator
from conformance.benchmark.workload import Prepared, Workload
from conformance.engine.comparison import Comparison, equal
from conformance.engine.harness import connect
from conformance.engine.text_comparison import equal_lists
from conformance.engine.time_limit import time_limit
from conformance.rig.harness.subject import RigSubject
from conformance.rig.harness.text import Found, TimeLimitExceeded, digest_of, seconds_for
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
VARIED = 2**17
"""Texts up to this length are written anew for each call, where they are sent to another process; longer ones take long."""
VERIFIED_DIGESTS = 3
_END_OF_ALL = '""\n'

_PROSE = (
    "the population of Sunnyvale has grown since it was founded in 1912 and median income – by county [1] – rose (see below) "
    "**much** faster than in café-lined streets elsewhere; about half of all households own a home, and employment:\n\n* San "
    "Francisco, CA: the share of adults with a degree is among the highest in the state."
)


@functools.lru_cache(maxsize=2)
def body(kind: str, length: int, variant: int = 0) -> str:
    """The text of a workload without its serial number, cut at its length, as a model's answer may be."""
    if length <= TILE:
        return _written(kind, length, variant)[: length - SERIAL]
    return (_tile(kind) * (length // TILE + 1))[: length - SERIAL]


def _tile(kind: str) -> str:
    return _written(kind, TILE)[: TILE - len(_END_OF_ALL)] + _END_OF_ALL


def _written(kind: str, length: int, variant: int = 0) -> str:
    """A text of at least this length."""
    source = random.Random(f"{kind} {length} {variant}" if variant else f"{kind} {length}")
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
    subject: RigSubject = connect(implementation, device)
    texts = _Texts(workload.parameters["kind"], workload.parameters["length"], lives_elsewhere(subject), subject.profile.name)
    try:
        if "chunk" in workload.parameters:
            operation, size = workload.parameters.get("operation", "in-chunks"), workload.parameters["chunk"]
            reader = subject.timed_feature(OPERATIONS[operation], size)
            with time_limit(seconds_for(implementation.settings)):
                reader.make([texts.text(0)])
            compared = functools.partial(texts.compared_in_chunks, operation)
            return TimedReading(reader, texts.text, compared, "annotations").prepared(", and cut into chunks there")
        reader = subject.timed(texts.text(0))
        return TimedReading(reader, texts.text, texts.compared, "annotations", texts.expected).prepared()
    except TimeLimitExceeded as limit:
        raise Unsupported(f"{limit} on {texts.length:,} characters") from None


@dataclass(frozen=True)
class _Texts:
    """The texts of a workload by their numbers. Where they are ``varied``, each differs from the others throughout."""

    kind: str
    length: int
    varied: bool
    profile: str

    def variant(self, number: int) -> int:
        return number if self.varied and self.length <= VARIED else 0

    def text(self, number: int) -> str:
        return fresh(number, body(self.kind, self.length, self.variant(number)))

    def expected(self, number: int) -> list[Found]:
        return _expected(self.kind, self.length, self.profile, number, self.variant(number))

    def compared(self, quantity: str, number: int, found: list[Any]) -> Iterator[Comparison]:
        yield equal_lists(quantity, found, self.expected(number), self.text(number))

    def compared_in_chunks(self, operation: str, quantity: str, number: int, items: list[Any]) -> Iterator[Comparison]:
        """Texts and annotations as they came."""
        found: list[Any] = [item for item in items if not isinstance(item, str)]
        if operation == "in-chunks":
            yield from self.compared(quantity, number, found)
        else:
            known = _recovered(self.kind, self.length, self.variant(number))
            yield equal_lists(quantity, [item[:4] for item in found[1 : 1 + len(known)]], list(known), self.text(number))
        if operation != "recovered":
            given = sum(len(item) if isinstance(item, str) else item[3] - item[2] for item in items)
            yield equal("characters handed out", given, len(self.text(number)))


class TimedReading:
    """One reading of a new text, and its comparison with the reference; for RIG and for RAG.

    ``text(n)`` is the n-th text, ``compared(quantity, n, items)`` compares what was read in it, and ``expected(n)`` is that,
    where there is one answer alone. Where the parser lives in another process, numbers are drawn at random, and texts sent on
    the clock. After each sample, off the clock, it gives a digest of what it read last; some of these are verified at the end.
    """

    def __init__(
        self,
        reader: Any,
        text: Callable[[int], str],
        compared: Callable[[str, int, list[Any]], Iterable[Comparison]],
        noun: str,
        expected: Callable[[int], list[Any]] | None = None,
    ) -> None:
        self._reader, self._text, self._compared, self._noun, self._expected = reader, text, compared, noun, expected
        self._process = process_of(reader)
        self._serial, self._rng = itertools.count(1), generator()
        self._timed: list[int] = []
        self._counts: set[int] = set()
        self._digests: list[tuple[int, int]] = []

    def prepared(self, more: str = "") -> Prepared:
        """See `Prepared`."""
        how = "sent to its process on the clock" if self._process else "put together on the clock, by one copy"
        return Prepared(
            self._run,
            self._verify,
            inputs=f"each call reads a text that was never read before, {how}{more}",
            process=self._process,
            request=self._request if self._process else None,
            exchange=self._exchange if self._process else None,
        )

    def _tell(self, calls: int) -> list[int]:
        """The numbers of so many new texts."""
        return [int(self._rng.integers(10**12)) if self._process else next(self._serial) for _ in range(calls)]

    def _texts(self, told: list[int]) -> list[str]:
        return [self._text(number) for number in told]

    def _note(self, told: list[int], counts: list[int]) -> None:
        self._timed = told[-1:]
        self._counts.update(counts)
        if self._process and self._expected is not None:
            self._digests.append((told[-1], self._reader.digest()))

    def _run(self) -> None:
        told = self._tell(1)
        self._note(told, self._reader.make(self._texts(told)))

    def _request(self, calls: int) -> Request:
        told = self._tell(calls)
        return request(self._reader, "make", self._texts(told), functools.partial(self._note, told))

    def _exchange(self, calls: int) -> Request:
        return request(self._reader, "exchange", self._texts(self._tell(calls)), lambda counts: None)

    def _verify(self) -> Iterable[Comparison]:
        timed = [(number, self._reader.last()) for number in self._timed]
        (new,) = self._tell(1)
        yield from self._compared(self._noun, new, self._reader.read(self._text(new)))
        for number, items in timed:
            yield from self._compared(f"{self._noun} of the last timed call", number, items)
        if self._process is None and self._counts:
            yield equal(f"different numbers of {self._noun} in timed calls", len(self._counts), 1)
        for at in self._rng.permutation(len(self._digests))[:VERIFIED_DIGESTS].tolist():
            number, digest = self._digests[at]
            assert self._expected is not None
            same = digest == digest_of(self._expected(number))
            yield equal(f"{self._noun} of an earlier timed call are those of its text", same, True)


@functools.lru_cache(maxsize=4)
def _recovered(kind: str, length: int, variant: int) -> tuple[tuple[Any, ...], ...]:
    """What a lenient reader reads behind the serial number, as far as the reference is asked: in the first 64 Ki."""
    known = rig.lenient.recover(fresh(0, body(kind, length, variant)[: 2**16]))
    return tuple((a.query, a.value, a.start, a.end) for a in known[1:] if a.end < 2**16 - 2**13)


def fresh(number: int, text: str) -> str:
    """The text of one call."""
    return f'[__DC__("serial") --> "{number:012d}"]{text}'


def _expected(kind: str, length: int, profile: str, number: int, variant: int = 0) -> list[Found]:
    """The annotations of the text with this serial number."""
    return [("serial", f"{number:012d}", 0, SERIAL), *_after_serial(kind, length, profile, variant)]


@functools.lru_cache(maxsize=4)
def _after_serial(kind: str, length: int, profile: str, variant: int) -> tuple[Found, ...]:
    """The annotations behind the serial number. Of a text that repeats, each repetition is read by itself."""
    text = body(kind, length, variant)
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
