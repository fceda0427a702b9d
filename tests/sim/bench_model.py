"""A stand-in for `ssvq_sim.runner.Session` that runs jobs on the functional model, and miniature networks for it."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ssvq.driver import Profile, ProfileRow
from ssvq.program import place_input, read_output
from ssvq.roofline import roofline_cycles
from ssvq_gen.config import PRESETS
from ssvq_gen.format import DESCRIPTOR_BYTES, Opcode
from ssvq_gen.profile import PROFILE_CLASSES
from ssvq_gen.registers import COUNTERS, TRAFFIC_COUNTERS
from ssvq_sim.behaviour import JobResult, SimulationJob
from ssvq_sim.bench.shapes import Transformer
from ssvq_sim.simulator import Simulator
from ssvq_sim.systems.core_model import CoreModel

MINI = Transformer(patches=9, patch_channels=24, width=32, heads=2, mlp=40, blocks=2, classes=13)
"""Heads of one word of the small cores."""
SMALL = PRESETS["edge"].replace(name="small", activation_bytes=16 << 10, accumulator_depth=16)
FEWER_ROWS = PRESETS["tiny"].replace(name="fewer_rows", rows=8, cols=16, axi_data_width=64, activation_bytes=16 << 10)
FEWER_COLUMNS = PRESETS["tiny"].replace(name="fewer_columns", rows=16, cols=8, activation_bytes=16 << 10)
CONFIGS = (SMALL, FEWER_ROWS, FEWER_COLUMNS)

OVERHEAD_CYCLES = 40
"""What the stand-in takes beyond the roofline."""


def stand_in_simulator(config: object = SMALL) -> Simulator:
    path = Path("none")
    return Simulator(
        config=config,  # type: ignore[arg-type]
        executable=path,
        verilog=path,
        toplevel="bench_top",
        trace=False,
        verilog_seconds=0.0,
        build_seconds=0.0,
    )


class ModelSession:
    """Activations stay from job to job. Cycles are those of the roofline and `OVERHEAD_CYCLES`."""

    def __init__(self, simulator: Simulator, *, memory_bytes: int) -> None:
        self._config = simulator.config
        self._memory_bytes = memory_bytes
        self._model = CoreModel(simulator.config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open."""

    def run(self, job: SimulationJob) -> JobResult:
        program, config, start = job.program, self._config, time.monotonic()
        assert program.memory_bytes < self._memory_bytes
        memory = program.new_memory()
        for name, array in job.inputs.items():
            place_input(memory, program, array, job=name)
        self._model.run(memory, program.descriptor_offset, program.descriptor_count)
        cycles = round(roofline_cycles(config, program, job.behaviour.rate(config.beat_bytes))) + OVERHEAD_CYCLES
        counters = {name: 0 for name, _ in COUNTERS + TRAFFIC_COUNTERS}
        moved = program.descriptor_count * DESCRIPTOR_BYTES + sum(d["dram_bytes"] for d in program.descriptors())
        counters |= {"TOTAL_CYCLES": cycles, "READ_BEATS": moved // config.beat_bytes}
        return JobResult(
            name=job.name,
            outputs={
                entry.name: read_output(memory, program, job=entry.name) for entry in program.jobs if entry.output
            },
            counters=counters,
            cycles=cycles,
            wall_seconds=time.monotonic() - start,
            read_beats=0,
            write_beats=0,
            stray=None,
            error=None,
            profile=self._profile(job) if job.profile else None,
        )

    @staticmethod
    def _profile(job: SimulationJob) -> Profile:
        """Ten cycles for each matrix descriptor, nine of them in the array."""
        rows = []
        for index, d in enumerate(job.program.descriptors()):
            opcode, entry = Opcode(d["opcode"]), job.program.job_of_descriptor(index)
            assert entry
            is_matrix = opcode in (Opcode.MATMUL, Opcode.PRODUCT)
            classes = {"ARRAY_CYCLES": 9, "WAIT_OUTPUT_CYCLES": 1} if is_matrix else {}
            begin = 10 * index
            times = dict.fromkeys(("decoded", "compute_begin", "compute_end", "drain_begin"), begin)
            rows.append(
                ProfileRow(
                    index=index,
                    opcode=opcode,
                    job=entry.name,
                    begin=begin,
                    end=begin + 10,
                    classes=classes,
                    **(times if is_matrix else {}),
                )
            )
        tail = dict.fromkeys(PROFILE_CLASSES, 0) | {"STORE_CYCLES": 5}
        return Profile(rows=tuple(rows), tail=tail, total=5 + sum(row.cost for row in rows))
