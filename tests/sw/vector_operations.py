"""Random vector operations and activations for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ssvq.reference import ActivationScale, Int8Array
from ssvq.vector_operation import VectorOperation
from ssvq_gen.format import Opcode
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX, SHIFTS, WEIGHT_MAX


def random_operation(rng: np.random.Generator, opcode: Opcode, channels: int) -> VectorOperation:
    """Any operation of that kind; extremes of all its numbers are likely."""

    def number(low: int, high: int) -> int:
        return int(rng.choice([low, high, rng.integers(low, high + 1), rng.integers(low, high + 1)]))

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
    return VectorOperation(
        name="v",
        opcode=opcode,
        channels=channels,
        multiplier=values(-reach, reach - 1),
        second_multiplier=values(-reach, reach - 1) if has_second and opcode is Opcode.SUM else np.asarray(0),
        offset=values(-(1 << 23), (1 << 23) - 1) if rng.random() < 0.5 else np.asarray(0),
        shift=int(rng.choice(SHIFTS)),
        input_zero_point=0 if softmax else number(-128, 127),
        second_zero_point=number(-128, 127) if has_second else 0,
        has_second=has_second,
        gain_shift=values(0, GAIN_SHIFT_MAX) if opcode is Opcode.LAYERNORM else np.asarray(0),
        epsilon=number(0, 1 << 20) if opcode is Opcode.LAYERNORM else 0,
        table=table,
        zero_point=number(-128, 127),
        clamp_min=clamps[0],
        clamp_max=clamps[1],
        output_scale=ActivationScale(scale=1.0),
    )


def random_activations(rng: np.random.Generator, tokens: int, channels: int) -> Int8Array:
    """Wide or narrow about some centre, or all equal."""
    spread = int(rng.choice([0, 1, 8, 128]))
    centre = rng.integers(-128, 128, (tokens, 1))
    return np.clip(centre + rng.integers(-spread, spread + 1, (tokens, channels)), -128, 127).astype(np.int8)
