"""How a layer is split when its tensors do not fit the accumulators or the activation memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FIELD_BY_NAME

from .integer_layer import IntegerLayer
from .layer_arithmetic import CompileError

BUFFERS_MAX = 2
"""One to compute with, one to move."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How one layer is split: tokens per chunk, and output words (of `word_bytes` channels) per MATMUL.

    chunk_count, matmul_count : chunks of tokens, MATMULs of each chunk
    input_buffers, output_buffers : 2 where a chunk's LOAD, or a MATMUL's STORE, can overlap the next MATMUL
    """

    chunk_tokens: int
    chunk_words: int
    input_words: int
    output_words: int
    chunk_count: int
    matmul_count: int
    input_buffers: int
    output_buffers: int

    @property
    def descriptor_count(self) -> int:
        """LOAD, MATMUL and STORE descriptors."""
        return self.chunk_count * (1 + 2 * self.matmul_count)

    @property
    def words(self) -> int:
        """Words of all buffers."""
        return self.output_word(self.output_buffers)

    def input_word(self, chunk: int) -> int:
        """Where a chunk's input begins, from the first word of the buffers."""
        return chunk % self.input_buffers * self.chunk_tokens * self.input_words

    def output_word(self, buffer: int) -> int:
        """Where an output buffer begins, from the first word of the buffers."""
        inputs = self.input_buffers * self.chunk_tokens * self.input_words
        return inputs + buffer * self.chunk_tokens * self.chunk_words

    def steps(self) -> Iterator[tuple[str, int, int]]:
        """("load" or "matmul" or "store", chunk, MATMUL of the chunk) in an order that keeps all engines busy.

        A chunk is loaded as soon as the MATMULs of the one before the last are issued, and an output stored when the
        buffers are all in use.
        """
        open_stores: list[tuple[int, int]] = []
        for chunk in range(self.chunk_count):
            if chunk == 0 or self.input_buffers == 1:
                yield from (("store", *step) for step in open_stores)
                open_stores.clear()
                yield "load", chunk, 0
            for part in range(self.matmul_count):
                yield "matmul", chunk, part
                open_stores.append((chunk, part))
                if part == 0 and self.input_buffers > 1 and chunk + 1 < self.chunk_count:
                    yield "load", chunk + 1, 0
                if len(open_stores) == self.output_buffers:
                    yield "store", *open_stores.pop(0)
        yield from (("store", *step) for step in open_stores)


def choose_tiling(config: CoreConfig, layer: IntegerLayer, tokens: int) -> Tiling:
    """The split with the fewest token chunks, and then the fewest MATMULs; buffers are doubled when that still fits.

    Raises CompileError when not even one token fits.
    """
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
    chunk_count = -(-tokens // chunk_tokens)
    free_words = config.activation_depth // chunk_tokens - input_words
    tiles_per_word = word // config.cols
    words_max = min(FIELD_BY_NAME["output_stride"].bounds[1], FIELD_BY_NAME["n_tiles"].bounds[1] // tiles_per_word)
    matmul_count = -(-output_words // min(free_words, words_max))
    chunk_words = -(-output_words // matmul_count)
    matmul_count = -(-output_words // chunk_words)
    token_words = config.activation_depth // chunk_tokens
    input_buffers = min(BUFFERS_MAX, chunk_count, (token_words - chunk_words) // input_words)
    output_buffers = min(
        BUFFERS_MAX, chunk_count * matmul_count, (token_words - input_buffers * input_words) // chunk_words
    )
    return Tiling(
        chunk_tokens=chunk_tokens,
        chunk_words=chunk_words,
        input_words=input_words,
        output_words=output_words,
        chunk_count=chunk_count,
        matmul_count=matmul_count,
        input_buffers=input_buffers,
        output_buffers=output_buffers,
    )


def _check_field(layer: IntegerLayer, name: str, value: int) -> None:
    low, high = FIELD_BY_NAME[name].bounds
    if not low <= value <= high:
        raise CompileError(layer.name, f"{name} must be from {low} to {high}, not {value}")
