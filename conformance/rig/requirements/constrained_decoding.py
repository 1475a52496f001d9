"""Requirements on constrained decoders: the bytes that they admit, and texts that are written under them at random.

The vocabulary is our own: the 256 bytes, and pieces that hold several characters, one character beyond ASCII, or the end of
one part of an annotation and the beginning of the next. No tokenizer and no model is needed.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.engine.comparison import Comparison, equal
from conformance.engine.requirement import Level
from conformance.engine.text_comparison import TextCase
from conformance.rig.cases import Q, R, written
from conformance.rig.harness.subject import CheckedGuide, RigSubject
from conformance.rig.requirements.comparisons import REQUIREMENTS, refuse_other_profiles
from reference import rig
from reference.rig.constraint import admits, may_end

PIECES = (
    rig.OPEN, rig.ARROW, rig.CLOSE, "[__", "DC", "__(", '("', '")', " -->", ' "', "]", '"] [', "[[", '"][', "[[__DC__(",
    " the", "what is", " 5%", "51.6", "\n\n", "\u00e9", "\u6f22", "\u5b57", "\u6f22\u5b57", "\u00a0", "\u2028",
    "\U0001f600", '")]', ") --> ", "__DC__(\"",
)  # fmt: skip
VOCABULARY = (*(bytes([value]) for value in range(256)), *(piece.encode() for piece in PIECES), b"<end>")
END = len(VOCABULARY) - 1
_WHOLE = {piece: 256 + index for index, piece in enumerate(PIECES)}


@dataclass(frozen=True)
class DecodedDocument(TextCase):
    """A document, and whether it is well formed."""

    id: str
    text: str
    needs: frozenset[str] = field(default=frozenset({"constrain"}), kw_only=True)


@dataclass(frozen=True)
class RandomWalks(TextCase):
    """Texts that are written at random."""

    id: str
    seed: int
    count: int
    tokens: int
    thorough: bool = False
    needs: frozenset[str] = field(default=frozenset({"constrain"}), kw_only=True)


GOOD = (
    DecodedDocument("annotation", f"a {Q.text} b", quick=True),
    DecodedDocument("prose", 'Some [brackets] (and "quotes") --> _marks_ 5%.'),
    DecodedDocument("adjacent", Q.text + R.text),
    DecodedDocument("lines", f"one\n\n* {Q.text}\n\ttwo\r\n"),
    DecodedDocument("half-openers", f"[[_[__[__D [__DC__ [__DC__( {Q.text}"),
    DecodedDocument("opener-inside", '[__DC__("a[__DC__(") --> "b[__DC__("] c'),
    DecodedDocument("empty-value", '[__DC__(" q ") --> ""]'),
    DecodedDocument("accents", 'caf\u00e9 [__DC__("q1?") --> "\u00e9"]'),
    DecodedDocument("ideographs", '\u6f22\u5b57 [__DC__("\u6f22\u5b57?") --> "\u6f22"]'),
    DecodedDocument("astral", f'\U0001f600 {Q.text} \U0001f600'),
    DecodedDocument("blanks-in-query", '[__DC__("\u00a0 \u2028q") --> "5"]'),
)  # fmt: skip
BAD = (
    DecodedDocument("broken-arrow", '[__DC__("q") -> "5"]', quick=True),
    DecodedDocument("empty-query", '[__DC__("") --> "5"]'),
    DecodedDocument("blank-query", '[__DC__(" \u00a0") --> "5"]'),
    DecodedDocument("control", '[__DC__("q\n1") --> "5"]'),
    DecodedDocument("no-bracket", '[__DC__("q") --> "5" million'),
    DecodedDocument("nested", '[__DC__("a [__DC__("q") --> "5"]'),
    DecodedDocument("cut", 'x [__DC__("q") --> "5'),
)
WALKS = (RandomWalks("short", 1, 4, 30, quick=True), RandomWalks("long", 2, 20, 120, thorough=True))


def tokens_of(text: str) -> list[int]:
    """A text in tokens of one character: the piece where there is one, else its bytes."""
    tokens: list[int] = []
    for character in text:
        tokens += [_WHOLE[character]] if character in _WHOLE and not character.isascii() else character.encode()
    return tokens


def follow(guide: CheckedGuide, tokens: list[int]) -> int | None:
    """How many tokens were admitted before one that was not; None where all were."""
    for place, token in enumerate(tokens):
        if token not in guide.allowed():
            return place
        guide.advance(token)
    return None


def _start(subject: RigSubject) -> CheckedGuide:
    refuse_other_profiles(subject)
    return subject.constrain(VOCABULARY, END)


def _said(tokens: list[int]) -> bytes:
    return b"".join(VOCABULARY[token] for token in tokens)


@REQUIREMENTS.add(
    "RIG-61",
    Level.INTERFACE,
    "What a constrained decoder admits, to an end that it admits, is well formed.",
    source="specification, section 6",
    catches="an opener smuggled in between two texts",
    cases=BAD,
)
def what_is_not_well_formed_cannot_be_written(subject: RigSubject, case: DecodedDocument, dtype: str) -> Iterator[Comparison]:
    """Some token of the document is refused, or its end."""
    guide = _start(subject)
    refused = follow(guide, tokens_of(case.text))
    ended = refused is None and END in guide.allowed()
    yield equal("written to its end", ended, False, repr(case.text))


@REQUIREMENTS.check("RIG-61", WALKS)
def what_is_written_at_random_is_well_formed(subject: RigSubject, case: RandomWalks, dtype: str) -> Iterator[Comparison]:
    """Tokens are drawn from those admitted, openers more often than others; after a while the text is brought to an end."""
    source = random.Random(case.seed)
    # Tokens that end a string, go on with a literal, or complete a character.
    closing = [END, *(tokens_of(character)[0] for character in '"q)->] '), 0x80, 0xA0, 0x90]
    for _ in range(case.count):
        guide = _start(subject)
        tokens: list[int] = []
        for _ in range(case.tokens + 40):
            allowed = guide.allowed()
            if len(tokens) >= case.tokens:
                token = next((token for token in closing if token in allowed), None)
            else:
                likely = [token for token in allowed if token >= 256 and token != END]
                token = source.choice(sorted(likely if likely and source.random() < 0.5 else allowed - {END}) or [END])
            if token is None or token == END:
                break
            tokens.append(token)
            guide.advance(token)
        yield equal("a text written under the mask", _described(_said(tokens), END in guide.allowed()), "well formed")


def _described(written: bytes, ended: bool) -> str:
    if not ended:
        return f"{written!r}, which cannot be ended" if not admits(written) or len(written) > 20 else "too short to say"
    return "well formed" if may_end(written) else f"{written!r}, which is not"


@REQUIREMENTS.add(
    "RIG-62",
    Level.INTERFACE,
    "A constrained decoder admits every well-formed document, character by character.",
    source="specification, section 6",
    catches="annotations that are silently banned, or scripts other than ASCII",
    cases=GOOD,
)
def every_well_formed_document_can_be_written(subject: RigSubject, case: DecodedDocument, dtype: str) -> Iterator[Comparison]:
    """Each token of the document is admitted after those before it."""
    tokens = tokens_of(case.text)
    refused = follow(_start(subject), tokens)
    after = "everything" if refused is None else f"{_said(tokens[:refused])!r}, then {_said(tokens[refused : refused + 1])!r}"
    yield equal("admitted", after, "everything", repr(case.text))


@REQUIREMENTS.add(
    "RIG-63",
    Level.INTERFACE,
    "A constrained decoder admits the end where what has been written is well formed, and nowhere else.",
    source="specification, section 6",
    catches="ends inside annotations, or texts that cannot end",
    cases=GOOD,
)
def the_end_is_admitted_where_the_text_is_well_formed(
    subject: RigSubject, case: DecodedDocument, dtype: str
) -> Iterator[Comparison]:
    """After each admitted token, the end is admitted exactly where the text may end."""
    guide = _start(subject)
    tokens = tokens_of(case.text)
    wrong = []
    for place in range(len(tokens) + 1):
        allowed = guide.allowed()
        if (END in allowed) != _may_end(_said(tokens[:place])):
            wrong.append((_said(tokens[:place]), END in allowed))
        if place == len(tokens) or tokens[place] not in allowed:
            break
        guide.advance(tokens[place])
    yield equal("(text, whether it may end) wrongly", wrong[:2], [], repr(case.text))


_may_end = functools.lru_cache(maxsize=4096)(may_end)
_admits = functools.lru_cache(maxsize=65536)(admits)


@REQUIREMENTS.add(
    "RIG-64",
    Level.INTERFACE,
    "A constrained decoder admits a token of several characters only where it would admit them one by one.",
    source="specification, section 6",
    catches="looking at the first byte of a token alone",
    cases=GOOD,
)
def long_tokens_are_admitted_as_their_bytes_are(
    subject: RigSubject, case: DecodedDocument, dtype: str
) -> Iterator[Comparison]:
    """After each token of the document, no piece is admitted whose bytes are not.

    The reverse is not required: an engine may insist on the tokenizer's own spelling of what must come next.
    """
    guide = _start(subject)
    tokens = tokens_of(case.text)
    wrong = []
    for place in range(len(tokens) + 1):
        allowed = guide.allowed()
        before = _said(tokens[:place])
        wrong += [(before, VOCABULARY[t]) for t in allowed if 256 <= t < END and not _admits(before + VOCABULARY[t])]
        if wrong or place == len(tokens) or tokens[place] not in allowed:
            break
        guide.advance(tokens[place])
    yield equal("(text, token) wrongly admitted", wrong[:2], [], repr(case.text))


@REQUIREMENTS.add(
    "RIG-65",
    Level.INTERFACE,
    "Wherever a well-formed document may end, a constrained decoder admits an annotation next.",
    source="specification, section 6",
    catches="a grammar in which annotations cannot be reached",
    cases=GOOD[:5],
)
def annotations_stay_reachable(subject: RigSubject, case: DecodedDocument, dtype: str) -> Iterator[Comparison]:
    """At each place of the document where it could end, an annotation can be written next."""
    tokens, annotation = tokens_of(case.text), tokens_of(written((Q,)))
    places = [place for place in range(len(tokens) + 1) if _may_end(_said(tokens[:place]))]
    for place in places if len(places) < 6 else places[:: max(1, len(places) // 5)]:
        guide = _start(subject)
        refused = follow(guide, tokens[:place] + annotation)
        said = "reached" if refused is None else f"after {_said((tokens[:place] + annotation)[:refused])!r} it is not"
        yield equal("an annotation", said, "reached", repr(case.text))
