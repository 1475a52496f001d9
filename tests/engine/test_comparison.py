"""A comparison cannot be fooled by NaN, infinity, shapes or a silly bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conformance.engine.comparison import compare, equal

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("got", "expected", "bound", "margin"),
    [
        (1.0, 1.0, 0.0, 0.0),
        (1.5, 1.0, 1.0, 0.5),
        (3.0, 1.0, 1.0, 2.0),
        (1.5, 1.0, 0.0, INF),
        (NAN, NAN, 1.0, 0.0),
        (NAN, 1.0, 1.0, INF),
        (1.0, NAN, 1.0, INF),
        (INF, INF, 1.0, 0.0),
        (-INF, INF, 1.0, INF),
        (INF, 1.0, 1.0, INF),
        (1.0, INF, 1.0, INF),
        (2.0, 1.0, NAN, INF),
        (2.0, 1.0, -1.0, INF),
        (1e300, 1.0, INF, 0.0),
        (NAN, 1.0, INF, 0.0),
        (-0.0, 0.0, 0.0, 0.0),
    ],
)
def test_margin_of_one_element(got: float, expected: float, bound: float, margin: float) -> None:
    comparison = compare("x", [got], [expected], [bound])
    assert comparison.margin == margin
    assert comparison.passed == (margin <= 1)


def test_the_worst_element_is_named() -> None:
    got = np.zeros((2, 3))
    got[1, 2] = 5.0
    comparison = compare("x", got, np.zeros((2, 3)), 1.0)
    assert (comparison.worst, comparison.margin, comparison.got, comparison.expected) == ("(1, 2)", 5.0, "5.0", "0.0")


def test_a_wrong_shape_fails_even_where_it_would_broadcast() -> None:
    assert not compare("x", np.zeros((1, 3)), np.zeros((2, 3)), 1.0).passed
    assert not compare("x", 0.0, np.zeros(3), 1.0).passed


def test_empty_arrays_agree_and_scalars_have_no_index() -> None:
    assert compare("x", np.zeros((0, 3)), np.zeros((0, 3)), 1.0).passed
    assert compare("x", 2.0, 1.0, 1.0).worst == ""


def test_equality_is_of_type_and_value() -> None:
    assert equal("x", ["a"], ["a"]).passed
    assert not equal("x", ["a"], ["b"]).passed
    assert not equal("x", ("a",), ["a"]).passed
    assert not equal("x", 1, True).passed


def test_long_values_are_shortened_in_words_but_not_in_judgement() -> None:
    comparison = equal("x", "a" * 10_000, "a" * 9_999 + "b")
    assert not comparison.passed
    assert len(comparison.got) < 500


@pytest.mark.parametrize(
    ("expected", "bound", "effect", "resolution"),
    [
        ([2.0, 2.0], [1.0, 1.0], None, 0.5),  # the answer 0 misses each by two bounds
        ([0.0, 4.0, 4.0, 0.0], [0.0, 2.0**0.5, 0.0, 0.0], None, 0.5),  # the root of the mean square is the size
        ([1e-300, 1e-300], [1e-300, 0.0], None, 1.0),  # also where squares underflow
        ([1.0, 1.0], [2**-30, 2**-30], [2**-10, 2**-10], 2**-20),  # a parameter near 1 that went 2**-10
        ([1.0, 1.0], [2**-7, 2**-7], [2**-10, 2**-10], 8.0),  # standing still is within the bound
        ([1.0, 1.0, 1.0], [2**-20, 2**-20, 1.0], 2**-10, 2**10),  # at one element
        ([1.0, 1.0], [2**-20, INF], [2**-10, 2**-10], 2**-10),  # no claim is made about the second
        ([1.0, 1.0], [INF, INF], [2**-10, 0.0], INF),  # or about any
        ([1.0, 1.0], [INF, INF], 0.0, None),  # on purpose
        ([1.0, 1.0], [2**-20, 2**-20], [2**-10, 0.0], 2**-10),  # an element that stays does not count
        ([1.0, 1.0], [2**-30, 2**-30], 0.0, None),  # nothing changes at all
        ([1.0, 1.0], 0.0, 0.0, 0.0),  # bit for bit
        ([0.0, 0.0], 0.0, None, 0.0),
        ([NAN, INF], [1.0, 1.0], None, 0.0),  # only the same passes
        ([], 1.0, None, None),
    ],
)
def test_the_resolution_is_the_bound_in_units_of_the_effect(
    expected: list[float], bound: list[float], effect: list[float] | None, resolution: float | None
) -> None:
    assert compare("x", expected, expected, bound, effect).resolution == resolution


def test_equality_tells_everything_apart_and_a_wrong_shape_has_no_resolution() -> None:
    assert equal("x", "a", "a").resolution == 0.0
    assert compare("x", [1.0], [1.0, 2.0], 1.0).resolution is None
