"""What every step of a compiled network has to do: multiplications, weights, bytes, least cycles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ssvq.footprint import is_vector
from ssvq.network.integer.integer_network import ImageStep, LinearStep, ProductStep, Step
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.report.run_record import program_digest
from ssvq.program import Job, Program
from ssvq.roofline import Roofline, rooflines
from ssvq.vector_cycles import vector_cycles
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import STREAM_OPCODES, Opcode

THROUGH_DRAM = "activations through DRAM"
"""The layer of all steps that only move activations, of a network that does not fit the memory."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A weight stream in DRAM: weights with biases and multipliers of a layer, or of some of its outputs.

    Attributes:
        program: digest of the program that it is in.
        offset: in DRAM, by which streams of a program are told apart.
        size: bytes.
        weights: how many it has.
        weight_format: of the weights.
        codebook_size, vector_dim: of a format with codewords, else 0.
    """

    program: str
    offset: int
    size: int
    weights: int
    weight_format: WeightFormat
    codebook_size: int
    vector_dim: int

    @property
    def code(self) -> str:
        """The format, with number and length of its codewords: `ssvq k=16 d=8`."""
        name = self.weight_format.name.lower()
        return f"{name} k={self.codebook_size} d={self.vector_dim}" if self.codebook_size else name


@dataclass(frozen=True, kw_only=True)
class StepWork:
    """The work of a step, of all steps of a layer, or of the whole network.

    Attributes:
        name, layer: of the step, and of the layer that it is a part of.
        kinds: opcodes in small letters, `matmul`, `softmax`, ...; what is there only to move data is last.
        descriptors: how many it has.
        macs: multiplications with a following addition, those of layers, products and depthwise convolutions.
        streams: its weights.
        streamed_bytes: of weights, with those that are read again.
        read_bytes, written_bytes: activations in the activation memory, a byte each.
        load_bytes, store_bytes: between DRAM and the activation memory; constants are loaded a step before their use.
        compute_cycles: in which activations enter the array.
        vector_cycles: least ones of the vector unit, see `ssvq.vector_cycles`.
        roofline_cycles: see `ssvq.roofline`; vector operations have none.
    """

    name: str
    layer: str
    kinds: tuple[str, ...]
    descriptors: int
    macs: int
    streams: frozenset[Stream]
    streamed_bytes: int
    read_bytes: int
    written_bytes: int
    load_bytes: int
    store_bytes: int
    compute_cycles: int
    vector_cycles: int
    roofline_cycles: float

    @property
    def weights(self) -> int:
        """In its streams."""
        return sum(stream.weights for stream in self.streams)

    @property
    def weight_bytes(self) -> int:
        """Of its streams, each once."""
        return sum(stream.size for stream in self.streams)

    @property
    def bits_per_weight(self) -> float | None:
        """As the bytes of the streams say, biases and multipliers included; None without weights."""
        return 8 * self.weight_bytes / self.weights if self.weights else None

    @property
    def codes(self) -> tuple[str, ...]:
        """How its weights are coded, see `Stream.code`."""
        return tuple(sorted({stream.code for stream in self.streams}))

    @property
    def weight_formats(self) -> tuple[str, ...]:
        """Names in small letters."""
        return tuple(sorted({stream.weight_format.name.lower() for stream in self.streams}))


def steps_work(made: CompiledNetwork, config: CoreConfig, bytes_per_cycle: float) -> tuple[StepWork, ...]:
    """The work of every job of a network's program, in order: inputs, steps, outputs.

    Raises ProgramError when the program is of another configuration, or the rate is none that its bus has.
    """
    steps = [None if number is None else made.network.steps[number] for number in steps_of_jobs(made)]
    lines = rooflines(config, made.program, bytes_per_cycle)
    digest = program_digest(made.program)
    return tuple(
        _work(made.program, digest, job, step, config, line)
        for job, step, line in zip(made.program.jobs, steps, lines, strict=True)
    )


def joined(name: str, parts: Sequence[StepWork]) -> StepWork:
    """Several steps as one, such as all of a layer."""
    return StepWork(
        name=name,
        layer=parts[0].layer if len({part.layer for part in parts}) == 1 else name,
        kinds=_kinds(kind for part in parts for kind in part.kinds),
        descriptors=sum(part.descriptors for part in parts),
        macs=sum(part.macs for part in parts),
        streams=frozenset[Stream]().union(*(part.streams for part in parts)),
        streamed_bytes=sum(part.streamed_bytes for part in parts),
        read_bytes=sum(part.read_bytes for part in parts),
        written_bytes=sum(part.written_bytes for part in parts),
        load_bytes=sum(part.load_bytes for part in parts),
        store_bytes=sum(part.store_bytes for part in parts),
        compute_cycles=sum(part.compute_cycles for part in parts),
        vector_cycles=sum(part.vector_cycles for part in parts),
        roofline_cycles=sum(part.roofline_cycles for part in parts),
    )


def layer_of(step: Step) -> str:
    """The layer that a step is a part of: heads, columns and bands keep its operation's name.

    A step without an operation moves activations between DRAM and the memory.
    """
    for field in ("layer", "product", "operation"):
        if (operation := getattr(step, field, None)) is not None:
            return str(operation.name)
    return THROUGH_DRAM


def steps_of_jobs(made: CompiledNetwork) -> list[int | None]:
    """The step of each job, by its number; None for those that move inputs before and outputs after all steps.

    Steps follow each other as their jobs do, but the job of one that moves an input or output has that one's name.
    """
    numbers = {step.name: number for number, step in enumerate(made.network.steps)}
    jobs = made.program.jobs
    first = next((place - numbers[job.name] for place, job in enumerate(jobs) if job.name in numbers), len(jobs))
    return [place - first if 0 <= place - first < len(numbers) else None for place in range(len(jobs))]


def _work(program: Program, digest: str, job: Job, step: Step | None, config: CoreConfig, line: Roofline) -> StepWork:
    indices = range(job.first_descriptor, job.first_descriptor + job.descriptor_count)
    fields = [program.descriptor(index) for index in indices]
    streams = [d for d in fields if d["opcode"] in STREAM_OPCODES]
    weights = _weights(step)
    return StepWork(
        name=job.name,
        layer=job.name if step is None else layer_of(step),
        kinds=_kinds(Opcode(d["opcode"]).name.lower() for d in fields),
        descriptors=len(fields),
        macs=0 if step is None else _macs(step),
        streams=frozenset(_stream(digest, d, weights) for d in streams),
        streamed_bytes=sum(d["dram_bytes"] for d in streams),
        read_bytes=0 if step is None else sum(block.tokens * block.channels for block in step.sources),
        written_bytes=0 if step is None else _written(step),
        load_bytes=_moved(fields, Opcode.LOAD),
        store_bytes=_moved(fields, Opcode.STORE),
        compute_cycles=line.compute_cycles,
        vector_cycles=sum(vector_cycles(config, d) for d in fields if is_vector(d)),
        roofline_cycles=line.cycles,
    )


def _stream(digest: str, d: Mapping[str, int], weights: int) -> Stream:
    is_dense = d["weight_format"] == WeightFormat.INT8
    return Stream(
        program=digest,
        offset=d["dram_offset"],
        size=d["dram_bytes"],
        weights=weights,
        weight_format=WeightFormat(d["weight_format"]),
        codebook_size=0 if is_dense else 1 << d["index_width"],
        vector_dim=0 if is_dense else 1 << d["vector_dim_log2"],
    )


def _moved(fields: Iterable[Mapping[str, int]], opcode: Opcode) -> int:
    return sum(d["dram_bytes"] for d in fields if d["opcode"] == opcode)


def _kinds(names: Iterable[str]) -> tuple[str, ...]:
    moving = [opcode.name.lower() for opcode in (Opcode.LOAD, Opcode.STORE)]
    return tuple(sorted(dict.fromkeys(names), key=lambda name: name in moving))


def _weights(step: Step | None) -> int:
    if isinstance(step, LinearStep):
        return step.layer.weight.size
    if isinstance(step, ImageStep) and not isinstance(step.operation, WindowOperation):
        return step.operation.weight.size
    return 0


def _written(step: Step) -> int:
    count = step.product.batch_count if isinstance(step, ProductStep) else 1
    return count * step.target.tokens * step.target.channels


def _macs(step: Step) -> int:
    if isinstance(step, ProductStep):
        product = step.product
        return product.batch_count * product.tokens * product.in_channels * product.out_channels
    if isinstance(step, ImageStep) and isinstance(step.operation, WindowOperation):
        weight = step.operation.weight
        return step.target.tokens * (weight.size if math.prod(weight.shape) else 0)
    return step.target.tokens * _weights(step)
