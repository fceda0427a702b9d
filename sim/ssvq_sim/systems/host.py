"""A host that does more than run jobs, for scenes that play beside the simulation.

Everything goes through the driver and its bus; what is read of the bench are the beats that passed on the memory bus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from cocotb.task import resume
from cocotb.triggers import Timer

from ssvq.driver import Device

from ..behaviour import CHANNELS, CLOCK_NS, Behaviour
from ..job_bench import FILL, first_stray
from ..simulation_bus import AxiLiteMaster, SimulationBus
from .work import BASE, CONFIG, GOOD, Work


class SceneFailed(RuntimeError):
    """The core did not do what the scene expects of it."""


def require(condition: object, problem: object) -> None:
    """Raises SceneFailed with the problem when the condition does not hold."""
    if not condition:
        raise SceneFailed(str(problem))


@contextmanager
def raises(kind: type[Exception], *, match: str = "") -> Iterator[None]:
    """What is inside must raise an error of this kind whose text has a match; raises SceneFailed otherwise."""
    try:
        yield
    except kind as error:
        require(re.search(match, str(error)), f"the error has no {match!r}: {error}")
    else:
        raise SceneFailed(f"no {kind.__name__} was raised")


class Host:
    """One core, its driver, and the controls of the bench. Its methods block: they run beside the simulation."""

    def __init__(self, dut: Any, memory: npt.NDArray[np.uint8]) -> None:
        self._dut = dut
        self.memory = memory
        self.device = Device(SimulationBus(dut, AxiLiteMaster(dut), memory, BASE), CONFIG)

    def behave(self, behaviour: Behaviour) -> None:
        """Set the memory's behaviour from now on."""
        resume(self._set)(behaviour.ports(CONFIG.beat_bytes, BASE))

    def hang(self, *channels: str) -> None:
        """Stop channels until the next call."""
        resume(self._set)({"bus_hang": sum(1 << CHANNELS.index(name) for name in channels)})

    def wait(self, cycles: int) -> None:
        """Let time pass."""
        resume(self._wait)(cycles)

    def beats(self) -> tuple[int, int]:
        """Beats read and written since reset."""
        return int(self._dut.bus_read_beats.value), int(self._dut.bus_write_beats.value)

    def status(self) -> int:
        """The register STATUS."""
        return self.device.read("STATUS")

    def require_status(self, expected: int, where: object = "") -> None:
        """Raises SceneFailed when STATUS is another."""
        self.require_register("STATUS", expected, where)

    def require_register(self, name: str, expected: int, where: object = "") -> None:
        """Raises SceneFailed when a register has another value."""
        found = self.device.read(name)
        require(found == expected, f"{name} is {found:#x}, not {int(expected):#x} {where}".rstrip())

    def command(self, bits: int) -> None:
        """Write bits of CONTROL."""
        self.device.write("CONTROL", bits)

    async def _set(self, values: dict[str, int]) -> None:
        for name, value in values.items():
            getattr(self._dut, name).value = value
        await Timer(CLOCK_NS, unit="ns")

    async def _wait(self, cycles: int) -> None:
        await Timer(cycles * CLOCK_NS, unit="ns")

    def load_and_start(self, work: Work, *, watchdog_cycles: int = 0) -> None:
        """Load and start a program on memory that is filled before."""
        self.memory[:] = FILL
        self.device.load(work.program, work.inputs)
        self.device.start(work.program, watchdog_cycles=watchdog_cycles)

    def check_outputs(self, work: Work) -> None:
        """The job is done, its outputs are right, and nothing else was written."""
        self.device.wait(work.program, timeout_s=1e-3)
        self.device.recover()
        for name, found in self.device.outputs(work.program).items():
            require(np.array_equal(found, work.expected[name]), f"outputs of {name} differ")
        self.check_no_stray(work)

    def check_no_stray(self, work: Work) -> None:
        """Nothing but outputs was written."""
        stray = first_stray(self.memory, work.program, work.job("scene"))
        require(stray is None, f"byte {stray} of DRAM changed")

    def check_healthy(self) -> None:
        """The core is idle, quiet, and runs a job bit for bit."""
        self.behave(Behaviour())
        self.require_status(0)
        before = self.beats()
        self.wait(500)
        require(self.beats() == before, "something moves on the bus of an idle core")
        self.load_and_start(GOOD)
        self.check_outputs(GOOD)
        counters = self.device.counters()
        moved = tuple(after - first for after, first in zip(self.beats(), before, strict=True))
        require(
            moved == (counters["READ_BEATS"], counters["WRITE_BEATS"]), f"{moved} beats moved, counted are {counters}"
        )
