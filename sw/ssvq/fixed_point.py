"""Ratios of scales and biases as integers, for what the vector unit multiplies by and adds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.vector_arithmetic import MULTIPLIER_WIDTH, OFFSET_WIDTH, SHIFTS

from .layer_arithmetic import CompileError
from .reference import ActivationScale, Int64Array


def ratio_of_scales(
    name: str, scale: ActivationScale, output_scale: ActivationScale, channels: int
) -> npt.NDArray[np.float64]:
    """Steps of the output in a step of the input: of all channels, (), or of each, (C,). Raises CompileError."""
    steps = steps_of(name, "input", scale, channels)
    return np.asarray(steps / steps_of(name, "output", output_scale, channels))


def steps_of(name: str, kind: str, scale: ActivationScale, channels: int) -> npt.NDArray[np.float64]:
    """What a step is: of all channels, (), or of each, (C,). Raises CompileError for gains of other channels."""
    if scale.gains and len(scale.gains) != channels:
        raise CompileError(name, f"{kind} scale must have {channels} gains or none, not {len(scale.gains)}")
    return scale.steps()


def largest_shift(name: str, *ratios: npt.NDArray[np.float64], offsets: npt.NDArray[np.float64] | None = None) -> int:
    """The shift that leaves most bits to multipliers and offsets."""
    limits = [(ratio, MULTIPLIER_WIDTH) for ratio in ratios]
    if offsets is not None:
        limits.append((offsets, OFFSET_WIDTH))
    for shift in reversed(SHIFTS):
        if all(np.abs(fixed(values, shift)).max() < 1 << (width - 1) for values, width in limits):
            return shift
    largest = max(float(np.abs(values).max()) for values, _ in limits)
    raise CompileError(name, f"ratios of scales, and offsets in steps, must be smaller than {largest:g}")


def fixed(values: npt.NDArray[np.float64], shift: int) -> Int64Array:
    """Multiples of 2**-shift."""
    return np.asarray(np.floor(values * (1 << shift) + 0.5)).astype(np.int64)


def scaled_fields(
    name: str,
    channels: int,
    ratio: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    output_scale: ActivationScale,
    clamp: tuple[float, float] = (-math.inf, math.inf),
) -> dict[str, Any]:
    """Fields of a `ChannelOperation` whose outputs are its values times `ratio`, plus `offset`, in steps of the output.

    Both are of all channels, (), or of each, (C,); `clamp` is in real values. Raises CompileError for what is out of
    range, see `largest_shift` and `clamp_bounds`.
    """
    shift = largest_shift(name, ratio, offsets=offset)
    low, high = clamp_bounds(name, output_scale, clamp, channels)
    return {
        "name": name,
        "channels": channels,
        "multiplier": fixed(ratio, shift),
        "offset": fixed(offset, shift),
        "shift": shift,
        "zero_point": output_scale.zero_point,
        "clamp_min": low,
        "clamp_max": high,
        "output_scale": output_scale,
    }


def clamp_bounds(name: str, scale: ActivationScale, clamp: tuple[float, float], channels: int) -> tuple[int, int]:
    """Clamps of an output, for bounds of its real values. Raises CompileError where channels would need their own."""
    low, high = (_clamped(name, scale, bound, channels) for bound in clamp)
    return low, high


def _clamped(name: str, scale: ActivationScale, bound: float, channels: int) -> int:
    if math.isinf(bound):
        return ACTIVATION_MAX if bound > 0 else ACTIVATION_MIN
    if scale.gains and bound != 0:
        raise CompileError(name, "an output with gains must not be clamped but at zero: all channels have one clamp")
    return int(np.asarray(scale.quantize(np.full(channels if scale.gains else 1, bound)))[0])
