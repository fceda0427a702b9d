"""The integer arithmetic: the same for integers and arrays, right against exact fractions, nearest multipliers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ssvq_gen.arithmetic import (
    MANTISSA_MAX,
    MAX_SHIFT,
    MIN_SHIFT,
    MULTIPLIER_MAX,
    ArithmeticRangeError,
    check_accumulator,
    decode_multiplier,
    encode_multiplier,
    requantize,
)

INT8 = st.integers(-128, 127)
SUMS = st.integers(-(1 << 30), (1 << 30) - 1)


@given(SUMS, SUMS, st.integers(0, MANTISSA_MAX), st.integers(0, MAX_SHIFT - MIN_SHIFT), INT8, INT8, INT8)
@example((1 << 30) - 1, (1 << 30) - 1, MANTISSA_MAX, 0, 127, -128, 127)
@example(-(1 << 30), -(1 << 30), MANTISSA_MAX, 0, -128, -128, 127)
def test_requantize_is_the_stated_rule(
    accumulator: int, bias: int, mantissa: int, exponent: int, zero_point: int, low: int, high: int
) -> None:
    low, high = sorted((low, high))
    exact = Fraction((accumulator + bias) * mantissa, 1 << (MIN_SHIFT + exponent))
    expected = min(max(math.floor(exact + Fraction(1, 2)) + zero_point, low), high)
    assert requantize(accumulator, bias, mantissa, exponent, zero_point, low, high) == expected


def test_requantize_of_arrays_is_that_of_integers() -> None:
    rng = np.random.default_rng(1)
    count = 4096
    accumulator, bias = (rng.integers(-(1 << 30), 1 << 30, count) for _ in range(2))
    accumulator[::3] >>= 18
    bias[::3] >>= 18
    mantissa = rng.integers(0, MANTISSA_MAX + 1, count)
    exponent = rng.integers(0, 16, count)
    array = requantize(accumulator, bias, mantissa, exponent, -3, -100, 90)
    one_by_one = [
        requantize(int(a), int(b), int(m), int(e), -3, -100, 90)
        for a, b, m, e in zip(accumulator, bias, mantissa, exponent, strict=True)
    ]
    assert array.tolist() == one_by_one
    assert len(set(one_by_one)) > 100, "the test values should not all saturate"


@given(st.floats(0, MULTIPLIER_MAX))
@example(MULTIPLIER_MAX)
@example(2.0**-26)
@example(2.0**-13 * 1.9999)
def test_encoded_multiplier_is_the_nearest(multiplier: float) -> None:
    mantissa, exponent = encode_multiplier(multiplier)
    error = abs(Fraction(multiplier) - Fraction(decode_multiplier(mantissa, exponent)))
    for shift in range(MIN_SHIFT, MAX_SHIFT + 1):
        scaled = Fraction(multiplier) * (1 << shift)
        for candidate in (math.floor(scaled), math.ceil(scaled)):
            other = min(candidate, MANTISSA_MAX)
            assert error <= abs(Fraction(multiplier) - Fraction(other, 1 << shift))


@given(st.integers(0, MANTISSA_MAX), st.integers(0, 15))
def test_representable_multipliers_are_exact(mantissa: int, exponent: int) -> None:
    multiplier = decode_multiplier(mantissa, exponent)
    assert decode_multiplier(*encode_multiplier(multiplier)) == multiplier


@pytest.mark.parametrize("multiplier", [-1e-9, MULTIPLIER_MAX * 1.001, math.inf, math.nan])
def test_multiplier_out_of_range(multiplier: float) -> None:
    with pytest.raises(ArithmeticRangeError, match=r"^a multiplier must be from 0 to 3\.999, not "):
        encode_multiplier(multiplier)


def test_accumulator_proof() -> None:
    check_accumulator(131071, 0)
    with pytest.raises(ArithmeticRangeError, match="^131072 input channels with bias 0 can reach 2147483648, beyond"):
        check_accumulator(131072, 0)
    check_accumulator(131072, 0, weight_sum_abs=1000)
    with pytest.raises(ArithmeticRangeError):
        check_accumulator(1, -(1 << 31))
