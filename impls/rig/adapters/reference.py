"""The reference as one implementation among others: it is tested and timed like any. This adapter alone imports it."""

from __future__ import annotations

from collections.abc import Iterable

from impls.rig.adapters.product import Mended
from reference import rig

Item = str | tuple[str, str, int, int]
ResolvedItem = tuple[int, str | None, int | None, bool, str | None, int, int]
"""Number, served, footnote, differs, model, and the span."""


class ReferenceStream:
    """The streaming reader, its events as strings and tuples."""

    def __init__(self) -> None:
        self._parser = rig.CharacterParser()

    def feed(self, chunk: str) -> list[Item]:
        """What became certain with this chunk."""
        return _items(self._parser.feed(chunk))

    def close(self) -> list[Item]:
        """What was held back."""
        return _items(self._parser.close())


class ReferenceParser:
    """All that the reference offers, in the strict profile."""

    def parse(self, text: str) -> list[tuple[str, str, int, int]]:
        """The annotations as (query, value, start, end), in code points."""
        return [(a.query, a.value, a.span.start, a.span.end) for a in rig.annotations(text)]

    def stream(self) -> ReferenceStream:
        """A fresh reader in chunks."""
        return ReferenceStream()

    def serialise(self, segments: Iterable[rig.Segment]) -> str:
        """The document of these segments; ValueError where there is none."""
        return rig.serialise(segments)

    def recover(self, text: str) -> list[Mended]:
        """What a lenient reader reads, with the diagnostics of each."""
        return [mended(found) for found in rig.lenient.recover(text)]

    def tags(self, text: str) -> list[ResolvedItem]:
        """The resolved tags of a text."""
        return [(t.number, t.served, t.footnote, t.differs, t.model, s, e) for t, s, e in rig.resolved.tags(text)]

    def resolve(self, text: str, fetch: rig.resolver.Fetch) -> str:
        """The resolved text, with its footnotes."""
        return rig.resolver.resolve(text, fetch)

    def address(self, query: str) -> str:
        """Where a query is fetched from."""
        return rig.resolver.address(query)

    def well_formed(self, text: str) -> bool:
        """Whether the opener occurs in annotations only."""
        return rig.is_well_formed(text)


def mended(found: rig.lenient.RecoveredAnnotation) -> Mended:
    """An annotation with its diagnostics as D1 to D15, in the order of the numbers."""
    codes = tuple(f"D{number}" for number in sorted(defect.value for defect in found.defects))
    return found.query, found.value, found.start, found.end, codes


def _items(events: Iterable[rig.Event]) -> list[Item]:
    return [
        (event.query, event.value, event.span.start, event.span.end) if isinstance(event, rig.AnnotationEvent) else event.raw
        for event in events
    ]
