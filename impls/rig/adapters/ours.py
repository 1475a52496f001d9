"""The parser that we would have people use, as an implementation among others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from impls.rig import lenient, strict
from impls.rig.adapters.constrained_decoding import Ours
from impls.rig.constraint import Guide
from reference import rig

Mended = tuple[str, str | None, int, int, tuple[str, ...]]
"""Query, value, span and diagnostics."""
Tag = tuple[int, str | None, int | None, bool, str | None, int, int]
"""Number, served, footnote, differs, model, and the span."""


class FastParser:
    """All that `impls.rig.parser` offers, in the shapes that the suite asks for."""

    def parse(self, text: str) -> list[strict.Found]:
        """The annotations as (query, value, start, end), in code points."""
        return strict.find_annotations(text)

    def stream(self) -> strict.Stream:
        """A fresh reader in chunks."""
        return strict.Stream()

    def serialise(self, segments: Iterable[rig.Segment]) -> str:
        """The document of these segments; ValueError where there is none."""
        return rig.serialise(segments)

    def well_formed(self, text: str) -> bool:
        """Whether the opener occurs in annotations only."""
        at = 0
        for _, _, start, end in strict.find_annotations(text):
            if text.find(rig.OPEN, at, start) >= 0:
                return False
            at = end
        return text.find(rig.OPEN, at) < 0

    def recover(self, text: str) -> list[Mended]:
        """What a lenient reader reads, with the diagnostics of each."""
        return mended(lenient.recover(text))

    def tags(self, text: str) -> list[Tag]:
        """The resolved tags of a text."""
        return [(t.number, t.served, t.footnote, t.differs, t.model, s, e) for t, s, e in rig.resolved.tags(text)]

    def resolve(self, text: str, fetch: rig.resolver.Fetch) -> str:
        """The resolved text, with its footnotes."""
        return rig.resolver.resolve(text, fetch)

    def address(self, query: str) -> str:
        """Where a query is fetched from."""
        return rig.resolver.address(query)

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Guide:
        """A fresh guide of a constrained decoder."""
        return Ours().constrain(vocabulary, end)

    def recover_stream(self) -> LenientReader:
        """A fresh lenient reader in chunks."""
        return LenientReader()


class LenientReader:
    """The lenient reader in chunks, its annotations as tuples."""

    def __init__(self) -> None:
        self._reader = lenient.LenientStream()

    def feed(self, chunk: str) -> list[str | Mended]:
        """What became certain with this chunk."""
        return _items(self._reader.feed(chunk))

    def close(self) -> list[str | Mended]:
        """What was held back."""
        return _items(self._reader.close())


def _items(items: Iterable[lenient.Item]) -> list[str | Mended]:
    return [item if isinstance(item, str) else mended([item])[0] for item in items]


def mended(found: Iterable[rig.lenient.Recovered]) -> list[Mended]:
    """Annotations with their diagnostics as D1 to D15, in the order of the numbers."""
    return [
        (each.query, each.value, each.start, each.end, tuple(f"D{number}" for number in sorted(d.value for d in each.defects)))
        for each in found
    ]
