"""Operations on activations alone, with everything in integers: what the core's vector unit computes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ssvq_gen import vector_arithmetic as arithmetic
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.format import TABLE_ENTRIES, VECTOR_OPCODES, Opcode
from ssvq_gen.vector_arithmetic import (
    CHANNELS_MAX,
    GAIN_SHIFT_MAX,
    MULTIPLIER_WIDTH,
    OFFSET_WIDTH,
    SHIFTS,
    WEIGHT_MAX,
)

from .layer_arithmetic import CompileError
from .reference import ActivationScale, Int8Array, Int64Array

EPSILON_MAX = (1 << 32) - 1

_INVERSE_LINES = np.asarray(arithmetic.INVERSE_LINES, dtype=np.int64)
_INVERSE_ROOT_LINES = np.asarray(arithmetic.INVERSE_ROOT_LINES, dtype=np.int64)


def _shared(value: int) -> Int64Array:
    return np.asarray(value, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorOperation:
    """One operation on the channels of every activation of a tensor.

    opcode : SUM (of one or two tensors), MULTIPLY, LAYERNORM or SOFTMAX
    channels : C of every tensor
    multiplier : of the value, int64 () for all channels or (C,)
    second_multiplier : likewise, of the second tensor of a SUM
    offset : added to the product, int64 () or (C,)
    shift : one of `SHIFTS`, see `ssvq_gen.vector_arithmetic.rescale`
    input_zero_point, second_zero_point : of the operands; 0 for a SOFTMAX, which compares channels only
    has_second : there are two operands, of equal shape
    gain_shift : LAYERNORM: left shift of each channel, int64 () or (C,)
    epsilon : LAYERNORM: added to the squared number of channels times the variance
    table : int64 (256,). SOFTMAX: the weight of a value by its distance from the row's largest. Others: what becomes of
        an output, by its value modulo 256; None leaves it as it is.
    output_scale : its zero point is added; that of the table's values where there is a table

    Raises CompileError for what does not fit its field or does not belong to the opcode.
    """

    name: str
    opcode: Opcode
    channels: int
    multiplier: Int64Array
    second_multiplier: Int64Array = field(default_factory=lambda: _shared(0))
    offset: Int64Array = field(default_factory=lambda: _shared(0))
    shift: int
    input_zero_point: int = 0
    second_zero_point: int = 0
    has_second: bool = False
    gain_shift: Int64Array = field(default_factory=lambda: _shared(0))
    epsilon: int = 0
    table: Int64Array | None = None
    zero_point: int
    clamp_min: int = ACTIVATION_MIN
    clamp_max: int = ACTIVATION_MAX
    output_scale: ActivationScale

    def __post_init__(self) -> None:
        self._check_opcode()
        self._check_range("channels", self.channels, 1, CHANNELS_MAX)
        half = 1 << (MULTIPLIER_WIDTH - 1)
        for name, low, high in (
            ("multiplier", -half, half - 1),
            ("second_multiplier", -half, half - 1),
            ("offset", -(1 << (OFFSET_WIDTH - 1)), (1 << (OFFSET_WIDTH - 1)) - 1),
            ("gain_shift", 0, GAIN_SHIFT_MAX),
        ):
            self._check_channels(name, getattr(self, name), low, high)
        for name in ("input_zero_point", "second_zero_point", "zero_point", "clamp_min", "clamp_max"):
            self._check_range(name, getattr(self, name), ACTIVATION_MIN, ACTIVATION_MAX)
        self._check_range("epsilon", self.epsilon, 0, EPSILON_MAX)
        if self.clamp_min > self.clamp_max:
            raise CompileError(self.name, f"clamps must be ascending, not {self.clamp_min} to {self.clamp_max}")
        if self.shift not in SHIFTS:
            raise CompileError(self.name, f"shift must be one of {', '.join(map(str, SHIFTS))}, not {self.shift}")

    def _check_opcode(self) -> None:
        if self.opcode not in VECTOR_OPCODES:
            raise CompileError(self.name, f"{self.opcode.name} is no vector operation")
        if self.has_second and self.opcode not in (Opcode.SUM, Opcode.MULTIPLY):
            raise CompileError(self.name, f"{self.opcode.name} has one operand")
        if self.opcode is Opcode.MULTIPLY and not self.has_second:
            raise CompileError(self.name, "MULTIPLY has two operands")
        if self.opcode is Opcode.SOFTMAX and self.table is None:
            raise CompileError(self.name, "SOFTMAX needs a table of weights")
        if self.opcode is Opcode.SOFTMAX and self.input_zero_point != 0:
            raise CompileError(self.name, "SOFTMAX takes activations as they are: input_zero_point must be 0")
        low, high = (0, WEIGHT_MAX) if self.opcode is Opcode.SOFTMAX else (ACTIVATION_MIN, ACTIVATION_MAX)
        if self.table is not None and (
            self.table.shape != (TABLE_ENTRIES,) or self.table.min() < low or self.table.max() > high
        ):
            raise CompileError(self.name, f"a table must have {TABLE_ENTRIES} values from {low} to {high}")
        if self.opcode is Opcode.SOFTMAX and self.table is not None and self.table[0] != WEIGHT_MAX:
            raise CompileError(self.name, f"the weight of a row's largest value must be {WEIGHT_MAX}")

    def _check_channels(self, name: str, values: Int64Array, low: int, high: int) -> None:
        if values.shape not in ((), (self.channels,)):
            raise CompileError(self.name, f"{name} must be one or {self.channels} values, not {values.shape}")
        self._check_range(name, int(values.min()), low, high)
        self._check_range(name, int(values.max()), low, high)

    def _check_range(self, name: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise CompileError(self.name, f"{name} must be from {low} to {high}, not {value}")

    def reference(self, x: Int8Array, second: Int8Array | None = None) -> Int8Array:
        """What the core computes: int8 (T, C) of one or two int8 (T, C). Raises ValueError for others."""
        operands = [x] if second is None else [x, second]
        if len(operands) != 1 + self.has_second:
            raise ValueError(f"{self.name!r} has {1 + self.has_second} operands, not {len(operands)}")
        for operand in operands:
            if operand.dtype != np.int8 or operand.shape != (x.shape[0], self.channels):
                wanted = f"int8 of shape ({x.shape[0]}, {self.channels})"
                raise ValueError(f"operands must be {wanted}, not {operand.dtype} {operand.shape}")
        value = x.astype(np.int64) - self.input_zero_point
        other = _shared(0) if second is None else second.astype(np.int64) - self.second_zero_point
        if self.opcode is Opcode.MULTIPLY:
            value, other = value * other, _shared(0)
        elif self.opcode is Opcode.LAYERNORM:
            value = self._deviations(value << self.gain_shift)
        elif self.opcode is Opcode.SOFTMAX:
            value = self._shares(x.astype(np.int64))
        output = arithmetic.rescale(
            value,
            self.multiplier,
            self.offset,
            self.shift,
            self.zero_point,
            self.clamp_min,
            self.clamp_max,
            other,
            self.second_multiplier,
        )
        if self.table is not None and self.opcode is not Opcode.SOFTMAX:
            output = self.table[output & (TABLE_ENTRIES - 1)]
        return np.asarray(output).astype(np.int8)

    def _deviations(self, x: Int64Array) -> Int64Array:
        """Distances from the mean of each activation's channels, in its standard deviations."""
        totals = x.sum(axis=1, keepdims=True)
        spread = arithmetic.spread(self.channels, totals, (x * x).sum(axis=1, keepdims=True), self.epsilon)
        root, exponent = arithmetic.inverse_root(spread, _INVERSE_ROOT_LINES)
        distance = (x << arithmetic.MEAN_FRACTION) - arithmetic.mean(totals, self.channels)
        shift = arithmetic.deviation_shift(exponent, self.channels)
        return np.asarray(arithmetic.normalize(distance, root, shift))

    def _shares(self, x: Int64Array) -> Int64Array:
        """Each weight's share in the sum of an activation's weights."""
        if self.table is None:
            raise CompileError(self.name, "SOFTMAX needs a table of weights")
        weights: npt.NDArray[np.int64] = self.table[x.max(axis=1, keepdims=True) - x]
        root, exponent = arithmetic.inverse(weights.sum(axis=1, keepdims=True), _INVERSE_LINES)
        return np.asarray(arithmetic.normalize(weights, root, arithmetic.share_shift(exponent)))
