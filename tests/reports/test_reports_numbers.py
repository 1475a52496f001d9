"""Numbers read the same everywhere, and none is rounded across the line that decides about it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.numbers import margin, percent, ratio, share, si, significant


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.051234, "0.0512"),
        (0.42, "0.420"),
        (1.0, "1.00"),
        (9.999, "10.0"),
        (417.2, "417"),
        (999.6, "1.00e3"),
        (13041.0, "1.30e4"),
        (2.5e-7, "2.50e-7"),
        (-3.14159, "-3.14"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (1.0, "1.00"), (0.9996, "0.9996"), (1.0004, "1.0004"), (0.99999999, "0.99999999"), (math.inf, "inf")],
)
def test_a_margin_is_not_rounded_to_one(value: float | None, text: str) -> None:
    assert margin(value) == text


@settings(deadline=None)
@given(st.floats(min_value=0, allow_infinity=True, allow_nan=False))
def test_a_printed_margin_stands_on_its_own_side_of_one(value: float) -> None:
    printed = float(margin(value))
    assert (printed > 1) == (value > 1)
    assert (printed < 1) == (value < 1)


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=10**6), st.data())
def test_only_all_is_a_hundred_percent(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(min_value=0, max_value=whole))
    assert (share(part, whole).startswith("100 %")) == (part == whole)
    assert (share(part, whole).startswith("0 %")) == (part == 0)


def test_nearly_all_is_not_all() -> None:
    assert share(99_999, 100_000) == "99.9 % (99999/100000)"
    assert share(0, 0) == "-"


def test_units_and_ratios() -> None:
    assert si(1.2345e9, "B/s") == "1.23 GB/s"
    assert si(999.96e3, "B/s") == "1.00 MB/s"
    assert si(7.09e-4, "s") == "709 µs"
    assert si(0.0, "s") == "0 s"
    assert ratio(3.4142, 3.3, 3.52) == "3.41× [3.30, 3.52]"
    assert ratio(3.4142) == "3.41×"
    assert percent(0.933) == "93.3 %"
