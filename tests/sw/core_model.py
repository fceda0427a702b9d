"""A functional model of the core: executes descriptors on a DRAM window, with the error rules but without time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssvq.reference import matmul_reference
from ssvq.weight_stream import unpack_stream
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_MAGIC,
    DRAM_ALIGNMENT,
    ErrorCode,
    Opcode,
    StreamFormat,
    unpack_descriptor,
)


class CoreFault(Exception):
    """The job ends with an error code, as in the ERROR registers."""

    def __init__(self, code: ErrorCode | int, descriptor: int, address: int = 0) -> None:
        super().__init__(f"{code!r} at descriptor {descriptor}, address {address:#x}")
        self.code, self.descriptor, self.address = code, descriptor, address


@dataclass
class CoreModel:
    """Activation memory starts filled with a pattern, so that reading what was never written shows."""

    config: CoreConfig

    def __post_init__(self) -> None:
        pattern = np.random.default_rng(0).integers(-128, 128, self.config.activation_bytes, dtype=np.int8)
        self.words = pattern.reshape(self.config.activation_depth, self.config.word_bytes)

    def run(self, memory: npt.NDArray[np.uint8], offset: int, count: int) -> None:
        """Execute `count` descriptors at byte `offset`; raises CoreFault."""
        for index in range(count):
            start = offset + index * DESCRIPTOR_BYTES
            if start % DRAM_ALIGNMENT or start + DESCRIPTOR_BYTES > memory.size:
                raise CoreFault(ErrorCode.DRAM_RANGE, index, start)
            self._execute(memory, unpack_descriptor(memory[start : start + DESCRIPTOR_BYTES].tobytes()), index)

    def _execute(self, memory: npt.NDArray[np.uint8], d: dict[str, int], index: int) -> None:
        if d["magic"] != DESCRIPTOR_MAGIC or d["flags"] or d["opcode"] not in list(Opcode):
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        start, stop = d["dram_offset"], d["dram_offset"] + d["dram_bytes"]
        if start % DRAM_ALIGNMENT or stop > memory.size:
            raise CoreFault(ErrorCode.DRAM_RANGE, index, start)
        if d["opcode"] == Opcode.MATMUL:
            self._matmul(memory[start:stop].tobytes(), d, index)
            return
        word = d["destination" if d["opcode"] == Opcode.LOAD else "source"]
        if d["dram_bytes"] % self.config.word_bytes:
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        words = self._words(word, d["dram_bytes"] // self.config.word_bytes, index)
        if d["opcode"] == Opcode.LOAD:
            words[:] = memory[start:stop].view(np.int8).reshape(words.shape)
        else:
            memory[start:stop] = words.reshape(-1).view(np.uint8)

    def _words(self, first: int, count: int, index: int) -> npt.NDArray[np.int8]:
        if first + count > self.config.activation_depth:
            raise CoreFault(ErrorCode.ACTIVATION_RANGE, index, first + count - 1)
        return self.words[first : first + count]

    def _matmul(self, stream: bytes, d: dict[str, int], index: int) -> None:
        c = self.config
        if not 1 <= d["tokens"] <= c.accumulator_depth or not 1 <= d["last_rows"] <= c.rows:
            raise CoreFault(ErrorCode.BAD_DESCRIPTOR, index)
        weight_format = WeightFormat(d["weight_format"])
        stream_format = StreamFormat(
            config=c,
            weight_format=weight_format,
            codebook_size=1 << d["index_width"],
            vector_dim=1 << d["vector_dim_log2"],
            narrow_bias=bool(d["narrow_bias"]),
            shared_multiplier=bool(d["shared_multiplier"]),
        )
        k_tiles, n_tiles, tokens = d["k_tiles"], d["n_tiles"], d["tokens"]
        if len(stream) != stream_format.total_bytes(k_tiles, n_tiles):
            raise CoreFault(ErrorCode.WEIGHT_LENGTH, index)
        used = (k_tiles - 1) * c.rows + d["last_rows"]
        shared = {name: d[name] for name in ("bias_shift", "mantissa", "exponent")}
        unpacked = unpack_stream(stream, stream_format, k_tiles=k_tiles, n_tiles=n_tiles, **shared)
        reads = -(-k_tiles * c.rows // c.word_bytes)
        source = self._words(d["source"], (tokens - 1) * d["input_stride"] + reads, index)
        x = np.stack([source[t * d["input_stride"] :][:reads].reshape(-1)[:used] for t in range(tokens)])
        trace = matmul_reference(
            x,
            unpacked.weight[:, :used],
            unpacked.bias,
            unpacked.mantissa,
            unpacked.exponent,
            zero_point=d["zero_point"],
            clamp_min=d["clamp_min"],
            clamp_max=d["clamp_max"],
        )
        writes = -(-n_tiles * c.cols // c.word_bytes)
        target = self._words(d["destination"], (tokens - 1) * d["output_stride"] + writes, index)
        for t in range(tokens):
            words = target[t * d["output_stride"] :][:writes]
            words.reshape(-1)[: n_tiles * c.cols] = trace.output[t]
