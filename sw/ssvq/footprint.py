"""What a descriptor reads and writes: words of the activation memory and ranges of DRAM, from its fields alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import (
    MATRIX_OPCODES,
    TABLE_ENTRIES,
    TABLE_ENTRY_BYTES,
    VECTOR_OPCODES,
    VECTOR_WINDOW_OPCODES,
    Opcode,
    ParameterPlane,
    TableUse,
)

from . import window

Words = npt.NDArray[np.int64]
"""Addresses of activation memory words, in no order, perhaps repeated."""

Fields = Mapping[str, int]
"""Fields of a descriptor; those that are absent are zero."""

Range = tuple[int, int]
"""Bytes of DRAM, start and stop."""

NO_WORDS: Words = np.empty(0, dtype=np.int64)


def is_matrix(d: Fields) -> bool:
    """True for what enters the array."""
    return d["opcode"] in MATRIX_OPCODES


def is_vector(d: Fields) -> bool:
    """True for an operation of the vector unit."""
    return d["opcode"] in VECTOR_OPCODES


def reads(config: CoreConfig, d: Fields) -> Words:
    """Words that a descriptor reads."""
    if d["opcode"] == Opcode.LOAD:
        return NO_WORDS
    if d["opcode"] == Opcode.STORE:
        return d["source"] + np.arange(d["dram_bytes"] // config.word_bytes)
    if d["opcode"] == Opcode.CONV:
        return window.words(config, d, range(d["k_tiles"]))
    if is_vector(d):
        return _vector_reads(config, d)
    k_words = -(-d["k_tiles"] * config.rows // config.word_bytes)
    batches = range(d.get("batch_last", 0) + 1)
    return np.concatenate(
        [_inputs(d, batch, 0, k_words) for batch in batches]
        + [_operands(config, d, batch, range(d["k_tiles"]), range(d["n_tiles"])) for batch in batches]
    )


def writes(config: CoreConfig, d: Fields) -> Words:
    """Words that a descriptor writes, padding included."""
    if d["opcode"] == Opcode.STORE:
        return NO_WORDS
    if d["opcode"] == Opcode.LOAD:
        return d["destination"] + np.arange(d["dram_bytes"] // config.word_bytes)
    if is_vector(d):
        return _grid(d["destination"], d["tokens"], d["output_stride"], 0, _channel_words(config, d))
    n_words = -(-d["n_tiles"] * config.cols // config.word_bytes)
    return np.concatenate([_outputs(d, batch, 0, n_words) for batch in range(d.get("batch_last", 0) + 1)])


def tile_reads(config: CoreConfig, d: Fields, *, batch: int, n: int, k: int) -> Words:
    """Words that one tile of a matrix descriptor needs: its activations, and the operand of a PRODUCT."""
    if d["opcode"] == Opcode.CONV:
        return window.words(config, d, range(k, k + 1))
    word = k * config.rows // config.word_bytes
    operand = _operands(config, d, batch, range(k, k + 1), range(n, n + 1))
    return np.concatenate([_inputs(d, batch, word, word + 1), operand])


def column_writes(config: CoreConfig, d: Fields, *, batch: int, n: int) -> Words:
    """Words that one tile column of a matrix descriptor writes."""
    word = n * config.cols // config.word_bytes
    return _outputs(d, batch, word, word + 1)


def common(a: Words, b: Words) -> bool:
    """True when there is a word in both."""
    return bool(np.isin(a, b).any())


def dram_reads(d: Fields) -> Range:
    """What a LOAD reads; descriptors and weight streams have no order with STOREs."""
    return _dram(d) if d["opcode"] == Opcode.LOAD else (0, 0)


def dram_writes(d: Fields) -> Range:
    """What a STORE writes."""
    return _dram(d) if d["opcode"] == Opcode.STORE else (0, 0)


def _dram(d: Fields) -> Range:
    return d["dram_offset"], d["dram_offset"] + d["dram_bytes"]


def _grid(first: int, count: int, stride: int, start: int, stop: int) -> Words:
    """Words start .. stop - 1 of `count` activations."""
    return (first + stride * np.arange(count)[:, None] + np.arange(start, stop)).reshape(-1)


def _channel_words(config: CoreConfig, d: Fields) -> int:
    return -(-d["channels"] // config.word_bytes)


def _vector_reads(config: CoreConfig, d: Fields) -> Words:
    """Operands, channel parameters, weights and table."""
    words = _channel_words(config, d)
    is_window, weights = d["opcode"] in VECTOR_WINDOW_OPCODES, 0
    if d["opcode"] == Opcode.DEPTHWISE:
        weights = d["kernel_height"] * d["kernel_width"]
    parts = [
        window.vector_words(d, words) if is_window else _grid(d["source"], d["tokens"], d["input_stride"], 0, words)
    ]
    if d.get("has_second", 0):
        parts.append(_grid(d["second_source"], d["tokens"], d["second_stride"], 0, words))
    parts.append(d.get("parameters", 0) + np.arange(words * (ParameterPlane(d.get("planes", 0)).plane_bytes + weights)))
    if d.get("table_use", 0) == TableUse.LOAD:
        parts.append(d["table"] + np.arange(TABLE_ENTRIES * TABLE_ENTRY_BYTES // config.word_bytes))
    return np.concatenate(parts)


def _inputs(d: Fields, batch: int, start: int, stop: int) -> Words:
    first = d["source"] + batch * d.get("input_batch_stride", 0)
    return _grid(first, d["tokens"], d["input_stride"], start, stop)


def _outputs(d: Fields, batch: int, start: int, stop: int) -> Words:
    first = d["destination"] + batch * d.get("output_batch_stride", 0)
    return _grid(first, d["tokens"], d["output_stride"], start, stop)


def _operands(config: CoreConfig, d: Fields, batch: int, k: range, n: range) -> Words:
    """Operand words of tiles k.start .. k.stop - 1 x n.start .. n.stop - 1 of a PRODUCT."""
    if d["opcode"] != Opcode.PRODUCT:
        return NO_WORDS
    inputs = k.start * config.rows, min(k.stop * config.rows, (d["k_tiles"] - 1) * config.rows + d["last_rows"])
    outputs = n.start * config.cols, min(n.stop * config.cols, (d["n_tiles"] - 1) * config.cols + d["last_columns"])
    rows, columns = (outputs, inputs) if d["transposed"] else (inputs, outputs)
    first = d["operand"] + batch * d["operand_batch_stride"] + rows[0] * d["operand_stride"]
    words = columns[0] // config.word_bytes, -(-columns[1] // config.word_bytes)
    return _grid(first, rows[1] - rows[0], d["operand_stride"], *words)
