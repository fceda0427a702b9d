"""A program with other requantization parameters in its weight streams, everything else in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ssvq.integer_layer import IntegerLayer
from ssvq.program import Job, Piece, Program, Region
from ssvq.weight_stream import pack_stream, parameter_fields, stream_format_of
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT, Opcode, Residency, pack_descriptor

Bytes = npt.NDArray[np.uint8]
Descriptor = dict[str, int]


class ProbeFailed(RuntimeError):
    """A failing job could not be examined."""


def probe_program(config: CoreConfig, program: Program, layer: IntegerLayer) -> Program:
    """The program with the parameters of `layer`, zero point 0 and the widest clamp in the job of that name.

    Weights and codebook stay as they are in the image, right or wrong. Records of the widths in the image are
    overwritten there. Records of other widths make streams of other lengths: these are put behind the image, tensors
    move up in DRAM by as much, and nothing is taken from the weight cache any more.

    Raises ProbeFailed when a stream comes from the weight cache and the program does not fetch it before.
    """
    descriptors = program.descriptors()
    offsets = _stream_offsets(descriptors)
    job = program.job(layer.name)
    image = program.image.copy()
    appended: dict[int, int] = {}
    for index in range(job.first_descriptor, job.first_descriptor + job.descriptor_count):
        d = descriptors[index]
        if d["opcode"] != Opcode.MATMUL:
            continue
        part = layer.select_channels(*_stored_piece(program, job, index).channels)
        start, stop = offsets[index], offsets[index] + d["dram_bytes"]
        stream = _with_parameters(config, program.image[start:stop], d, part)
        if stream.size == d["dram_bytes"]:
            image[start:stop] = stream
        else:
            if start not in appended:
                appended[start] = _aligned(image.size)
                image = np.concatenate([np.pad(image, (0, appended[start] - image.size)), stream])
            offsets[index] = appended[start]
        d |= {"dram_bytes": stream.size, **parameter_fields(part)}
        d |= {"zero_point": 0, "clamp_min": ACTIVATION_MIN, "clamp_max": ACTIVATION_MAX}
    if appended:
        program = _with_tensors_moved(program, descriptors, offsets, _aligned(image.size - program.image.size))
    table = b"".join(pack_descriptor(d) for d in descriptors)
    image[program.descriptor_offset :][: len(table)] = np.frombuffer(table, dtype=np.uint8)
    return replace(program, image=image)


def _aligned(size: int) -> int:
    return -(-size // DRAM_ALIGNMENT) * DRAM_ALIGNMENT


def _stream_offsets(descriptors: Sequence[Descriptor]) -> list[int]:
    """Where each descriptor's data are in DRAM; of a stream from the weight cache, where it was fetched from."""
    kept: dict[int, int] = {}
    offsets = []
    for d in descriptors:
        if d["residency"] == Residency.REUSE and d["cache_offset"] not in kept:
            raise ProbeFailed("the stage is not known, an earlier job left the weight stream in the cache")
        offsets.append(kept[d["cache_offset"]] if d["residency"] == Residency.REUSE else d["dram_offset"])
        if d["residency"] == Residency.KEEP:
            kept[d["cache_offset"]] = d["dram_offset"]
    return offsets


def _stored_piece(program: Program, job: Job, index: int) -> Piece:
    """What the next STORE of a MATMUL's output writes."""
    word = program.descriptor(index)["destination"]
    later = (program.descriptor(i) for i in range(index + 1, job.first_descriptor + job.descriptor_count))
    if job.output is None:
        raise ValueError(f"job {job.name!r} stores nothing")
    offset = next(d["dram_offset"] for d in later if d["opcode"] == Opcode.STORE and d["source"] == word)
    return next(piece for piece in job.output.pieces if piece.offset == offset)


def _with_parameters(config: CoreConfig, stream: Bytes, descriptor: Descriptor, part: IntegerLayer) -> Bytes:
    """The stream with the channel parameters of `part`, in records as wide as `part` has them."""
    fresh_format = stream_format_of(part, config)
    stream_format = replace(
        fresh_format,
        narrow_bias=bool(descriptor["narrow_bias"]),
        shared_multiplier=bool(descriptor["shared_multiplier"]),
    )
    fresh = np.frombuffer(bytearray(pack_stream(part, fresh_format)), dtype=np.uint8)
    old_words, words = (values.reshape(-1, config.stream_bytes) for values in (stream, fresh))
    codebook, k_tiles = fresh_format.codebook_stream_words, descriptor["k_tiles"]
    words[:codebook] = old_words[:codebook]
    for n in range(descriptor["n_tiles"]):
        old, new = (codebook + n * f.column_words(k_tiles) + f.parameter_words for f in (stream_format, fresh_format))
        count = fresh_format.column_words(k_tiles) - fresh_format.parameter_words
        words[new : new + count] = old_words[old : old + count]
    return fresh


def _with_tensors_moved(
    program: Program, descriptors: Sequence[Descriptor], offsets: Sequence[int], distance: int
) -> Program:
    """The program with everything behind its image `distance` bytes further up; changes the descriptors alike."""
    for d, offset in zip(descriptors, offsets, strict=True):
        if d["opcode"] == Opcode.MATMUL:
            d |= {"dram_offset": offset, "residency": Residency.NONE, "cache_offset": 0}
        elif d["dram_offset"] >= program.image.size:
            d["dram_offset"] += distance

    def moved(region: Region | None) -> Region | None:
        if region is None:
            return None
        pieces = tuple(replace(piece, offset=piece.offset + distance) for piece in region.pieces)
        return replace(region, pieces=pieces)

    jobs = tuple(replace(job, input=moved(job.input), output=moved(job.output)) for job in program.jobs)
    return replace(program, memory_bytes=program.memory_bytes + distance, jobs=jobs)
