"""The integer arithmetic of the core: the one definition that the reference, the RTL, the tests and the docs use.

An output is ``clamp(round((accumulator + bias) * multiplier) + zero_point)`` where the accumulator is the exact sum
of int8 x int8 products in int32, and the multiplier is ``mantissa / 2**(MIN_SHIFT + exponent)`` with a 12-bit mantissa
and a 4-bit exponent. Rounding is half up: ``round(x) = floor(x + 1/2)``, one addition before an arithmetic shift.

The formulas use operators only, so that the same function takes Python integers and int64 NumPy arrays.
"""

from __future__ import annotations

import math
from typing import Any

ACTIVATION_MIN, ACTIVATION_MAX = -128, 127
WEIGHT_MIN, WEIGHT_MAX = -128, 127
MAGNITUDE_MAX = 127
"""Largest value in an SSVQ codebook, whose codewords are magnitudes."""

ACCUMULATOR_WIDTH = 32
BIAS_WIDTH = 32
MANTISSA_WIDTH = 12
EXPONENT_WIDTH = 4
MIN_SHIFT = 10
MAX_SHIFT = MIN_SHIFT + (1 << EXPONENT_WIDTH) - 1
MANTISSA_MAX = (1 << MANTISSA_WIDTH) - 1
MULTIPLIER_MAX = MANTISSA_MAX / (1 << MIN_SHIFT)
"""Largest representable multiplier, just under 4."""


class ArithmeticRangeError(ValueError):
    """A value does not fit the core's integer arithmetic; the message names the value and the bound."""


def requantize(
    accumulator: Any, bias: Any, mantissa: Any, exponent: Any, zero_point: Any, clamp_min: Any, clamp_max: Any
) -> Any:
    """int8 output of an int32 accumulator, for integers or (broadcast) int64 arrays.

    ``(((accumulator + bias) * mantissa) >> (shift - 1)) + 1 >> 1``, plus the zero point, clamped; with
    ``shift = MIN_SHIFT + exponent``. Adding one after a shift by ``shift - 1`` is rounding half up.
    """
    shift = exponent + MIN_SHIFT
    halves = ((accumulator + bias) * mantissa) >> (shift - 1)
    value = ((halves + 1) >> 1) + zero_point
    value = value + (clamp_max - value) * (value > clamp_max)
    return value + (clamp_min - value) * (value < clamp_min)


def encode_multiplier(multiplier: float) -> tuple[int, int]:
    """Nearest (mantissa, exponent) to a real multiplier; zero and values that round to it become (0, 0).

    Raises ArithmeticRangeError for negative, non-finite or too large values.
    """
    if not math.isfinite(multiplier) or not 0 <= multiplier <= MULTIPLIER_MAX:
        raise ArithmeticRangeError(f"a multiplier must be from 0 to {MULTIPLIER_MAX:.3f}, not {multiplier!r}")
    for shift in range(MAX_SHIFT, MIN_SHIFT - 1, -1):
        mantissa = math.floor(multiplier * (1 << shift) + 0.5)
        if mantissa <= MANTISSA_MAX:
            return (mantissa, shift - MIN_SHIFT) if mantissa else (0, 0)
    return MANTISSA_MAX, 0


def decode_multiplier(mantissa: int, exponent: int) -> float:
    """The real value of an encoded multiplier."""
    return mantissa / (1 << (MIN_SHIFT + exponent))


def check_accumulator(input_channels: int, bias: int, weight_sum_abs: int | None = None) -> None:
    """Prove that no partial sum leaves int32.

    Every prefix of the sum is bounded by ``128 * sum |weight|``, and with the bias added still has to fit 32 bits.
    Without ``weight_sum_abs`` the bound is that of any int8 weights. Raises ArithmeticRangeError when it does not hold.
    """
    limit = (1 << (ACCUMULATOR_WIDTH - 1)) - 1
    weights = weight_sum_abs if weight_sum_abs is not None else input_channels * -WEIGHT_MIN
    bound = -ACTIVATION_MIN * weights + abs(bias)
    if bound > limit:
        raise ArithmeticRangeError(
            f"{input_channels} input channels with bias {bias} can reach {bound}, beyond int32 ({limit})"
        )
