"""A constrained decoder in pure Python: after each token, the set of those that may follow.

    guide = TokenConstraint(vocabulary, end).guide()       # the tokens as bytes; ``end`` is the id that ends a text
    while (token := choose(guide.allowed())) != end:
        guide.advance(token)

A state says how much of the opener has been read, in which part of an annotation the text stands, and which bytes of a
character have begun. There are fewer than two hundred states, so what each allows is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from impls.rig.grammar import ARROW, CLOSE, FORBIDDEN, OPEN, WHITE_SPACE


class DecoderState(NamedTuple):
    """What has been written, as far as it decides what may follow."""

    part: str = "text"
    """"text", "query", "arrow", "value" or "close"."""
    at: int = 0
    """Characters of the opener (in text), of the arrow or of the close that have been written."""
    visible: bool = False
    """Whether the query holds a character that is not white space."""
    begun: bytes = b""
    """The first bytes of a character that is not complete."""


def step(state: DecoderState, byte: int) -> DecoderState | None:
    """The state after one more byte; None where no well-formed document goes on so."""
    written = state.begun + bytes([byte])
    try:
        character = written.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data" or state.part in ("arrow", "close"):
            return None
        return state._replace(begun=written)
    return _after(state._replace(begun=b""), character)


def _after(state: DecoderState, character: str) -> DecoderState | None:
    part, at = state.part, state.at
    if part == "text":
        if character == OPEN[at]:
            return DecoderState("query") if at + 1 == len(OPEN) else DecoderState("text", at + 1)
        return DecoderState("text", int(character == OPEN[0]))
    if part in ("query", "value"):
        if character == '"':
            if part == "value":
                return DecoderState("close", 1)
            return DecoderState("arrow", 1) if state.visible else None
        if character in FORBIDDEN:
            return None
        return DecoderState(part, 0, part == "query" and (state.visible or character not in WHITE_SPACE))
    literal = ARROW if part == "arrow" else CLOSE
    if character != literal[at]:
        return None
    if at + 1 < len(literal):
        return DecoderState(part, at + 1)
    return DecoderState("value") if part == "arrow" else DecoderState("text")


def walk(state: DecoderState | None, written: bytes) -> DecoderState | None:
    """The state after these bytes; None where no well-formed document goes on so."""
    for byte in written:
        state = step(state, byte) if state else None
    return state


class TokenConstraint:
    """What a vocabulary allows in each state, worked out when it is first asked for; guides share it."""

    def __init__(self, vocabulary: Sequence[bytes], end: int) -> None:
        self.vocabulary = vocabulary
        self.end = end
        self._following: dict[DecoderState, dict[int, DecoderState]] = {}

    def guide(self) -> Guide:
        """A fresh guide, at the beginning of a text."""
        return Guide(self)

    def following(self, state: DecoderState) -> dict[int, DecoderState]:
        """The tokens that may follow in a state, each with the state it leads to; the end leads to itself."""
        if state not in self._following:
            found: dict[int, DecoderState] = {}
            for token, written in enumerate(self.vocabulary):
                reached = walk(state, written)
                if written and reached and token != self.end:
                    found[token] = reached
            if state.part == "text" and not state.begun:
                found[self.end] = state
            self._following[state] = found
        return self._following[state]


class Guide:
    """The tokens that may follow, for one text as it is written."""

    def __init__(self, constraint: TokenConstraint) -> None:
        self._constraint = constraint
        self._state = DecoderState()

    def allowed(self) -> set[int]:
        """The tokens that may come next."""
        return set(self._constraint.following(self._state))

    def advance(self, token: int) -> None:
        """Take the next token. ValueError for one that is not allowed."""
        following = self._constraint.following(self._state)
        if token not in following:
            raise ValueError(f"token {token} may not follow here")
        self._state = following[token]
