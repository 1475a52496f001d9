"""Constrained decoding by xgrammar, with the exported EBNF."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import xgrammar

from impls.rig import export
from impls.rig.adapters.token_mask import token_ids


class XGrammar:
    """The exported EBNF in xgrammar."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _XGuide(_xgrammar(tuple(vocabulary), end), len(vocabulary))


@functools.lru_cache(maxsize=4)
def _xgrammar(vocabulary: tuple[bytes, ...], end: int) -> Any:
    information = xgrammar.TokenizerInfo(list(vocabulary), vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[end])
    return xgrammar.GrammarCompiler(information, max_threads=1).compile_grammar(export.xgrammar())


class _XGuide:
    def __init__(self, compiled: Any, size: int) -> None:
        self._matcher, self._size = xgrammar.GrammarMatcher(compiled), size
        self._mask = xgrammar.allocate_token_bitmask(1, size)

    def allowed(self) -> set[int]:
        self._matcher.fill_next_token_bitmask(self._mask)
        return token_ids(self._mask.numpy().tobytes(), self._size)

    def advance(self, token: int) -> None:
        if not self._matcher.accept_token(token):
            raise ValueError(f"token {token} may not follow here")
