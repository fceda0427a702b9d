"""Operations on activations alone, with everything in integers: what the core's vector unit computes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ssvq_gen import vector_arithmetic as arithmetic
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.format import VECTOR_OPCODES, VECTOR_WINDOW_OPCODES, Opcode
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX, WEIGHT_MAX

from .channel_operation import MULTIPLIER_BOUNDS, ChannelOperation, shared
from .layer_arithmetic import CompileError
from .reference import Int8Array, Int64Array

EPSILON_MAX = (1 << 32) - 1

_INVERSE_LINES = np.asarray(arithmetic.INVERSE_LINES, dtype=np.int64)
_INVERSE_ROOT_LINES = np.asarray(arithmetic.INVERSE_ROOT_LINES, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorOperation(ChannelOperation):
    """One operation on the channels of every activation of a tensor.

    opcode : SUM (of one or two tensors), MULTIPLY, LAYERNORM or SOFTMAX
    channels : C of every tensor
    second_multiplier : like `multiplier`, of the second tensor of a SUM
    input_zero_point, second_zero_point : of the operands; 0 for a SOFTMAX, which compares channels only
    has_second : there are two operands, of equal shape
    gain_shift : LAYERNORM: left shift of each channel, int64 () or (C,)
    epsilon : LAYERNORM: added to the squared number of channels times the variance
    table : SOFTMAX: the weight of a value by its distance from the row's largest

    Raises CompileError for what does not fit its field or does not belong to the opcode.
    """

    OPCODES = tuple(opcode for opcode in VECTOR_OPCODES if opcode not in VECTOR_WINDOW_OPCODES)
    KIND = "vector operation"
    second_multiplier: Int64Array = field(default_factory=lambda: shared(0))
    second_zero_point: int = 0
    has_second: bool = False
    gain_shift: Int64Array = field(default_factory=lambda: shared(0))
    epsilon: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.has_second and self.opcode not in (Opcode.SUM, Opcode.MULTIPLY):
            raise CompileError(self.name, f"{self.opcode.name} has one operand")
        if self.opcode is Opcode.MULTIPLY and not self.has_second:
            raise CompileError(self.name, "MULTIPLY has two operands")
        if self.opcode is Opcode.SOFTMAX:
            self._check_softmax()
        self._check_channels("second_multiplier", self.second_multiplier, *MULTIPLIER_BOUNDS)
        self._check_channels("gain_shift", self.gain_shift, 0, GAIN_SHIFT_MAX)
        self._check_range("second_zero_point", self.second_zero_point, ACTIVATION_MIN, ACTIVATION_MAX)
        self._check_range("epsilon", self.epsilon, 0, EPSILON_MAX)

    def _check_softmax(self) -> None:
        if self.table is None:
            raise CompileError(self.name, "SOFTMAX needs a table of weights")
        if self.input_zero_point != 0:
            raise CompileError(self.name, "SOFTMAX takes activations as they are: input_zero_point must be 0")
        if self.table[0] != WEIGHT_MAX:
            raise CompileError(self.name, f"the weight of a row's largest value must be {WEIGHT_MAX}")

    @property
    def _table_bounds(self) -> tuple[int, int]:
        return (0, WEIGHT_MAX) if self.opcode is Opcode.SOFTMAX else super()._table_bounds

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
        other = shared(0) if second is None else second.astype(np.int64) - self.second_zero_point
        if self.opcode is Opcode.MULTIPLY:
            value, other = value * other, shared(0)
        elif self.opcode is Opcode.LAYERNORM:
            value = self._deviations(value << self.gain_shift)
        elif self.opcode is Opcode.SOFTMAX:
            value = self._shares(x.astype(np.int64))
        is_softmax = self.opcode is Opcode.SOFTMAX
        return self._rescaled(value, other, self.second_multiplier, look_up=not is_softmax)

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
