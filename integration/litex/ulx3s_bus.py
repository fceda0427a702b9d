"""The driver's bus to the core of `ecp5_soc.py` on a ULX3S board.

    ssvq run net.ssvqnet --backend device --bus file:integration/litex/ulx3s_bus.py:open_bus

The serial port is /dev/ttyUSB0, or what the environment variable SSVQ_PORT names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import serial
from litex_bus import LitexBus, Uartbone
from ulx3s_map import BAUD, RAM, REGISTERS, WINDOW_BYTES

_PORT = "/dev/ttyUSB0"
_SILENT_SECONDS = 2.0
"""The bridge answers at once; a board without the gateware never does."""


@contextmanager
def open_bus() -> Iterator[LitexBus]:
    """The bus, open within. Raises OSError for a port that cannot be opened."""
    with serial.Serial(os.environ.get("SSVQ_PORT", _PORT), BAUD, timeout=_SILENT_SECONDS) as port:
        yield LitexBus(Uartbone(port), registers=REGISTERS, memory_base=RAM, memory_bytes=WINDOW_BYTES)
