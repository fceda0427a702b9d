"""Jobs that differ in one thing, whose cycles are known by how many they have to differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.program import Program
from ssvq.reference import ActivationScale
from ssvq.vector_operation import VectorOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import TABLE_ENTRIES, TABLE_ENTRY_BYTES, Opcode
from ssvq_gen.vector_arithmetic import SHIFTS

from ..behaviour import Behaviour, SimulationJob
from ..job_bench import run_job
from ..systems.overlap_cases import spread_product
from .modelled_job import TIMEOUT_CYCLES
from .scenario import SimulatedCore

_SCALE = ActivationScale(scale=0.1)
_LATENCIES = range(4)
_TOKENS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Differences:
    """A scenario of several jobs.

    more : by how much `counter` is more than in the first job, of each
    """

    name: str
    jobs: tuple[SimulationJob, ...]
    counter: str
    more: tuple[int, ...]

    async def problems(self, core: SimulatedCore) -> list[str]:
        """Run the jobs and compare their counters."""
        found = []
        for job in self.jobs:
            result = await run_job(core.dut, core.config, core.registers, core.memory, job)
            if result.error is not None:
                return [f"{result.error.type}: {result.error.message}"]
            found.append(result.counters[self.counter])
        more = tuple(count - found[0] for count in found)
        return [] if more == self.more else [f"{self.counter} grows by {more}, not by {self.more}"]


def exact_cycles(config: CoreConfig) -> Iterator[Differences]:
    """Jobs of one descriptor: with later answers of the memory, and with a table that is loaded or kept."""
    programs = {
        "a product": _product(config, transposed=False),
        "a transposed product": _product(config, transposed=True),
        "a table": _sum(config, table_kept=False),
        "a kept table": _sum(config, table_kept=True),
    }
    for name, program in programs.items():
        jobs = tuple(_job(f"{name}, latency {n}", program, Behaviour(latency=n)) for n in _LATENCIES)
        # A descriptor is one burst, and nothing else is read.
        yield Differences(name=f"cycles of {name}", jobs=jobs, counter="TOTAL_CYCLES", more=tuple(_LATENCIES))
    entries = config.word_bytes // TABLE_ENTRY_BYTES
    # A word takes a cycle to be read, and one for each of its entries; then the operation begins.
    cycles = TABLE_ENTRIES // entries * (1 + entries) + 1
    jobs = tuple(_job(name, programs[name], Behaviour()) for name in ("a kept table", "a table"))
    yield Differences(name="cycles to load a table", jobs=jobs, counter="VECTOR_CYCLES", more=(0, cycles))


def _job(name: str, program: Program, behaviour: Behaviour) -> SimulationJob:
    return SimulationJob(name=name, program=program, inputs={}, behaviour=behaviour, timeout_cycles=TIMEOUT_CYCLES)


def _tensors(config: CoreConfig) -> dict[str, Any]:
    """Where activations are and outputs go, as the builder's arguments."""
    side = config.cols
    source, target = (
        ActivationTensor.packed(config, word=word, tokens=_TOKENS, channels=side) for word in (0, 2 * _TOKENS)
    )
    return {"source": source, "target": target}


def _product(config: CoreConfig, *, transposed: bool) -> Program:
    builder = ProgramBuilder(config)
    side = config.cols
    operand = ActivationTensor.packed(config, word=4 * _TOKENS, tokens=side, channels=side)
    product = spread_product("product", (_TOKENS, side, side), transposed=transposed)
    builder.product(product, operand=operand, **_tensors(config))
    return builder.build()


def _sum(config: CoreConfig, *, table_kept: bool) -> Program:
    builder = ProgramBuilder(config)
    operation = VectorOperation(
        name="sum",
        opcode=Opcode.SUM,
        channels=config.cols,
        multiplier=np.asarray(1),
        shift=SHIFTS[0],
        table=np.zeros(TABLE_ENTRIES, dtype=np.int64),
        zero_point=0,
        output_scale=_SCALE,
    )
    builder.vector(operation, table=4 * _TOKENS, table_kept=table_kept, **_tensors(config))
    return builder.build()
