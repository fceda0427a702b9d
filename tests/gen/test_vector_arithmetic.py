"""Arithmetic of vector operations: the formulas against fractions, over their whole ranges."""

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ssvq_gen import vector_arithmetic as arithmetic
from ssvq_gen.vector_arithmetic import (
    CHANNELS_MAX,
    DEPTHWISE_KERNEL_MAX,
    GAIN_SHIFT_MAX,
    MEAN_FRACTION,
    NORMALIZING_SHIFT_MAX,
    NORMALIZING_SHIFT_MIN,
    OFFSET_WIDTH,
    POOL_POSITIONS_MAX,
    ROOT_MAX,
    ROOT_WIDTH,
    SHIFTS,
    VALUE_MAX,
    VALUE_MIN,
    WEIGHT_MAX,
    WINDOW_SUM_WIDTH,
)

CENTRED_MAX = 255 << GAIN_SHIFT_MAX
SPREAD_MAX = CHANNELS_MAX**2 * CENTRED_MAX**2 + (1 << 32)
WEIGHTS_MAX = CHANNELS_MAX * WEIGHT_MAX
ROOT_ERROR = 2**-14


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


@given(
    value=st.integers(-(1 << (WINDOW_SUM_WIDTH - 1)), (1 << (WINDOW_SUM_WIDTH - 1)) - 1),
    other=st.integers(-255, 255),
    multipliers=st.tuples(st.integers(-(1 << 15), (1 << 15) - 1), st.integers(-(1 << 15), (1 << 15) - 1)),
    offset=st.integers(-(1 << (OFFSET_WIDTH - 1)), (1 << (OFFSET_WIDTH - 1)) - 1),
    shift=st.sampled_from(SHIFTS),
    zero_point=st.integers(-128, 127),
    clamps=st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(sorted),
)
def test_rescale_rounds_half_up_and_clamps(
    value: int,
    other: int,
    multipliers: tuple[int, int],
    offset: int,
    shift: int,
    zero_point: int,
    clamps: list[int],
) -> None:
    total = value * multipliers[0] + other * multipliers[1] + offset
    expected = min(max(half_up(Fraction(total, 1 << shift)) + zero_point, clamps[0]), clamps[1])
    low, high = clamps
    found = arithmetic.rescale(value, multipliers[0], offset, shift, zero_point, low, high, other, multipliers[1])
    assert found == expected


def test_sums_of_windows_have_room() -> None:
    """Of pixels and zero points at opposite ends of int8, and of weights of -128."""
    assert POOL_POSITIONS_MAX * 255 <= VALUE_MAX
    assert DEPTHWISE_KERNEL_MAX**2 * 255 * 128 < 1 << (WINDOW_SUM_WIDTH - 1)
    assert (DEPTHWISE_KERNEL_MAX + 1) ** 2 * 255 * 128 >= 1 << (WINDOW_SUM_WIDTH - 1)


@given(st.integers(0, (1 << 63) - 1))
@example(0)
@example((1 << 63) - 1)
def test_bit_length(value: int) -> None:
    assert arithmetic.bit_length(value) == value.bit_length()


@given(st.one_of(st.integers(1, WEIGHTS_MAX), st.integers(0, 27).map(lambda k: 1 << k)))
@example(1)
@example(WEIGHTS_MAX)
def test_inverse_is_near(total: int) -> None:
    root, exponent = arithmetic.inverse(total)
    assert 1 << (ROOT_WIDTH - 1) <= root <= ROOT_MAX
    assert abs(root / 2.0**exponent * total - 1) < ROOT_ERROR


@given(st.one_of(st.integers(1, SPREAD_MAX), st.integers(0, 54).map(lambda k: 1 << k), st.integers(1, 1 << 20)))
@example(1)
@example(SPREAD_MAX)
def test_inverse_root_is_near(total: int) -> None:
    root, exponent = arithmetic.inverse_root(total)
    assert 1 << (ROOT_WIDTH - 1) <= root <= ROOT_MAX
    assert abs(root / 2.0**exponent * math.sqrt(total) - 1) < ROOT_ERROR


@given(
    value=st.integers(-(1 << 25), 1 << 25),
    root=st.integers(1 << 15, ROOT_MAX),
    shift=st.integers(NORMALIZING_SHIFT_MIN, NORMALIZING_SHIFT_MAX),
)
def test_normalize_rounds_half_up_and_saturates(value: int, root: int, shift: int) -> None:
    fine = shift % 4
    expected = half_up(Fraction(value * (root >> fine), 1 << (shift - fine)))
    assert arithmetic.normalize(value, root, shift) == min(max(expected, VALUE_MIN), VALUE_MAX)


@given(channels=st.integers(1, CHANNELS_MAX), value=st.integers(-CENTRED_MAX, CENTRED_MAX))
@example(channels=CHANNELS_MAX, value=CENTRED_MAX)
@example(channels=CHANNELS_MAX - 1, value=-CENTRED_MAX)
@example(channels=1, value=-CENTRED_MAX)
def test_mean_of_equal_channels_is_exact(channels: int, value: int) -> None:
    """So that equal channels have no deviation, however large it is made."""
    assert arithmetic.mean(channels * value, channels) == value << MEAN_FRACTION


@given(channels=st.integers(1, CHANNELS_MAX), share=st.floats(-1, 1))
def test_mean_is_near(channels: int, share: float) -> None:
    total = int(share * channels * CENTRED_MAX)
    assert abs(arithmetic.mean(total, channels) - Fraction(total << MEAN_FRACTION, channels)) < Fraction(3, 2)


@pytest.mark.parametrize("channels", [1, 2, 3, 192, 384, 2049, CHANNELS_MAX])
def test_shifts_are_in_reach(channels: int) -> None:
    """From the smallest spread of channels that are not all equal to the largest, and for all sums of weights."""
    for spread in (max(1, channels - 1), channels**2 * CENTRED_MAX**2):
        _, exponent = arithmetic.inverse_root(spread)
        shift = arithmetic.deviation_shift(exponent, channels)
        assert NORMALIZING_SHIFT_MIN <= shift <= NORMALIZING_SHIFT_MAX
    for weights in (WEIGHT_MAX, channels * WEIGHT_MAX):
        _, exponent = arithmetic.inverse(weights)
        assert NORMALIZING_SHIFT_MIN <= arithmetic.share_shift(exponent) <= NORMALIZING_SHIFT_MAX
