"""Published engines of constrained decoding, held to the exported grammars. Each is an object with ``constrain``.

None is imported before it is asked; what can be kept between texts (the compiled grammar of a vocabulary) is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from impls.rig import export
from impls.rig.constraint import Constraint, Guide

Vocabulary = tuple[bytes, ...]


class Ours:
    """`impls.rig.constraint`."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Guide:
        """A fresh guide."""
        return _ours(tuple(vocabulary), end).guide()


@functools.lru_cache(maxsize=4)
def _ours(vocabulary: Vocabulary, end: int) -> Constraint:
    return Constraint(vocabulary, end)


def _ids(mask: bytes, size: int) -> set[int]:
    bits = int.from_bytes(mask, "little")
    return {token for token in range(size) if bits >> token & 1}


class LLGuidance:
    """The exported grammar for Lark in llguidance."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _LLGuide(_llguidance(tuple(vocabulary), end, self.grammar()), len(vocabulary))

    def grammar(self) -> str:
        """What llguidance is given."""
        import llguidance

        return str(llguidance.LLMatcher.grammar_from_lark(export.lark_well_formed()))


class LLGuidanceRegex(LLGuidance):
    """The exported regular expression in llguidance."""

    def grammar(self) -> str:
        """What llguidance is given."""
        import llguidance

        return str(llguidance.LLMatcher.grammar_from_regex(export.well_formed_pattern()))


@functools.lru_cache(maxsize=4)
def _llguidance(vocabulary: Vocabulary, end: int, grammar: str) -> Any:
    import llguidance

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
        return _ids(self._matcher.compute_bitmask(), self._size)

    def advance(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise ValueError(self._matcher.get_error() or f"token {token} may not follow here")


class XGrammar:
    """The exported EBNF in xgrammar."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _XGuide(_xgrammar(tuple(vocabulary), end), len(vocabulary))


@functools.lru_cache(maxsize=4)
def _xgrammar(vocabulary: Vocabulary, end: int) -> Any:
    import xgrammar

    information = xgrammar.TokenizerInfo(list(vocabulary), vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[end])
    return xgrammar.GrammarCompiler(information, max_threads=1).compile_grammar(export.xgrammar())


class _XGuide:
    def __init__(self, compiled: Any, size: int) -> None:
        import xgrammar

        self._matcher, self._size = xgrammar.GrammarMatcher(compiled), size
        self._mask = xgrammar.allocate_token_bitmask(1, size)

    def allowed(self) -> set[int]:
        self._matcher.fill_next_token_bitmask(self._mask)
        return _ids(self._mask.numpy().tobytes(), self._size)

    def advance(self, token: int) -> None:
        if not self._matcher.accept_token(token):
            raise ValueError(f"token {token} may not follow here")


class OutlinesCore:
    """The exported regular expression in outlines-core."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _OutlinesGuide(_outlines(tuple(vocabulary), end), end)


@functools.lru_cache(maxsize=4)
def _outlines(vocabulary: Vocabulary, end: int) -> Any:
    import outlines_core

    tokens: dict[bytes, list[int]] = {}
    for token, written in enumerate(vocabulary):
        if token != end:
            tokens.setdefault(written, []).append(token)
    return outlines_core.Index(export.well_formed_pattern("braces"), outlines_core.Vocabulary(end, tokens))


class _OutlinesGuide:
    def __init__(self, index: Any, end: int) -> None:
        import outlines_core

        self._guide, self._end = outlines_core.Guide(index), end

    def allowed(self) -> set[int]:
        return set(self._guide.get_tokens())

    def advance(self, token: int) -> None:
        self._guide.advance(token)


class LMFormatEnforcer:
    """The exported regular expression in lm-format-enforcer, which knows tokens as text: only whole characters have one."""

    def constrain(self, vocabulary: Sequence[bytes], end: int) -> Any:
        """A fresh guide."""
        return _EnforcerGuide(tuple(vocabulary), end)


@functools.lru_cache(maxsize=4)
def _enforcer_data(vocabulary: Vocabulary, end: int) -> Any:
    import lmformatenforcer

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
    def __init__(self, vocabulary: Vocabulary, end: int) -> None:
        import lmformatenforcer

        parser = lmformatenforcer.RegexParser(export.well_formed_pattern("raw"))
        self._enforcer = lmformatenforcer.TokenEnforcer(_enforcer_data(vocabulary, end), parser)
        self._written: list[int] = []
        self._enforcer.get_allowed_tokens([])

    def allowed(self) -> set[int]:
        return set(self._enforcer.get_allowed_tokens(self._written).allowed_tokens)

    def advance(self, token: int) -> None:
        self._written.append(token)


class Interegular:
    """The exported regular expression as a finite automaton by interegular: it decides, and neither reads nor constrains."""

    def well_formed(self, text: str) -> bool:
        """Whether the opener occurs in annotations only."""
        return bool(_automaton().accepts(text))


@functools.cache
def _automaton() -> Any:
    import interegular

    return interegular.parse_pattern(export.well_formed_pattern("raw")).to_fsm()
