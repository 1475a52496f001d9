"""A failed comparison of texts shows the place where they part, and no more of a long document than helps."""

from __future__ import annotations

from conformance.engine.text_comparison import LONGEST_SHOWN, equal_lists, shown


def test_a_short_document_is_shown_whole() -> None:
    assert shown('a"\n') == "'a\"\\n'"


def test_a_long_document_is_cut_and_counted() -> None:
    text = shown("x" * 10_000)
    assert len(text) < LONGEST_SHOWN + 40
    assert text.endswith("... (10000 characters)")


def test_short_lists_are_shown_whole() -> None:
    comparison = equal_lists("queries", ["a"], ["a", "b"], "a\nb")
    assert not comparison.passed
    assert (comparison.quantity, comparison.got, comparison.expected, comparison.worst) == (
        "queries", "['a']", "['a', 'b']", "'a\\nb'",
    )  # fmt: skip


def test_long_lists_are_shown_from_their_first_difference() -> None:
    expected = list(range(1000))
    for got, first in (([*expected[:500], 7, *expected[501:]], 500), (expected[:900], 900), ([*expected, 1], 1000)):
        comparison = equal_lists("numbers", got, expected)
        assert not comparison.passed
        assert comparison.quantity == f"numbers, from number {first + 1} of {len(got)} (expected 1000)"
        assert comparison.expected == repr(expected[first : first + 4])


def test_equal_lists_pass_however_long() -> None:
    comparison = equal_lists("numbers", tuple(range(1000)), list(range(1000)))
    assert comparison.passed
    assert comparison.quantity == "numbers"
