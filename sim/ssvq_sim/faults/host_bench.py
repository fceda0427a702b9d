"""The cocotb test in the simulator's process: resets in the middle of jobs, and hosts that write while the core works.

What is to be done comes as JSON in the folder, and what was wrong is left there as JSON.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import Timer

from ssvq.driver import Device, DriverError
from ssvq_gen.registers import REGISTER_BY_NAME, REGISTERS

from ..behaviour import CHANNELS, CLOCK_NS, Behaviour
from ..job_bench import DRAM_FILE, FILL, FOLDER_VARIABLE, first_stray, set_ports
from ..job_files import write_json
from ..simulation_bus import AxiLiteMaster, RegisterAccessError, SimulationBus, reset
from ..systems.work import BASE, CONFIG, GOOD, LONG_LOAD, LONG_STORE, OTHER, Work

PLAN_FILE, FOUND_FILE = "plan.json", "found.json"
LONGEST_CYCLES = 4000
"""Within which the fault of a scene comes: the jobs take as long with the memories that are drawn, or longer."""
QUIET_CYCLES = 300
TIMEOUT_S = 2e-3
WORKS = (GOOD, LONG_LOAD, LONG_STORE, OTHER)
_STATUS, _CONTROL = REGISTER_BY_NAME["STATUS"], REGISTER_BY_NAME["CONTROL"]
_BUSY = _STATUS.bit("BUSY")
_WRITTEN = tuple(r.name for r in REGISTERS if r.name not in ("CONTROL", "IRQ_ENABLE", "IRQ_STATUS"))
"""Registers that a host may write at any time without an effect on a job."""


class Host:
    """The core and its driver. Methods block: they run beside the simulation."""

    def __init__(self, dut: Any, memory: npt.NDArray[np.uint8], rng: np.random.Generator) -> None:
        self._dut, self._memory, self._rng = dut, memory, rng
        self._bus = SimulationBus(dut, AxiLiteMaster(dut), memory, BASE)
        self._device = Device(self._bus, CONFIG)

    def reset_in_job(self) -> list[str]:
        """Reset at a random time of a random job: nothing moves afterwards, and nothing but its outputs has changed."""
        work = self._start_random()
        self._wait(int(self._rng.integers(1, LONGEST_CYCLES)))
        resume(reset)(self._dut, int(self._rng.integers(1, 9)))
        problems = self._stray(work)
        if (status := self._device.read("STATUS")) != 0:
            problems.append(f"STATUS is {status:#x} after a reset")
        before = self._beats()
        self._wait(QUIET_CYCLES)
        if self._beats() != before:
            problems.append("something moves on the bus after a reset")
        return problems + self._good_job()

    def writes_in_job(self) -> list[str]:
        """Write random values to random registers at random times of a random job: it is not disturbed."""
        work = self._start_random()
        while self._device.read("STATUS") & _BUSY:
            name = str(self._rng.choice(_WRITTEN))
            self._device.write(name, int(self._rng.integers(1 << 32)))
            if self._device.read("STATUS") & _BUSY:
                # START does nothing to a job that has ended meanwhile, either; CLEAR would.
                self._device.write("CONTROL", _CONTROL.bit("START"))
            self._wait(int(self._rng.integers(1, 60)))
        return self._finish(work) + self._good_job()

    def _start_random(self) -> Work:
        rng = self._rng
        self._behave(
            Behaviour(
                latency=int(rng.choice((0, 5, 40, 150))),
                bytes_per_cycle=int(rng.choice((0, 1, 4))),
                stalls=dict.fromkeys(CHANNELS, float(rng.choice((0.0, 0.4)))),
                seed=int(rng.integers(1, 1 << 32)),
            )
        )
        work = WORKS[rng.integers(len(WORKS))]
        self._start(work)
        return work

    def _start(self, work: Work) -> None:
        self._memory[:] = FILL
        self._device.load(work.program, work.inputs)
        self._device.start(work.program, watchdog_cycles=0)

    def _good_job(self) -> list[str]:
        self._behave(Behaviour())
        self._start(GOOD)
        return [f"the next job: {problem}" for problem in self._finish(GOOD)]

    def _finish(self, work: Work) -> list[str]:
        try:
            self._device.wait(work.program, timeout_s=TIMEOUT_S)
            self._device.recover()
        except (DriverError, RegisterAccessError) as error:
            return [f"{type(error).__name__}: {error}"]
        found = self._device.outputs(work.program)
        wrong = [name for name, array in work.expected.items() if not np.array_equal(array, found[name])]
        return [f"outputs of {name} are wrong" for name in wrong] + self._stray(work)

    def _stray(self, work: Work) -> list[str]:
        stray = first_stray(self._memory, work.program, work.job("scene"))
        return [] if stray is None else [f"byte {stray:#x} of DRAM changed, which is outside all outputs"]

    def _beats(self) -> tuple[int, int]:
        return int(self._dut.bus_read_beats.value), int(self._dut.bus_write_beats.value)

    def _behave(self, behaviour: Behaviour) -> None:
        resume(self._set)(behaviour.ports(CONFIG.beat_bytes, BASE))

    def _wait(self, cycles: int) -> None:
        resume(self._pass)(cycles)

    async def _set(self, values: dict[str, int]) -> None:
        set_ports(self._dut, values)
        await Timer(CLOCK_NS, unit="ns")

    async def _pass(self, cycles: int) -> None:
        await Timer(cycles * CLOCK_NS, unit="ns")


@cocotb.test()
async def play(dut: Any) -> None:
    """All scenes of the plan, each with a seed of its own."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    set_ports(dut, {**Behaviour().ports(CONFIG.beat_bytes, BASE), "bus_clear_times": 0})
    Clock(dut.aclk, CLOCK_NS, unit="ns").start()
    await reset(dut)
    plan = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
    write_json(folder / FOUND_FILE, {"scenes": await bridge(_play)(dut, memory, plan)})


def _play(dut: Any, memory: npt.NDArray[np.uint8], plan: list[tuple[str, int]]) -> list[dict[str, Any]]:
    found = []
    for kind, seed in plan:
        host = Host(dut, memory, np.random.default_rng(seed))
        scene = host.reset_in_job if kind == "reset" else host.writes_in_job
        found.append({"name": f"{kind}, seed {seed}", "problems": scene()})
    return found
