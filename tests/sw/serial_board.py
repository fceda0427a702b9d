"""A board at a serial port: LiteX's bridge in front of a fake core and its DRAM, in a thread."""

from __future__ import annotations

import os
import threading
import tty
from types import TracebackType
from typing import Self

import numpy as np
from fake_device import FakeBus
from ulx3s_map import RAM, REGISTERS

from ssvq_gen.config import CoreConfig
from ssvq_gen.registers import AXIL_ADDR_WIDTH

_READ, _HEAD = 2, 6


class SerialBoard:
    """A context manager; `port` is what a driver opens."""

    def __init__(self, config: CoreConfig) -> None:
        self.bus = FakeBus(config)
        self.bus.memory_base = RAM
        self._end, self._other_end = os.openpty()
        tty.setraw(self._end)
        self.port = os.ttyname(self._other_end)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._other_end, bytes(_HEAD))  # no command: the thread ends
        self._thread.join()
        os.close(self._end)
        os.close(self._other_end)

    def _serve(self) -> None:
        while (head := self._bytes(_HEAD))[0]:
            count, address = head[1], 4 * int.from_bytes(head[2:], "big")
            places = [address + 4 * index for index in range(count)]
            if head[0] == _READ:
                os.write(self._end, b"".join(self._word(place).to_bytes(4, "big") for place in places))
                continue
            data = self._bytes(4 * count)
            for index, place in enumerate(places):
                self._set_word(place, int.from_bytes(data[4 * index : 4 * index + 4], "big"))

    def _bytes(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += os.read(self._end, count - len(data))
        return data

    def _word(self, address: int) -> int:
        if address < REGISTERS:
            return int(self.bus.read_memory(address - RAM, 4).view("<u4")[0])
        assert address - REGISTERS < 1 << AXIL_ADDR_WIDTH
        value = self.bus.read32(address - REGISTERS)
        # The fake core works while its host waits for the interrupt, and nobody does behind a bridge.
        self.bus.wait_for_interrupt(1e-6)
        return value

    def _set_word(self, address: int, value: int) -> None:
        if address < REGISTERS:
            self.bus.write_memory(address - RAM, np.frombuffer(value.to_bytes(4, "little"), dtype=np.uint8))
        else:
            self.bus.write32(address - REGISTERS, value)
