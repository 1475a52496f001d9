"""The reference as an implementation among others, so that it is judged and timed like any."""

from __future__ import annotations

from collections.abc import Iterable

from reference import rig

Item = str | tuple[str, str, int, int]


def _items(events: Iterable[rig.Event]) -> list[Item]:
    return [
        (event.query, event.value, event.span.start, event.span.end) if isinstance(event, rig.Annotation) else event.raw
        for event in events
    ]


class ReferenceStream:
    """The streaming reader, its events as strings and tuples."""

    def __init__(self) -> None:
        self._parser = rig.StreamingParser()

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

    def well_formed(self, text: str) -> bool:
        """Whether the opener occurs in annotations only."""
        return rig.is_well_formed(text)
