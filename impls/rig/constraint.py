"""A constrained decoder of our own, in pure Python: after each token, the set of those that may follow.

    guide = Constraint(vocabulary, end).guide()       # the tokens as bytes; ``end`` is the id that ends a text
    while (token := choose(guide.allowed())) != end:
        guide.advance(token)

The states are those of the strict reader: how much of the opener has been read, which part of an annotation one is in, and the
bytes of a character that has begun. There are fewer than two hundred, so what each allows is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reference.rig import ARROW, CLOSE, OPEN, WHITE_SPACE
from reference.rig.constraint import decoded


class State(NamedTuple):
    """``part``: "text", "query", "arrow", "value" or "close"; ``at``: characters of its literal; ``begun``: of a character."""

    part: str = "text"
    at: int = 0
    black: bool = False
    begun: bytes = b""


def step(state: State, byte: int) -> State | None:
    """Where one more byte leads; None where no well-formed document goes on so."""
    read = decoded(state.begun + bytes([byte]))
    if read is None:
        return None
    text, inside = read
    if inside:
        return None if state.part in ("arrow", "close") else state._replace(begun=state.begun + bytes([byte]))
    return _after(state._replace(begun=b""), text)


def _after(state: State, character: str) -> State | None:
    part, at = state.part, state.at
    if part == "text":
        if character == OPEN[at]:
            return State("query") if at + 1 == len(OPEN) else State("text", at + 1)
        return State("text", int(character == OPEN[0]))
    if part in ("query", "value"):
        if character == '"':
            if part == "value":
                return State("close", 1)
            return State("arrow", 1) if state.black else None
        if character < " " or character == "\x7f":
            return None
        return State(part, 0, part == "query" and (state.black or character not in WHITE_SPACE))
    literal = ARROW if part == "arrow" else CLOSE
    if character != literal[at]:
        return None
    if at + 1 < len(literal):
        return State(part, at + 1)
    return State("value") if part == "arrow" else State("text")


class Constraint:
    """What is known of a vocabulary; guides share it."""

    def __init__(self, vocabulary: Sequence[bytes], end: int) -> None:
        self.vocabulary = vocabulary
        self.end = end
        self._following: dict[State, dict[int, State]] = {}

    def guide(self) -> Guide:
        """A fresh guide, at the beginning of a text."""
        return Guide(self)

    def following(self, state: State) -> dict[int, State]:
        """The tokens that may follow in a state, each with the state it leads to; the end leads to itself."""
        if state not in self._following:
            found: dict[int, State] = {}
            for token, written in enumerate(self.vocabulary):
                reached: State | None = state
                for byte in written:
                    reached = step(reached, byte) if reached else None
                if written and reached and token != self.end:
                    found[token] = reached
            if state.part == "text" and not state.begun:
                found[self.end] = state
            self._following[state] = found
        return self._following[state]


class Guide:
    """One text as it is written."""

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self._state = State()

    def allowed(self) -> set[int]:
        """The tokens that may come next."""
        return set(self._constraint.following(self._state))

    def advance(self, token: int) -> None:
        """Take the next token. ValueError for one that is not allowed."""
        following = self._constraint.following(self._state)
        if token not in following:
            raise ValueError(f"token {token} may not follow here")
        self._state = following[token]
