"""The job of the small simulation: one layer whose values follow from a name, and what the reference makes of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq.compile import compile_layer
from ssvq.integer_layer import IntegerLayer
from ssvq.program import Memory, Program, place_input
from ssvq.reference import ActivationScale, Int8Array
from ssvq_gen.config import CoreConfig, WeightFormat

_TOKENS = 4
"""What every core's accumulators hold."""
_CODEBOOK_SIZE, _VECTOR_DIM = 16, 4
_EXPONENT = 9
_FIRST = (WeightFormat.SSVQ, WeightFormat.VQ, WeightFormat.INT8)
"""Formats by what they exercise; the job takes the first that the core has."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SmokeJob:
    """A job in memory and its result.

    inputs : int8 (tokens, channels) by name of the job, as the driver takes them
    memory : uint8 (program.memory_bytes,), the DRAM window before the job, with the input in place
    expected : int8 (tokens, channels), what the job writes, without gaps from byte `output_offset` of the window
    """

    program: Program
    inputs: dict[str, Int8Array]
    memory: Memory
    output_offset: int
    expected: Int8Array


def smoke_job(config: CoreConfig) -> SmokeJob:
    """LOAD, MATMUL and STORE of a layer that is two tiles deep, the second one ragged; the same whenever it is called.

    Output channels fill whole words of the activation memory, so that every byte which is written is known.
    """
    layer = _layer(config)
    program = compile_layer(config, layer, _TOKENS)
    x = _bytes("input", (_TOKENS, layer.in_channels)).view(np.int8)
    memory = program.new_memory()
    place_input(memory, program, x)
    output = program.job(None).output
    if output is None or len(output.pieces) != 1:
        raise ValueError(f"the job of {config.name!r} must have its output in one piece")
    return SmokeJob(
        program=program,
        inputs={layer.name: x},
        memory=memory,
        output_offset=output.pieces[0].offset,
        expected=layer.reference(x).output,
    )


def _layer(config: CoreConfig) -> IntegerLayer:
    weight_format = next(f for f in _FIRST if f in config.formats)
    out_channels, in_channels = config.word_bytes, 2 * config.rows - 1
    return IntegerLayer(
        name="smoke",
        weight_format=weight_format,
        bias=_bytes("bias", (out_channels,)).astype(np.int64) * 16 - 2048,
        mantissa=_bytes("mantissa", (out_channels,)).astype(np.int64) + 256,
        exponent=np.full(out_channels, _EXPONENT, dtype=np.int64),
        input_scale=ActivationScale(scale=1.0),
        output_scale=ActivationScale(scale=1.0, zero_point=3),
        **_weights(config, weight_format, out_channels, in_channels),
    )


def _weights(config: CoreConfig, weight_format: WeightFormat, out_channels: int, in_channels: int) -> dict[str, Any]:
    """Fields of an `IntegerLayer` that hold its weights."""
    if weight_format is WeightFormat.INT8:
        return {"weight": _bytes("weight", (out_channels, in_channels)).view(np.int8)}
    size, dim = min(_CODEBOOK_SIZE, config.max_codebook_size), _VECTOR_DIM
    vectors = -(-in_channels // dim)
    codebook = _bytes("codebook", (size, dim)).view(np.int8)
    indices = _bytes("indices", (out_channels, vectors)).astype(np.int64) % size
    codes: dict[str, Any] = {"codebook_size": size, "vector_dim": dim, "indices": indices}
    if weight_format is WeightFormat.SSVQ:
        codebook = codebook & np.int8(0x7F)
        codes["signs"] = _bytes("signs", (out_channels, vectors * dim)) % 2 == 1
    decoded = codebook[indices].reshape(out_channels, vectors * dim)
    if weight_format is WeightFormat.SSVQ:
        decoded = np.where(codes["signs"], -decoded, decoded)
    return {**codes, "codebook": codebook, "weight": decoded[:, :in_channels]}


def _bytes(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Bytes that depend on the name only, with no generator whose stream a release of a library might change."""
    count = int(np.prod(shape))
    return np.frombuffer(hashlib.shake_256(name.encode()).digest(count), dtype=np.uint8).reshape(shape)
