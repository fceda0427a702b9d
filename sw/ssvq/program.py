"""A compiled program: memory image, descriptors, and where each job's input and output are in DRAM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT, unpack_descriptor

from .reference import ActivationScale, Int8Array

Memory = npt.NDArray[np.uint8]

MEMORY_BYTES_MAX = (1 << 32) - DRAM_ALIGNMENT
"""Largest DRAM window: MEMORY_SIZE is a 32-bit register."""
DESCRIPTORS_MAX = (1 << 16) - 1
"""Most descriptors of a job: the core numbers them with 16 bits."""


class ProgramError(ValueError):
    """A program, its file or the data given to it is wrong; the message names what and the rule."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A block of a tensor that is contiguous in DRAM: tokens x channels, each token padded to whole words."""

    offset: int
    tokens: tuple[int, int]
    channels: tuple[int, int]

    def words(self, word_bytes: int) -> int:
        """Words of one token."""
        return -(-(self.channels[1] - self.channels[0]) // word_bytes)

    def size(self, word_bytes: int) -> int:
        """Bytes in DRAM."""
        return (self.tokens[1] - self.tokens[0]) * self.words(word_bytes) * word_bytes


@dataclass(frozen=True, kw_only=True)
class Region:
    """An int8 tensor of `tokens` x `channels` in DRAM, in pieces that cover it exactly once."""

    tokens: int
    channels: int
    scale: ActivationScale
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A named run of a program's descriptors, and the tensors that pass between it and DRAM.

    input : what its LOADs read, None when it takes only what is in the activation memory
    output : what its STOREs write, None when its results stay there
    """

    name: str
    first_descriptor: int
    descriptor_count: int
    input: Region | None
    output: Region | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """What the driver runs. Offsets are bytes from the base of the DRAM window.

    config_digest : `CoreConfig.digest` of the core it was compiled for
    word_bytes : bytes of a word of that core's activation memory
    image : uint8, the constant part (descriptors and weight streams), placed at offset 0
    memory_bytes : size of the whole window, image and tensors

    Raises ProgramError when something reaches outside the window or tensors are not covered.
    """

    config_digest: int
    word_bytes: int
    descriptor_offset: int
    descriptor_count: int
    memory_bytes: int
    image: Memory
    jobs: tuple[Job, ...]

    def __post_init__(self) -> None:
        self.image.setflags(write=False)
        check_program(self)

    def job(self, name: str | None = None) -> Job:
        """The job of a layer; the only one when no name is given. Raises ProgramError."""
        if name is None and len(self.jobs) == 1:
            return self.jobs[0]
        for job in self.jobs:
            if job.name == name:
                return job
        raise ProgramError(f"no job {name!r}: the program has {', '.join(j.name for j in self.jobs)}")

    def job_of_descriptor(self, index: int) -> Job | None:
        """The job that a descriptor belongs to."""
        for job in self.jobs:
            if job.first_descriptor <= index < job.first_descriptor + job.descriptor_count:
                return job
        return None

    def descriptor(self, index: int) -> dict[str, int]:
        """Fields of a descriptor. Raises ProgramError when there is no such descriptor."""
        if not 0 <= index < self.descriptor_count:
            raise ProgramError(f"descriptor must be from 0 to {self.descriptor_count - 1}, not {index}")
        start = self.descriptor_offset + index * DESCRIPTOR_BYTES
        return unpack_descriptor(self.image[start : start + DESCRIPTOR_BYTES].tobytes())

    def descriptors(self) -> list[dict[str, int]]:
        """Fields of all descriptors, in order."""
        return [self.descriptor(i) for i in range(self.descriptor_count)]

    def new_memory(self) -> Memory:
        """The whole window, uint8 (memory_bytes,), with the image in place and zeros elsewhere."""
        memory = np.zeros(self.memory_bytes, dtype=np.uint8)
        memory[: self.image.size] = self.image
        return memory


def check_program(program: Program) -> None:
    """Raise ProgramError when the parts of a program contradict each other."""
    p = program
    if p.image.dtype != np.uint8 or p.image.ndim != 1:
        raise ProgramError(f"image must be a vector of uint8, not {p.image.dtype} of shape {p.image.shape}")
    if not 4 <= p.word_bytes <= 128 or p.word_bytes & (p.word_bytes - 1):
        raise ProgramError(f"word_bytes must be a power of two from 4 to 128, not {p.word_bytes}")
    if not 0 <= p.config_digest < 1 << 64:
        raise ProgramError(f"config_digest must be 64 bits, not {p.config_digest}")
    if not p.image.size <= p.memory_bytes <= MEMORY_BYTES_MAX:
        raise ProgramError(f"memory_bytes must be from {p.image.size} to {MEMORY_BYTES_MAX}, not {p.memory_bytes}")
    end = p.descriptor_offset + p.descriptor_count * DESCRIPTOR_BYTES
    if p.descriptor_offset % DRAM_ALIGNMENT or p.descriptor_offset < 0 or p.descriptor_count < 1 or end > p.image.size:
        raise ProgramError(f"{p.descriptor_count} descriptors at offset {p.descriptor_offset} are not in the image")
    if p.descriptor_count > DESCRIPTORS_MAX:
        raise ProgramError(f"a program has at most {DESCRIPTORS_MAX} descriptors, not {p.descriptor_count}")
    names = [job.name for job in p.jobs]
    if len(set(names)) != len(names):
        raise ProgramError("two jobs have the same name")
    for job in p.jobs:
        first, count = job.first_descriptor, job.descriptor_count
        if first < 0 or count < 1 or first + count > p.descriptor_count:
            raise ProgramError(f"job {job.name!r}: descriptors {first} to {first + count - 1} do not exist")
        for kind, region in (("input", job.input), ("output", job.output)):
            if region is not None:
                _check_region(p, f"{kind} of job {job.name!r}", region)


def _check_region(p: Program, name: str, region: Region) -> None:
    if region.tokens < 1 or region.channels < 1:
        raise ProgramError(f"{name} must have tokens and channels, not {region.tokens} x {region.channels}")
    spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for piece in region.pieces:
        if piece.tokens[0] >= piece.tokens[1] or piece.channels[0] >= piece.channels[1]:
            raise ProgramError(f"{name}: a piece is empty")
        limit = p.memory_bytes - piece.size(p.word_bytes)
        if piece.offset % DRAM_ALIGNMENT or not p.image.size <= piece.offset <= limit:
            raise ProgramError(f"{name}: a piece at offset {piece.offset} is not aligned or not within the window")
        spans.setdefault(piece.tokens, []).append(piece.channels)
    parts = [(list(spans), region.tokens), *((channels, region.channels) for channels in spans.values())]
    if not all(_is_partition(spans_of, size) for spans_of, size in parts):
        raise ProgramError(f"{name}: its pieces do not cover {region.tokens} x {region.channels} exactly once")


def _is_partition(spans: list[tuple[int, int]], size: int) -> bool:
    """True when (start, stop) spans lie end to end from 0 to `size`."""
    ordered = sorted(spans)
    return [start for start, _ in ordered] + [size] == [0] + [stop for _, stop in ordered]


def place_input(memory: Memory, program: Program, x: Int8Array, *, job: str | None = None) -> None:
    """Write x, int8 (T, K), into a window (uint8 `memory_bytes`), each token padded with zeros to whole words.

    Raises ProgramError for a wrong shape or type, or a job without an input.
    """
    for piece, data in input_pieces(program, x, job=job):
        memory[piece.offset : piece.offset + data.size] = data


def input_pieces(program: Program, x: Int8Array, *, job: str | None = None) -> list[tuple[Piece, Memory]]:
    """The same as `place_input`, as pieces and their bytes, to be written one by one. Raises ProgramError."""
    chosen = program.job(job)
    region = chosen.input
    if region is None:
        raise ProgramError(f"job {chosen.name!r} has no input in DRAM")
    wanted = (region.tokens, region.channels)
    if x.dtype != np.int8 or x.shape != wanted:
        raise ProgramError(f"input of job {chosen.name!r} must be int8 of shape {wanted}, not {x.dtype} {x.shape}")
    result = []
    for piece in region.pieces:
        block = x[slice(*piece.tokens), slice(*piece.channels)]
        padded = np.zeros((block.shape[0], piece.words(program.word_bytes) * program.word_bytes), dtype=np.int8)
        padded[:, : block.shape[1]] = block
        result.append((piece, padded.reshape(-1).view(np.uint8)))
    return result


def read_output(memory: Memory, program: Program, *, job: str | None = None) -> Int8Array:
    """int8 (T, N) of a job's output from a window (uint8 `memory_bytes`), padding dropped. Raises ProgramError."""
    return output_from_pieces(program, lambda offset, size: memory[offset : offset + size], job=job)


def output_from_pieces(program: Program, read: Callable[[int, int], Memory], *, job: str | None = None) -> Int8Array:
    """The same as `read_output`, with `read(offset, size)` for access to the window. Raises ProgramError."""
    chosen = program.job(job)
    region = chosen.output
    if region is None:
        raise ProgramError(f"job {chosen.name!r} has no output in DRAM")
    result = np.empty((region.tokens, region.channels), dtype=np.int8)
    for piece in region.pieces:
        block = read(piece.offset, piece.size(program.word_bytes)).view(np.int8)
        block = block.reshape(piece.tokens[1] - piece.tokens[0], -1)
        result[slice(*piece.tokens), slice(*piece.channels)] = block[:, : piece.channels[1] - piece.channels[0]]
    return result
