"""Vector operations whose outputs show the last bit of a value, of a sum and of an offset, and the widest sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.reference import ActivationScale, Int8Array, Int64Array
from ssvq.vector_image import parameter_words, table_words
from ssvq.vector_operation import VectorOperation
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import TABLE_ENTRIES, Opcode
from ssvq_gen.vector_arithmetic import DEVIATION_FRACTION, GAIN_SHIFT_MAX, SHARE_FRACTION, SHIFTS, WEIGHT_MAX

from .modelled_job import modelled_job
from .scenario import JobScenario

_SCALE = ActivationScale(scale=0.1)
_TOKENS, _CHANNELS = 48, 16
_SHIFT = SHIFTS[0]
_UNIT = 1 << _SHIFT
"""Multiplier with which an output is the value itself, plus what the offset makes of it."""
_GAIN_MAX = 3
_MANY = 1024
"""Channels of sums with many bits; there may be four times as many, which take as much longer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Case:
    """An operation and its input, int8 (tokens, channels)."""

    operation: VectorOperation
    x: Int8Array


def fine_vectors(config: CoreConfig) -> Iterator[JobScenario]:
    """A program of SUMs, one of SOFTMAXes, one of LAYERNORMs, and one of operations over many channels."""
    rng = np.random.default_rng(15)
    yield _scenario(config, "fine sums", [_sum(rng, factor) for factor in (1, 3)])
    # Weights whose sums differ in their lower bits, of activations of either sign.
    weights = (rng.integers(0, 200, TABLE_ENTRIES), WEIGHT_MAX - 37 * np.arange(TABLE_ENTRIES))
    yield _scenario(config, "fine shares", [_softmax(rng, sign, table) for sign in (-1, 1) for table in weights])
    yield _scenario(config, "fine deviations", [_layernorm(rng, most) for most in (0, _GAIN_MAX)])
    yield _scenario(config, "wide sums", [_wide_layernorm(), _wide_softmax(rng)])


def _sum(rng: np.random.Generator, factor: int) -> _Case:
    """Every channel has activations around one with which the total is just enough to be rounded up."""
    threshold = rng.integers(-90, 90, _CHANNELS)
    multiplier = factor * (2 * rng.integers(0, 2, _CHANNELS) - 1)
    offset = rng.integers(-100, 100, _CHANNELS) * _UNIT + _UNIT // 2 - multiplier * threshold
    around = threshold + rng.permuted(np.tile(np.arange(_TOKENS) - _TOKENS // 2, (_CHANNELS, 1)), axis=1).T
    return _Case(operation=_operation(Opcode.SUM, multiplier, offset), x=around.astype(np.int8))


def _softmax(rng: np.random.Generator, sign: int, table: Int64Array) -> _Case:
    """Shares near those of the first activation, with channels that are all negative or all positive."""
    x = (sign * rng.integers(30, 70, (_TOKENS, _CHANNELS))).astype(np.int8)
    table = np.concatenate([[WEIGHT_MAX], table[1:]])
    weights = table[x[0].max() - x[0].astype(np.int64)]
    share = weights * (1 << SHARE_FRACTION) // weights.sum()
    return _Case(operation=_around(rng, Opcode.SOFTMAX, share, table=table), x=x)


def _layernorm(rng: np.random.Generator, gain_most: int) -> _Case:
    """Deviations near those of the first activation, of channels with gains up to some."""
    x = np.clip(rng.integers(-120, 120, _CHANNELS) + rng.integers(-8, 9, (_TOKENS, _CHANNELS)), -128, 127)
    gain_shift = rng.integers(0, gain_most + 1, _CHANNELS)
    first = x[0] << gain_shift
    # A deviation is larger by the next power of two over the channels, which are one.
    deviation = np.rint((first - first.mean()) / first.std() * (1 << DEVIATION_FRACTION)).astype(np.int64)
    return _Case(
        operation=_around(rng, Opcode.LAYERNORM, deviation, gain_shift=gain_shift, epsilon=1), x=x.astype(np.int8)
    )


def _wide_layernorm() -> _Case:
    """Sums and squares of the largest distances from the zero point, all equal and half of them, with all gains."""
    x = np.full((3, _MANY), ACTIVATION_MAX, dtype=np.int8)
    x[1, ::2] = ACTIVATION_MIN
    x[2, : _MANY // 3] = ACTIVATION_MIN
    operation = VectorOperation(
        name="wide",
        opcode=Opcode.LAYERNORM,
        channels=_MANY,
        multiplier=np.asarray(_UNIT >> 3),
        shift=_SHIFT,
        input_zero_point=ACTIVATION_MIN,
        gain_shift=np.full(_MANY, GAIN_SHIFT_MAX),
        epsilon=(1 << 32) - 1,
        zero_point=0,
        output_scale=_SCALE,
    )
    return _Case(operation=operation, x=x)


def _wide_softmax(rng: np.random.Generator) -> _Case:
    """Weights that are all the largest, and others."""
    x = np.zeros((2, _MANY), dtype=np.int8)
    x[1] = rng.integers(-5, 1, _MANY)
    table = np.where(np.arange(TABLE_ENTRIES) < 3, WEIGHT_MAX, 1000)
    operation = VectorOperation(
        name="wide",
        opcode=Opcode.SOFTMAX,
        channels=_MANY,
        multiplier=np.asarray(_UNIT),
        shift=_SHIFT,
        table=table,
        zero_point=0,
        output_scale=_SCALE,
    )
    return _Case(operation=operation, x=x)


def _around(rng: np.random.Generator, opcode: Opcode, centre: Int64Array, **others: Any) -> VectorOperation:
    """The operation with outputs that are the distances of values from a centre, of each channel."""
    offset = rng.integers(0, _UNIT, _CHANNELS) - centre * _UNIT
    return _operation(opcode, np.full(_CHANNELS, _UNIT), offset, **others)


def _operation(opcode: Opcode, multiplier: Int64Array, offset: Int64Array, **others: Any) -> VectorOperation:
    fields = {"multiplier": multiplier, "offset": offset, **others}
    return VectorOperation(
        name=opcode.name, opcode=opcode, channels=_CHANNELS, shift=_SHIFT, zero_point=0, output_scale=_SCALE, **fields
    )


def _scenario(config: CoreConfig, name: str, cases: list[_Case]) -> JobScenario:
    """Every operation between a LOAD and a STORE."""
    builder = ProgramBuilder(config)
    inputs: dict[str, Int8Array] = {}
    end = 0
    for number, case in enumerate(cases):
        parameters, table = parameter_words(case.operation, config), table_words(case.operation, config)
        places = []
        for words in (parameters, table):
            places.append(end)
            if len(words):
                builder.constant(f"operation {number}", words, word=end)
            end += len(words)
        tokens, channels = case.x.shape
        source = ActivationTensor.packed(config, word=end, tokens=tokens, channels=channels)
        target = ActivationTensor.packed(config, word=source.end(config), tokens=tokens, channels=channels)
        end = target.end(config)
        inputs[f"input {number}"] = case.x
        builder.load(f"input {number}", source, _SCALE)
        builder.vector(
            case.operation,
            source=source,
            target=target,
            parameters=places[0],
            table=places[1],
            name=f"run {number}",
        )
        builder.store(f"output {number}", target, _SCALE)
    return modelled_job(config, name, builder.build(), inputs)
