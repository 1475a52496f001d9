"""Constrained decoding by outlines-core, with the exported regular expression."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import outlines_core

from impls.rig import export


class OutlinesCore:
    """The exported regular expression in outlines-core."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _OutlinesGuide(_outlines(tuple(vocabulary), end), end)


@functools.lru_cache(maxsize=4)
def _outlines(vocabulary: tuple[bytes, ...], end: int) -> Any:
    tokens: dict[bytes, list[int]] = {}
    for token, written in enumerate(vocabulary):
        if token != end:
            tokens.setdefault(written, []).append(token)
    return outlines_core.Index(export.well_formed_pattern("braces"), outlines_core.Vocabulary(end, tokens))


class _OutlinesGuide:
    def __init__(self, index: Any, end: int) -> None:
        self._guide, self._end = outlines_core.Guide(index), end

    def allowed(self) -> set[int]:
        return set(self._guide.get_tokens())

    def advance(self, token: int) -> None:
        self._guide.advance(token)
