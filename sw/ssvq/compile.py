"""Compile: integer layers and a core's configuration to a program. Pure: no files, no device.

Each layer becomes LOAD / MATMUL / STORE descriptors. Tokens are split into the fewest chunks that fit the
accumulators and the activation memory, because every chunk streams the weights again; within a chunk the output
channels are split over several MATMULs when the whole output does not fit, which streams nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssvq_gen.arithmetic import ArithmeticRangeError
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT, FIELD_BY_NAME, FormatError, Opcode, pack_descriptor

from .integer_layer import CompileError, IntegerLayer
from .program import DESCRIPTORS_MAX, MEMORY_BYTES_MAX, Job, Piece, Program, Region
from .weight_stream import pack_stream, parameter_fields, stream_format_of, tile_counts

__all__ = ["CompileError", "Tiling", "choose_tiling", "compile_layer", "compile_layers"]


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How one layer is split: tokens per chunk, and output words (of `word_bytes` channels) per MATMUL."""

    chunk_tokens: int
    chunk_words: int
    input_words: int
    output_words: int


@dataclass(frozen=True, kw_only=True)
class _Stream:
    """A weight stream in the image: output channels start .. stop - 1."""

    layer: IntegerLayer
    start: int
    stop: int
    offset: int
    size: int


class _Allocator:
    """Hands out aligned DRAM offsets one after the other."""

    def __init__(self) -> None:
        self.end = 0

    def take(self, size: int) -> int:
        offset = self.end
        self.end += -(-size // DRAM_ALIGNMENT) * DRAM_ALIGNMENT
        return offset


def choose_tiling(config: CoreConfig, layer: IntegerLayer, tokens: int) -> Tiling:
    """The split with the fewest token chunks. Raises CompileError when not even one token fits."""
    if tokens < 1:
        raise CompileError(layer.name, f"tokens must be at least 1, not {tokens}")
    word = config.word_bytes
    input_words, output_words = -(-layer.in_channels // word), -(-layer.out_channels // word)
    _check_field(layer, "input_stride", input_words)
    _check_field(layer, "k_tiles", -(-layer.in_channels // config.rows))
    tokens_max = min(config.accumulator_depth, FIELD_BY_NAME["tokens"].bounds[1], config.activation_depth)
    tokens_max = min(tokens_max, config.activation_depth // (input_words + 1))
    if tokens_max < 1:
        raise CompileError(
            layer.name,
            f"one token's {layer.in_channels} input channels and a word of output take {input_words + 1} words; "
            f"the activation memory has {config.activation_depth}",
        )
    chunk_count = -(-tokens // tokens_max)
    chunk_tokens = -(-tokens // chunk_count)
    free_words = config.activation_depth // chunk_tokens - input_words
    tiles_per_word = word // config.cols
    words_max = min(FIELD_BY_NAME["output_stride"].bounds[1], FIELD_BY_NAME["n_tiles"].bounds[1] // tiles_per_word)
    matmul_count = -(-output_words // min(free_words, words_max))
    return Tiling(
        chunk_tokens=chunk_tokens,
        chunk_words=-(-output_words // matmul_count),
        input_words=input_words,
        output_words=output_words,
    )


def _check_field(layer: IntegerLayer, name: str, value: int) -> None:
    low, high = FIELD_BY_NAME[name].bounds
    if not low <= value <= high:
        raise CompileError(layer.name, f"{name} must be from {low} to {high}, not {value}")


def compile_layer(config: CoreConfig, layer: IntegerLayer, tokens: int) -> Program:
    """A program of one layer, for inputs of `tokens` activations. Raises CompileError."""
    return compile_layers(config, [(layer, tokens)])


def compile_layers(config: CoreConfig, layers: Sequence[tuple[IntegerLayer, int]]) -> Program:
    """One program of independent layers, run in order; each entry is (layer, tokens), names must differ.

    Raises CompileError, which names the layer and the rule it breaks.
    """
    if not layers:
        raise CompileError("", "a program needs at least one layer")
    seen: set[str] = set()
    for layer, _ in layers:
        if layer.name in seen:
            raise CompileError(layer.name, "two layers of a program have the same name")
        seen.add(layer.name)
    tilings = [choose_tiling(config, layer, tokens) for layer, tokens in layers]
    descriptor_count = sum(_descriptor_count(t, tokens) for t, (_, tokens) in zip(tilings, layers, strict=True))
    if descriptor_count > DESCRIPTORS_MAX:
        rule = f"the program needs {descriptor_count} descriptors, beyond {DESCRIPTORS_MAX}: compile fewer layers"
        raise CompileError(layers[-1][0].name, rule)
    allocator = _Allocator()
    descriptor_offset = allocator.take(descriptor_count * DESCRIPTOR_BYTES)
    blobs: list[tuple[int, bytes]] = []
    streams = [
        _place_streams(config, layer, tiling, allocator, blobs)
        for tiling, (layer, _) in zip(tilings, layers, strict=True)
    ]
    image_bytes = allocator.end
    descriptors: list[bytes] = []
    jobs = []
    for tiling, (layer, tokens), parts in zip(tilings, layers, streams, strict=True):
        jobs.append(_place_job(config, layer, tokens, tiling, parts, allocator, descriptors))
        if allocator.end > MEMORY_BYTES_MAX:
            raise CompileError(layer.name, f"the program needs {allocator.end} bytes, beyond {MEMORY_BYTES_MAX}")
    blobs.append((descriptor_offset, b"".join(descriptors)))
    image = np.zeros(image_bytes, dtype=np.uint8)
    for offset, data in blobs:
        image[offset : offset + len(data)] = np.frombuffer(data, dtype=np.uint8)
    return Program(
        config_digest=config.digest,
        word_bytes=config.word_bytes,
        descriptor_offset=descriptor_offset,
        descriptor_count=descriptor_count,
        memory_bytes=allocator.end,
        image=image,
        jobs=tuple(jobs),
    )


def _descriptor_count(tiling: Tiling, tokens: int) -> int:
    matmuls = -(-tiling.output_words // tiling.chunk_words)
    return -(-tokens // tiling.chunk_tokens) * (1 + 2 * matmuls)


def _place_streams(
    config: CoreConfig,
    layer: IntegerLayer,
    tiling: Tiling,
    allocator: _Allocator,
    blobs: list[tuple[int, bytes]],
) -> list[_Stream]:
    streams = []
    step = tiling.chunk_words * config.word_bytes
    for start in range(0, layer.out_channels, step):
        part = layer.select_channels(start, min(start + step, layer.out_channels))
        try:
            data = pack_stream(part, stream_format_of(part, config))
        except (FormatError, ArithmeticRangeError) as error:
            raise CompileError(layer.name, str(error)) from error
        offset = allocator.take(len(data))
        blobs.append((offset, data))
        streams.append(_Stream(layer=part, start=start, stop=start + part.out_channels, offset=offset, size=len(data)))
    return streams


def _place_job(
    config: CoreConfig,
    layer: IntegerLayer,
    tokens: int,
    tiling: Tiling,
    streams: list[_Stream],
    allocator: _Allocator,
    descriptors: list[bytes],
) -> Job:
    """Append the job's descriptors and allocate its tensors."""
    first = len(descriptors)
    inputs: list[Piece] = []
    outputs: list[Piece] = []
    for start in range(0, tokens, tiling.chunk_tokens):
        span = (start, min(start + tiling.chunk_tokens, tokens))
        size = (span[1] - span[0]) * tiling.input_words * config.word_bytes
        inputs.append(Piece(offset=allocator.take(size), tokens=span, channels=(0, layer.in_channels)))
        descriptors.append(_transfer(layer, Opcode.LOAD, inputs[-1].offset, size, 0))
        output_base = (span[1] - span[0]) * tiling.input_words
        for stream in streams:
            piece = Piece(offset=0, tokens=span, channels=(stream.start, stream.stop))
            size = piece.size(config.word_bytes)
            piece = Piece(offset=allocator.take(size), tokens=span, channels=piece.channels)
            outputs.append(piece)
            descriptors.append(_matmul(config, stream, piece, tiling.input_words, output_base))
            descriptors.append(_transfer(layer, Opcode.STORE, piece.offset, size, output_base))
    return Job(
        name=layer.name,
        first_descriptor=first,
        descriptor_count=len(descriptors) - first,
        input=Region(tokens=tokens, channels=layer.in_channels, scale=layer.input_scale, pieces=tuple(inputs)),
        output=Region(tokens=tokens, channels=layer.out_channels, scale=layer.output_scale, pieces=tuple(outputs)),
    )


def _transfer(layer: IntegerLayer, opcode: Opcode, offset: int, size: int, word: int) -> bytes:
    side = "destination" if opcode is Opcode.LOAD else "source"
    return _pack(layer, {"opcode": opcode, "dram_offset": offset, "dram_bytes": size, side: word})


def _matmul(config: CoreConfig, stream: _Stream, output: Piece, input_words: int, output_base: int) -> bytes:
    layer = stream.layer
    stream_format = stream_format_of(layer, config)
    k_tiles, n_tiles = tile_counts(layer, config)
    return _pack(
        layer,
        {
            "opcode": Opcode.MATMUL,
            "dram_offset": stream.offset,
            "dram_bytes": stream.size,
            "source": 0,
            "destination": output_base,
            "tokens": output.tokens[1] - output.tokens[0],
            "weight_format": layer.weight_format,
            "index_width": stream_format.index_width,
            "vector_dim_log2": stream_format.vector_dim_log2,
            **parameter_fields(layer),
            "k_tiles": k_tiles,
            "n_tiles": n_tiles,
            "input_stride": input_words,
            "output_stride": output.words(config.word_bytes),
            "last_rows": layer.in_channels - (k_tiles - 1) * config.rows,
            "zero_point": layer.output_scale.zero_point,
            "clamp_min": layer.clamp_min,
            "clamp_max": layer.clamp_max,
        },
    )


def _pack(layer: IntegerLayer, values: dict[str, int]) -> bytes:
    try:
        return pack_descriptor(values)
    except FormatError as error:
        raise CompileError(layer.name, str(error)) from error
