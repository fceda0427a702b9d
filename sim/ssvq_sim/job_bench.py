"""The cocotb test in the simulator's process: runs the jobs of a folder through the real driver, as they are asked for.

The caller writes the index of a job to standard input, a line each, and closes it at the end.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock
from cocotb.task import Task, bridge
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time

from ssvq.driver import CounterMismatch, Device, DriverError, JobFailed, JobTimeout, RunResult
from ssvq.program import Program, ProgramError, place_input
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Opcode
from ssvq_gen.registers import REGISTER_BY_NAME

from .behaviour import CHANNELS, CLOCK_NS, Behaviour, BusTimes, Hang, JobError, JobResult, SimulationJob
from .job_files import read_config, read_job, write_result
from .simulation_bus import AxiLiteMaster, RegisterAccessError, SimulationBus, reset

FOLDER_VARIABLE = "SSVQ_RUN"
DRAM_FILE = "dram.bin"
BUS_TIMES = tuple(field.name for field in fields(BusTimes))
GUARD_BYTES = 4096
"""DRAM after the job's window, where nothing may be written."""
FILL = 0xA5
"""What is in DRAM where the driver writes nothing."""
_AFTER_LOADING = (JobTimeout.__name__, CounterMismatch.__name__)
"""Errors without a code that a driver raises when a program has run."""
_CONTROL = REGISTER_BY_NAME["CONTROL"]


@cocotb.test()
async def run_jobs(dut: Any) -> None:
    """Run the jobs one after the other, without a reset between them; simulated time stands still between jobs."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    config = read_config(folder)
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    registers = AxiLiteMaster(dut)
    await power_up(dut, config)
    for line in sys.stdin:
        index = int(line)
        write_result(folder, index, await run_job(dut, config, registers, memory, read_job(folder, index)))


def set_ports(dut: Any, values: dict[str, int]) -> None:
    """Drive ports of the bench, by name."""
    for name, value in values.items():
        getattr(dut, name).value = value


async def power_up(dut: Any, config: CoreConfig, *, memory_base: int = 0) -> None:
    """A memory that never waits, a clock, and a reset."""
    set_ports(dut, {**Behaviour().ports(config.beat_bytes, memory_base), "bus_clear_times": 0})
    Clock(dut.aclk, CLOCK_NS, unit="ns").start()
    await reset(dut)


async def run_job(
    dut: Any, config: CoreConfig, registers: AxiLiteMaster, memory: npt.NDArray[np.uint8], job: SimulationJob
) -> JobResult:
    """Run a job on a core that is out of reset.

    memory : the whole DRAM, shared with the simulator; the job sees as much of it as its program needs
    """
    seen = memory[: job.program.memory_bytes + GUARD_BYTES]
    seen[:] = FILL
    set_ports(dut, job.behaviour.ports(config.beat_bytes, job.memory_base))
    dut.bus_clear_times.value = 1
    await Timer(2 * CLOCK_NS, unit="ns")  # the first edge may be now, which is too early for it
    dut.bus_clear_times.value = 0
    start, wall = current_cycle(), time.monotonic()
    helpers: list[Task[None]] = []
    if job.behaviour.hang:
        helpers.append(cocotb.start_soon(hang_channels(dut, job.behaviour.hang)))
    if job.abort_after is not None:
        helpers.append(cocotb.start_soon(_abort(registers, job.abort_after)))
    result, error = await bridge(drive)(SimulationBus(dut, registers, seen, job.memory_base), config, job)
    cycles, wall = current_cycle() - start, time.monotonic() - wall
    for helper in helpers:
        helper.cancel()
    return JobResult(
        name=job.name,
        outputs=result.outputs if result else {},
        counters=result.counters if result else {},
        cycles=cycles,
        wall_seconds=wall,
        read_beats=int(dut.bus_read_beats.value),
        write_beats=int(dut.bus_write_beats.value),
        stray=first_stray(seen, job.program, job) if _was_loaded(error) else None,
        error=error,
        profile=result.profile if result else None,
        times=BusTimes(**{name: int(getattr(dut, f"bus_{name}").value) for name in BUS_TIMES}),
    )


def _was_loaded(error: JobError | None) -> bool:
    """Whether the program was in DRAM: what a driver refuses before is not."""
    return error is None or error.code is not None or error.type in _AFTER_LOADING


def current_cycle() -> int:
    """Cycles since the beginning of the simulation."""
    return int(get_sim_time("ns")) // CLOCK_NS


async def hang_channels(dut: Any, hang: Hang) -> None:
    """Stop channels of the memory, after and for some cycles from now."""
    if hang.after:
        await Timer(hang.after * CLOCK_NS, unit="ns")
    dut.bus_hang.value = sum(1 << CHANNELS.index(name) for name in hang.channels)
    await Timer(hang.cycles * CLOCK_NS, unit="ns")
    dut.bus_hang.value = 0


async def _abort(registers: AxiLiteMaster, after: int) -> None:
    await Timer(after * CLOCK_NS, unit="ns")
    await registers.write(_CONTROL.offset, _CONTROL.bit("ABORT"))


def drive(bus: SimulationBus, config: CoreConfig, job: SimulationJob) -> tuple[RunResult | None, JobError | None]:
    """What a user's program does; blocking."""
    believed = config if job.driver_config is None else CoreConfig.from_dict(job.driver_config)
    try:
        device = Device(bus, believed)
        timeout = job.timeout_cycles * CLOCK_NS * 1e-9
        result = device.run(
            job.program,
            job.inputs,
            timeout_s=timeout,
            watchdog_cycles=job.watchdog_cycles,
            profile=job.profile,
        )
        return result, None
    except JobFailed as error:
        return None, JobError(
            type=type(error).__name__,
            message=str(error),
            code=int(error.code),
            descriptor=error.descriptor,
            address=error.address,
            layer=error.layer,
        )
    except (DriverError, ProgramError, RegisterAccessError) as error:
        return None, JobError(type=type(error).__name__, message=str(error))


def first_stray(memory: npt.NDArray[np.uint8], program: Program, job: SimulationJob) -> int | None:
    """Offset of the first byte that changed although it is no output, nor what a STORE keeps for a LOAD after it."""
    expected = np.full(memory.size, FILL, dtype=np.uint8)
    for d in program.descriptors():
        if d["opcode"] == Opcode.STORE:
            span = slice(d["dram_offset"], d["dram_offset"] + d["dram_bytes"])
            expected[span] = memory[span]
    expected[: program.image.size] = program.image
    for name, array in job.inputs.items():
        place_input(expected, program, array, job=name)
    for entry in program.jobs:
        for piece in entry.output.pieces if entry.output else ():
            span = slice(piece.offset, piece.offset + piece.size(program.word_bytes))
            expected[span] = memory[span]
    different = np.flatnonzero(expected != memory)
    return int(different[0]) if different.size else None
