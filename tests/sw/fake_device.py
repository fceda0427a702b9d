"""A bus with a fake core: the registers' semantics, the functional model as the engine, and faults to order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, ErrorCode, Opcode, unpack_descriptor
from ssvq_gen.profile import PROFILE_STORED, PROFILE_TIMES, profile_addr
from ssvq_gen.registers import COUNTERS, REGISTER_BY_NAME, REGISTERS, Access
from ssvq_sim.systems.core_model import CoreFault, CoreModel

_CONTROL, _STATUS = REGISTER_BY_NAME["CONTROL"], REGISTER_BY_NAME["STATUS"]
_EVENTS = REGISTER_BY_NAME["IRQ_STATUS"]
_WRITABLE_WHILE_BUSY = ("CONTROL", "IRQ_ENABLE", "IRQ_STATUS")
_BY_OFFSET = {r.offset: r for r in REGISTERS}
UNWRITTEN = 0xDEAD_BEEF
"""What the profile's memory holds where nothing was recorded."""


@dataclass
class Faults:
    """What goes wrong.

    hangs : a job never ends by itself
    drain_reads : reads of STATUS for which DRAINING stays set after an error or abort
    fails : the job ends with this error instead of running
    spurious_interrupts : interrupts without an event, before the real one
    lost_cycles : cycles that are in the total but in no class
    profile : words of the profile that are something else, by PROFILE_ADDR
    """

    hangs: bool = False
    drain_reads: int = 0
    fails: CoreFault | None = None
    spurious_interrupts: int = 0
    lost_cycles: int = 0
    profile: dict[int, int] = field(default_factory=dict)


class FakeBus:
    """Implements `ssvq.driver.Bus`; time advances by `access_seconds` with every access. A job ends while waiting."""

    def __init__(self, config: CoreConfig, *, memory_bytes: int = 1 << 20) -> None:
        self.memory = np.zeros(memory_bytes, dtype=np.uint8)
        self.memory_base = 0x1_4000_0000
        self.faults = Faults()
        self.time = 0.0
        self.access_seconds = 1e-6
        self.model = CoreModel(config)
        self.registers = {r.name: r.init for r in REGISTERS}
        self.registers["DIGEST_LO"] = config.digest & 0xFFFF_FFFF
        self.registers["DIGEST_HI"] = config.digest >> 32
        self.profile: dict[int, int] = {}
        self._draining = 0

    @property
    def memory_bytes(self) -> int:
        return self.memory.size

    def elapsed(self) -> float:
        return self.time

    def read_memory(self, offset: int, size: int) -> npt.NDArray[np.uint8]:
        self._check_window(offset, size)
        return self.memory[offset : offset + size]

    def write_memory(self, offset: int, data: npt.NDArray[np.uint8]) -> None:
        self._check_window(offset, data.size)
        self.memory[offset : offset + data.size] = data

    def _check_window(self, offset: int, size: int) -> None:
        if offset < 0 or offset + size > self.memory.size:
            raise ValueError(f"{size} bytes at {offset} are outside the DRAM window")

    def read32(self, offset: int) -> int:
        self.time += self.access_seconds
        register = _BY_OFFSET[offset]
        if register is _STATUS and self._draining:
            self._draining -= 1
            if not self._draining:
                self._set_status("ERROR")
        if register.name == "PROFILE_DATA":
            words = self.profile | self.faults.profile
            return words.get(self.registers["PROFILE_ADDR"], UNWRITTEN)
        return 0 if register.access is Access.W else self.registers[register.name]

    def write32(self, offset: int, value: int) -> None:
        self.time += self.access_seconds
        if not 0 <= value < 1 << 32:
            raise ValueError(f"{value} is no 32-bit value")
        register = _BY_OFFSET[offset]
        if register.access is Access.R or (self._is("BUSY", "DRAINING") and register.name not in _WRITABLE_WHILE_BUSY):
            return
        if register is _CONTROL:
            self._control(value)
        elif register.access is Access.RW1C:
            self.registers[register.name] &= ~value
        else:
            self.registers[register.name] = value & register.mask

    def wait_for_interrupt(self, timeout_s: float) -> bool:
        if self.faults.spurious_interrupts:
            self.faults.spurious_interrupts -= 1
            self.time += self.access_seconds
            return True
        if self._is("BUSY") and not self.faults.hangs:
            self._execute()
        raised = bool(self.registers["IRQ_STATUS"] & self.registers["IRQ_ENABLE"])
        self.time += self.access_seconds if raised else timeout_s
        return raised

    def _is(self, *names: str) -> bool:
        return any(self.registers["STATUS"] & _STATUS.bit(name) for name in names)

    def _set_status(self, *names: str) -> None:
        self.registers["STATUS"] = sum(_STATUS.bit(name) for name in names)

    def _control(self, value: int) -> None:
        if value & _CONTROL.bit("START") and not self.registers["STATUS"]:
            for name in ("DESCRIPTORS_DONE", *(name for name, _ in COUNTERS)):
                self.registers[name] = 0
            self._set_status("BUSY")
        elif value & _CONTROL.bit("ABORT") and self._is("BUSY"):
            self._fail(CoreFault(ErrorCode.ABORTED, 0))
        elif value & _CONTROL.bit("CLEAR") and not self._is("BUSY", "DRAINING"):
            self._set_status()
            for name in ("ERROR_CODE", "ERROR_DESCRIPTOR", "ERROR_ADDR_LO", "ERROR_ADDR_HI"):
                self.registers[name] = 0

    def _execute(self) -> None:
        r = self.registers
        try:
            if self.faults.fails is not None:
                raise self.faults.fails
            self.model.run(self.memory[: r["MEMORY_SIZE"]], r["DESCRIPTOR_OFFSET"], r["DESCRIPTOR_COUNT"])
        except CoreFault as fault:
            self._fail(fault)
            return
        r["DESCRIPTORS_DONE"] = r["DESCRIPTOR_COUNT"]
        r["TOTAL_CYCLES"], r["ARRAY_CYCLES"], r["LOAD_CYCLES"] = 100 + self.faults.lost_cycles, 70, 30
        self._record(r["DESCRIPTOR_OFFSET"], r["DESCRIPTOR_COUNT"])
        self._set_status("DONE")
        r["IRQ_STATUS"] |= _EVENTS.bit("DONE")

    def _record(self, offset: int, count: int) -> None:
        """Spread the descriptors evenly over 90 cycles: each takes its share twice, half of it beside the next one."""
        self.profile.clear()
        for index in range(min(count, self.model.config.profile_depth)):
            start = offset + index * DESCRIPTOR_BYTES
            opcode = unpack_descriptor(self.memory[start : start + DESCRIPTOR_BYTES].tobytes())["opcode"]
            at = [90 * (index + part) // count for part in (0, 0.5, 0.5, 1, 1, 1.5)]
            words = dict(zip((name for name, _ in PROFILE_TIMES), map(int, at), strict=True))
            if opcode in (Opcode.MATMUL, Opcode.PRODUCT):
                array = 7 * words["COMPUTE_END"] // 10
                words |= dict.fromkeys(PROFILE_STORED, 0)
                words |= {"ARRAY_CYCLES": array, "LOAD_CYCLES": words["COMPUTE_END"] - array}
                self.profile |= {profile_addr(index, name): word for name, word in words.items()}
            else:
                self.profile |= {profile_addr(index, name): words[name] for name in ("BEGIN", "END")}

    def _fail(self, fault: CoreFault) -> None:
        r = self.registers
        r["ERROR_CODE"], r["ERROR_DESCRIPTOR"] = int(fault.code), fault.descriptor
        r["ERROR_ADDR_LO"], r["ERROR_ADDR_HI"] = fault.address & 0xFFFF_FFFF, fault.address >> 32
        r["IRQ_STATUS"] |= _EVENTS.bit("ERROR")
        self._draining = self.faults.drain_reads
        self._set_status("ERROR", *(["DRAINING"] if self._draining else []))
