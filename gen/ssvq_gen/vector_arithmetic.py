"""The integer arithmetic of vector operations: one definition for the reference, the RTL, the tests and the docs.

Every output is ``clamp(round((value * multiplier + other * other_multiplier + offset) / 2**shift) + zero_point)`` of a
`value` of at most `VALUE_WIDTH` bits. It is the activation itself, less its zero point, for sums of tensors, a product
of two activations, the sum or the largest pixel of a window, or a normalized value: a softmax's share, or a LayerNorm's
distance from the mean in standard deviations. Both of the last are ``round(x * root / 2**normalizing_shift)`` with a
16-bit `root`, of a token, from a table of straight lines. A window's sum of products has `WINDOW_SUM_WIDTH` bits.
Rounding is half up, as in `ssvq_gen.arithmetic`.

The formulas use operators only, so that the same function takes Python integers and int64 NumPy arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

VALUE_WIDTH = 18
VALUE_MIN, VALUE_MAX = -(1 << (VALUE_WIDTH - 1)), (1 << (VALUE_WIDTH - 1)) - 1
MULTIPLIER_WIDTH = 16
OFFSET_WIDTH = 32
SHIFTS = (12, 14, 16, 20, 24)
"""What sums of products are shifted by, in the order of their codes in a descriptor."""

POOL_POSITIONS_MAX = 512
"""Positions of a POOL's window: a sum of as many activations less their zero point has `VALUE_WIDTH` bits."""
DEPTHWISE_KERNEL_MAX = 8
"""Rows, and columns, of a DEPTHWISE's kernel."""
WINDOW_SUM_WIDTH = 22
"""Bits of the value of a DEPTHWISE: a sum of `DEPTHWISE_KERNEL_MAX` squared products of 9 by 8 bits is exact."""

GAIN_SHIFT_MAX = 7
"""Largest left shift of a channel in front of a LayerNorm."""
WEIGHT_WIDTH = 16
WEIGHT_MAX = (1 << WEIGHT_WIDTH) - 1
"""Largest weight of a softmax, that of a row's maximum."""
CHANNELS_MAX = 4096
"""Channels of a LayerNorm or softmax."""

MEAN_FRACTION = 8
"""Fraction bits of a mean."""
DEVIATION_FRACTION = 8
"""Fraction bits of a value in standard deviations."""
SHARE_FRACTION = WEIGHT_WIDTH
"""Fraction bits of a softmax's share."""
INVERSE_WIDTH = 26
"""Bits of the inverse of the number of channels: enough for the exact mean of channels that are all equal."""

ROOT_WIDTH = 16
ROOT_MAX = (1 << ROOT_WIDTH) - 1
SEGMENTS_LOG2 = 7
SEGMENT_FRACTION_WIDTH = 8
NORMALIZING_SHIFT_STEP = 4
NORMALIZING_SHIFT_MIN, NORMALIZING_SHIFT_MAX = 4, 31

Line = tuple[int, int]
"""Value at the start of a segment, and what it falls by until the end."""


def _lines(function: Callable[[float], float]) -> tuple[Line, ...]:
    """Straight lines from point to point of a falling function of 1 to 2, in units of 2**-ROOT_WIDTH."""
    count = 1 << SEGMENTS_LOG2
    points = [math.floor(function(1 + i / count) * (1 << ROOT_WIDTH) + 0.5) for i in range(count + 1)]
    return tuple((start, start - end) for start, end in itertools.pairwise(points))


INVERSE_LINES = _lines(lambda x: 1 / x)
INVERSE_ROOT_LINES = (*_lines(lambda x: x**-0.5), *_lines(lambda x: (2 * x) ** -0.5))
"""Of 1 to 2, then of 2 to 4."""


def rescale(
    value: Any,
    multiplier: Any,
    offset: Any,
    shift: Any,
    zero_point: Any,
    clamp_min: Any,
    clamp_max: Any,
    other: Any = 0,
    other_multiplier: Any = 0,
) -> Any:
    """int8 output of a value and, for a sum of two tensors, the `other` one."""
    total = value * multiplier + other * other_multiplier + offset
    return _clamp((((total >> (shift - 1)) + 1) >> 1) + zero_point, clamp_min, clamp_max)


def inverse(total: Any, lines: Any = INVERSE_LINES) -> tuple[Any, Any]:
    """(root, exponent) with ``1 / total`` nearly ``root / 2**exponent``, for a positive total.

    Args:
        total: positive integer, or array of them.
        lines: `INVERSE_LINES`; for an array, as an array (SEGMENTS, 2).
    """
    log2 = bit_length(total) - 1
    index, fraction = _segment(total, log2)
    return _interpolate(lines, index, fraction), log2 + ROOT_WIDTH


def inverse_root(total: Any, lines: Any = INVERSE_ROOT_LINES) -> tuple[Any, Any]:
    """(root, exponent) with ``1 / sqrt(total)`` nearly ``root / 2**exponent``; arguments as of `inverse`."""
    log2 = bit_length(total) - 1
    index, fraction = _segment(total, log2)
    odd = log2 & 1
    return _interpolate(lines, index + (odd << SEGMENTS_LOG2), fraction), (log2 >> 1) + ROOT_WIDTH


def normalize(value: Any, root: Any, shift: Any) -> Any:
    """``round(value * root / 2**shift)`` within `VALUE_WIDTH` bits.

    The root gives up the bits by which the shift, of at least `NORMALIZING_SHIFT_MIN`, is no multiple of
    `NORMALIZING_SHIFT_STEP`.
    """
    shift = _clamp(shift, NORMALIZING_SHIFT_MIN, NORMALIZING_SHIFT_MAX)
    fine = shift % NORMALIZING_SHIFT_STEP
    product = value * (root >> fine)
    return _clamp(((product >> (shift - fine - 1)) + 1) >> 1, VALUE_MIN, VALUE_MAX)


def channels_log2(channels: int) -> int:
    """The power of two that is not below the number of channels."""
    return (channels - 1).bit_length()


def inverse_of_channels(channels: int) -> int:
    """``2**(INVERSE_WIDTH - 1 + channels_log2) / channels`` of `INVERSE_WIDTH` bits."""
    exponent = INVERSE_WIDTH - 1 + channels_log2(channels)
    return ((1 << exponent) + channels // 2) // channels


def mean(total: Any, channels: int) -> Any:
    """Mean of channels whose sum is `total`, with `MEAN_FRACTION` bits behind the point."""
    shift = INVERSE_WIDTH - 1 + channels_log2(channels) - MEAN_FRACTION
    return (((total * inverse_of_channels(channels)) >> (shift - 1)) + 1) >> 1


def spread(channels: Any, total: Any, squares: Any, epsilon: Any) -> Any:
    """``channels**2`` times the variance, plus epsilon, of the sums of values and of squares; at least 1."""
    spread = channels * squares - total * total + epsilon
    return spread + (spread == 0)


def deviation_shift(exponent: Any, channels: int) -> Any:
    """The shift of `normalize` for values in standard deviations, with the exponent of the spread's `inverse_root`.

    What comes out is larger than the deviation by ``2**k / channels``, the next power of two over the channels.
    """
    return exponent + MEAN_FRACTION - DEVIATION_FRACTION - channels_log2(channels)


def share_shift(exponent: Any) -> Any:
    """The shift of `normalize` for a softmax's shares, with the exponent of the weights' `inverse`."""
    return exponent - SHARE_FRACTION


def bit_length(value: Any) -> Any:
    """Bits of a non-negative integer below 2**63, or of each of an array."""
    length = value * 0
    for step in (32, 16, 8, 4, 2, 1):
        beyond = ((value >> step) > 0) * step
        length = length + beyond
        value = value >> beyond
    return length + (value > 0)


def _segment(total: Any, log2: Any) -> tuple[Any, Any]:
    """Segment of the mantissa, and the place in it."""
    width = SEGMENTS_LOG2 + SEGMENT_FRACTION_WIDTH
    up = (log2 < width) * (width - log2)
    down = (log2 > width) * (log2 - width)
    mantissa = (total << up) >> down
    index = (mantissa >> SEGMENT_FRACTION_WIDTH) & ((1 << SEGMENTS_LOG2) - 1)
    return index, mantissa & ((1 << SEGMENT_FRACTION_WIDTH) - 1)


def _interpolate(lines: Any, index: Any, fraction: Any) -> Any:
    line = lines[index]
    start, fall = (line[0], line[1]) if isinstance(line, tuple) else (line[..., 0], line[..., 1])
    half = 1 << (SEGMENT_FRACTION_WIDTH - 1)
    return _clamp(start - ((fall * fraction + half) >> SEGMENT_FRACTION_WIDTH), 0, ROOT_MAX)


def _clamp(value: Any, low: Any, high: Any) -> Any:
    value = value + (high - value) * (value > high)
    return value + (low - value) * (value < low)
