"""The driver's bus over LiteX's bridge, against a model of the bridge."""

import numpy as np
import pytest
from litex_bus import BridgeError, LitexBus, Uartbone

from ssvq_gen.registers import REGISTER_BY_NAME

REGISTERS, MEMORY = 0x3000_0000, 0x4000_0000


class Bridge:
    """Words by address, reached with the bytes of LiteX's bridge; `lost` bytes of the next answer do not come."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.commands: list[tuple[int, int, int]] = []
        self.lost = 0
        self._answer = b""

    def write(self, data: bytes) -> int:
        command, count, address = data[0], data[1], 4 * int.from_bytes(data[2:6], "big")
        self.commands.append((command, count, address))
        if command == 1:
            assert len(data) == 6 + 4 * count
            for index in range(count):
                self.words[address + 4 * index] = int.from_bytes(data[6 + 4 * index : 10 + 4 * index], "big")
        else:
            assert (command, len(data)) == (2, 6)
            words = (self.words.get(address + 4 * index, 0) for index in range(count))
            self._answer += b"".join(word.to_bytes(4, "big") for word in words)
        return len(data)

    def read(self, size: int) -> bytes:
        data, self._answer = self._answer[: size - self.lost], self._answer[size:]
        return data


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


@pytest.fixture
def bus(bridge: Bridge) -> LitexBus:
    return LitexBus(Uartbone(bridge), registers=REGISTERS, memory_base=MEMORY, memory_bytes=1 << 16)


def test_registers(bus: LitexBus, bridge: Bridge) -> None:
    bus.write32(0x2C, 0x1234_5678)
    assert bridge.words == {REGISTERS + 0x2C: 0x1234_5678}
    assert bus.read32(0x2C) == 0x1234_5678
    assert (bus.memory_base, bus.memory_bytes) == (MEMORY, 1 << 16)


@pytest.mark.parametrize(("offset", "size"), [(0, 8), (0, 4096), (1, 2), (3, 6), (2, 1022), (4, 1), (7, 1)])
def test_memory_is_little_endian_and_what_is_around_stays(bus: LitexBus, offset: int, size: int) -> None:
    window = np.arange(4200, dtype=np.int64).astype(np.uint8)
    bus.write_memory(0, window)
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    bus.write_memory(offset, data)
    window[offset : offset + size] = data
    assert bus.read_memory(0, window.size) == window.tobytes()
    assert bus.read_memory(offset, size) == data.tobytes()


def test_word_order(bus: LitexBus, bridge: Bridge) -> None:
    bus.write_memory(0, np.array([1, 2, 3, 4], dtype=np.uint8))
    assert bridge.words == {MEMORY: 0x0403_0201}
    bus.write_memory(8, np.array([], dtype=np.uint8))
    assert len(bridge.commands) == 1


def test_long_transfers_are_cut(bridge: Bridge) -> None:
    words = list(range(600))
    Uartbone(bridge).write(0x100, words)
    assert Uartbone(bridge).read(0x100, 600) == words
    assert [count for _, count, _ in bridge.commands] == [255, 255, 90] * 2


def test_missing_answers_and_bad_addresses_are_named(bridge: Bridge) -> None:
    bridge.lost = 1
    with pytest.raises(BridgeError, match=r"^7 bytes came from address 0x100 in place of 8$"):
        Uartbone(bridge).read(0x100, 2)
    with pytest.raises(ValueError, match=r"^an address must be a multiple of 4, not 0x102$"):
        Uartbone(bridge).write(0x102, [1])


def test_interrupt_is_an_enabled_event(bus: LitexBus) -> None:
    status, enable = (REGISTER_BY_NAME[name].offset for name in ("IRQ_STATUS", "IRQ_ENABLE"))
    bus.write32(status, 2)
    bus.write32(enable, 1)
    before = bus.elapsed()
    assert not bus.wait_for_interrupt(0.01)
    assert bus.elapsed() - before >= 0.01
    bus.write32(enable, 3)
    assert bus.wait_for_interrupt(10.0)


def test_clock_that_is_given(bridge: Bridge) -> None:
    ticks = iter(range(100))
    bus = LitexBus(
        Uartbone(bridge), registers=REGISTERS, memory_base=MEMORY, memory_bytes=1 << 16, clock=lambda: next(ticks)
    )
    assert bus.elapsed() == 0
    assert not bus.wait_for_interrupt(50.0)
    assert bus.elapsed() >= 50
