"""Jobs with hundreds of descriptors: one of the last fails, and the core has to name it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ssvq.program import Region
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, ErrorCode, Opcode, pack_descriptor

from ..systems.error_cases import ErrorCase, failing
from ..systems.work import BASE, GOOD, Work
from .all_operations import all_operations

_AHEAD = (341, 682)
"""Descriptors in front: 0b0101010101 and 0b1010101010, so that every bit of an index up to 1023 is seen as both."""


def preceded(work: Work, count: int, config: CoreConfig) -> Work:
    """The same with `count` LOADs of its first word in front, which its own first LOAD then overwrites.

    The descriptors have to be at the beginning of the program's image; all else moves up.
    """
    program = work.program
    shift, table = count * DESCRIPTOR_BYTES, program.descriptor_count * DESCRIPTOR_BYTES
    moved = [_moved(d, shift) for d in program.descriptors()]
    short = {**next(d for d in moved if d["opcode"] == Opcode.LOAD), "dram_bytes": config.word_bytes}
    packed = b"".join(pack_descriptor(d) for d in [*[short] * count, *moved])
    image = np.concatenate([np.frombuffer(packed, dtype=np.uint8), program.image[table:]])
    jobs = tuple(
        replace(
            job,
            first_descriptor=job.first_descriptor + count,
            input=_moved_region(job.input, shift),
            output=_moved_region(job.output, shift),
        )
        for job in program.jobs
    )
    total, memory_bytes = count + program.descriptor_count, program.memory_bytes + shift
    return replace(
        work, program=replace(program, descriptor_count=total, memory_bytes=memory_bytes, image=image, jobs=jobs)
    )


def _moved(d: dict[str, int], shift: int) -> dict[str, int]:
    return {**d, "dram_offset": d["dram_offset"] + shift} if d["dram_bytes"] else d


def _moved_region(region: Region | None, shift: int) -> Region | None:
    if region is None:
        return None
    return replace(region, pieces=tuple(replace(piece, offset=piece.offset + shift) for piece in region.pieces))


def late_errors(config: CoreConfig) -> Iterator[ErrorCase]:
    """One error of each part that finds some, in the first layer of `GOOD` and in a program of all operations."""
    yield from _in_a_layer(config)
    yield from _in_operations(config)


def _in_a_layer(config: CoreConfig) -> Iterator[ErrorCase]:
    fields = GOOD.program.descriptors()
    matmul = next(i for i, d in enumerate(fields) if d["opcode"] == Opcode.MATMUL)
    store = next(i for i, d in enumerate(fields) if d["opcode"] == Opcode.STORE)
    depth = config.activation_depth
    for number, (index, changes, code, address) in enumerate(
        (
            (matmul, {"magic": 0}, ErrorCode.BAD_DESCRIPTOR, None),
            (store, {"dram_offset": 0xFFFF_FFC0}, ErrorCode.DRAM_RANGE, BASE + 0xFFFF_FFC0),
            (matmul, {"source": depth}, ErrorCode.ACTIVATION_RANGE, depth),
            (matmul, {"destination": depth}, ErrorCode.ACTIVATION_RANGE, depth),
            (store, {"source": depth}, ErrorCode.ACTIVATION_RANGE, depth),
            (matmul, {"n_tiles": fields[matmul]["n_tiles"] + 1}, ErrorCode.WEIGHT_LENGTH, 0),
        )
    ):
        ahead = _AHEAD[number % len(_AHEAD)]
        work = preceded(GOOD, ahead, config).patched(ahead + index, **changes)
        if address is None:
            address = BASE + work.program.descriptor(ahead + index)["dram_offset"]
        yield failing(f"{ahead} descriptors, then {index}: {changes}", work, code, ahead + index, address)


def _in_operations(config: CoreConfig) -> Iterator[ErrorCase]:
    """Words outside the activation memory, found where the index has another way to the register."""
    operations, depth = all_operations(config), config.activation_depth
    indices = {Opcode(d["opcode"]): index for index, d in enumerate(operations.program.descriptors())}
    for opcode, field in ((Opcode.PRODUCT, "operand"), (Opcode.SUM, "source")):
        for ahead in _AHEAD:
            index = ahead + indices[opcode]
            work = preceded(operations, ahead, config).patched(index, **{field: depth})
            name = f"{ahead} descriptors, then {opcode.name}"
            yield failing(name, work, ErrorCode.ACTIVATION_RANGE, index, depth)
