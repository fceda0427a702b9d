"""A program with other requantization parameters in its weight streams, everything else in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ssvq.integer_layer import IntegerLayer
from ssvq.program import Job, Piece, Program
from ssvq.weight_stream import pack_stream, stream_format_of
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, Opcode, pack_descriptor


def probe_program(config: CoreConfig, program: Program, layer: IntegerLayer) -> Program:
    """The program with the parameters of `layer`, zero point 0 and the widest clamp in the job of that name.

    Only the words of the channel parameters change; weights and codebook stay as they are in the image, right or wrong.
    """
    image = program.image.copy()
    job = program.job(layer.name)
    for index in range(job.first_descriptor, job.first_descriptor + job.descriptor_count):
        descriptor = program.descriptor(index)
        if descriptor["opcode"] != Opcode.MATMUL:
            continue
        piece = _stored_piece(program, job, index)
        part = layer.select_channels(*piece.channels)
        _replace_parameters(config, image, descriptor, part)
        changed = {**descriptor, "zero_point": 0, "clamp_min": ACTIVATION_MIN, "clamp_max": ACTIVATION_MAX}
        start = program.descriptor_offset + index * DESCRIPTOR_BYTES
        image[start : start + DESCRIPTOR_BYTES] = np.frombuffer(pack_descriptor(changed), dtype=np.uint8)
    return replace(program, image=image)


def _stored_piece(program: Program, job: Job, index: int) -> Piece:
    """What the next STORE of a MATMUL's output writes."""
    word = program.descriptor(index)["destination"]
    later = (program.descriptor(i) for i in range(index + 1, job.first_descriptor + job.descriptor_count))
    offset = next(d["dram_offset"] for d in later if d["opcode"] == Opcode.STORE and d["source"] == word)
    if job.output is None:
        raise ValueError(f"job {job.name!r} stores nothing")
    return next(piece for piece in job.output.pieces if piece.offset == offset)


def _replace_parameters(
    config: CoreConfig, image: npt.NDArray[np.uint8], descriptor: dict[str, int], part: IntegerLayer
) -> None:
    stream_format = stream_format_of(part, config)
    fresh = np.frombuffer(pack_stream(part, stream_format), dtype=np.uint8)
    k_tiles, n_tiles, offset = (descriptor[name] for name in ("k_tiles", "n_tiles", "dram_offset"))
    for n in range(n_tiles):
        first = stream_format.codebook_stream_words + n * stream_format.column_words(k_tiles)
        last = first + stream_format.parameter_words
        span = slice(first * config.stream_bytes, last * config.stream_bytes)
        image[offset : offset + fresh.size][span] = fresh[span]
