"""What a vector operation is given: its descriptor's fields, and its parameters and table as words of memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import PLANE_BYTES, TABLE_ENTRY_BYTES, Opcode, ParameterPlane, TableUse
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX, SHIFTS, inverse_of_channels

from .reference import ActivationScale, Int64Array
from .vector_operation import VectorOperation

Bytes = npt.NDArray[np.uint8]

_PLANE_NAMES = {
    ParameterPlane.MULTIPLIER: "multiplier",
    ParameterPlane.SECOND_MULTIPLIER: "second_multiplier",
    ParameterPlane.OFFSET: "offset",
    ParameterPlane.GAIN_SHIFT: "gain_shift",
}
_MULTIPLIERS = ParameterPlane.MULTIPLIER | ParameterPlane.SECOND_MULTIPLIER


def planes(operation: VectorOperation) -> ParameterPlane:
    """The parameters that are stored for each channel: those that differ, and a descriptor has no place for."""
    found = ParameterPlane(0)
    for plane, name in _PLANE_NAMES.items():
        values: Int64Array = getattr(operation, name)
        if values.ndim or (plane not in _MULTIPLIERS and values.any()):
            found |= plane
    return found


def vector_fields(operation: VectorOperation) -> dict[str, int]:
    """Fields of the descriptor, all but where its tensors are."""
    shared = planes(operation)
    values = {
        "opcode": operation.opcode,
        "channels": operation.channels,
        "planes": int(shared),
        "shift_code": SHIFTS.index(operation.shift),
        "table_use": TableUse.NONE if operation.table is None else TableUse.LOAD,
        "input_zero_point": operation.input_zero_point,
        "zero_point": operation.zero_point,
        "clamp_min": operation.clamp_min,
        "clamp_max": operation.clamp_max,
    }
    if ParameterPlane.MULTIPLIER not in shared:
        values["multiplier"] = int(operation.multiplier)
    if operation.has_second:
        values |= {"has_second": 1, "second_zero_point": operation.second_zero_point}
        if ParameterPlane.SECOND_MULTIPLIER not in shared:
            values["second_multiplier"] = int(operation.second_multiplier)
    if operation.opcode is Opcode.LAYERNORM:
        values |= {"epsilon": operation.epsilon, "inverse": inverse_of_channels(operation.channels)}
    return values


def parameter_words(operation: VectorOperation, config: CoreConfig) -> Bytes:
    """Parameters of all channels: uint8 (words, `word_bytes`), see `ParameterPlane`."""
    channels, width = operation.channels, config.word_bytes
    shared = planes(operation)
    count = -(-channels // width)
    chosen = [plane for plane in ParameterPlane if plane in shared]
    records = np.zeros((count * width, shared.plane_bytes), dtype=np.uint8)
    first = 0
    for plane in chosen:
        values = np.broadcast_to(getattr(operation, _PLANE_NAMES[plane]), (channels,))
        for number in range(PLANE_BYTES[plane]):
            records[:channels, first + number] = (values >> (8 * number)) & 0xFF
        first += PLANE_BYTES[plane]
    return np.ascontiguousarray(records.reshape(count, width, -1).transpose(0, 2, 1)).reshape(-1, width)


def table_words(operation: VectorOperation, config: CoreConfig) -> Bytes:
    """The table: uint8 (words, `word_bytes`), without words when there is none."""
    if operation.table is None:
        return np.zeros((0, config.word_bytes), dtype=np.uint8)
    entries = np.asarray(operation.table & ((1 << (8 * TABLE_ENTRY_BYTES)) - 1))
    return entries.astype("<u2").view(np.uint8).reshape(-1, config.word_bytes)


def unpack_operation(
    fields: Mapping[str, int], parameters: Bytes, table: Bytes | None, config: CoreConfig
) -> VectorOperation:
    """The inverse: an operation of a descriptor's fields and what its addresses lead to.

    Args:
        fields: of the descriptor.
        parameters: as of `parameter_words`.
        table: as of `table_words`; None where the descriptor has no table.
        config: of the core.

    Raises CompileError for what is no operation.
    """
    channels, width = fields["channels"], config.word_bytes
    stored = ParameterPlane(fields["planes"])
    count = -(-channels // width)
    planes_of_words = parameters.reshape(count, stored.plane_bytes, width)
    records = planes_of_words.transpose(0, 2, 1).reshape(count * width, stored.plane_bytes)
    values = {}
    first = 0
    for plane, name in _PLANE_NAMES.items():
        values[name] = np.asarray(fields.get(name, 0), dtype=np.int64)
        if plane in stored:
            size = PLANE_BYTES[plane]
            parts = records[:channels, first : first + size].astype(np.int64) << (8 * np.arange(size))
            values[name] = parts.sum(axis=1)
            if plane is ParameterPlane.GAIN_SHIFT:
                values[name] &= GAIN_SHIFT_MAX
            else:
                values[name] -= (values[name] >> (8 * size - 1)) << (8 * size)
            first += size
    entries = None
    if table is not None:
        kind = "<u2" if fields["opcode"] == Opcode.SOFTMAX else "<i2"
        entries = np.ascontiguousarray(table).reshape(-1).view(kind).astype(np.int64)
    return VectorOperation(
        name=Opcode(fields["opcode"]).name.lower(),
        opcode=Opcode(fields["opcode"]),
        channels=channels,
        shift=SHIFTS[fields["shift_code"]],
        input_zero_point=fields["input_zero_point"],
        second_zero_point=fields.get("second_zero_point", 0),
        has_second=bool(fields.get("has_second", 0)),
        epsilon=fields.get("epsilon", 0),
        table=entries,
        zero_point=fields["zero_point"],
        clamp_min=fields["clamp_min"],
        clamp_max=fields["clamp_max"],
        output_scale=ActivationScale(scale=1.0, zero_point=fields["zero_point"]),
        **values,
    )
