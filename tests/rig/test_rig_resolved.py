"""The resolved form has one reading: what is written comes back, what would not is refused, and no two tags look alike."""

from __future__ import annotations

import itertools

import pytest

from conformance.rig.harness.text import time_limit
from reference import rig
from reference.rig.resolved import ResolvedTag as Resolved
from reference.rig.resolved import tags, write_tag

PIECES = ["5", ")", "]", "|", " ", "[1]", "*", "---", "[__DC__#2(", "(CY)", "\n", "6 [2]"]


def test_whatever_is_written_comes_back_and_no_two_tags_are_written_alike() -> None:
    strings = [None, "", *("".join(p) for n in (1, 2) for p in itertools.product(PIECES, repeat=n))]
    strings = list(dict.fromkeys(strings))
    written: dict[str, Resolved] = {}
    for served, model in itertools.product(strings, repeat=2):
        for footnote, differs in ((None, False), (1, False), (12, True)):
            tag = Resolved(3, served, footnote, differs, model)
            try:
                text = write_tag(tag)
            except rig.NotRepresentable:
                continue
            assert tags(text) == [(tag, 0, len(text))]
            assert written.setdefault(text, tag) == tag
    assert len(written) > 1000


def test_a_text_is_read_in_one_way_and_written_back_in_the_same() -> None:
    pieces = ["[__DC__#1(", "[__DC__#12(", ")]", "||", " || ", " ||", "|| ", "5", " [1]", "*", "--- || ---", "|", "\n"]
    read = 0
    for length in range(6):
        for sequence in itertools.product(pieces, repeat=length):
            text = "".join(sequence)
            at = 0
            for tag, start, end in tags(text):
                assert at <= start
                assert write_tag(tag) == text[start:end]
                at, read = end, read + 1
    assert read > 5_000


@pytest.mark.parametrize(("text", "expected"), [
    ("[__DC__#1(51.6 % [1] || 51.6%)]", [Resolved(1, "51.6 %", 1, False, "51.6%")]),
    ("[__DC__#2(8184 Infl. adj. USD (CY) [2]* || $108,748)]", [Resolved(2, "8184 Infl. adj. USD (CY)", 2, True, "$108,748")]),
    ("[__DC__#1(5 [1] ||)]", [Resolved(1, "5", 1)]),
    ("[__DC__#1(|| 6)]", [Resolved(1, model="6")]),
    ("[__DC__#1(--- || ---)]", [Resolved(1)]),
    ("[__DC__#1($1.8 trillion)]", [Resolved(1, "$1.8 trillion")]),
    ("[__DC__#1(5 [1] || (6))]", [Resolved(1, "5", 1, False, "(6)")]),
    ("[__DC__#1(5 [__DC__#2(6)]", [Resolved(2, "6")]),
    ("[__DC__#1(5 [1] || 6 || 7)]", []),
    ("[__DC__#1(5 || 6)] [__DC__#1(5 [1]*|| 6)]", []),
    ("[__DC__#1(5\t)] [__DC__#1(5\x7f)] [__DC__#1(5\x00)]", []),
    ("[__DC__#1(5\x85\u2028)]", [Resolved(1, "5\x85\u2028")]),
    ("[__DC__#01(5)] [__DC__#0(5)] [__DC__#1()] [__DC__#1(5\n)] [ __DC__#1(5)] [__DC__#1234567890(5)]", []),
    ("[__DC__#1(a)] tail)]", [Resolved(1, "a")]),
    (rig.EXAMPLE, []),
])  # fmt: skip
def test_tags_are_read(text: str, expected: list[Resolved]) -> None:
    assert [tag for tag, _, _ in tags(text)] == expected


@pytest.mark.parametrize("tag", [
    Resolved(1, "5)] tail"), Resolved(1, "5", 1, False, "a || b"), Resolved(1, "5\n"), Resolved(0, "5"), Resolved(1, ""),
    Resolved(1, "5", None, True), Resolved(1, None, 1), Resolved(1, "[__DC__#2(5"), Resolved(1, "5", None, False, "6"),
    Resolved(10**9, "5"), Resolved(1, "\ud800"),
])  # fmt: skip
def test_what_would_read_otherwise_is_refused(tag: Resolved) -> None:
    with pytest.raises(rig.NotRepresentable):
        write_tag(tag)


def test_a_tag_is_no_annotation_and_an_annotation_no_tag() -> None:
    assert rig.annotations(write_tag(Resolved(1, "5", 1, False, "6"))) == []
    assert tags(rig.serialise_annotation("q", "5")) == []


@pytest.mark.parametrize(
    "family", ["[__DC__#1(", ")]", "[__DC__#1(5 [1] || 6)]", "[__DC__#1(" + "5 [1] " * 50 + "||)]", " [1]"]
)
def test_hostile_texts_are_finished(family: str) -> None:
    with time_limit(20):
        tags("[__DC__#7(" + family * (300_000 // len(family)) + ")]")
