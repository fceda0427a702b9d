"""Programs whose descriptors are written field by field: legal ones that no compiler makes, and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssvq.compile import compile_layer
from ssvq.program import Job, Piece, Program, Region
from ssvq.reference import ActivationScale
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT, OPEN_ALL, Opcode, pack_descriptor

from ..systems.layers import random_layer
from ..systems.model_outputs import outputs_of
from ..systems.work import Work

Descriptor = dict[str, int]
JOB = "raw"
"""The only job of such a program, with all its descriptors."""
ANY_ORDER: Descriptor = dict.fromkeys(("loads_open", "stores_open", "matmuls_open", "vectors_open"), OPEN_ALL)
"""Fields of a descriptor that waits for none of those before it; without them it waits for all."""
_UNIT = 1 << 12
"""A multiplier of 1 with the smallest shift."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A MATMUL and its weights.

    fields : of the descriptor, without addresses
    weights : the weight stream
    """

    fields: Descriptor
    weights: bytes


def dense_stream(config: CoreConfig, rng: np.random.Generator, *, k_tiles: int = 1, n_tiles: int = 1) -> Stream:
    """A MATMUL of one activation with random int8 weights."""
    layer = random_layer(
        rng, weight_format=WeightFormat.INT8, in_channels=k_tiles * config.rows, out_channels=n_tiles * config.cols
    )
    program = compile_layer(config, layer, 1)
    fields = next(d for d in program.descriptors() if d["opcode"] == Opcode.MATMUL)
    start, size = fields["dram_offset"], fields["dram_bytes"]
    fields |= {"loads_open": 0, "stores_open": 0, "matmuls_open": 0, "early_tiles": 0}
    return Stream(fields=fields, weights=program.image[start : start + size].tobytes())


def load(config: CoreConfig, words: int, *, destination: int = 0, **others: int) -> Descriptor:
    """Copies the first words of the data."""
    count = {"dram_bytes": words * config.word_bytes, "destination": destination}
    return {"opcode": Opcode.LOAD, "dram_offset": 0, **count, **others}


def store(config: CoreConfig, words: int, *, source: int = 0, at: int = 0, **others: int) -> Descriptor:
    """Copies words to byte `at` of the output."""
    count = {"dram_bytes": words * config.word_bytes, "source": source}
    return {"opcode": Opcode.STORE, "dram_offset": at, **count, **others}


def copy(config: CoreConfig, tokens: int, **others: int) -> Descriptor:
    """A SUM of one operand, which leaves values as they are, of activations of one word."""
    strides = {"input_stride": 1, "output_stride": 1, "channels": config.word_bytes}
    scale = {"multiplier": _UNIT, "clamp_min": -128, "clamp_max": 127}
    return {"opcode": Opcode.SUM, "tokens": tokens, **strides, **scale, **others}


def product(config: CoreConfig, tokens: int, **others: int) -> Descriptor:
    """One word of each activation times a square of weights, all from word 0 on."""
    shape = {"k_tiles": 1, "n_tiles": 1, "last_rows": config.rows, "last_columns": config.cols}
    strides = {"input_stride": 1, "output_stride": 1, "operand_stride": 1}
    scale = {"mantissa": 2048, "exponent": 6, "clamp_min": -128, "clamp_max": 127}
    return {"opcode": Opcode.PRODUCT, "tokens": tokens, **shape, **strides, **scale, **others}


class LongParts:
    """Descriptors that take long, and do not disturb each other.

    data : of the program
    first : LOAD of what all others read, `WORDS` words from 0 on
    matmul : one of them
    long : one of each kind, by the field that says how many of the kind may be incomplete
    """

    WORDS = 256
    FREE = 4 * WORDS
    """A word of the activation memory from which on nobody else is."""

    def __init__(self, config: CoreConfig) -> None:
        rng = np.random.default_rng(7)
        stream, words = dense_stream(config, rng, k_tiles=2), random_words(config, rng, self.WORDS)
        self.data = words + stream.weights
        place = {"dram_offset": len(words), "source": 0, "destination": 2 * self.WORDS, "input_stride": 2}
        self.matmul: Descriptor = {**stream.fields, **place, "tokens": config.accumulator_depth}
        self.long: Mapping[str, Descriptor] = {
            "loads_open": load(config, self.WORDS, destination=2 * self.WORDS),
            "stores_open": store(config, self.WORDS),
            "matmuls_open": self.matmul,
            "vectors_open": copy(config, self.WORDS, destination=2 * self.WORDS),
        }
        self.first = load(config, self.WORDS)


def random_words(config: CoreConfig, rng: np.random.Generator, words: int) -> bytes:
    """Data for LOADs."""
    return rng.integers(0, 256, words * config.word_bytes, dtype=np.uint8).tobytes()


def aligned(data: bytes) -> bytes:
    """The same up to where the next part of DRAM may begin."""
    return data + bytes(-len(data) % DRAM_ALIGNMENT)


def raw_program(config: CoreConfig, data: bytes, descriptors: Sequence[Descriptor], *, words: int = 0) -> Program:
    """DRAM has the data, then the descriptors, then the output of so many words, and ends there.

    The offset of a STORE is from the beginning of the output.
    """
    data = aligned(data)
    output = len(data) + DESCRIPTOR_BYTES * len(descriptors)
    placed = [
        {**d, "dram_offset": output + d["dram_offset"]} if d["opcode"] == Opcode.STORE else d for d in descriptors
    ]
    image: npt.NDArray[np.uint8] = np.frombuffer(data + b"".join(map(pack_descriptor, placed)), dtype=np.uint8)
    pieces = (Piece(offset=output, tokens=(0, words), channels=(0, config.word_bytes)),)
    region = Region(tokens=words, channels=config.word_bytes, scale=ActivationScale(scale=1.0), pieces=pieces)
    count = len(descriptors)
    job = Job(name=JOB, first_descriptor=0, descriptor_count=count, input=None, output=region if words else None)
    return Program(
        config_digest=config.digest,
        word_bytes=config.word_bytes,
        descriptor_offset=len(data),
        descriptor_count=count,
        memory_bytes=output + words * config.word_bytes,
        image=image,
        jobs=(job,),
    )


def raw_work(config: CoreConfig, data: bytes, descriptors: Sequence[Descriptor], *, words: int = 0) -> Work:
    """The same with what the functional model makes of it. Raises CoreFault for a program that fails."""
    program = raw_program(config, data, descriptors, words=words)
    return Work(program=program, inputs={}, expected=outputs_of(config, program, {}))
