"""A layer's weight stream, as `ssvq_gen.stream_format.StreamFormat` lays it out: packing, and an independent inverse.

`pack_stream` moves whole axes into stream order. `unpack_stream` instead computes, for every weight, the address of
its bits from the format's prose; the two share nothing but the format's derived counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq_gen.arithmetic import BIAS_WIDTH, EXPONENT_WIDTH, MANTISSA_WIDTH
from ssvq_gen.config import LANE_WEIGHTS, CoreConfig, WeightFormat
from ssvq_gen.format import FormatError
from ssvq_gen.stream_format import NARROW_BIAS_WIDTH, StreamFormat

from .integer_weights import IntegerWeights
from .reference import Int8Array, Int64Array

BitArray = npt.NDArray[np.uint8]
_WEIGHT_BITS = 8
_CODEBOOK_WORD_BITS = 8 * LANE_WEIGHTS
_HALF = LANE_WEIGHTS // 2
"""Rows that one codeword of vector_dim 2 covers in a step of `LANE_WEIGHTS` rows."""


def stream_format_of(layer: IntegerWeights, config: CoreConfig) -> StreamFormat:
    """The layer's stream format on a core. Raises FormatError when the core cannot decode it."""
    return StreamFormat(
        config=config,
        weight_format=layer.weight_format,
        codebook_size=layer.codebook_size,
        vector_dim=layer.vector_dim,
        narrow_bias=layer.bias_shift is not None,
        shared_multiplier=layer.shared_multiplier,
    )


def parameter_fields(layer: IntegerWeights) -> dict[str, int]:
    """Descriptor fields of a layer's channel parameters."""
    shared = layer.shared_multiplier
    return {
        "narrow_bias": layer.bias_shift is not None,
        "shared_multiplier": shared,
        "bias_shift": layer.bias_shift or 0,
        "mantissa": int(layer.mantissa[0]) if shared else 0,
        "exponent": int(layer.exponent[0]) if shared else 0,
    }


def tile_counts(layer: IntegerWeights, config: CoreConfig) -> tuple[int, int]:
    """(k_tiles, n_tiles): tiles along input channels, of all kernel positions, and along output channels."""
    return layer.positions * channel_tiles(layer, config), -(-layer.out_channels // config.cols)


def channel_tiles(layer: IntegerWeights, config: CoreConfig) -> int:
    """Tiles along the input channels of one kernel position."""
    return -(-layer.in_channels // config.rows)


def pack_stream(layer: IntegerWeights, stream_format: StreamFormat) -> bytes:
    """The weight stream of one MATMUL or CONV, `stream_format.total_bytes(k_tiles, n_tiles)` bytes.

    Padding channels have zero bias, and zero multipliers where the stream holds any; padding weights, which fill the
    last tile of every kernel position, have index 0 (int8: value 0) and sign 0.
    Raises FormatError when the layer is not of this format.
    """
    _check_format(layer, stream_format)
    config = stream_format.config
    k_tiles, n_tiles = tile_counts(layer, config)
    columns = np.concatenate(
        [_parameter_words(layer, stream_format, n_tiles), _weight_words(layer, stream_format, k_tiles, n_tiles)], axis=1
    )
    stream = _codebook_bytes(layer, stream_format) + np.packbits(columns.reshape(-1), bitorder="little").tobytes()
    return stream.ljust(stream_format.total_bytes(k_tiles, n_tiles), b"\0")


def _check_format(layer: IntegerWeights, f: StreamFormat) -> None:
    if layer.weight_format is not f.weight_format:
        raise FormatError(f"layer {layer.name!r} is {layer.weight_format.name}, the stream {f.weight_format.name}")
    if (layer.codebook_size, layer.vector_dim) != (f.codebook_size, f.vector_dim):
        raise FormatError(
            f"layer {layer.name!r} has a codebook of {layer.codebook_size} x {layer.vector_dim}, "
            f"the stream {f.codebook_size} x {f.vector_dim}"
        )
    if (layer.bias_shift is not None, layer.shared_multiplier) != (f.narrow_bias, f.shared_multiplier):
        raise FormatError(f"layer {layer.name!r} has channel parameters of other widths than the stream")
    needed: tuple[str, ...] = () if f.weight_format is WeightFormat.INT8 else ("codebook", "indices")
    needed += ("signs",) if f.weight_format is WeightFormat.SSVQ else ()
    for name in needed:
        if getattr(layer, name) is None:
            raise FormatError(f"layer {layer.name!r} is {f.weight_format.name} and has no {name}")


def _padded(values: npt.NDArray[Any], rows: int, columns: int) -> npt.NDArray[Any]:
    result = np.zeros((rows, columns), dtype=values.dtype)
    result[: values.shape[0], : values.shape[1]] = values
    return result


def _tiled(values: npt.NDArray[Any], positions: int, columns: int, rows: int) -> npt.NDArray[Any]:
    """`_padded` with the padding of the input channels behind each kernel position."""
    parts = np.split(values, positions, axis=1)
    return np.concatenate([_padded(part, columns, rows // positions) for part in parts], axis=1)


def _bits(values: npt.NDArray[Any], width: int) -> BitArray:
    """(..., width) bits of non-negative or two's complement integers, least significant first."""
    return ((values[..., None].astype(np.int64) >> np.arange(width)) & 1).astype(np.uint8)


def _codebook_bytes(layer: IntegerWeights, f: StreamFormat) -> bytes:
    if layer.codebook is None:
        return b""
    codebook = layer.codebook
    if f.vector_dim < LANE_WEIGHTS:
        codebook = np.tile(codebook, (1, LANE_WEIGHTS // f.vector_dim))
    slices = codebook.reshape(f.codebook_size, f.slices, LANE_WEIGHTS).transpose(1, 0, 2)
    return slices.tobytes().ljust(f.codebook_stream_words * f.config.stream_bytes, b"\0")


def _parameter_words(layer: IntegerWeights, f: StreamFormat, n_tiles: int) -> BitArray:
    """(n_tiles, parameter words, stream_width) bits."""
    bias = layer.bias if layer.bias_shift is None else layer.bias >> layer.bias_shift
    fields = [_bits(bias, f.bias_width)]
    if not f.shared_multiplier:
        fields += [_bits(layer.mantissa, MANTISSA_WIDTH), _bits(layer.exponent, EXPONENT_WIDTH)]
    records = _padded(np.concatenate(fields, axis=1), n_tiles * f.config.cols, f.parameter_width)
    return records.reshape(n_tiles, f.parameter_words, f.config.stream_width)


def _weight_words(layer: IntegerWeights, f: StreamFormat, k_tiles: int, n_tiles: int) -> BitArray:
    """(n_tiles, index and sign words, stream_width) bits."""
    config = f.config
    width, rows, columns = config.stream_width, k_tiles * config.rows, n_tiles * config.cols
    steps = k_tiles * config.steps_per_tile
    groups = -(-steps // f.steps_per_group)
    if layer.indices is None:
        codes = _step_order(_tiled(layer.weight.view(np.uint8), layer.positions, columns, rows), config)
    else:
        codes = _chunk_order(_tiled(layer.indices, layer.positions, columns, rows // f.vector_dim), f)
    chunked = np.zeros((n_tiles, groups * width), dtype=np.uint16)
    chunked[:, : codes.shape[1]] = codes
    planes = np.arange(f.index_width - 1, -1, -1, dtype=np.uint16)[:, None]
    words = ((chunked.reshape(n_tiles, groups, 1, width) >> planes) & 1).astype(np.uint8)
    if layer.signs is None:
        return words.reshape(n_tiles, -1, width)
    signs = np.zeros((n_tiles, groups * f.steps_per_group * width), dtype=np.uint8)
    signs[:, : steps * width] = _step_order(_tiled(layer.signs, layer.positions, columns, rows), config)
    words = np.concatenate([words, signs.reshape(n_tiles, groups, f.steps_per_group, width)], axis=2)
    return words.reshape(n_tiles, -1, width)[:, : groups * f.index_width + steps]


def _step_order(values: npt.NDArray[Any], config: CoreConfig) -> npt.NDArray[Any]:
    """(columns, rows) per weight -> (n_tiles, steps * stream_width): row block, column group, row of four, lane."""
    tiled = values.reshape(-1, config.column_groups, config.decode_lanes, values.shape[1] // LANE_WEIGHTS, LANE_WEIGHTS)
    return tiled.transpose(0, 3, 1, 4, 2).reshape(tiled.shape[0], -1)


def _chunk_order(indices: npt.NDArray[Any], f: StreamFormat) -> npt.NDArray[Any]:
    """(columns, subvectors) -> (n_tiles, chunks * lanes): row block of subvectors, column group, lane."""
    config = f.config
    halves = LANE_WEIGHTS // f.vector_dim if f.vector_dim < LANE_WEIGHTS else 1
    tiled = indices.reshape(-1, config.column_groups, config.decode_lanes, indices.shape[1] // halves, halves)
    return tiled.transpose(0, 3, 1, 4, 2).reshape(tiled.shape[0], -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class UnpackedStream:
    """Content of a weight stream, padding included.

    weight : int8 (n_tiles * cols, k_tiles * rows), decoded
    bias, mantissa, exponent : int64 (n_tiles * cols,)
    """

    weight: Int8Array
    bias: Int64Array
    mantissa: Int64Array
    exponent: Int64Array


def unpack_stream(
    data: bytes,
    stream_format: StreamFormat,
    *,
    k_tiles: int,
    n_tiles: int,
    bias_shift: int = 0,
    mantissa: int = 0,
    exponent: int = 0,
) -> UnpackedStream:
    """Decode a weight stream as the hardware does.

    `bias_shift`, `mantissa` and `exponent` are the descriptor's, for narrow biases and for a shared multiplier.
    Raises FormatError when the stream's length is not the layer's.
    """
    f, config = stream_format, stream_format.config
    expected = f.total_bytes(k_tiles, n_tiles)
    if len(data) != expected:
        raise FormatError(f"a stream of {k_tiles} x {n_tiles} tiles is {expected} bytes, not {len(data)}")
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    channel = np.arange(n_tiles * config.cols)
    column_base = f.codebook_stream_words + (channel // config.cols) * f.column_words(k_tiles)
    bias, mantissas, exponents = _read_parameters(bits, f, channel % config.cols, column_base)
    if f.narrow_bias:
        bias <<= bias_shift
    if f.shared_multiplier:
        mantissas, exponents = np.full_like(bias, mantissa), np.full_like(bias, exponent)
    address = _WeightAddress(f, channel, np.arange(k_tiles * config.rows))
    group_base = column_base[:, None] + f.parameter_words + address.group_word
    code = np.zeros(address.index_bit.shape, dtype=np.int64)
    for plane in range(f.index_width):
        code = 2 * code + bits[(group_base + plane) * config.stream_width + address.index_bit]
    if f.weight_format is WeightFormat.INT8:
        weight = code - ((code >> (_WEIGHT_BITS - 1)) << _WEIGHT_BITS)
    else:
        row = np.arange(k_tiles * config.rows) % f.vector_dim
        word = (row // LANE_WEIGHTS) * f.codebook_size + code
        magnitude = np.frombuffer(data, dtype=np.int8)[word * LANE_WEIGHTS + row % LANE_WEIGHTS].astype(np.int64)
        weight = magnitude
        if f.weight_format is WeightFormat.SSVQ:
            sign_word = group_base + f.index_width + address.step % f.steps_per_group
            weight = np.where(bits[sign_word * config.stream_width + address.step_bit], -magnitude, magnitude)
    return UnpackedStream(weight=weight.astype(np.int8), bias=bias, mantissa=mantissas, exponent=exponents)


class _WeightAddress:
    """Where the bits of weight (channel, row) are: arrays of shape (channels, rows)."""

    def __init__(self, f: StreamFormat, channel: Int64Array, row: Int64Array) -> None:
        lanes, column_groups = f.config.decode_lanes, f.config.column_groups
        lane = (channel % lanes)[:, None]
        column_group = (channel % f.config.cols // lanes)[:, None]
        self.step = (row // LANE_WEIGHTS)[None, :] * column_groups + column_group
        self.step_bit = (row % LANE_WEIGHTS)[None, :] * lanes + lane
        group = self.step // f.steps_per_group
        signs = f.steps_per_group if f.weight_format is WeightFormat.SSVQ else 0
        self.group_word = group * (f.index_width + signs)
        if f.weight_format is WeightFormat.INT8:
            self.index_bit = self.step_bit
            return
        if f.vector_dim < LANE_WEIGHTS:
            chunk = 2 * (self.step % f.steps_per_group) + (row % LANE_WEIGHTS // _HALF)[None, :]
        else:
            blocks_per_group = LANE_WEIGHTS // column_groups
            block = (row // f.vector_dim)[None, :] % blocks_per_group
            chunk = block * column_groups + column_group
        self.index_bit = chunk * lanes + lane


def _read_parameters(
    bits: BitArray, f: StreamFormat, column: Int64Array, column_base: Int64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Bias, mantissa and exponent as they stand in the stream; what it does not hold is zero."""
    bias_width = NARROW_BIAS_WIDTH if f.narrow_bias else BIAS_WIDTH
    widths = (bias_width, 0, 0) if f.shared_multiplier else (bias_width, MANTISSA_WIDTH, EXPONENT_WIDTH)
    first = column_base * f.config.stream_width + column * sum(widths)

    def read(offset: int, width: int) -> Int64Array:
        places = np.arange(width, dtype=np.int64)
        taken = bits[first[:, None] + offset + places].astype(np.int64)
        return np.asarray((taken << places).sum(axis=1), dtype=np.int64)

    bias, mantissa, exponent = (read(sum(widths[:i]), widths[i]) for i in range(3))
    bias -= (bias >> (bias_width - 1)) << bias_width
    return bias, mantissa, exponent
