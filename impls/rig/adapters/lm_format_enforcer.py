"""Constrained decoding by lm-format-enforcer, with the exported regular expression."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import lmformatenforcer

from impls.rig import export


class LMFormatEnforcer:
    """The exported regular expression in lm-format-enforcer, which knows tokens as text: only whole characters have one."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _EnforcerGuide(tuple(vocabulary), end)


@functools.lru_cache(maxsize=4)
def _enforcer_data(vocabulary: tuple[bytes, ...], end: int) -> Any:
    regular = []
    for token, written in enumerate(vocabulary):
        try:
            text = written.decode()
        except UnicodeDecodeError:
            continue
        if token != end:
            regular.append((token, text, False))

    def decode(tokens: Iterable[int]) -> str:
        return b"".join(vocabulary[token] for token in tokens).decode("utf-8", "replace")

    return lmformatenforcer.TokenEnforcerTokenizerData(regular, decode, end, False, len(vocabulary))


class _EnforcerGuide:
    def __init__(self, vocabulary: tuple[bytes, ...], end: int) -> None:
        parser = lmformatenforcer.RegexParser(export.well_formed_pattern("raw"))
        self._enforcer = lmformatenforcer.TokenEnforcer(_enforcer_data(vocabulary, end), parser)
        self._written: list[int] = []
        self._enforcer.get_allowed_tokens([])

    def allowed(self) -> set[int]:
        return set(self._enforcer.get_allowed_tokens(self._written).allowed_tokens)

    def advance(self, token: int) -> None:
        self._written.append(token)
