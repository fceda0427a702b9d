"""What operations of the vector unit have in common: how the value of each channel becomes an int8 output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ssvq_gen import vector_arithmetic as arithmetic
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.format import TABLE_ENTRIES, Opcode
from ssvq_gen.vector_arithmetic import CHANNELS_MAX, MULTIPLIER_WIDTH, OFFSET_WIDTH, SHIFTS

from .layer_arithmetic import CompileError
from .reference import ActivationScale, Int8Array, Int64Array

MULTIPLIER_BOUNDS = -(1 << (MULTIPLIER_WIDTH - 1)), (1 << (MULTIPLIER_WIDTH - 1)) - 1
OFFSET_BOUNDS = -(1 << (OFFSET_WIDTH - 1)), (1 << (OFFSET_WIDTH - 1)) - 1


def shared(value: int) -> Int64Array:
    """A parameter that all channels have: int64 ()."""
    return np.asarray(value, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelOperation:
    """Scales, rounds and clamps a value of every channel, see `ssvq_gen.vector_arithmetic.rescale`.

    channels : C
    multiplier : of the value, int64 () for all channels or (C,)
    offset : added to the product, int64 () or (C,)
    shift : one of `SHIFTS`
    input_zero_point : of the (first) operand
    table : int64 (256,), what becomes of an output, by its value modulo 256; None leaves it as it is
    output_scale : its zero point is added; that of the table's values where there is a table

    Raises CompileError for what does not fit its field.
    """

    OPCODES: ClassVar[tuple[Opcode, ...]]
    KIND: ClassVar[str]
    name: str
    opcode: Opcode
    channels: int
    multiplier: Int64Array
    offset: Int64Array = field(default_factory=lambda: shared(0))
    shift: int
    input_zero_point: int = 0
    table: Int64Array | None = None
    zero_point: int
    clamp_min: int = ACTIVATION_MIN
    clamp_max: int = ACTIVATION_MAX
    output_scale: ActivationScale

    def __post_init__(self) -> None:
        if self.opcode not in self.OPCODES:
            raise CompileError(self.name, f"{self.opcode.name} is no {self.KIND}")
        self._check_range("channels", self.channels, 1, CHANNELS_MAX)
        self._check_channels("multiplier", self.multiplier, *MULTIPLIER_BOUNDS)
        self._check_channels("offset", self.offset, *OFFSET_BOUNDS)
        for name in ("input_zero_point", "zero_point", "clamp_min", "clamp_max"):
            self._check_range(name, getattr(self, name), ACTIVATION_MIN, ACTIVATION_MAX)
        if self.clamp_min > self.clamp_max:
            raise CompileError(self.name, f"clamps must be ascending, not {self.clamp_min} to {self.clamp_max}")
        if self.shift not in SHIFTS:
            raise CompileError(self.name, f"shift must be one of {', '.join(map(str, SHIFTS))}, not {self.shift}")
        low, high = self._table_bounds
        if self.table is not None and (
            self.table.shape != (TABLE_ENTRIES,) or self.table.min() < low or self.table.max() > high
        ):
            raise CompileError(self.name, f"a table must have {TABLE_ENTRIES} values from {low} to {high}")

    @property
    def _table_bounds(self) -> tuple[int, int]:
        return ACTIVATION_MIN, ACTIVATION_MAX

    def _check_channels(self, name: str, values: Int64Array, low: int, high: int) -> None:
        if values.shape not in ((), (self.channels,)):
            raise CompileError(self.name, f"{name} must be one or {self.channels} values, not {values.shape}")
        self._check_range(name, int(values.min()), low, high)
        self._check_range(name, int(values.max()), low, high)

    def _check_range(self, name: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise CompileError(self.name, f"{name} must be from {low} to {high}, not {value}")

    def _rescaled(
        self, value: Int64Array, other: Int64Array, other_multiplier: Int64Array, *, look_up: bool = True
    ) -> Int8Array:
        """int8 outputs of values (..., C)."""
        output = arithmetic.rescale(
            value,
            self.multiplier,
            self.offset,
            self.shift,
            self.zero_point,
            self.clamp_min,
            self.clamp_max,
            other,
            other_multiplier,
        )
        if self.table is not None and look_up:
            output = self.table[output & (TABLE_ENTRIES - 1)]
        return np.asarray(output).astype(np.int8)
