"""What Linux shows of a core, as files: a UIO device, a u-dma-buf, sysfs; and behind them the fake core.

A thread gives the mapped registers their meaning. It only sees what was written last to a register, so it acts on
CONTROL by the state: START while idle, CLEAR when a job has ended, ABORT while one runs. That is all a driver writes.
The interrupt is a terminal, the only file that can be opened by name and answers on another: as with UIO, a number is
written to it to unmask the interrupt, and one is read when it comes.
"""

from __future__ import annotations

import mmap
import os
import select
import threading
import tty
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from fake_device import FakeBus

from ssvq_gen.config import CoreConfig
from ssvq_gen.registers import REGISTER_BY_NAME, REGISTERS, Access

REGISTER_BYTES = 0x1000
MEMORY_BASE = 0x3_0000_0000
_INDEX = {r.name: r.offset // 4 for r in REGISTERS}
_STATUS, _CONTROL = REGISTER_BY_NAME["STATUS"], REGISTER_BY_NAME["CONTROL"]
_SEEN = 1 << 31
"""Bit of IRQ_STATUS, which has none there, that is gone when a driver has written the register."""
_STEP_SECONDS = 0.0005


class LinuxMachine:
    """The files are in `folder`; a context manager. `bus` is the fake core, with its faults.

    offset : where the registers begin in the device's map
    """

    def __init__(self, config: CoreConfig, folder: Path, *, memory_bytes: int, offset: int = 0) -> None:
        self.folder = folder
        self.uio, self.memory, self.sysfs = folder / "uio0", folder / "udmabuf0", folder / "sys"
        self.unmasked = 0
        self.interrupts = 0
        self.uio.write_bytes(bytes(offset + REGISTER_BYTES))
        self.memory.write_bytes(bytes(memory_bytes))
        self._tell("uio/uio0/maps/map0", size=f"{REGISTER_BYTES:#x}", offset=f"{offset:#x}")
        self._tell("u-dma-buf/udmabuf0", phys_addr=f"{MEMORY_BASE:#x}", size=str(memory_bytes))
        self.bus = FakeBus(config)
        self.bus.memory = np.memmap(self.memory, dtype=np.uint8, mode="r+")
        self._words = np.memmap(self.uio, dtype=np.uint32, mode="r+", offset=offset // mmap.PAGESIZE * mmap.PAGESIZE)
        self._words = self._words[offset % mmap.PAGESIZE // 4 :]
        self._terminal, self._other_end = os.openpty()
        tty.setraw(self._terminal)
        self.interrupt = Path(os.ttyname(self._other_end))
        self._masked = True
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._show()

    def _tell(self, name: str, **values: str) -> None:
        path = self.sysfs / name
        path.mkdir(parents=True)
        for attribute, value in values.items():
            (path / attribute).write_text(f"{value}\n")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        os.close(self._terminal)
        os.close(self._other_end)

    def _run(self) -> None:
        while not self._ends.wait(_STEP_SECONDS):
            self._obey(int(self._words[_INDEX["CONTROL"]]))
            self._show()
            self._interrupt()

    def _obey(self, command: int) -> None:
        bus = self.bus
        # CONTROL was read before these: a driver writes them first.
        if not int(self._words[_INDEX["IRQ_STATUS"]]) & _SEEN:
            bus.write32(REGISTER_BY_NAME["IRQ_STATUS"].offset, int(self._words[_INDEX["IRQ_STATUS"]]))
        for register in REGISTERS:
            if register.access is Access.RW:
                bus.write32(register.offset, int(self._words[_INDEX[register.name]]))
        status = bus.registers["STATUS"]
        wanted = "START" if not status else "ABORT" if status & _STATUS.bit("BUSY") else "CLEAR"
        if command & _CONTROL.bit(wanted):
            bus.write32(_CONTROL.offset, command)
            if wanted == "START":
                bus.wait_for_interrupt(0)

    def _show(self) -> None:
        for register in REGISTERS:
            if register.access is Access.R and register is not _STATUS:
                self._words[_INDEX[register.name]] = self.bus.registers[register.name]
        self._words[_INDEX["IRQ_STATUS"]] = self.bus.registers["IRQ_STATUS"] | _SEEN
        self._words[_INDEX["STATUS"]] = self.bus.read32(_STATUS.offset)

    def _interrupt(self) -> None:
        if select.select([self._terminal], [], [], 0)[0]:
            assert os.read(self._terminal, 4) == (1).to_bytes(4, "little")
            self._masked = False
            self.unmasked += 1
        if not self._masked and self.bus.registers["IRQ_STATUS"] & self.bus.registers["IRQ_ENABLE"]:
            self._masked = True
            self.interrupts += 1
            os.write(self._terminal, self.interrupts.to_bytes(4, "little"))
