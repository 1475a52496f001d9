"""The lenient profile recovers what was seen in practice, names what was wrong, and never loses a strict annotation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.rig.harness.text import time_limit
from reference import rig
from reference.rig.lenient import LostOpener, RecoveredAnnotation, RigDefect, attempts, recover

Reading = list[tuple[str, str | None, set[int]]]


def reading(text: str) -> Reading:
    return [(r.query, r.value, {defect.value for defect in r.defects}) for r in recover(text)]


@pytest.mark.parametrize(("text", "expected"), [
    ('A [__DC__("q1?") --> "39 million"] b', [("q1?", "39 million", set())]),
    ('[__DC__("q1?") --> ""]', [("q1?", "", set())]),
    ('[__DC__("") --> "5"]', []),
    ('x [__DC__("q1?") --> "5" y', [("q1?", "5", {9})]),
    ('x [__DC__("q1?") --> "5"', [("q1?", "5", {9})]),
    ('x [__DC__("q1?") --> "5] and [__DC__("q2?") --> "6"] z', [("q1?", "5", {10}), ("q2?", "6", set())]),
    ('x [__DC__("what was the popu', []),
    ('x [__DC__("q1?") --> "39 mil', []),
    ('* **San Francisco, CA:** $__DC__("income of San Francisco in 2021?") --> "$127,909"]',
     [("income of San Francisco in 2021?", "$127,909", {1, 2})]),
    ('__DC__("q1?") --> "5"]', [("q1?", "5", {2})]),
    ('[__DC__("how many \\"homeless\\" in SF?") --> "5"]', [('how many \\"homeless\\" in SF?', "5", {7})]),
    ('[__DC__("how many "homeless" in SF?") --> "5"]', [('how many "homeless" in SF?', "5", {7})]),
    ('[__DC__("q1?") --> "5 "approx""]', [("q1?", '5 "approx"', {8})]),
    ('[__DC__("a") b") --> "5"]', [('a") b', "5", {7})]),
    ('[__DC__("q\n1?") --> "5\n6"]', [("q\n1?", "5\n6", {14})]),
    ("[__DC__('q1?') --> '5']", [("q1?", "5", {4})]),
    ("[__DC__(“q1?”) --> “5”]", [("q1?", "5", {4})]),
    ('[__DC__("q1?") --> "5”]', [("q1?", "5", {4})]),
    ('[__DC__("q1?”) --> "5"]', [("q1?", "5", {4})]),
    ('[__DC__("q1?") --> "5” y', [("q1?", "5", {4, 9})]),
    ("[__DC__(&quot;q1?&quot;) --&gt; &quot;5&quot;]", [("q1?", "5", {4, 5})]),
    ('[__DC__("q1?") → "5"]', [("q1?", "5", {5})]),
    ('[__DC__("q1?") --&gt; "5"]', [("q1?", "5", {5})]),
    ('[__DC__("q1?") -> "5"]', [("q1?", "5", {5})]),
    ('[__DC__("q1?")-->"5"]', [("q1?", "5", {3})]),
    ('[__DC__("q1?")  -->  "5"]', [("q1?", "5", {3})]),
    ('[__DC__("q1?") -->\n"5"]', [("q1?", "5", {3})]),
    ('[__DC__("q1?")\u00a0-->\u00a0"5"]', [("q1?", "5", {3})]),
    ('[ __DC__("q1?") --> "5" ]', [("q1?", "5", {3})]),
    ('[__dc__("q1?") --> "5"]', [("q1?", "5", {15})]),
    ('[**DC**("q1?") --> "5"]', [("q1?", "5", {15})]),
    ('[DC("q1?") --> "5"]', [("q1?", "5", {15})]),
    ('[\\_\\_DC\\_\\_("q1?") --> "5"]', [("q1?", "5", {15})]),
    ('DC("q1?") --> "5"]', []),
    ('[__DC__("q1?") --> "about [__DC__("q2?") --> "6"]"]', [("q2?", "6", set())]),
    ('[__DC__("pop of [__DC__("q2?") --> "6"]") --> "7"]', [("q2?", "6", set())]),
    ("[__DC__#1(5 u [1] || 6)]", []),
    ('[__DC__("q1?") --> "5" million]', [("q1?", "5", {9})]),
    ('[__DC__("q\x001?") --> "5"]', [("q\x001?", "5", {14})]),
    ('[__DC__("q1?")]', [("q1?", None, {12})]),
    ('[__DC__("q1?") --> ]', [("q1?", "", {11, 13})]),
    ('[__DC__("q1?") --> 5]', [("q1?", "5", {11})]),
    ('[__DC__("q1?" --> "5"]', [("q1?", "5", {6})]),
    ('[__DC__("q1?\n\n") --> "5"]', []),
    ('[__DC__("' + "q" * 4000 + '") -> "5"]', [("q" * 4000, "5", {5})]),
    ('[__DC__("' + "q" * 5000 + '") -> "5"]', []),
    ('[__DC__("q1?") ... [__DC__("q2?") -> "6"]', [("q2?", "6", {5})]),
])  # fmt: skip
def test_what_was_meant_is_recovered(text: str, expected: Reading) -> None:
    assert reading(text) == expected


def test_spans_hold_what_belongs_to_the_annotation() -> None:
    for text, raw in (
        ('a $__DC__("q") --> "5"] b', '$__DC__("q") --> "5"]'),
        ('a [__DC__("q") --> "5" b', '[__DC__("q") --> "5"'),
        ('a [ DC("q") --> 5] b', '[ DC("q") --> 5]'),
        ('a [__DC__("q")] b', '[__DC__("q")]'),
        ('a [__DC__("q") --> "5] b', '[__DC__("q") --> "5]'),
    ):
        for found in recover(text):
            assert text[found.start : found.end] == raw


@pytest.mark.parametrize(("text", "expected"), [
    ('x [__DC__("what was', [(2, 11, True)]),
    ("x [__DC", [(2, 7, True)]),
    ("x [DC(“what was", [(2, 7, True)]),
    ("x [DC(“what was” and more", [(2, 7, False)]),
    ("x [DC(“what was\n\nand more", [(2, 7, False)]),
    ('x [__DC__("what was\nand more', [(2, 11, False)]),
    ('[__DC__("[__DC__("', [(0, 9, False), (9, 18, True)]),
    ('[__DC__("a") --> "5"] [__DC__("b") --> 5]', []),
])  # fmt: skip
def test_openers_that_lead_nowhere_are_told(text: str, expected: list[tuple[int, int, bool]]) -> None:
    assert [(a.start, a.end, a.truncated) for a in attempts(text) if isinstance(a, LostOpener)] == expected


pieces = st.sampled_from([
    rig.OPEN, rig.ARROW, rig.CLOSE, '"', "'", "“", "”", "[", "]", "$", "__DC__(", "[DC(", ")", " --> ", " -> ", "q", "5", " ",
    "\n", "\n\n", "\x00", "&quot;", '\\"',
])  # fmt: skip


@given(st.lists(pieces, max_size=24).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_strict_annotation_is_lost_or_moved_and_none_overlap(text: str) -> None:
    found = recover(text)
    strict = [RecoveredAnnotation(a.query, a.value, a.span.start, a.span.end, frozenset()) for a in rig.annotations(text)]
    assert [each for each in found if not each.defects] == strict
    edges = [edge for each in found for edge in (each.start, each.end)]
    assert edges == sorted(edges)
    for each in found:
        assert each.query in text[each.start : each.end]
        assert (each.value or "") in text[each.start : each.end]


@pytest.mark.parametrize("family", [
    "[", "[__DC__('", '[__DC__("a") --> "', '[__DC__("a" ', "__DC__(“a”) -> “", '"', '[__DC__("a") --> ',
    '[__DC__("' + '" ' * 2000, "[ \n ", "\n",
])  # fmt: skip
def test_hostile_documents_are_finished(family: str) -> None:
    with time_limit(30):
        recover(family * (300_000 // len(family)))


def test_every_defect_has_its_number() -> None:
    assert [defect.value for defect in RigDefect] == list(range(1, 16))
