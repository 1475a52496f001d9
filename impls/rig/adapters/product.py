"""The parser of this repository, with every operation that the harness knows."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from impls.rig import lenient, resolver, strict, tags, writer
from impls.rig.constraint import Guide, TokenConstraint
from impls.rig.events import codes

Mended = tuple[str, str | None, int, int, tuple[str, ...]]
"""Query, value, span and diagnostics."""


class FastParser:
    """`impls.rig` in the shapes of the harness; conformance/rig/harness/subject.py says what each operation returns."""

    def parse(self, text: str) -> list[strict.Found]:
        """The annotations as (query, value, start, end), in code points."""
        return strict.find_annotations(text)

    def stream(self) -> strict.StrictStream:
        """A fresh reader in chunks."""
        return strict.StrictStream()

    def serialise(self, segments: Iterable[writer.Segment]) -> str:
        """The document of these segments; ValueError where there is none."""
        return writer.serialise(segments)

    def well_formed(self, text: str) -> bool:
        """Whether the opener occurs in annotations only."""
        return strict.is_well_formed(text)

    def recover(self, text: str) -> list[Mended]:
        """What the lenient profile reads, with the diagnostics of each."""
        return [_mended(found) for found in lenient.recover(text)]

    def recover_stream(self) -> MendedStream:
        """A fresh lenient reader in chunks."""
        return MendedStream()

    def tags(self, text: str) -> list[tags.Tag]:
        """The resolved tags of a text."""
        return tags.find_tags(text)

    def resolve(self, text: str, fetch: resolver.Fetch) -> str:
        """The resolved text, with its footnotes."""
        return resolver.resolve(text, fetch)

    def address(self, query: str) -> str:
        """Where a query is fetched from."""
        return resolver.address(query)

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Guide:
        """A fresh guide of a constrained decoder."""
        return _constraint(tuple(vocabulary), end).guide()


class MendedStream:
    """The lenient reader in chunks, its annotations as tuples."""

    def __init__(self) -> None:
        self._stream = lenient.LenientStream()

    def feed(self, chunk: str) -> list[str | Mended]:
        """What became certain with this chunk."""
        return [item if isinstance(item, str) else _mended(item) for item in self._stream.feed(chunk)]

    def close(self) -> list[str | Mended]:
        """What was held back."""
        return [item if isinstance(item, str) else _mended(item) for item in self._stream.close()]


def _mended(found: lenient.LenientAnnotation) -> Mended:
    return (*found[:4], codes(found.defects))


@functools.lru_cache(maxsize=4)
def _constraint(vocabulary: tuple[bytes, ...], end: int) -> TokenConstraint:
    return TokenConstraint(vocabulary, end)
