"""The driver's `Bus` on Linux: registers and interrupt by UIO, the DRAM window by u-dma-buf or /dev/mem."""

from __future__ import annotations

import math
import mmap
import os
import select
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ssvq_gen.registers import AXIL_ADDR_WIDTH

from .errors import DriverError
from .interrupt_polling import POLL_SECONDS_DEFAULT, poll_interrupt

SYSFS = Path("/sys/class")
_BUFFER_CLASSES = ("u-dma-buf", "udmabuf")
"""Names under which newer and older versions of u-dma-buf tell of their buffers."""
_REGISTER_BYTES = 1 << AXIL_ADDR_WIDTH
_UNMASK = (1).to_bytes(4, sys.byteorder)
_COUNT_BYTES = 4


class UioBus:
    """Implements `Bus` for one process that may open the devices. A context manager.

    uio : the core's UIO device, such as /dev/uio0
    memory : the device of the DRAM window, such as /dev/udmabuf0, or /dev/mem
    memory_base, memory_bytes : where the core sees the window, and its size; for a u-dma-buf the kernel knows them
    interrupt : another UIO device that has the core's interrupt, if its own has none
    poll : do without the interrupt
    sysfs : where the kernel tells of the devices

    The window is opened without caching (O_SYNC), so that nothing needs to be flushed. Raises OSError for devices that
    cannot be opened or mapped, DriverError for a register map that is too small and for a window without an address.
    """

    def __init__(
        self,
        uio: Path | str,
        memory: Path | str,
        *,
        memory_base: int | None = None,
        memory_bytes: int | None = None,
        interrupt: Path | str | None = None,
        poll: bool = False,
        sysfs: Path = SYSFS,
    ) -> None:
        uio, memory = Path(uio), Path(memory)
        self._memory_base, size = _window(memory, memory_base, memory_bytes, sysfs)
        offset, length = _register_map(uio, sysfs)
        with ExitStack() as opened:
            device = _open(opened, uio, os.O_RDWR)
            self._registers = _map(device, offset + length).view(np.uint32)[offset // 4 :]
            self._interrupt = None if poll else device
            if interrupt is not None and not poll:
                self._interrupt = _open(opened, Path(interrupt), os.O_RDWR)
            physical = self._memory_base if memory.name == "mem" else 0
            window = _open(opened, memory, os.O_RDWR | os.O_SYNC)
            self._memory = _map(window, size, offset=physical)
            self._opened = opened.pop_all()

    @property
    def memory_base(self) -> int:
        """Address of the DRAM window as the core sees it."""
        return self._memory_base

    @property
    def memory_bytes(self) -> int:
        """Size of the DRAM window."""
        return self._memory.size

    def read32(self, offset: int) -> int:
        """A register, by its byte offset. Raises ValueError for an offset that is none."""
        return int(self._registers[_index(offset)])

    def write32(self, offset: int, value: int) -> None:
        """Write a register, by its byte offset. Raises ValueError for an offset that is none."""
        self._registers[_index(offset)] = value

    def read_memory(self, offset: int, size: int) -> npt.NDArray[np.uint8]:
        """A copy of a part of the DRAM window. Raises ValueError for one that is outside."""
        self._check(offset, size)
        return self._memory[offset : offset + size].copy()

    def write_memory(self, offset: int, data: npt.NDArray[np.uint8]) -> None:
        """Write uint8 (n,) to the DRAM window. Raises ValueError for a part that is outside."""
        self._check(offset, data.size)
        self._memory[offset : offset + data.size] = data

    def wait_for_interrupt(self, timeout_s: float) -> bool:
        """Wait for the interrupt, of which UIO counts one until it is unmasked again. Raises OSError without one."""
        if self._interrupt is None:
            return poll_interrupt(self.read32, timeout_s, interval_s=POLL_SECONDS_DEFAULT)
        os.write(self._interrupt, _UNMASK)
        poller = select.poll()
        poller.register(self._interrupt, select.POLLIN)
        return bool(poller.poll(math.ceil(timeout_s * 1000))) and len(os.read(self._interrupt, _COUNT_BYTES)) > 0

    def elapsed(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def close(self) -> None:
        """Unmap and close everything; the bus cannot be used any more."""
        self._registers = np.empty(0, dtype=np.uint32)
        self._memory = np.empty(0, dtype=np.uint8)
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self._memory.size:
            raise ValueError(f"{size} bytes from {offset} are outside the DRAM window of {self._memory.size} bytes")


def _index(offset: int) -> int:
    if offset % 4 or not 0 <= offset < _REGISTER_BYTES:
        raise ValueError(f"a register's offset must be a multiple of 4 below {_REGISTER_BYTES}, not {offset}")
    return offset // 4


def _open(opened: ExitStack, path: Path, flags: int) -> int:
    number = os.open(path, flags | os.O_CLOEXEC)
    opened.callback(os.close, number)
    return number


def _map(number: int, size: int, *, offset: int = 0) -> npt.NDArray[Any]:
    """A device's memory, which is mapped as long as there is an array over it."""
    return np.frombuffer(mmap.mmap(number, size, offset=offset), dtype=np.uint8)


def _register_map(uio: Path, sysfs: Path) -> tuple[int, int]:
    """Offset of the registers in the device's first map, and the bytes from there."""
    folder = sysfs / "uio" / uio.name / "maps" / "map0"
    size = _number(folder / "size")
    offset = _number(folder / "offset") if (folder / "offset").exists() else 0
    if size < _REGISTER_BYTES:
        raise DriverError(f"{uio} maps {size} bytes, the core's registers need {_REGISTER_BYTES}")
    return offset, size


def _window(memory: Path, base: int | None, size: int | None, sysfs: Path) -> tuple[int, int]:
    """Address and size of the DRAM window, as given or as the kernel knows them."""
    if base is not None and size is not None:
        return base, size
    if base is not None or size is not None:
        raise DriverError("memory_base and memory_bytes must be given together, or neither")
    for name in _BUFFER_CLASSES:
        folder = sysfs / name / memory.name
        if (folder / "phys_addr").exists():
            return _number(folder / "phys_addr"), _number(folder / "size")
    raise DriverError(f"{memory} is no u-dma-buf that the kernel knows: memory_base and memory_bytes must be given")


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"), 0)
