"""Constrained decoding by llguidance, with the exported Lark grammar or the exported regular expression."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import llguidance

from impls.rig import export
from impls.rig.adapters.token_mask import token_ids


class LLGuidance:
    """The exported grammar for Lark in llguidance."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _LLGuide(_llguidance(tuple(vocabulary), end, self.grammar()), len(vocabulary))

    def grammar(self) -> str:
        """What llguidance is given."""
        return str(llguidance.LLMatcher.grammar_from_lark(export.lark_well_formed()))


class LLGuidanceRegex(LLGuidance):
    """The exported regular expression in llguidance."""

    def grammar(self) -> str:
        """What llguidance is given."""
        return str(llguidance.LLMatcher.grammar_from_regex(export.well_formed_pattern()))


@functools.lru_cache(maxsize=4)
def _llguidance(vocabulary: tuple[bytes, ...], end: int, grammar: str) -> Any:
    class Tokens:
        eos_token_id, bos_token_id = end, None
        tokens = vocabulary
        special_token_ids = (end,)

        def __call__(self, text: bytes) -> list[int]:
            return list(text)

    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Tokens()), slices=[])
    matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
    if matcher.get_error():
        raise RuntimeError(matcher.get_error())
    return matcher


class _LLGuide:
    def __init__(self, matcher: Any, size: int) -> None:
        self._matcher, self._size = matcher.deep_copy(), size

    def allowed(self) -> set[int]:
        return token_ids(self._matcher.compute_bitmask(), self._size)

    def advance(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise ValueError(self._matcher.get_error() or f"token {token} may not follow here")
