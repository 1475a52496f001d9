"""The formats round as the machines do, and the algebra never claims less error than there is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.rounding import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, FORMATS, format_of, gamma, rounded

any_float = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(any_float)
def test_float32_rounds_as_numpy_does(x: float) -> None:
    with np.errstate(over="ignore"):
        want = np.float64(np.float32(x))
    np.testing.assert_array_equal(FLOAT32.round(x), want)


@given(any_float)
def test_float16_rounds_as_numpy_does(x: float) -> None:
    with np.errstate(over="ignore"):
        want = np.float64(np.float16(x))
    np.testing.assert_array_equal(FLOAT16.round(x), want)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_bfloat16_rounds_as_the_bits_of_float32_do(x: float) -> None:
    # An independent formula: round to nearest even on the upper 16 bits of the float32 pattern.
    bits = int(np.float32(x).view(np.uint32))
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    want = np.uint32(bits).view(np.float32)
    np.testing.assert_array_equal(BFLOAT16.round(x), np.float64(want))


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(list(FORMATS.values())))
def test_one_rounding_is_within_unit_roundoff_and_half_subnormal(x: float, fmt) -> None:  # type: ignore[no-untyped-def]
    stored = float(fmt.round(x))
    if math.isfinite(stored):
        # In halves, since the difference of two huge numbers may overflow.
        assert abs(stored / 2 - x / 2) <= max(fmt.unit_roundoff * abs(x / 2), fmt.half_subnormal)


@given(any_float, st.sampled_from(list(FORMATS.values())))
def test_rounding_twice_changes_nothing(x: float, fmt) -> None:  # type: ignore[no-untyped-def]
    once = fmt.round(x)
    np.testing.assert_array_equal(fmt.round(once), once)


def test_landmarks() -> None:
    assert FLOAT32.largest == float(np.finfo(np.float32).max)
    assert FLOAT16.smallest_subnormal == float(np.finfo(np.float16).smallest_subnormal)
    assert FLOAT64.half_subnormal > 0
    assert float(FLOAT16.round(65520.0)) == math.inf
    assert float(FLOAT16.round(65519.0)) == 65504.0


def test_gamma_grows_faster_than_linearly_and_ends_where_no_bound_exists() -> None:
    u = FLOAT16.unit_roundoff
    assert gamma(0, u) == 0
    assert gamma(10, u) > 10 * u
    with pytest.raises(ValueError, match="no finite bound"):
        gamma(2**11, u)


def test_rounded_covers_what_storage_adds() -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    for fmt in FORMATS.values():
        assert np.all(np.abs(fmt.round(values) - values) <= rounded(values, np.zeros(1000), fmt))


def test_an_unknown_dtype_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="float32"):
        format_of("float8")
