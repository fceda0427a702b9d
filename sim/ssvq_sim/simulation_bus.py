"""The driver's `Bus` on a simulated core: registers through AXI4-Lite, memory through the shared file."""

from __future__ import annotations

from typing import Any, Protocol

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.task import resume
from cocotb.triggers import First, Lock, RisingEdge, Timer
from cocotb.utils import get_sim_time

from .behaviour import CLOCK_NS

REGISTER_CYCLES_MAX = 1000
"""Longest that a register access may take."""
_NS = 1_000_000_000


class RegisterAccessError(RuntimeError):
    """A register access was not answered, or answered with an error."""


class Registers(Protocol):
    """Access to the registers of a core in the simulation."""

    async def read(self, offset: int) -> int:
        """A register."""
        ...

    async def write(self, offset: int, value: int) -> None:
        """Write a register."""
        ...


class AxiLiteMaster:
    """Registers of the core in the simulation, as coroutines; accesses of several tasks come one after the other."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self._edge = RisingEdge(dut.aclk)
        self._lock = Lock()
        for name in ("arvalid", "rready", "awvalid", "wvalid", "bready"):
            self._port(name).value = 0
        self._port("wstrb").value = 0xF

    def _port(self, name: str) -> Any:
        return getattr(self._dut, f"s_axil_{name}")

    async def read(self, offset: int) -> int:
        """A register. Raises RegisterAccessError."""
        async with self._lock:
            self._port("araddr").value = offset
            await self._transfer({"ar"}, "r", offset)
            return int(self._port("rdata").value)

    async def write(self, offset: int, value: int) -> None:
        """Write a register. Raises RegisterAccessError."""
        async with self._lock:
            self._port("awaddr").value = offset
            self._port("wdata").value = value
            await self._transfer({"aw", "w"}, "b", offset)

    async def _transfer(self, sending: set[str], answer: str, offset: int) -> None:
        """Offer the channels of `sending` and wait for the answer; returns at the edge that takes it."""
        for channel in sending:
            self._port(f"{channel}valid").value = 1
        answer_valid, ready = self._port(f"{answer}valid"), self._port(f"{answer}ready")
        ready.value = 1
        for _ in range(REGISTER_CYCLES_MAX):
            await self._edge
            for channel in tuple(sending):
                if int(self._port(f"{channel}ready").value):
                    self._port(f"{channel}valid").value = 0
                    sending.discard(channel)
            if int(answer_valid.value):
                ready.value = 0
                if response := int(self._port(f"{answer}resp").value):
                    raise RegisterAccessError(f"register {offset:#x} was answered with response {response}")
                return
        raise RegisterAccessError(f"register {offset:#x} was not answered in {REGISTER_CYCLES_MAX} cycles")


class SimulationBus:
    """`ssvq.driver.Bus`; its methods block and must be called in a thread that `cocotb.task.bridge` started.

    memory : the DRAM window, shared with the simulator
    """

    def __init__(self, dut: Any, registers: Registers, memory: npt.NDArray[np.uint8], memory_base: int) -> None:
        self._irq = dut.irq
        self._registers = registers
        self._memory = memory
        self._memory_base = memory_base

    @property
    def memory_base(self) -> int:
        """Address of the DRAM window on the core's bus."""
        return self._memory_base

    @property
    def memory_bytes(self) -> int:
        """Size of the DRAM window."""
        return self._memory.size

    def read32(self, offset: int) -> int:
        """A register, by its byte offset."""
        return resume(self._registers.read)(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register, by its byte offset."""
        resume(self._registers.write)(offset, value)

    def read_memory(self, offset: int, size: int) -> npt.NDArray[np.uint8]:
        """A view of the DRAM window."""
        return self._memory[offset : offset + size]

    def write_memory(self, offset: int, data: npt.NDArray[np.uint8]) -> None:
        """Write to the DRAM window."""
        self._memory[offset : offset + data.size] = data

    def wait_for_interrupt(self, timeout_s: float) -> bool:
        """Wait for the interrupt's edge; nothing in Python runs while the core does."""
        return resume(self._wait)(timeout_s)

    async def _wait(self, timeout_s: float) -> bool:
        if not int(self._irq.value):
            await First(RisingEdge(self._irq), Timer(max(CLOCK_NS, round(timeout_s * _NS)), unit="ns"))
        return bool(int(self._irq.value))

    def elapsed(self) -> float:
        """Simulated seconds."""
        return float(get_sim_time("ns")) / _NS


async def reset(dut: Any, cycles: int = 8) -> None:
    """Hold the reset for some cycles; the clock must run."""
    dut.aresetn.value = 0
    await Timer(cycles * CLOCK_NS, unit="ns")
    await RisingEdge(dut.aclk)
    dut.aresetn.value = 1
    await RisingEdge(dut.aclk)
    cocotb.log.debug("reset released")
