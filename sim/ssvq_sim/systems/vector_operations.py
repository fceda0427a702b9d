"""Random vector operations and activations for them."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.reference import ActivationScale, Int8Array
from ssvq.vector_operation import VectorOperation
from ssvq.window_operation import WindowOperation
from ssvq_gen.format import Opcode
from ssvq_gen.vector_arithmetic import DEPTHWISE_KERNEL_MAX, GAIN_SHIFT_MAX, OFFSET_WIDTH, SHIFTS, WEIGHT_MAX

_REACH_SCALED = 14
"""Bits of multipliers of scaled operations."""
_INPUT_BITS = {Opcode.SUM: 0, Opcode.MULTIPLY: 6, Opcode.POOL: 0}
"""Bits by which what is multiplied is wider than an output, of operations that can be scaled."""


@overload
def random_operation(
    rng: np.random.Generator, opcode: Opcode, channels: int, geometry: None = None, *, scaled: bool = False
) -> VectorOperation: ...
@overload
def random_operation(
    rng: np.random.Generator, opcode: Opcode, channels: int, geometry: ConvolutionGeometry, *, scaled: bool = False
) -> WindowOperation: ...
@overload
def random_operation(
    rng: np.random.Generator,
    opcode: Opcode,
    channels: int,
    geometry: ConvolutionGeometry | None,
    *,
    scaled: bool = False,
) -> VectorOperation | WindowOperation: ...
def random_operation(
    rng: np.random.Generator,
    opcode: Opcode,
    channels: int,
    geometry: ConvolutionGeometry | None = None,
    *,
    scaled: bool = False,
) -> VectorOperation | WindowOperation:
    """Any operation of that kind, with those windows if it is one on windows; extremes of its numbers are likely.

    scaled : its outputs are spread over int8 where that is easily done, rather than mostly 0 or clamped
    """

    def number(low: int, high: int) -> int:
        drawn = [int(n) for n in rng.integers(low, high + 1, 2)]
        return int(rng.choice([low, high, *drawn]))

    def values(low: int, high: int) -> npt.NDArray[np.int64]:
        if rng.random() < 0.5:
            return np.asarray(number(low, high))
        return np.asarray([number(low, high) for _ in range(channels)])

    softmax = opcode is Opcode.SOFTMAX
    has_second = opcode is Opcode.MULTIPLY or (opcode is Opcode.SUM and bool(rng.random() < 0.7))
    clamps = sorted(number(-128, 127) for _ in range(2)) if rng.random() < 0.3 else [-128, 127]
    table = None
    if softmax:
        table = np.concatenate([[WEIGHT_MAX], np.sort(rng.integers(0, WEIGHT_MAX + 1, 255))[::-1]]).astype(np.int64)
    elif rng.random() < 0.4:
        table = rng.integers(-128, 128, 256)
    reach = 1 << int(rng.integers(6, 16))
    common: dict[str, Any] = {
        "name": "v",
        "opcode": opcode,
        "channels": channels,
        "multiplier": values(-reach, reach - 1),
        "offset": values(*_offsets(rng)) if rng.random() < 0.5 else np.asarray(0),
        "shift": int(rng.choice(SHIFTS)),
        "input_zero_point": 0 if softmax else number(-128, 127),
        "table": table,
        "zero_point": number(-128, 127),
        "clamp_min": clamps[0],
        "clamp_max": clamps[1],
        "output_scale": ActivationScale(scale=1.0),
    }
    if scaled and opcode in _INPUT_BITS:
        common |= _scaled(rng, opcode, channels, geometry)
    if geometry is not None:
        common["geometry"] = geometry
        if opcode is Opcode.POOL:
            return WindowOperation(largest=bool(rng.integers(2)), **common)
        weight = rng.integers(-128, 128, (channels, *geometry.kernel), dtype=np.int8)
        return WindowOperation(weight=weight, **_reaching(rng, weight, common))
    second = 1 << _REACH_SCALED if scaled else reach
    return VectorOperation(
        second_multiplier=values(-second, second - 1) if has_second and opcode is Opcode.SUM else np.asarray(0),
        second_zero_point=number(-128, 127) if has_second else 0,
        has_second=has_second,
        gain_shift=values(0, GAIN_SHIFT_MAX) if opcode is Opcode.LAYERNORM else np.asarray(0),
        epsilon=number(0, 1 << 20) if opcode is Opcode.LAYERNORM else 0,
        **common,
    )


def _scaled(
    rng: np.random.Generator, opcode: Opcode, channels: int, geometry: ConvolutionGeometry | None
) -> dict[str, Any]:
    """Multipliers, offsets and a shift with which few outputs are clamped."""
    bits = _REACH_SCALED + _INPUT_BITS[opcode] + int(rng.integers(-1, 2))
    if geometry is not None:
        bits += round(math.log2(geometry.positions)) * int(rng.integers(2))
    shift = min(SHIFTS, key=lambda n: abs(n - bits))
    most = 1 << _REACH_SCALED
    return {
        "multiplier": rng.choice((-1, 1), channels) * rng.integers(most // 2, most, channels),
        "offset": rng.integers(-(20 << shift), 20 << shift, channels),
        "shift": shift,
        "table": None if rng.random() < 0.7 else rng.permutation(256) - 128,
        "clamp_min": -128,
        "clamp_max": 127,
        "zero_point": int(rng.integers(-20, 21)),
    }


def _offsets(rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(16, OFFSET_WIDTH + 1))
    return -(1 << (width - 1)), (1 << (width - 1)) - 1


def _reaching(rng: np.random.Generator, weight: Int8Array, common: dict[str, Any]) -> dict[str, Any]:
    """Often with multipliers with which few sums saturate."""
    if rng.random() < 0.3:
        return common
    spread = 74.0 * math.sqrt(float((weight.astype(np.int64) ** 2).sum(axis=(1, 2)).max()) + 1)
    ratio = rng.uniform(20, 60) / spread
    shift = next(n for n in SHIFTS[::-1] if ratio * (1 << n) < 1 << 15)
    multiplier = np.floor(ratio * rng.uniform(0.5, 1, rng.choice([1, len(weight)])) * (1 << shift)).astype(np.int64)
    scaled = multiplier if multiplier.size > 1 else multiplier[0]
    offset = np.clip(common["offset"], -(50 << shift), 50 << shift)
    return common | {"multiplier": np.asarray(scaled), "shift": shift, "offset": np.asarray(offset)}


def random_geometry(rng: np.random.Generator, opcode: Opcode, *, largest: int = 9) -> ConvolutionGeometry:
    """Windows of that kind with a kernel of at most `largest` rows and columns; most are small."""
    most = min(largest, DEPTHWISE_KERNEL_MAX if opcode is Opcode.DEPTHWISE else largest)
    kernel = tuple(int(rng.choice([1, 2, 3, int(rng.integers(1, most + 1))])) for _ in range(2))
    top, bottom, left, right = (int(n) for n in rng.integers(0, 4, 4))
    return ConvolutionGeometry(
        kernel=(min(kernel[0], most), min(kernel[1], most)),
        stride=(int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3]))),
        dilation=(int(rng.integers(1, 3)), int(rng.choice([1, 1, 2]))),
        padding=(top, bottom, left, right),
    )


def random_activations(rng: np.random.Generator, tokens: int, channels: int) -> Int8Array:
    """Wide or narrow about some centre, or all equal."""
    spread = int(rng.choice([0, 1, 8, 128]))
    centre = rng.integers(-128, 128, (tokens, 1))
    around = centre + rng.integers(-spread, spread + 1, (tokens, channels))
    return np.asarray(np.clip(around, -128, 127), dtype=np.int8)
