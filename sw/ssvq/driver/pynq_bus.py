"""The driver's `Bus` on PYNQ: registers by the overlay's IP object, the DRAM window by `pynq.allocate`."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .interrupt_polling import POLL_SECONDS_DEFAULT, poll_interrupt


class RegisterAccess(Protocol):
    """What is used of `pynq.DefaultIP` and of `pynq.MMIO`."""

    def read(self, offset: int) -> int:
        """A register, by its byte offset."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Write a register, by its byte offset."""
        ...


class PynqBus:
    """Implements `Bus` with PYNQ's objects; the package `pynq` is imported when no buffer is given.

    ip : the core in an overlay, `overlay.ssvq_core_0`, or a `pynq.MMIO` of its registers
    memory_bytes : size of the DRAM window, at least the `memory_bytes` of the programs
    buffer : a buffer of `pynq.allocate` for the window, uint8 (n,), in place of a new one

    The interrupt is not used: PYNQ's belong to an event loop, which a notebook already runs. The driver polls.
    Raises ImportError without PYNQ, ValueError for a buffer of another kind.
    """

    def __init__(
        self,
        ip: RegisterAccess,
        *,
        memory_bytes: int | None = None,
        buffer: Any = None,
        poll_seconds: float = POLL_SECONDS_DEFAULT,
    ) -> None:
        if (memory_bytes is None) == (buffer is None):
            raise ValueError("exactly one of memory_bytes and buffer must be given")
        if buffer is None:
            from pynq import allocate

            buffer = allocate(shape=(memory_bytes,), dtype=np.uint8)
        if buffer.dtype != np.uint8 or buffer.ndim != 1:
            raise ValueError(f"buffer must be a vector of uint8, not {buffer.dtype} of shape {buffer.shape}")
        self._ip = ip
        self._buffer = buffer
        self._poll_seconds = poll_seconds

    @property
    def memory_base(self) -> int:
        """Address of the DRAM window as the core sees it."""
        return int(self._buffer.device_address)

    @property
    def memory_bytes(self) -> int:
        """Size of the DRAM window."""
        return int(self._buffer.size)

    def read32(self, offset: int) -> int:
        """A register, by its byte offset."""
        return int(self._ip.read(offset))

    def write32(self, offset: int, value: int) -> None:
        """Write a register, by its byte offset."""
        self._ip.write(offset, int(value))

    def read_memory(self, offset: int, size: int) -> npt.NDArray[np.uint8]:
        """A copy of a part of the DRAM window. Raises ValueError for one that is outside."""
        part = self._part(offset, size)
        part.invalidate()
        return np.array(part, dtype=np.uint8, subok=False)

    def write_memory(self, offset: int, data: npt.NDArray[np.uint8]) -> None:
        """Write uint8 (n,) to the DRAM window. Raises ValueError for a part that is outside."""
        part = self._part(offset, data.size)
        part[:] = data
        part.flush()

    def wait_for_interrupt(self, timeout_s: float) -> bool:
        """Poll the events that raise the interrupt."""
        return poll_interrupt(self.read32, timeout_s, interval_s=self._poll_seconds)

    def elapsed(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def _part(self, offset: int, size: int) -> Any:
        if offset < 0 or size < 0 or offset + size > self._buffer.size:
            raise ValueError(f"{size} bytes from {offset} are outside the DRAM window of {self._buffer.size} bytes")
        return self._buffer[offset : offset + size]
