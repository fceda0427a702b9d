"""The cocotb test in the simulator's process: resets in the middle of jobs, and hosts that write while the core works.

What is to be done comes as JSON in the folder, and what was wrong is left there as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.task import bridge, resume

from ssvq.driver import DriverError
from ssvq_gen.registers import REGISTER_BY_NAME, REGISTERS

from ..behaviour import CHANNELS, Behaviour
from ..job_bench import DRAM_FILE, FOLDER_VARIABLE, power_up
from ..job_files import write_json
from ..simulation_bus import RegisterAccessError, reset
from ..systems.host import Host, SceneFailed
from ..systems.work import BASE, CONFIG, GOOD, LONG_LOAD, LONG_STORE, OTHER, Work

PLAN_FILE, FOUND_FILE = "plan.json", "found.json"
WORKS = (GOOD, LONG_LOAD, LONG_STORE, OTHER)
_LONGEST_CYCLES = 4000
"""Within which a reset comes: with the memories that are drawn, jobs take about as long, or longer."""
_BUSY, _START = REGISTER_BY_NAME["STATUS"].bit("BUSY"), REGISTER_BY_NAME["CONTROL"].bit("START")
_WRITTEN = tuple(r.name for r in REGISTERS if r.name not in ("CONTROL", "IRQ_ENABLE", "IRQ_STATUS"))
"""Registers that a host may write at any time without an effect on a job."""


def reset_in_job(dut: Any, host: Host, rng: np.random.Generator) -> None:
    """Reset at a random time of a random job: nothing moves afterwards, and nothing but its outputs has changed."""
    work = _start_random(host, rng)
    host.wait(int(rng.integers(1, _LONGEST_CYCLES)))
    while not host.status() & _BUSY:
        host.device.recover()
        work = _start_random(host, rng)
        host.wait(int(rng.integers(1, _LONGEST_CYCLES)))
    resume(reset)(dut, int(rng.integers(1, 9)))
    host.check_no_stray(work)


def writes_in_job(_dut: Any, host: Host, rng: np.random.Generator) -> None:
    """Write random values to random registers at random times of a random job: it is not disturbed."""
    work = _start_random(host, rng)
    while host.status() & _BUSY:
        host.device.write(str(rng.choice(_WRITTEN)), int(rng.integers(1 << 32)))
        if host.status() & _BUSY:
            host.command(_START)  # which does nothing to a job that has ended meanwhile, either
        host.wait(int(rng.integers(1, 60)))
    host.check_outputs(work)


SCENES: dict[str, Callable[[Any, Host, np.random.Generator], None]] = {"reset": reset_in_job, "write": writes_in_job}


def _start_random(host: Host, rng: np.random.Generator) -> Work:
    host.behave(
        Behaviour(
            latency=int(rng.choice((0, 5, 40, 150))),
            bytes_per_cycle=int(rng.choice((0, 1, 4))),
            stalls=dict.fromkeys(CHANNELS, float(rng.choice((0.0, 0.4)))),
            seed=int(rng.integers(1, 1 << 32)),
        )
    )
    work = WORKS[rng.integers(len(WORKS))]
    host.load_and_start(work)
    return work


@cocotb.test()
async def play(dut: Any) -> None:
    """All scenes of the plan, each with a seed of its own, and a healthy core after each."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    await power_up(dut, CONFIG, memory_base=BASE)
    plan = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
    write_json(folder / FOUND_FILE, await bridge(_play)(dut, memory, plan))


def _play(dut: Any, memory: npt.NDArray[np.uint8], plan: list[tuple[str, int]]) -> list[tuple[str, list[str]]]:
    host = Host(dut, memory)
    found: list[tuple[str, list[str]]] = []
    for kind, seed in plan:
        problems = []
        try:
            SCENES[kind](dut, host, np.random.default_rng(seed))
            host.check_healthy()
        except (SceneFailed, DriverError, RegisterAccessError) as error:
            problems.append(f"{type(error).__name__}: {error}")
            resume(reset)(dut)
        found.append((f"{kind}, seed {seed}", problems))
    return found
