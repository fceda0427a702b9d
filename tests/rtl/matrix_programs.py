"""Matrix descriptors that follow each other on one activation memory, and what they have to leave in it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from windows import pixel_of

from ssvq import window
from ssvq.convolution_geometry import Band
from ssvq.image_tensor import ImageTensor
from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import IntegerLayer
from ssvq.integer_weights import IntegerWeights
from ssvq.weight_stream import channel_tiles, pack_stream, parameter_fields, stream_format_of, tile_counts
from ssvq_gen.arithmetic import encode_multiplier
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT, Opcode, pack_descriptor
from ssvq_sim.systems.core_model import CoreModel

Words = npt.NDArray[np.int8]
"""int8 (activation_depth, word_bytes)."""
Tile = tuple[int, int, int]
"""Product of the batch, tile column, tile along the input channels."""

ALL_TILES = 65535
_SPREAD = 60
"""Standard deviation that outputs are aimed at."""
_EVEN = 74.0
"""Standard deviation of int8 values that are spread evenly."""


@dataclass(frozen=True)
class Step:
    """Fields of a matrix descriptor; the layer unless it is a PRODUCT."""

    fields: dict[str, int]
    layer: IntegerWeights | None = None

    @property
    def is_product(self) -> bool:
        return self.layer is None

    @property
    def is_window(self) -> bool:
        return self.fields["opcode"] == Opcode.CONV

    @property
    def products(self) -> int:
        return self.fields.get("batch_last", 0) + 1

    def tiles(self) -> list[Tile]:
        columns, tiles = range(self.fields["n_tiles"]), range(self.fields["k_tiles"])
        return [(b, n, k) for b in range(self.products) for n in columns for k in tiles]

    def stream(self, config: CoreConfig) -> bytes:
        return b"" if self.layer is None else pack_stream(self.layer, stream_format_of(self.layer, config))

    def reads(self, config: CoreConfig, tile: Tile) -> set[int]:
        """Bytes of the activation memory that a tile is made of: its activations, and a PRODUCT's weights."""
        f, (b, n, k) = self.fields, tile
        if self.is_window:
            return self._reads_windows(config, k)
        rows = f["last_rows"] if k == f["k_tiles"] - 1 else config.rows
        first = f["source"] + b * f.get("input_batch_stride", 0)
        used = _block(config, first, f["input_stride"], range(f["tokens"]), k * config.rows, rows)
        if self.is_product:
            columns = f["last_columns"] if n == f["n_tiles"] - 1 else config.cols
            row, column = k * config.rows, n * config.cols
            first, stride = f["operand"] + b * f["operand_batch_stride"], f["operand_stride"]
            if f["transposed"]:
                used |= _block(config, first, stride, range(column, column + columns), row, rows)
            else:
                used |= _block(config, first, stride, range(row, row + rows), column, columns)
        return used

    def _reads_windows(self, config: CoreConfig, k: int) -> set[int]:
        used = set()
        for t in range(self.fields["tokens"]):
            word, tile, inside = pixel_of(self.fields, k, t)
            rows = self.fields["last_rows"] if tile == self.fields["channel_tiles"] - 1 else config.rows
            if inside:
                used |= _block(config, word, 0, range(1), tile * config.rows, rows)
        return used

    def writes(self, config: CoreConfig, b: int, n: int) -> set[int]:
        """Bytes of the activation memory that a tile column is written to."""
        f = self.fields
        first = f["destination"] + b * f.get("output_batch_stride", 0)
        return _block(config, first, f["output_stride"], range(f["tokens"]), n * config.cols, config.cols)

    def all_reads(self, config: CoreConfig) -> set[int]:
        return set().union(*(self.reads(config, tile) for tile in self.tiles()))

    def all_writes(self, config: CoreConfig) -> set[int]:
        columns = [(b, n) for b in range(self.products) for n in range(self.fields["n_tiles"])]
        return set().union(*(self.writes(config, *column) for column in columns))


def _block(config: CoreConfig, word: int, stride: int, tokens: range, channel: int, count: int) -> set[int]:
    """`count` channels from number `channel` of some tokens of a tensor."""
    first = [(word + token * stride) * config.word_bytes + channel for token in tokens]
    return {start + i for start in first for i in range(count)}


def early_tiles(before: Step, step: Step, config: CoreConfig) -> int:
    """Tiles of the first column that need nothing of the last column of the step before."""
    late = before.writes(config, before.products - 1, before.fields["n_tiles"] - 1)
    for k in range(step.fields["k_tiles"]):
        if late & step.reads(config, (0, 0, k)):
            return k
    return ALL_TILES


class MatrixProgram:
    """Steps on a memory that begins with `words`."""

    def __init__(self, config: CoreConfig, words: Words) -> None:
        self.config = config
        self.words = words
        self.steps: list[Step] = []

    def append(self, step: Step, *, matmuls_open: int = 0, early: int = ALL_TILES) -> None:
        """Let the step begin while `matmuls_open` before it are incomplete, and at most `early` tiles be early."""
        allowed = early_tiles(self.steps[-1], step, self.config) if self.steps else 0
        order = {"matmuls_open": matmuls_open, "early_tiles": min(early, allowed)}
        self.steps.append(replace(step, fields=step.fields | order))

    def expected(self) -> Words:
        """The memory after all steps, one after the other."""
        descriptors, streams = b"", b""
        offset = len(self.steps) * DESCRIPTOR_BYTES
        for step in self.steps:
            stream = step.stream(self.config)
            place = {"dram_offset": offset + len(streams), "dram_bytes": len(stream)} if stream else {}
            descriptors += pack_descriptor(step.fields | place)
            streams += stream + bytes(-len(stream) % DRAM_ALIGNMENT)
        model = CoreModel(self.config)
        model.words[:] = self.words
        model.run(np.frombuffer(descriptors + streams, np.uint8), 0, len(self.steps))
        return model.words


def matmul_step(layer: IntegerLayer, config: CoreConfig, **place: int) -> Step:
    """`place` are the fields of tokens, addresses and strides."""
    return Step({"opcode": Opcode.MATMUL, **_layer_fields(layer, config), **place}, layer)


def conv_step(
    layer: IntegerConvolution, config: CoreConfig, image: ImageTensor, band: Band, *, destination: int, stride: int
) -> Step:
    """A band of the output of a convolution of an image."""
    fields = {
        "opcode": Opcode.CONV,
        "channel_tiles": channel_tiles(layer, config),
        "padding_value": layer.padding_value,
        "destination": destination,
        "output_stride": stride,
    }
    return Step(fields | _layer_fields(layer, config) | window.fields(layer.geometry, image, band), layer)


def _layer_fields(layer: IntegerWeights, config: CoreConfig) -> dict[str, int]:
    stream = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    return {
        "weight_format": stream.weight_format,
        "index_width": stream.index_width,
        "vector_dim_log2": stream.vector_dim_log2,
        "k_tiles": k_tiles,
        "n_tiles": n_tiles,
        "last_rows": layer.in_channels - (channel_tiles(layer, config) - 1) * config.rows,
        "zero_point": layer.output_scale.zero_point,
        "clamp_min": layer.clamp_min,
        "clamp_max": layer.clamp_max,
        **parameter_fields(layer),
    }


def product_step(config: CoreConfig, *, in_channels: int, out_channels: int, **place: int) -> Step:
    """`place` are the fields of tokens, orientation, addresses and strides."""
    k_tiles, n_tiles = -(-in_channels // config.rows), -(-out_channels // config.cols)
    mantissa, exponent = encode_multiplier(_SPREAD / (_EVEN**2 * in_channels**0.5))
    return Step(
        {
            "opcode": Opcode.PRODUCT,
            "k_tiles": k_tiles,
            "n_tiles": n_tiles,
            "last_rows": in_channels - (k_tiles - 1) * config.rows,
            "last_columns": out_channels - (n_tiles - 1) * config.cols,
            "mantissa": mantissa,
            "exponent": exponent,
            "zero_point": 3,
            "clamp_min": -120,
            "clamp_max": 125,
            **place,
        }
    )


def random_words(config: CoreConfig, rng: Any) -> Words:
    generator = np.random.default_rng(rng.getrandbits(32))
    return generator.integers(-128, 128, (config.activation_depth, config.word_bytes), dtype=np.int8)


def with_words(config: CoreConfig, words: int) -> CoreConfig:
    """The same core with another activation memory."""
    return config.replace(activation_bytes=words * config.word_bytes)
