"""What a vector operation is given: its descriptor's fields, and its parameters and table as words of memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import (
    PLANE_BYTES,
    TABLE_ENTRY_BYTES,
    VECTOR_WINDOW_OPCODES,
    Opcode,
    ParameterPlane,
    TableUse,
)
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX, SHIFTS, inverse_of_channels

from .channel_operation import ChannelOperation, shared
from .convolution_geometry import ConvolutionGeometry
from .reference import ActivationScale, Int64Array
from .vector_operation import VectorOperation
from .window_operation import WindowOperation

Bytes = npt.NDArray[np.uint8]

_PLANE_NAMES = {
    ParameterPlane.MULTIPLIER: "multiplier",
    ParameterPlane.SECOND_MULTIPLIER: "second_multiplier",
    ParameterPlane.OFFSET: "offset",
    ParameterPlane.GAIN_SHIFT: "gain_shift",
}
_MULTIPLIERS = ParameterPlane.MULTIPLIER | ParameterPlane.SECOND_MULTIPLIER


def planes(operation: ChannelOperation) -> ParameterPlane:
    """The parameters that are stored for each channel: those that differ, and a descriptor has no place for."""
    found = ParameterPlane(0)
    for plane, name in _PLANE_NAMES.items():
        values: Int64Array = getattr(operation, name, shared(0))
        if values.ndim or (plane not in _MULTIPLIERS and values.any()):
            found |= plane
    return found


def vector_fields(operation: ChannelOperation) -> dict[str, int]:
    """Fields of the descriptor, all but where its tensors and windows are."""
    stored = planes(operation)
    values = {
        "opcode": operation.opcode,
        "channels": operation.channels,
        "planes": int(stored),
        "shift_code": SHIFTS.index(operation.shift),
        "table_use": TableUse.NONE if operation.table is None else TableUse.LOAD,
        "input_zero_point": operation.input_zero_point,
        "zero_point": operation.zero_point,
        "clamp_min": operation.clamp_min,
        "clamp_max": operation.clamp_max,
    }
    if ParameterPlane.MULTIPLIER not in stored:
        values["multiplier"] = int(operation.multiplier)
    if isinstance(operation, WindowOperation) and operation.opcode is Opcode.POOL:
        values["largest"] = int(operation.largest)
    if not isinstance(operation, VectorOperation):
        return values
    if operation.has_second:
        values |= {"has_second": 1, "second_zero_point": operation.second_zero_point}
        if ParameterPlane.SECOND_MULTIPLIER not in stored:
            values["second_multiplier"] = int(operation.second_multiplier)
    if operation.opcode is Opcode.LAYERNORM:
        values |= {"epsilon": operation.epsilon, "inverse": inverse_of_channels(operation.channels)}
    return values


def parameter_words(operation: ChannelOperation, config: CoreConfig) -> Bytes:
    """Parameters and weights of all channels: uint8 (words, `word_bytes`), see `ParameterPlane`."""
    channels, width = operation.channels, config.word_bytes
    stored = planes(operation)
    count = -(-channels // width)
    parts = []
    for plane in ParameterPlane:
        if plane in stored:
            values = np.broadcast_to(getattr(operation, _PLANE_NAMES[plane]), (channels,))
            parts.append((values[:, None] >> (8 * np.arange(PLANE_BYTES[plane]))) & 0xFF)
    if operation.opcode is Opcode.DEPTHWISE and isinstance(operation, WindowOperation):
        parts.append(operation.weight.reshape(channels, -1).view(np.uint8))
    joined = np.concatenate([np.zeros((channels, 0), dtype=np.uint8), *parts], axis=1)
    records = np.zeros((count * width, joined.shape[1]), dtype=np.uint8)
    records[:channels] = joined
    return np.ascontiguousarray(records.reshape(count, width, -1).transpose(0, 2, 1)).reshape(-1, width)


def table_words(operation: ChannelOperation, config: CoreConfig) -> Bytes:
    """The table: uint8 (words, `word_bytes`), without words when there is none."""
    if operation.table is None:
        return np.zeros((0, config.word_bytes), dtype=np.uint8)
    entries = np.asarray(operation.table & ((1 << (8 * TABLE_ENTRY_BYTES)) - 1))
    return entries.astype("<u2").view(np.uint8).reshape(-1, config.word_bytes)


def unpack_operation(
    fields: Mapping[str, int], parameters: Bytes, table: Bytes | None, config: CoreConfig
) -> VectorOperation | WindowOperation:
    """The inverse: an operation of a descriptor's fields and what its addresses lead to.

    Args:
        fields: of the descriptor. Of windows, the operation has kernel, stride and dilation, and no padding.
        parameters: as of `parameter_words`.
        table: as of `table_words`; None where the descriptor has no table.
        config: of the core.

    Raises CompileError for what is no operation.
    """
    opcode, channels = Opcode(fields["opcode"]), fields["channels"]
    records = _records(parameters, channels, config)
    values, first = _stored_parameters(fields, records)
    entries = None
    if table is not None:
        kind = "<u2" if opcode is Opcode.SOFTMAX else "<i2"
        entries = np.ascontiguousarray(table).reshape(-1).view(kind).astype(np.int64)
    common: dict[str, Any] = {
        "name": opcode.name.lower(),
        "opcode": opcode,
        "channels": channels,
        "multiplier": values["multiplier"],
        "offset": values["offset"],
        "shift": SHIFTS[fields["shift_code"]],
        "input_zero_point": fields["input_zero_point"],
        "table": entries,
        "zero_point": fields["zero_point"],
        "clamp_min": fields["clamp_min"],
        "clamp_max": fields["clamp_max"],
        "output_scale": ActivationScale(scale=1.0, zero_point=fields["zero_point"]),
    }
    if opcode not in VECTOR_WINDOW_OPCODES:
        return VectorOperation(
            second_multiplier=values["second_multiplier"],
            second_zero_point=fields.get("second_zero_point", 0),
            has_second=bool(fields.get("has_second", 0)),
            gain_shift=values["gain_shift"],
            epsilon=fields.get("epsilon", 0),
            **common,
        )
    kernel = fields["kernel_height"], fields["kernel_width"]
    if opcode is Opcode.DEPTHWISE:
        common["weight"] = np.ascontiguousarray(records[:, first:]).view(np.int8).reshape(channels, *kernel)
    geometry = ConvolutionGeometry(
        kernel=kernel,
        stride=(fields["stride_y"], fields["stride_x"]),
        dilation=(fields["dilation_y"], fields["dilation_x"]),
    )
    return WindowOperation(geometry=geometry, largest=bool(fields["largest"]), **common)


def _records(parameters: Bytes, channels: int, config: CoreConfig) -> Bytes:
    """Bytes of each channel, (C, bytes)."""
    width = config.word_bytes
    count = -(-channels // width)
    return parameters.reshape(count, -1, width).transpose(0, 2, 1).reshape(count * width, -1)[:channels]


def _stored_parameters(fields: Mapping[str, int], records: Bytes) -> tuple[dict[str, Int64Array], int]:
    """Parameters by name, and how many bytes of each channel they take."""
    stored = ParameterPlane(fields["planes"])
    values = {}
    first = 0
    for plane, name in _PLANE_NAMES.items():
        values[name] = shared(fields.get(name, 0))
        if plane in stored:
            size = PLANE_BYTES[plane]
            parts = records[:, first : first + size].astype(np.int64) << (8 * np.arange(size))
            values[name] = parts.sum(axis=1)
            if plane is ParameterPlane.GAIN_SHIFT:
                values[name] &= GAIN_SHIFT_MAX
            else:
                values[name] -= (values[name] >> (8 * size - 1)) << (8 * size)
            first += size
    return values, first
