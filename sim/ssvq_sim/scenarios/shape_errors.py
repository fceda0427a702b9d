"""Jobs that must fail early, with counters at their upper bits: more tiles, columns or products than there are words.

Each would have to go on for thousands of tiles, and reaches its error behind the first one. By a counter that has lost
a bit, the layer is over by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import FIELD_BY_NAME, ErrorCode, Opcode, Residency
from ssvq_gen.stream_format import StreamFormat

from ..systems.error_cases import ErrorCase, failing
from ..systems.work import GOOD, OTHER, Work
from .weight_streams import DENSE, Batch, Tiles, job_of

_BITS = range(10, FIELD_BY_NAME["n_tiles"].width)
"""Of counters; programs that succeed have most of those below."""
_EXTRA_BITS = range(1, 6)
_MANY_COLUMNS = 0x4801
"""Less one, it has two upper bits: without the higher one, the columns would end where the memory does."""
_FAR = FIELD_BY_NAME["output_batch_stride"].bounds[1]
_STEPS = (
    Tiles(**DENSE, channel_tiles=15, columns=1),
    Tiles(**DENSE, channel_tiles=15, columns=1),
    Tiles(weight_format="ssvq", channel_tiles=30, columns=3),
    Tiles(**DENSE, channel_tiles=15, columns=1),
    Batch(count=20, channels=8, columns=1),
    Tiles(**DENSE, channel_tiles=15, columns=1),
)
"""Layers that follow each kind of descriptor, which last long enough for the next one to be known as they end."""
_AFTER_SSVQ = 3


def shape_errors(config: CoreConfig) -> Iterator[ErrorCase]:
    """Of each layer of a program, and of each stream of `OTHER` and `GOOD`."""
    job = job_of(config, "shapes", _STEPS)
    work = Work(program=job.program, inputs=job.inputs, expected={})
    for index in _indices(work, Opcode.CONV):
        for bit in _BITS:
            yield from _too_large(config, work, index, (1 << bit) + 1)
    yield _all_columns(config, work, _indices(work, Opcode.CONV)[_AFTER_SSVQ])
    for small in (OTHER, GOOD):
        for index in _indices(small, Opcode.MATMUL):
            for bit in _EXTRA_BITS:
                yield _too_long(config, small, index, 1 << bit)


def _indices(work: Work, opcode: Opcode) -> list[int]:
    return [i for i, d in enumerate(work.program.descriptors()) if d["opcode"] == opcode]


def _too_large(config: CoreConfig, work: Work, index: int, count: int) -> Iterator[ErrorCase]:
    """The second tile of `count`, the second column, or the first column of the second product is out of range."""
    fields, depth = work.program.descriptor(index), config.activation_depth
    base = {"opcode": Opcode.MATMUL, "k_tiles": 1, "n_tiles": 1, "dram_offset": 0}
    shapes = {"tiles": {**base, "k_tiles": count, "source": depth - 1}}
    shapes["columns"] = {**base, "n_tiles": count, "destination": depth - 1}
    for name, changes in shapes.items():
        size = _format_of(config, fields).total_bytes(changes["k_tiles"], changes["n_tiles"])
        patched = _with_room(work.patched(index, **changes, dram_bytes=size), size)
        yield failing(f"{index}: {count} {name}", patched, ErrorCode.ACTIVATION_RANGE, index, depth)
    product = {
        **{**base, "opcode": Opcode.PRODUCT, "dram_bytes": 0, "weight_format": 0, "index_width": 0},
        **{"vector_dim_log2": 0, "early_tiles": 0, "last_columns": 1, "batch_last": count - 1},
        **{"source": 0, "destination": 1, "output_batch_stride": _FAR},
        **dict.fromkeys(("operand", "operand_stride", "operand_batch_stride", "input_batch_stride"), 0),
    }
    patched = work.patched(index, **product)
    yield failing(f"{index}: {count} products", patched, ErrorCode.ACTIVATION_RANGE, index, 1 + _FAR)


def _all_columns(config: CoreConfig, work: Work, index: int) -> ErrorCase:
    """As many columns as there are words, and one that has no place."""
    shape = {"k_tiles": 1, "n_tiles": _MANY_COLUMNS, "index_width": 1, "vector_dim_log2": 1}
    shape |= {"weight_format": WeightFormat.VQ, "narrow_bias": 1, "shared_multiplier": 1}
    size = _format_of(config, shape).total_bytes(shape["k_tiles"], shape["n_tiles"])
    changes = {**shape, "opcode": Opcode.MATMUL, "dram_offset": 0, "dram_bytes": size, "source": 0, "destination": 0}
    patched = _with_room(work.patched(index, **changes), size)
    return failing(f"{index}: all columns", patched, ErrorCode.ACTIVATION_RANGE, index, config.activation_depth)


def _too_long(config: CoreConfig, work: Work, index: int, words: int) -> ErrorCase:
    """The stream is longer by as many words as a counter may have values, so that one that ran on would be right."""
    fields = work.program.descriptor(index)
    size = fields["dram_bytes"] + words * config.stream_alignment
    changes = {"dram_bytes": size, "residency": Residency.NONE}
    longer = _with_room(work.patched(index, **changes), fields["dram_offset"] + size)
    name = f"{index} of {work.program.descriptor_count}: {words} words too long"
    return failing(name, longer, ErrorCode.WEIGHT_LENGTH, index, 0)


def _format_of(config: CoreConfig, fields: dict[str, int]) -> StreamFormat:
    return StreamFormat(
        config=config,
        weight_format=WeightFormat(fields["weight_format"]),
        codebook_size=1 << fields["index_width"],
        vector_dim=1 << fields["vector_dim_log2"],
        narrow_bias=bool(fields["narrow_bias"]),
        shared_multiplier=bool(fields["shared_multiplier"]),
    )


def _with_room(work: Work, size: int) -> Work:
    """The same in a DRAM window that holds `size` bytes."""
    return replace(work, program=replace(work.program, memory_bytes=max(work.program.memory_bytes, size)))
