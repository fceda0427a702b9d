"""What the driver needs of the machine: register access, the DRAM window, the interrupt, and a clock."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt


class Bus(Protocol):
    """One core's registers and its DRAM window. Blocking; a failed access raises, as the implementation defines.

    Times are seconds of the bus's own clock: wall-clock seconds on hardware, simulated seconds in a simulation, so
    that a time-out does not depend on how fast the simulator runs.
    """

    @property
    def memory_base(self) -> int:
        """Address of the DRAM window as the core sees it, a multiple of 4096."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Size of the DRAM window."""
        ...

    def read32(self, offset: int) -> int:
        """A register, by its byte offset."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write a register, by its byte offset."""
        ...

    def read_memory(self, offset: int, size: int) -> npt.NDArray[np.uint8] | bytes:
        """`size` bytes of the DRAM window from byte `offset`, contiguous; a view or a copy."""
        ...

    def write_memory(self, offset: int, data: npt.NDArray[np.uint8]) -> None:
        """Write uint8 (n,) to the DRAM window at byte `offset`; visible to the core when the call returns."""
        ...

    def wait_for_interrupt(self, timeout_s: float) -> bool:
        """Wait until the core's interrupt is raised; False when that took `timeout_s` of `elapsed` time."""
        ...

    def elapsed(self) -> float:
        """Seconds of the bus's clock since some fixed moment; advances while registers are read."""
        ...
