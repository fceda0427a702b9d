"""What a mutant has to get through: short jobs whose results a golden model knows."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from cocotb.task import bridge

from ssvq_gen.config import CoreConfig

from ..behaviour import Behaviour, JobResult, SimulationJob
from ..job_bench import GUARD_BYTES, run_job
from ..simulation_bus import AxiLiteMaster
from ..systems.host import Host
from ..systems.outcome import Beats
from ..systems.work import GOOD, LONG_LOAD, LONG_STORE

_HOST_BYTES = (
    max(work.program.memory_bytes for work in (GOOD, LONG_LOAD, LONG_STORE)) // GUARD_BYTES * GUARD_BYTES
    + 2 * GUARD_BYTES
)


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedCore:
    """A core that is out of reset, seen from inside the simulator's process.

    memory : the whole DRAM, shared with the simulator
    """

    dut: Any
    config: CoreConfig
    registers: AxiLiteMaster
    memory: npt.NDArray[np.uint8]

    def beats(self) -> Beats:
        """Beats read and written since reset."""
        return int(self.dut.bus_read_beats.value), int(self.dut.bus_write_beats.value)


class Scenario(Protocol):
    """Something that a core does, and how that has to end."""

    @property
    def name(self) -> str:
        """Of all scenarios, only this one has it."""
        ...

    async def problems(self, core: SimulatedCore) -> list[str]:
        """Everything that is wrong; nothing for a core that is right. What it raises is a problem as well."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class JobScenario:
    """A job, and what is wrong with its result, given the beats on the bus before it."""

    job: SimulationJob
    check: Callable[[JobResult, Beats], list[str]]

    @property
    def name(self) -> str:
        """The job's."""
        return self.job.name

    async def problems(self, core: SimulatedCore) -> list[str]:
        """Run it and look at the result."""
        before = core.beats()
        return self.check(await run_job(core.dut, core.config, core.registers, core.memory, self.job), before)


@dataclass(frozen=True, kw_only=True, eq=False)
class PinScenario:
    """A coroutine that moves pins of the bench and raises what is wrong."""

    play: Callable[[SimulatedCore], Coroutine[Any, Any, None]]

    @property
    def name(self) -> str:
        """The coroutine's."""
        return f"registers {self.play.__name__}"

    async def problems(self, core: SimulatedCore) -> list[str]:
        """Let it play."""
        await self.play(core)
        core.dut.s_axil_wstrb.value = 0xF  # as AxiLiteMaster has set it
        return []


@dataclass(frozen=True, kw_only=True, eq=False)
class HostScenario:
    """A scene of a host, which raises what is wrong; it ends with a core that is healthy."""

    play: Callable[[Host], None]

    @property
    def name(self) -> str:
        """The scene's."""
        return f"host {self.play.__name__}"

    async def problems(self, core: SimulatedCore) -> list[str]:
        """Let it play, beside the simulation."""
        await bridge(self._play)(core)
        return []

    def _play(self, core: SimulatedCore) -> None:
        host = Host(core.dut, core.memory[:_HOST_BYTES])
        host.behave(Behaviour())
        self.play(host)
        host.check_healthy()
