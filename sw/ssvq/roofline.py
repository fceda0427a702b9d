"""The yardstick: cycles that a program needs at least, from its arithmetic and its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import STREAM_OPCODES, Residency

from .footprint import is_matrix
from .program import Job, Program, ProgramError


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Least cycles of one job.

    compute_cycles : tokens x k_tiles x n_tiles, of every product of a batch
    weight_bytes : every distinct weight stream once, so that streaming one again counts against the measurement; one
        that only ever comes from the weight cache counts nothing
    transfer_bytes : LOAD and STORE
    """

    name: str
    compute_cycles: int
    weight_bytes: int
    transfer_bytes: int
    bytes_per_cycle: float

    @property
    def weight_cycles(self) -> float:
        """Cycles of the weight stream on the bus."""
        return self.weight_bytes / self.bytes_per_cycle

    @property
    def transfer_cycles(self) -> float:
        """Cycles of LOAD and STORE on the bus."""
        return self.transfer_bytes / self.bytes_per_cycle

    @property
    def cycles(self) -> float:
        """The larger of compute and weight stream, plus LOAD and STORE."""
        return max(self.compute_cycles, self.weight_cycles) + self.transfer_cycles


def rooflines(config: CoreConfig, program: Program, bytes_per_cycle: float) -> tuple[Roofline, ...]:
    """The roofline of every job, for a bus that moves `bytes_per_cycle` (more than 0, at most a beat).

    Raises ProgramError for another rate, or a program of another configuration.
    """
    if not 0 < bytes_per_cycle <= config.beat_bytes:
        raise ProgramError(f"bytes_per_cycle must be above 0 and at most {config.beat_bytes}, not {bytes_per_cycle}")
    if program.config_digest != config.digest:
        raise ProgramError(f"the program was not compiled for the configuration {config.name!r}")
    return tuple(_roofline(program, job, bytes_per_cycle) for job in program.jobs)


def roofline_cycles(config: CoreConfig, program: Program, bytes_per_cycle: float) -> float:
    """Least cycles of a program: the sum over its jobs. Raises ProgramError as `rooflines` does."""
    return sum(r.cycles for r in rooflines(config, program, bytes_per_cycle))


def _roofline(program: Program, job: Job, bytes_per_cycle: float) -> Roofline:
    compute, transfer = 0, 0
    streams: dict[int, int] = {}
    for index in range(job.first_descriptor, job.first_descriptor + job.descriptor_count):
        d = program.descriptor(index)
        if is_matrix(d):
            compute += d["tokens"] * d["k_tiles"] * d["n_tiles"] * (d["batch_last"] + 1)
        else:
            transfer += d["dram_bytes"]
        if d["opcode"] in STREAM_OPCODES and d["residency"] != Residency.REUSE:
            streams[d["dram_offset"]] = d["dram_bytes"]
    return Roofline(
        name=job.name,
        compute_cycles=compute,
        weight_bytes=sum(streams.values()),
        transfer_bytes=transfer,
        bytes_per_cycle=bytes_per_cycle,
    )
