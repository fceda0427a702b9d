"""What a job says of its descriptors, in the words of the bins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig, WeightFormat
from ssvq_gen.format import DESCRIPTOR_BYTES, STREAM_OPCODES, ErrorCode, Opcode, Residency

from .bus_log import Burst, Job

WAITS, FLOWS = "waits", "flows"
"""The core had to wait for a channel, or never had to."""
ONE, PART, WHOLE = "one", "part", "whole"
"""How much of the array, of a word or of the accumulators is in use."""
_FULL_DIM = 8
Fields = Mapping[str, int]


def format_name(weight_format: WeightFormat, codebook_size: int = 0, vector_dim: int = 0) -> str:
    """As in `ssvq k=16 d=8`."""
    name = weight_format.name.lower()
    return name if weight_format is WeightFormat.INT8 else f"{name} k={codebook_size} d={vector_dim}"


def formats(config: CoreConfig) -> tuple[tuple[WeightFormat, int, int], ...]:
    """All that a core can decode, with codebook_size and vector_dim; int8 has neither.

    A codebook of the largest size has subvectors of up to 8 weights, larger ones have proportionally fewer codewords.
    """
    shapes = [
        (1 << k, 1 << d)
        for k in range(1, config.index_width + 1)
        for d in range(1, config.max_vector_dim.bit_length())
        if (1 << k) * max(1 << d, _FULL_DIM) <= _FULL_DIM * config.max_codebook_size
    ]
    return tuple(
        (kind, *shape) for kind in config.formats for shape in ([(0, 0)] if kind is WeightFormat.INT8 else shapes)
    )


def format_of(d: Fields) -> str:
    """The format of a layer's descriptor."""
    kind = WeightFormat(d["weight_format"])
    return format_name(kind, 1 << d["index_width"], 1 << d["vector_dim_log2"])


def edge(count: int, last: int, size: int) -> str:
    """How the last of `count` tiles of a side `size` is filled, of which `last` are in use."""
    if last == size:
        return WHOLE
    return ONE if count == 1 and last == 1 else PART


def input_edge(d: Fields, config: CoreConfig) -> str:
    """Rows of the array in the last tile of a matrix descriptor's input channels."""
    return edge(d["k_tiles"], d["last_rows"], config.rows)


def token_edge(d: Fields, config: CoreConfig) -> str:
    """Accumulators that a matrix descriptor uses."""
    return edge(1, d["tokens"], config.accumulator_depth)


def column_edge(d: Fields, config: CoreConfig) -> str:
    """Columns of the array in the last tile of a PRODUCT; layers always have all."""
    return edge(d["n_tiles"], d["last_columns"], config.cols)


def channel_edge(d: Fields, config: CoreConfig) -> str:
    """Channels in the last word of a vector operation."""
    words = -(-d["channels"] // config.word_bytes)
    return edge(words, d["channels"] - (words - 1) * config.word_bytes, config.word_bytes)


def transfer_edge(d: Fields, config: CoreConfig) -> str:
    """Length of a LOAD or STORE: one word of the activation memory, or whether its last burst is a whole one."""
    burst = MAX_BURST_BEATS * config.beat_bytes
    if d["dram_bytes"] == config.word_bytes:
        return ONE
    return PART if d["dram_bytes"] % burst else WHOLE


@dataclass(frozen=True, kw_only=True)
class Done:
    """A descriptor that has completed.

    data, fetch : whether the core had to wait for its own data or for the descriptor itself, by channel; nothing of
        channels without a burst
    job : the same, of the whole job
    """

    fields: Fields
    opcode: Opcode
    data: Mapping[str, str]
    fetch: Mapping[str, str]
    job: Mapping[str, str]

    @property
    def is_layer(self) -> bool:
        """It has a weight stream."""
        return self.opcode in STREAM_OPCODES

    @property
    def residency(self) -> Residency:
        """Of a layer's weights."""
        return Residency(self.fields["residency"])


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An error that the core has reported.

    opcode : of the descriptor that it names; None when that was not read, or has no known one
    job : channels that the core had to wait for in the job
    """

    code: ErrorCode
    opcode: Opcode | None
    job: Mapping[str, str]


def completed(job: Job) -> Iterator[Done]:
    """All descriptors of a job that was done; none of another.

    Raises ValueError when the core has not read each of them, or for fields without a meaning, of which none is done.
    """
    if job.code is not ErrorCode.NONE:
        return
    if sorted(job.descriptors) != list(range(job.count)):
        read = ", ".join(map(str, sorted(job.descriptors)))
        raise ValueError(f"the job of cycle {job.begin} is done, and of its {job.count} descriptors were read: {read}")
    whole = _waits(job.bursts)
    for index, d in job.descriptors.items():
        opcode, size = Opcode(d["opcode"]), d["dram_bytes"] if d["residency"] != Residency.REUSE else 0
        data = _bursts(job, job.base + d["dram_offset"], size, "aw" if opcode is Opcode.STORE else "ar")
        fetch = _bursts(job, job.table + index * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES, "ar")
        yield Done(fields=d, opcode=opcode, data=_waits(data), fetch=_waits(fetch), job=whole)


def failure(job: Job) -> Failed | None:
    """The error of a job that has one."""
    if not job.code:
        return None
    read = None if job.failed is None else job.descriptors.get(job.failed)
    opcode = next((opcode for opcode in Opcode if read is not None and read["opcode"] == opcode), None)
    return Failed(code=job.code, opcode=opcode, job=_waits(job.bursts))


def _bursts(job: Job, first: int, size: int, channel: str) -> list[Burst]:
    """Those to or from a part of DRAM, of the direction that has a channel."""
    return [burst for burst in job.bursts if first <= burst.address < first + size and channel in burst.waits]


def _waits(bursts: list[Burst]) -> dict[str, str]:
    """By channel."""
    found: dict[str, str] = {}
    for burst in bursts:
        for channel, cycles in burst.waits.items():
            found[channel] = WAITS if cycles or found.get(channel) == WAITS else FLOWS
    return found
