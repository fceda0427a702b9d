"""Vector operations from real scales: the integers that come nearest to what is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.format import TABLE_ENTRIES, Opcode
from ssvq_gen.vector_arithmetic import (
    DEVIATION_FRACTION,
    GAIN_SHIFT_MAX,
    SHARE_FRACTION,
    SHIFTS,
    WEIGHT_MAX,
    channels_log2,
)

from .channel_operation import ChannelOperation
from .fixed_point import clamp_bounds, fixed, largest_shift, ratio_of_scales, scaled_fields, steps_of
from .layer_arithmetic import CompileError
from .reference import ActivationScale, FloatArray, Int64Array
from .vector_operation import EPSILON_MAX, VectorOperation

Function = Callable[[FloatArray], FloatArray]
Operation = TypeVar("Operation", bound=ChannelOperation)


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
    ratios = [ratio_of_scales(name, scale, output_scale, channels) for scale in scales]
    shift = largest_shift(name, *ratios)
    multipliers = [fixed(ratio, shift) for ratio in ratios]
    low, high = clamp_bounds(name, output_scale, clamp, channels)
    return VectorOperation(
        name=name,
        opcode=Opcode.SUM,
        channels=channels,
        multiplier=multipliers[0],
        second_multiplier=multipliers[1] if len(multipliers) > 1 else fixed(np.zeros(()), shift),
        shift=shift,
        input_zero_point=input_scale.zero_point,
        second_zero_point=0 if second_scale is None else second_scale.zero_point,
        has_second=second_scale is not None,
        zero_point=output_scale.zero_point,
        clamp_min=low,
        clamp_max=high,
        output_scale=output_scale,
    )


def scaled_shift(
    name: str,
    *,
    channels: int,
    scale: FloatArray,
    shift: FloatArray,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
    clamp: tuple[float, float] = (-math.inf, math.inf),
) -> VectorOperation:
    """``x * scale + shift`` with real numbers of each channel, (C,), or of all, (), clamped as in `rescaled_sum`.

    An output is within ``1/2 + 256 / 2**(shift + 1)`` steps of the real value.
    Raises CompileError when a ratio of scales or a summand is out of range.
    """
    ratio = ratio_of_scales(name, input_scale, output_scale, channels) * np.asarray(scale, dtype=np.float64)
    offset = np.asarray(shift, dtype=np.float64) / output_scale.steps()
    fields = scaled_fields(name, channels, ratio, offset, output_scale, clamp)
    return VectorOperation(opcode=Opcode.SUM, input_zero_point=input_scale.zero_point, **fields)


def product(
    name: str,
    *,
    channels: int,
    input_scale: ActivationScale,
    second_scale: ActivationScale,
    output_scale: ActivationScale,
) -> VectorOperation:
    """``x * y``, channel by channel. Raises CompileError when the ratio of the scales is out of range."""
    ratio = ratio_of_scales(name, input_scale, output_scale, channels) * steps_of(
        name, "second", second_scale, channels
    )
    shift = largest_shift(name, ratio)
    return VectorOperation(
        name=name,
        opcode=Opcode.MULTIPLY,
        channels=channels,
        multiplier=fixed(ratio, shift),
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
    table = _table_of(name, function, input_scale, output_scale)
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


def followed_by(operation: Operation, function: Function, output_scale: ActivationScale) -> Operation:
    """The operation with a function of its output, by a table: for the output's own scale, where that is in range.

    Raises CompileError when it has a table, or scales have gains, as all channels have one table.
    """
    if operation.table is not None:
        raise CompileError(operation.name, "it has a table: another function cannot follow")
    table = _table_of(operation.name, function, operation.output_scale, output_scale)
    return replace(operation, table=table, output_scale=output_scale)


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
    in_units = epsilon * (channels / input_scale.scale) ** 2
    return VectorOperation(
        opcode=Opcode.LAYERNORM,
        input_zero_point=input_scale.zero_point,
        gain_shift=_gain_shifts(name, input_scale, channels),
        epsilon=min(math.floor(in_units + 0.5), EPSILON_MAX),
        **scaled_fields(name, channels, ratio, constant, output_scale),
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
    shift = largest_shift(name, ratio)
    return VectorOperation(
        name=name,
        opcode=Opcode.SOFTMAX,
        channels=channels,
        multiplier=fixed(ratio, shift),
        shift=shift,
        table=table,
        zero_point=output_scale.zero_point,
        output_scale=output_scale,
    )


def _table_of(name: str, function: Function, input_scale: ActivationScale, output_scale: ActivationScale) -> Int64Array:
    if input_scale.gains or output_scale.gains:
        raise CompileError(name, "scales of a table must not have gains: all channels have one table")
    values = np.arange(ACTIVATION_MIN, ACTIVATION_MAX + 1)
    table = np.zeros(TABLE_ENTRIES, dtype=np.int64)
    table[values & (TABLE_ENTRIES - 1)] = output_scale.quantize(function(input_scale.dequantize(values)))
    return table


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
