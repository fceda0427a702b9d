"""The slow bench for a simulator with unknown values: all registers are read before the first job."""

from __future__ import annotations

from typing import Any

import cocotb

from ssvq_gen.config import CoreConfig

from ..cocotbext_bench import serve
from ..scenarios.register_scenes import READABLE, IdleRegisters
from ..simulation_bus import Registers
from ..systems.host import require


@cocotb.test()
async def run_jobs(dut: Any) -> None:
    """Read the registers, and run the jobs one after the other."""
    await serve(dut, after_reset=read_all)


async def read_all(config: CoreConfig, registers: Registers) -> None:
    """Read what a program may know; raises SceneFailed when a register has not the value that it has after a reset."""
    idle = IdleRegisters(config)
    for register in READABLE:
        value, expected = await registers.read(register.offset), idle.read(register.offset)
        require(value == expected, f"after the reset {register.name} is {value:#x}, not {expected:#x}")
