"""The slow bench: the core alone between the AXI models of cocotbext-axi, which pause at random on all channels.

A second opinion on the fast bench: other people's models of both buses. It takes the same jobs, whose behaviour may
have `stalls` (of both buses) and nothing else, and whose DRAM window begins at a multiple of the DRAM's size.
"""

from __future__ import annotations

import os
import random
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge

from ssvq_gen.config import CoreConfig

from .behaviour import CHANNELS, CLOCK_NS, Behaviour, JobResult, SimulationJob
from .job_bench import DRAM_FILE, FILL, FOLDER_VARIABLE, GUARD_BYTES, current_cycle, drive, first_stray
from .job_files import read_config, read_job, write_result
from .simulation_bus import Registers, SimulationBus, reset

# The package uses what cocotb 2 calls by other names.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"cocotb(ext|_bus)\b.*")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam


class _Registers:
    """Registers through cocotbext-axi."""

    def __init__(self, master: Any) -> None:
        self._master = master

    async def read(self, offset: int) -> int:
        """A register."""
        return int(await self._master.read_dword(offset))

    async def write(self, offset: int, value: int) -> None:
        """Write a register."""
        await self._master.write_dword(offset, value)


@cocotb.test()
async def run_jobs(dut: Any) -> None:
    """Run the jobs one after the other, as `ssvq_sim.job_bench` does."""
    await serve(dut)


async def serve(dut: Any, *, after_reset: Callable[[CoreConfig, Registers], Awaitable[None]] | None = None) -> None:
    """Reset the core and run the jobs that are asked for.

    after_reset : comes before the first job
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    config = read_config(folder)
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    dut.aresetn.value = 0
    Clock(dut.aclk, CLOCK_NS, unit="ns").start()
    ports = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), **ports)
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), **ports, mem=memory.data)
    await reset(dut)
    registers = _Registers(master)
    if after_reset is not None:
        await after_reset(config, registers)
    for line in sys.stdin:
        job = read_job(folder, int(line))
        _pause(job.behaviour, master, ram)
        seen = memory[: job.program.memory_bytes + GUARD_BYTES]
        seen[:] = FILL
        start, wall = current_cycle(), time.monotonic()
        bus = SimulationBus(dut, registers, seen, _window(job, memory.size))
        result, error = await bridge(drive)(bus, config, job)
        write_result(
            folder,
            int(line),
            JobResult(
                name=job.name,
                outputs=result.outputs if result else {},
                counters=result.counters if result else {},
                cycles=current_cycle() - start,
                wall_seconds=time.monotonic() - wall,
                read_beats=0,
                write_beats=0,
                stray=first_stray(seen, job.program, job) if result else None,
                error=error,
            ),
        )


def _window(job: SimulationJob, size: int) -> int:
    if job.memory_base % size:
        raise ValueError(f"memory_base must be a multiple of the DRAM's size ({size}), not {job.memory_base:#x}")
    return job.memory_base


def _pause(behaviour: Behaviour, *models: Any) -> None:
    """Let the channels of the models pause with the probabilities of the job."""
    rng = random.Random(behaviour.seed)
    for model in models:
        for name in CHANNELS:
            interface = model.read_if if name in ("ar", "r") else model.write_if
            probability = (behaviour.stalls or {}).get(name, 0.0)
            getattr(interface, f"{name}_channel").set_pause_generator(_pauses(rng.random(), probability))


def _pauses(seed: float, probability: float) -> Iterator[bool]:
    rng = random.Random(seed)
    while True:
        yield rng.random() < probability
