"""What a constrained decoder must admit is the set of beginnings of well-formed documents, byte by byte."""

from __future__ import annotations

import importlib.util
import itertools
import random
import re

import pytest

from conformance.rig.requirements.constrained_decoding import END, VOCABULARY
from impls.rig import export
from impls.rig.constraint import DecoderState, TokenConstraint, walk
from reference import rig
from reference.rig import constraint

ALPHABET = [b'[__DC__("', b'") --> "', b'"]', b'"', b"[", b"q", b" ", b"\n", "\u00a0".encode(), b"\xc2", b"\xe6\xbc", b"\x80"]


def test_a_prefix_is_admitted_where_some_document_goes_on_with_it() -> None:
    # Every prefix of few pieces, against every continuation that could complete it.
    ends = [b"", b'q") --> ""]', b'") --> ""]', *(b'") --> ""]'[n:] for n in range(1, 11)), b'"]', b"]", b"\xa9", b"\x89"]
    ends += [b"\xa9" + end for end in ends] + [b"\x89" + end for end in ends]
    for length in range(4):
        for pieces in itertools.product(ALPHABET, repeat=length):
            prefix = b"".join(pieces)
            assert constraint.admits(prefix) == any(constraint.may_end(prefix + end) for end in ends), prefix


def test_our_decoder_admits_what_the_reference_admits() -> None:
    for length in range(4):
        for pieces in itertools.product(ALPHABET, repeat=length):
            prefix = b"".join(pieces)
            state = walk(DecoderState(), prefix)
            assert (state is not None) == constraint.admits(prefix), prefix
            ends = state is not None and state.part == "text" and not state.begun
            assert ends == constraint.may_end(prefix), prefix


def test_our_decoder_admits_each_token_as_its_bytes() -> None:
    source = random.Random(1)
    guide, written = TokenConstraint(VOCABULARY, END).guide(), b""
    for _ in range(60):
        allowed = guide.allowed()
        wanted = {t for t, said in enumerate(VOCABULARY[:-1]) if constraint.admits(written + said)}
        assert allowed - {END} == wanted
        token = source.choice(sorted(wanted))
        guide.advance(token)
        written += VOCABULARY[token]
    with pytest.raises(ValueError, match="may not follow"):
        guide.advance(next(t for t in range(END) if t not in guide.allowed()))


def test_the_pattern_that_outlines_core_is_given_admits_what_it_refuses() -> None:
    # A second oracle: `re`, with the very same pattern, finds the document well formed that outlines-core cannot write.
    pattern = re.compile(export.well_formed_pattern())
    assert pattern.fullmatch('a [__DC__("q1?") --> "5"] b')
    if importlib.util.find_spec("outlines_core") is None:
        return
    import outlines_core

    # The smallest case: after an accepting state it goes on only to accepting ones.
    tokens = outlines_core.Vocabulary(3, {"a": [0], "b": [1], "c": [2]})
    guide = outlines_core.Guide(outlines_core.Index("(?:a|bc)*", tokens))
    guide.advance(0)
    assert re.fullmatch("(?:a|bc)*", "abc")
    if 1 in guide.get_tokens():
        pytest.fail("outlines-core admits 'b' after 'a' in (?:a|bc)* now: the documentation says otherwise")


def test_well_formed_beginnings_are_admitted_and_no_others_by_the_reference_itself() -> None:
    assert constraint.admits(b'[__DC__("\xc2')
    assert not constraint.admits(b'[__DC__("q"\xc2')
    assert not constraint.admits(b"\xff")
    assert not constraint.admits(b"\xed\xa0\x80")
    assert constraint.may_end(rig.EXAMPLE.encode())
    assert not constraint.may_end("é".encode()[:1])
