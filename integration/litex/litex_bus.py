"""The driver's bus to a core in a LiteX SoC, through LiteX's UART bridge or its server.

from litex_bus import LitexBus, Uartbone
device = ssvq.driver.Device(LitexBus(Uartbone(serial.Serial("/dev/ttyUSB0", 115200)), ...), config)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ssvq_gen.registers import REGISTER_BY_NAME

_WRITE, _READ = 0x01, 0x02
"""Commands of LiteX's bridge, with addresses that count up."""
_WORDS_MAX = 255
_POLL_SECONDS = 0.001


class ByteStream(Protocol):
    """A serial port, such as pyserial's `Serial`. Both calls block."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""
        ...

    def read(self, size: int, /) -> bytes:
        """Receive `size` bytes, fewer when that takes too long."""
        ...


class Client(Protocol):
    """Words of a SoC's memory: `Uartbone`, or LiteX's `RemoteClient`."""

    def read(self, address: int, length: int, /) -> Sequence[int]:
        """`length` words from a byte address on."""
        ...

    def write(self, address: int, words: list[int], /) -> None:
        """Write words from a byte address on."""
        ...


class BridgeError(RuntimeError):
    """The bridge did not answer."""


class Uartbone:
    """LiteX's UART bridge: reads and writes of 32-bit words over a byte stream."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def read(self, address: int, length: int) -> list[int]:
        """`length` words from a byte address on. Raises BridgeError when fewer come than were asked for."""
        words: list[int] = []
        while len(words) < length:
            start, count = address + 4 * len(words), min(length - len(words), _WORDS_MAX)
            self._stream.write(_head(_READ, start, count))
            data = self._stream.read(4 * count)
            if len(data) != 4 * count:
                raise BridgeError(f"{len(data)} bytes came from address {start:#x} in place of {4 * count}")
            words += [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]
        return words

    def write(self, address: int, words: list[int]) -> None:
        """Write words from a byte address on."""
        for at in range(0, len(words), _WORDS_MAX):
            part = words[at : at + _WORDS_MAX]
            data = b"".join(word.to_bytes(4, "big") for word in part)
            self._stream.write(_head(_WRITE, address + 4 * at, len(part)) + data)


def _head(command: int, address: int, count: int) -> bytes:
    if address % 4:
        raise ValueError(f"an address must be a multiple of 4, not {address:#x}")
    return bytes([command, count]) + (address // 4).to_bytes(4, "big")


class LitexBus:
    """`ssvq.driver.Bus` of a core in a LiteX SoC.

    client : what reaches the SoC's bus
    registers : address of the core's registers
    memory_base : address of the DRAM window, a multiple of 4096
    memory_bytes : its size
    clock : seconds, by which the driver's time-outs count; the host's unless the SoC is simulated
    """

    def __init__(
        self,
        client: Client,
        *,
        registers: int,
        memory_base: int,
        memory_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._registers = registers
        self._memory_base = memory_base
        self._memory_bytes = memory_bytes
        self._clock = clock

    @property
    def memory_base(self) -> int:
        """Address of the DRAM window, the same for the core and the bridge."""
        return self._memory_base

    def read32(self, offset: int) -> int:
        """A register, by its byte offset."""
        return self._client.read(self._registers + offset, 1)[0]

    def write32(self, offset: int, value: int) -> None:
        """Write a register, by its byte offset."""
        self._client.write(self._registers + offset, [value])

    @property
    def memory_bytes(self) -> int:
        """Size of the DRAM window."""
        return self._memory_bytes

    def read_memory(self, offset: int, size: int) -> bytes:
        """A copy of a part of the DRAM window."""
        first = offset - offset % 4
        words = self._client.read(self._memory_base + first, -(-(offset + size - first) // 4))
        data = np.asarray(words, dtype="<u4").tobytes()
        return data[offset - first : offset - first + size]

    def write_memory(self, offset: int, data: npt.NDArray[np.uint8]) -> None:
        """Write to the DRAM window; bytes around it in its first and last word stay as they are."""
        if not data.size:
            return
        first, end = offset - offset % 4, offset + data.size
        last = end + -end % 4
        padded = self.read_memory(first, offset - first) + data.tobytes()
        if end != last:
            padded += self.read_memory(end, last - end)
        words = np.frombuffer(padded, dtype="<u4")
        self._client.write(self._memory_base + first, [int(word) for word in words])

    def wait_for_interrupt(self, timeout_s: float) -> bool:
        """Look for an enabled event again and again: the interrupt itself does not come through the bridge."""
        deadline = self.elapsed() + timeout_s
        while True:
            pending = self._read("IRQ_STATUS") & self._read("IRQ_ENABLE")
            if pending or self.elapsed() >= deadline:
                return pending != 0
            time.sleep(_POLL_SECONDS)

    def _read(self, name: str) -> int:
        return self.read32(REGISTER_BY_NAME[name].offset)

    def elapsed(self) -> float:
        """Seconds of the clock that was given."""
        return self._clock()
