"""Every parser and recogniser of ours and of others gives the same on documents that Hypothesis draws.

Ten thousand documents as a rule, a million where asked::

    HYPOTHESIS_PROFILE=nightly pytest tests/rig/test_rig_differential.py

Each document goes through the reference, the parser whole and in chunks, the lenient reader whole and in chunks, the guide of
constrained decoding, and the exported grammars in every engine that is installed here: those that read annotations, and those
that say whether a document is well formed.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impls.rig import lenient as recovering
from impls.rig import parser, strict
from impls.rig.constraint import DecoderState, walk
from reference import rig
from reference.rig import constraint, lenient
from tests.rig.engines import MEMBERS, READERS, Engine
from tests.rig.plain_events import all_plain

DOCUMENTS = {"ci": 10_000, "nightly": 1_000_000, "quick": 200}
"""How many documents each profile of HYPOTHESIS_PROFILE draws; the others are the default's."""
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
BATCH = 20
"""Documents of one example: what Hypothesis itself costs is shared by so many."""

PIECES = (
    rig.OPEN, rig.OPEN, rig.ARROW, rig.ARROW, rig.CLOSE, rig.CLOSE, '"', "[", "]", ")", "(", "_", " ", "a", "5%", "\\", "\n",
    "\n\n", "\t", "\x7f", "\x00", "\x85", "\u2028", "\u00a0", "\u200b", "\u00e9", "e\u0301", "\U0001f600", "[__DC__(",
    '__DC__("', ") --> ",
    " --> ", "[__DC__#1(5)]", "$", "**DC**(", "[DC(\u201c", "\u201d) \u2192 \u201c", "\u201d]", "'", "&quot;", "-->", "->",
    "[ __dc__ ( '",
)  # fmt: skip
STRINGS = ("a", "5%", "", " ", "\u0085", "\u3000 ", "\u200b", "\t", "\u00e9[", "[__DC__(", "\\", '"', "\U0001f600)", "\n")
NEARLY = (
    [rig.OPEN] * 4 + ["[" + rig.OPEN, rig.OPEN[:-1], '$__DC__("'],
    STRINGS,
    [rig.ARROW] * 4 + [") --> ", '") -> "', rig.ARROW[:-1]],
    STRINGS,
    [rig.CLOSE] * 4 + ['"', "]", "']"],
)
"""What follows each other in an annotation; of `PIECES` alone there would be hardly one in a thousand documents."""
LONGEST = 8
"""Pieces of one document."""


def drawn(seed: int) -> list[str]:
    """A batch of documents. Hypothesis draws the seed: of documents that it draws in lists, most are the same."""
    source = random.Random(seed)

    def piece() -> str:
        return source.choice(PIECES) if source.random() < 0.5 else "".join(map(source.choice, NEARLY))

    return ["".join(piece() for _ in range(source.randint(1, LONGEST))) for _ in range(BATCH)]


documents = st.integers(0, 2**64 - 1).map(drawn)


Engines = list[tuple[str, Callable[[str], Any]]]


def built(chosen: Iterable[Engine]) -> Engines:
    return [(engine.name, engine.build()) for engine in chosen if engine.installed]


def agree(text: str, cut: int, readers: Engines, members: Engines) -> None:
    """One document through everything."""
    events = rig.parse(text)
    expected = [(e.query, e.value, e.span.start, e.span.end) for e in events if isinstance(e, rig.AnnotationEvent)]
    assert strict.find_annotations(text) == expected
    for name, read in readers:
        assert read(text) == expected, name
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
    assert all_plain(parser.coalesce(parser.read(pieces, max_candidate=None))) == all_plain(events)
    official = [(m[1], m[2], *m.span()) for m in re.finditer(rig.official.PATTERN, text)]
    assert strict.find_annotations(text, strict.OFFICIAL) == official
    well_formed = rig.is_well_formed(text)
    for name, is_member in members:
        assert is_member(text) == well_formed, name
    attempts = list(recovering.attempts(text))
    assert all_plain(attempts) == all_plain(lenient.attempts(text))
    reader = recovering.LenientStream(None)
    items = [item for piece in pieces for item in reader.feed(piece)] + reader.close()
    assert [i for i in items if not isinstance(i, str)] == [a for a in attempts if isinstance(a, recovering.LenientAnnotation)]
    written = text.encode()
    state = walk(DecoderState(), written)
    assert (state is not None) == constraint.admits(written)
    assert bool(state and state.part == "text") == constraint.may_end(written) == well_formed


def test_everything_reads_every_document_alike() -> None:
    wanted = DOCUMENTS.get(PROFILE, DOCUMENTS["ci"])
    readers, members = built(READERS), built(MEMBERS)
    put = 0

    @given(documents, st.integers(1, 9))
    @settings(
        max_examples=wanted // BATCH,
        deadline=None,
        derandomize=PROFILE != "nightly",
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def check(texts: list[str], cut: int) -> None:
        nonlocal put
        for text in texts:
            agree(text, cut, readers, members)
        put += len(texts)

    check()
    assert put >= wanted
