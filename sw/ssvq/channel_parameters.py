"""Bias and multiplier of output channels, from their real scales and biases."""

from __future__ import annotations

import math

import numpy as np

from ssvq_gen.arithmetic import (
    ACCUMULATOR_WIDTH,
    ACTIVATION_MIN,
    EXPONENT_WIDTH,
    MANTISSA_MAX,
    MAX_SHIFT,
    ArithmeticRangeError,
    check_accumulator,
    decode_multiplier,
    encode_multiplier,
)
from ssvq_gen.format import FIELD_BY_NAME
from ssvq_gen.stream_format import NARROW_BIAS_WIDTH

from .reference import ActivationScale, Int64Array

_ACCUMULATOR_MAX = (1 << (ACCUMULATOR_WIDTH - 1)) - 1
_SATURATION = 512
"""Output steps from zero at which every int8 output is saturated, whatever its zero point."""
ROUNDING_MAX = 1 / 32
"""Output steps by which rounding a bias may move an output, before the output itself is rounded."""


def channel_parameters(
    *,
    bias: float,
    step: float,
    input_channels: int,
    weight_sum: int,
    weight_sum_abs: int,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
) -> tuple[int, int, int]:
    """(bias, mantissa, exponent) of a channel; `step` is the real value of one accumulator unit, s_x * s_w.

    The bias is ``round(bias / step) - zero_point * sum(weight)``, which folds the input's zero point.

    A dead channel (scale zero or nearly so, as batch normalization leaves behind) has a bias beyond int32 at its own
    step. It gets the smallest multiplier at which the bias fits: an accumulator then weighs more than it should, but
    at most ``|accumulator| / 2**31`` of the output, and the bias is exact for the encoded multiplier.

    Raises ArithmeticRangeError when the result does not fit the core.
    """
    room = _ACCUMULATOR_MAX + 2 * ACTIVATION_MIN * weight_sum_abs
    if step > 0 and abs(bias) <= step * room:
        quotient = math.floor(bias / step + 0.5)
        mantissa, exponent = encode_multiplier(step / output_scale.scale)
    else:
        quotient, mantissa, exponent = _constant(bias / output_scale.scale, room)
    folded = quotient - input_scale.zero_point * weight_sum
    check_accumulator(input_channels, folded, weight_sum_abs)
    return folded, mantissa, exponent


def _constant(target: float, room: int) -> tuple[int, int, int]:
    """Quotient of at most `room` and multiplier, as small as possible, whose product is `target` output steps."""
    if not math.isfinite(target):
        raise ArithmeticRangeError(f"a bias must be finite, not {target!r} output steps")
    target = min(max(target, -_SATURATION), _SATURATION)
    if target == 0:
        return 0, 0, 0
    scaled = target * (1 << MAX_SHIFT)
    mantissa = math.ceil(abs(scaled) / room) if room > 0 else MANTISSA_MAX + 1
    if mantissa > MANTISSA_MAX:
        raise ArithmeticRangeError(f"a bias of {target} output steps leaves no room in the int32 accumulator")
    return math.floor(scaled / mantissa + 0.5), mantissa, (1 << EXPONENT_WIDTH) - 1


def narrow_biases(
    bias: Int64Array, mantissa: Int64Array, exponent: Int64Array, *, weight_sums_abs: Int64Array
) -> tuple[int, Int64Array] | None:
    """(shift, biases rounded half up to int16 << shift) of a layer's channels, (N,) each; the smallest shift that fits.

    None when there is no such shift, when rounding could move an output by more than `ROUNDING_MAX` of its step, or
    when a rounded bias leaves no room in the accumulator.
    """
    limit = 1 << (NARROW_BIAS_WIDTH - 1)
    for shift in range(FIELD_BY_NAME["bias_shift"].bounds[1] + 1):
        half = (1 << shift) >> 1
        narrow = (bias + half) >> shift
        if ((narrow >= -limit) & (narrow < limit)).all():
            break
    else:
        return None
    rounded = narrow << shift
    for n in np.flatnonzero(rounded != bias):
        if half * decode_multiplier(int(mantissa[n]), int(exponent[n])) > ROUNDING_MAX:
            return None
        try:
            check_accumulator(0, int(rounded[n]), int(weight_sums_abs[n]))
        except ArithmeticRangeError:
            return None
    return shift, rounded
