"""The registers through AXI4-Lite at any pace, against a model of what an idle core keeps of each write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cocotb.triggers import RisingEdge

from ssvq_gen.config import CoreConfig
from ssvq_gen.registers import (
    AXIL_ADDR_WIDTH,
    MEMORY_BASE_ALIGNMENT,
    REGISTER_BY_NAME,
    REGISTERS,
    Access,
    Register,
)

from ..simulation_bus import reset
from ..systems.host import require
from .scenario import SimulatedCore

_WORD_BYTES = 4
_ANSWER_CYCLES = 8
"""Longest that an answer takes when nobody pauses; one of these scenes pauses for less."""
_READ_CYCLES, _WRITE_CYCLES = 4, 2
"""Cycles from one read to the next, and from one write to the next, at full speed."""
_ACCESSES = 120
READABLE = [r for r in REGISTERS if r.access is not Access.W and r.name != "PROFILE_DATA"]
"""Registers that a program may know. PROFILE_DATA shows a memory, which keeps what earlier jobs have left."""
_WRITABLE = [r.offset for r in REGISTERS if r.access is Access.RW]
_MEMORY = REGISTER_BY_NAME["PROFILE_DATA"].offset


class IdleRegisters:
    """What an idle core that has run no job shows of its registers. The model knows the table and nothing else."""

    def __init__(self, config: CoreConfig) -> None:
        digests = {"DIGEST_LO": config.digest & 0xFFFF_FFFF, "DIGEST_HI": config.digest >> 32}
        self._kept = {r.offset: digests.get(r.name, r.init) for r in REGISTERS if r.access is not Access.W}
        self._masks = {r.offset: _writable(r) for r in REGISTERS if r.access is Access.RW}

    def write(self, offset: int, value: int, strobes: int) -> None:
        """A write with the bytes that `strobes` has; the address may be of any byte."""
        offset -= offset % _WORD_BYTES
        bits = sum(0xFF << 8 * byte for byte in range(_WORD_BYTES) if strobes >> byte & 1)
        if mask := self._masks.get(offset, 0) & bits:
            self._kept[offset] = self._kept[offset] & ~mask | value & mask

    def read(self, offset: int) -> int:
        """What a read gives."""
        return self._kept.get(offset - offset % _WORD_BYTES, 0)


def _writable(register: Register) -> int:
    return register.mask & -MEMORY_BASE_ALIGNMENT if register.name == "MEMORY_BASE_LO" else register.mask


class Pins:
    """The AXI4-Lite pins, moved one cycle at a time."""

    def __init__(self, dut: Any) -> None:
        self._dut, self._edge = dut, RisingEdge(dut.aclk)

    def set(self, **values: int) -> None:
        """Drive pins from now on."""
        for name, value in values.items():
            getattr(self._dut, f"s_axil_{name}").value = value

    async def sample(self, *names: str) -> list[int]:
        """Values of pins at the next edge of the clock."""
        await self._edge
        return [int(getattr(self._dut, f"s_axil_{name}").value) for name in names]

    async def idle(self, cycles: int) -> None:
        """Let time pass."""
        for _ in range(cycles):
            await self._edge

    async def send(self, channel: str, wait: int, **payload: int) -> None:
        """Offer a payload after some cycles until it is taken."""
        await self.idle(wait)
        self.set(**payload, **{f"{channel}valid": 1})
        for _ in range(_ANSWER_CYCLES):
            (ready,) = await self.sample(f"{channel}ready")
            if ready:
                self.set(**{f"{channel}valid": 0})
                return
        require(False, f"{channel} was not taken in {_ANSWER_CYCLES} cycles")

    async def take(self, channel: str, wait: int, *payload: str) -> list[int]:
        """Wait for an answer, let it stand for some cycles, and take it; it must not change meanwhile."""
        for _ in range(_ANSWER_CYCLES):
            valid, *first = await self.sample(f"{channel}valid", *payload)
            if valid:
                break
        else:
            require(False, f"{channel} has no answer after {_ANSWER_CYCLES} cycles")
        await self.idle(wait)
        self.set(**{f"{channel}ready": 1})
        valid, *found = await self.sample(f"{channel}valid", *payload)
        self.set(**{f"{channel}ready": 0})
        require(valid and found == first, f"the answer on {channel} has changed from {first} to {found}")
        (again,) = await self.sample(f"{channel}valid")
        require(not again, f"there is a second answer on {channel}")
        return found

    async def read(self, offset: int, pauses: Sequence[int] = (0, 0)) -> int:
        """A register."""
        await self.send("ar", pauses[0], araddr=offset)
        response, value = await self.take("r", pauses[1], "rresp", "rdata")
        require(response == 0, f"reading {offset:#x} is answered with {response}")
        return value

    async def write(self, offset: int, value: int, strobes: int, order: int, pauses: Sequence[int] = (0, 0)) -> None:
        """Write bytes of a register: address and data together, or one before the other."""
        address = {"awaddr": offset}
        data = {"wdata": value, "wstrb": strobes}
        if order == 0:
            self.set(**data, wvalid=1)
            await self.send("aw", 0, **address)
            self.set(wvalid=0)
        elif order == 1:
            await self.send("aw", pauses[0], **address)
            await self.send("w", pauses[1], **data)
        else:
            await self.send("w", pauses[0], **data)
            await self.send("aw", pauses[1], **address)
        (response,) = await self.take("b", pauses[1], "bresp")
        require(response == 0, f"writing {offset:#x} is answered with {response}")


async def _check_all(pins: Pins, model: IdleRegisters, offsets: Sequence[int]) -> None:
    for offset in offsets:
        found, expected = await pins.read(offset), model.read(offset)
        require(found == expected, f"register {offset:#x} is {found:#x}, not {expected:#x}")


async def after_reset(core: SimulatedCore) -> None:
    """Every register is as in the table after reset, whatever was in it before; no other offset shows anything."""
    pins = Pins(core.dut)
    rng = np.random.default_rng(1)
    for offset in _WRITABLE:
        await pins.write(offset, 0xFFFF_FFFF, 0xF, 0)
    await reset(core.dut)
    offsets = [register.offset for register in READABLE]
    others = {int(n) * _WORD_BYTES for n in rng.integers(0, 1 << (AXIL_ADDR_WIDTH - 2), 30)} - {_MEMORY}
    beyond = [offset | 1 << bit for offset in offsets[:6] for bit in range(8, AXIL_ADDR_WIDTH)]
    await _check_all(pins, IdleRegisters(core.config), [*offsets, *sorted(others), *beyond])


async def at_any_pace(core: SimulatedCore) -> None:
    """Reads and writes of any bytes at any address, with pauses on every channel and both orders of a write."""
    await reset(core.dut)
    pins, model, rng = Pins(core.dut), IdleRegisters(core.config), np.random.default_rng(2)
    offsets = [register.offset for register in READABLE]
    for _ in range(_ACCESSES):
        pauses = [int(n) for n in rng.integers(0, 3, 2)]
        offset = int(rng.choice(_WRITABLE if rng.random() < 0.8 else offsets)) + int(rng.integers(0, 4))
        value, strobes = int(rng.integers(0, 1 << 32)), int(rng.choice((0xF, int(rng.integers(0, 16)))))
        await pins.write(offset, value, strobes, int(rng.integers(0, 3)), pauses)
        model.write(offset, value, strobes)
        found, expected = await pins.read(offset, pauses), model.read(offset)
        require(found == expected, f"register {offset:#x} is {found:#x}, not {expected:#x}")
    await _check_all(pins, model, offsets)


async def at_full_speed(core: SimulatedCore) -> None:
    """With nobody waiting, a write every 2 cycles and a read every 4, beside each other and all of them right."""
    await reset(core.dut)
    pins, model = Pins(core.dut), IdleRegisters(core.config)
    rng = np.random.default_rng(3)
    writes = [(offset, int(rng.integers(0, 1 << 32))) for offset in _WRITABLE]
    reads = [REGISTER_BY_NAME[name].offset for name in ("ID", "VERSION", "DIGEST_LO", "DIGEST_HI", "STATUS")]
    cycles, written, answered, asked, got = 0, 0, 0, 0, 0
    pins.set(bready=1, rready=1, wstrb=0xF)
    while answered < len(writes) or got < len(reads):
        more_writes, more_reads = written < len(writes), asked < len(reads)
        offset, value = writes[written] if more_writes else (0, 0)
        pins.set(awvalid=more_writes, wvalid=more_writes, awaddr=offset, wdata=value)
        pins.set(arvalid=more_reads, araddr=reads[asked] if more_reads else 0)
        aw, w, b, ar, r, data = await pins.sample("awready", "wready", "bvalid", "arready", "rvalid", "rdata")
        cycles += 1
        require(aw == w, "only one part of a write is taken")
        if more_writes and aw:
            model.write(offset, value, 0xF)
        if r:
            require(data == model.read(reads[got]), f"register {reads[got]:#x} is {data:#x} beside writes")
        written, answered = written + (more_writes and aw), answered + b
        asked, got = asked + (more_reads and ar), got + r
        most = max(_WRITE_CYCLES * len(writes), _READ_CYCLES * len(reads)) + _ANSWER_CYCLES
        require(cycles <= most, f"{answered} writes and {got} reads take more than {most} cycles")
    pins.set(bready=0, rready=0, awvalid=0, wvalid=0, arvalid=0)
    await _check_all(pins, model, [offset for offset, _ in writes])


REGISTER_SCENES = (after_reset, at_any_pace, at_full_speed)
