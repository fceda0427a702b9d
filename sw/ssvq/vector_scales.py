"""Vector operations from real scales: the integers that come nearest to what is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.format import TABLE_ENTRIES, Opcode
from ssvq_gen.vector_arithmetic import (
    DEVIATION_FRACTION,
    GAIN_SHIFT_MAX,
    MULTIPLIER_WIDTH,
    OFFSET_WIDTH,
    SHARE_FRACTION,
    SHIFTS,
    WEIGHT_MAX,
    channels_log2,
)

from .layer_arithmetic import CompileError
from .reference import ActivationScale, FloatArray, Int64Array
from .vector_operation import EPSILON_MAX, VectorOperation

Function = Callable[[FloatArray], FloatArray]


def rescaled_sum(
    name: str,
    *,
    channels: int,
    input_scale: ActivationScale,
    second_scale: ActivationScale | None = None,
    output_scale: ActivationScale,
    clamp: tuple[float, float] = (-math.inf, math.inf),
) -> VectorOperation:
    """``x + y``, or x alone with another scale, clamped to a range of real values; any scale may have gains.

    An output is within ``1/2 + 255 n / 2**(shift + 1)`` steps of the real value, for n operands.
    Raises CompileError when a ratio of scales is out of range.
    """
    scales = [input_scale] if second_scale is None else [input_scale, second_scale]
    ratios = [_ratio(name, scale, output_scale, channels) for scale in scales]
    shift = _largest_shift(name, *ratios)
    multipliers = [_fixed(ratio, shift) for ratio in ratios]
    low, high = (_clamped(output_scale, bound, channels) for bound in clamp)
    return VectorOperation(
        name=name,
        opcode=Opcode.SUM,
        channels=channels,
        multiplier=multipliers[0],
        second_multiplier=multipliers[1] if len(multipliers) > 1 else _fixed(np.zeros(()), shift),
        shift=shift,
        input_zero_point=input_scale.zero_point,
        second_zero_point=0 if second_scale is None else second_scale.zero_point,
        has_second=second_scale is not None,
        zero_point=output_scale.zero_point,
        clamp_min=low,
        clamp_max=high,
        output_scale=output_scale,
    )


def product(
    name: str,
    *,
    channels: int,
    input_scale: ActivationScale,
    second_scale: ActivationScale,
    output_scale: ActivationScale,
) -> VectorOperation:
    """``x * y``, channel by channel. Raises CompileError when the ratio of the scales is out of range."""
    ratio = input_scale.steps() * second_scale.steps() / output_scale.steps()
    shift = _largest_shift(name, ratio)
    return VectorOperation(
        name=name,
        opcode=Opcode.MULTIPLY,
        channels=channels,
        multiplier=_fixed(ratio, shift),
        shift=shift,
        input_zero_point=input_scale.zero_point,
        second_zero_point=second_scale.zero_point,
        has_second=True,
        zero_point=output_scale.zero_point,
        output_scale=output_scale,
    )


def look_up(
    name: str, *, channels: int, function: Function, input_scale: ActivationScale, output_scale: ActivationScale
) -> VectorOperation:
    """Any function of one activation, by a table: within half a step of the real value, where that is in range.

    Raises CompileError when scales have gains, as all channels have one table.
    """
    if input_scale.gains or output_scale.gains:
        raise CompileError(name, "scales of a table must not have gains: all channels have one table")
    values = np.arange(ACTIVATION_MIN, ACTIVATION_MAX + 1)
    outputs = output_scale.quantize(function(input_scale.dequantize(values)))
    table = np.zeros(TABLE_ENTRIES, dtype=np.int64)
    table[values & (TABLE_ENTRIES - 1)] = outputs
    return VectorOperation(
        name=name,
        opcode=Opcode.SUM,
        channels=channels,
        multiplier=np.asarray(1 << SHIFTS[0], dtype=np.int64),
        shift=SHIFTS[0],
        input_zero_point=input_scale.zero_point,
        table=table,
        zero_point=input_scale.zero_point,
        output_scale=output_scale,
    )


def layer_norm(
    name: str,
    *,
    weight: Sequence[float] | FloatArray,
    bias: Sequence[float] | FloatArray,
    epsilon: float,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
) -> VectorOperation:
    """``(x - mean) / sqrt(variance + epsilon) * weight + bias`` over the channels of each activation.

    The input's gains must be powers of two from 1 to 2**`GAIN_SHIFT_MAX`, with the zero point 0 or without gains.
    Raises CompileError for other gains, and for numbers out of range.
    """
    weights, biases = np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)
    channels = weights.size
    steps = np.broadcast_to(output_scale.steps(), (channels,))
    # what the core calls a standard deviation is larger than one, see `deviation_shift`
    unit = (1 << channels_log2(channels)) / channels * (1 << DEVIATION_FRACTION)
    ratio, constant = weights / steps / unit, biases / steps
    shift = _largest_shift(name, ratio, offsets=constant)
    in_units = epsilon * (channels / input_scale.scale) ** 2
    return VectorOperation(
        name=name,
        opcode=Opcode.LAYERNORM,
        channels=channels,
        multiplier=_fixed(ratio, shift),
        offset=_fixed(constant, shift),
        shift=shift,
        input_zero_point=input_scale.zero_point,
        gain_shift=_gain_shifts(name, input_scale, channels),
        epsilon=min(math.floor(in_units + 0.5), EPSILON_MAX),
        zero_point=output_scale.zero_point,
        output_scale=output_scale,
    )


def softmax(
    name: str, *, channels: int, input_scale: ActivationScale, output_scale: ActivationScale
) -> VectorOperation:
    """``exp(x) / sum(exp(x))`` over the channels of each activation. Raises CompileError when scales have gains."""
    if input_scale.gains or output_scale.gains:
        raise CompileError(name, "scales of a softmax must not have gains: it compares channels")
    distances = np.arange(TABLE_ENTRIES)
    table = np.floor(WEIGHT_MAX * np.exp(-distances * input_scale.scale) + 0.5).astype(np.int64)
    ratio = np.asarray(1 / (output_scale.scale * (1 << SHARE_FRACTION)))
    shift = _largest_shift(name, ratio)
    return VectorOperation(
        name=name,
        opcode=Opcode.SOFTMAX,
        channels=channels,
        multiplier=_fixed(ratio, shift),
        shift=shift,
        table=table,
        zero_point=output_scale.zero_point,
        output_scale=output_scale,
    )


def _ratio(name: str, scale: ActivationScale, output_scale: ActivationScale, channels: int) -> npt.NDArray[np.float64]:
    """Steps of the output in a step of the input: of all channels, (), or of each, (C,)."""
    for kind, gains in (("input", scale.gains), ("output", output_scale.gains)):
        if gains and len(gains) != channels:
            raise CompileError(name, f"{kind} scale must have {channels} gains or none, not {len(gains)}")
    return np.asarray(scale.steps() / output_scale.steps())


def _largest_shift(name: str, *ratios: npt.NDArray[np.float64], offsets: npt.NDArray[np.float64] | None = None) -> int:
    """The shift that leaves most bits to multipliers and offsets."""
    limits = [(ratio, MULTIPLIER_WIDTH) for ratio in ratios]
    if offsets is not None:
        limits.append((offsets, OFFSET_WIDTH))
    for shift in reversed(SHIFTS):
        if all(np.abs(_fixed(values, shift)).max() < 1 << (width - 1) for values, width in limits):
            return shift
    largest = max(float(np.abs(values).max()) for values, _ in limits)
    raise CompileError(name, f"ratios of scales, and offsets in steps, must be smaller than {largest:g}")


def _fixed(values: npt.NDArray[np.float64], shift: int) -> Int64Array:
    return np.asarray(np.floor(values * (1 << shift) + 0.5)).astype(np.int64)


def _clamped(scale: ActivationScale, bound: float, channels: int) -> int:
    if math.isinf(bound):
        return ACTIVATION_MAX if bound > 0 else ACTIVATION_MIN
    if scale.gains and bound != 0:
        raise CompileError("sum", "an output with gains must not be clamped but at zero: all channels have one clamp")
    return int(np.asarray(scale.quantize(np.full(channels if scale.gains else 1, bound)))[0])


def _gain_shifts(name: str, scale: ActivationScale, channels: int) -> Int64Array:
    if not scale.gains:
        return np.zeros((), dtype=np.int64)
    if len(scale.gains) != channels:
        raise CompileError(name, f"input_scale must have {channels} gains or none, not {len(scale.gains)}")
    shifts = np.log2(np.asarray(scale.gains))
    wrong = np.flatnonzero((shifts != np.floor(shifts)) | (shifts < 0) | (shifts > GAIN_SHIFT_MAX))
    if wrong.size:
        number = int(wrong[0])
        rule = f"a gain in front of a LayerNorm must be a power of two from 1 to {1 << GAIN_SHIFT_MAX}"
        raise CompileError(name, f"channel {number}: {rule}, not {scale.gains[number]}")
    return np.asarray(shifts.astype(np.int64))
