"""The first job after reset, of which the first cycle is before the engines' own reset."""

from __future__ import annotations

from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import COUNTERS, REGISTER_BY_NAME, TRAFFIC_COUNTERS

from ..simulation_bus import reset
from ..systems.host import require
from .scenario import SimulatedCore


async def first_job(core: SimulatedCore) -> None:
    """A job without descriptors ends in its first cycle, in which nothing is in any engine."""
    await reset(core.dut)

    async def require_register(name: str, expected: int) -> None:
        found = await core.registers.read(REGISTER_BY_NAME[name].offset)
        require(found == expected, f"{name} is {found:#x}, not {expected:#x}")

    control = REGISTER_BY_NAME["CONTROL"]
    await core.registers.write(REGISTER_BY_NAME["DESCRIPTOR_COUNT"].offset, 0)
    await core.registers.write(control.offset, control.bit("START"))
    await require_register("ERROR_CODE", ErrorCode.BAD_DESCRIPTOR)
    for name, _ in (*COUNTERS, *TRAFFIC_COUNTERS):
        await require_register(name, name in ("TOTAL_CYCLES", "WAIT_DESCRIPTOR_CYCLES"))
    await core.registers.write(control.offset, control.bit("CLEAR"))
    await require_register("STATUS", 0)
