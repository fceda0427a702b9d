"""`PynqBus` on stand-ins of PYNQ's objects: the fake core's registers, and a buffer behind a cache."""

from __future__ import annotations

import builtins
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from driver_programs import CONFIG, INPUTS, LAYERS, PROGRAM
from fake_device import FakeBus, Faults

from ssvq.driver import AxiReadError, Bus, Device, JobTimeout, PynqBus
from ssvq_gen.format import ErrorCode
from ssvq_sim.systems.core_model import CoreFault

ADDRESS = 0x1680_0000


class Buffer(np.ndarray[Any, np.dtype[Any]]):
    """An array that the core sees only after `flush`, and in which its writes are seen only after `invalidate`."""

    dram: npt.NDArray[np.uint8]
    start: int

    def __array_finalize__(self, other: Any) -> None:
        if isinstance(other, Buffer) and hasattr(other, "dram"):
            self.dram = other.dram
            distance = self.__array_interface__["data"][0] - other.__array_interface__["data"][0]
            self.start = other.start + distance

    @property
    def device_address(self) -> int:
        return ADDRESS + self.start

    def flush(self) -> None:
        self.dram[self.start : self.start + self.size] = np.asarray(self)

    def invalidate(self) -> None:
        np.asarray(self)[:] = self.dram[self.start : self.start + self.size]


def allocate(shape: tuple[int, ...], dtype: Any) -> Buffer:
    buffer = np.zeros(shape, dtype=dtype).view(Buffer)
    buffer.dram = np.full(shape, 0xA5, dtype=np.uint8)
    buffer.start = 0
    return buffer


class Ip:
    """An overlay's IP object over the fake core, whose jobs end when its events are read."""

    def __init__(self, core: FakeBus) -> None:
        self.core = core

    def read(self, offset: int) -> int:
        if offset == 0x1C:
            self.core.wait_for_interrupt(0)
        return int(np.uint32(self.core.read32(offset)))

    def write(self, offset: int, value: int) -> None:
        assert type(value) is int, "PYNQ takes no other type"
        self.core.write32(offset, value)


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeBus:
    monkeypatch.setitem(sys.modules, "pynq", SimpleNamespace(allocate=allocate))
    return FakeBus(CONFIG)


def open_bus(core: FakeBus) -> PynqBus:
    buffer = allocate((1 << 16,), np.uint8)
    core.memory = buffer.dram
    return PynqBus(Ip(core), buffer=buffer)


def check_run(bus: Bus) -> None:
    result = Device(bus, CONFIG).run(PROGRAM, INPUTS)
    for layer, _ in LAYERS:
        np.testing.assert_array_equal(result.outputs[layer.name], layer.reference(INPUTS[layer.name]).output)
        assert type(result.outputs[layer.name]) is np.ndarray


def test_run(core: FakeBus) -> None:
    bus = open_bus(core)
    check_run(bus)
    check_run(bus)
    assert core.registers["MEMORY_BASE_LO"] == ADDRESS


def test_errors(core: FakeBus) -> None:
    bus = open_bus(core)
    core.faults = Faults(fails=CoreFault(ErrorCode.READ_DECODE, 0, ADDRESS))
    with pytest.raises(AxiReadError):
        Device(bus, CONFIG).run(PROGRAM, INPUTS)
    core.faults = Faults(hangs=True)
    with pytest.raises(JobTimeout):
        Device(bus, CONFIG).run(PROGRAM, INPUTS, timeout_s=0.02)
    core.faults = Faults()
    check_run(bus)


def test_buffer_of_its_own(core: FakeBus) -> None:
    bus = PynqBus(Ip(core), memory_bytes=8192)
    assert (bus.memory_base, bus.memory_bytes) == (ADDRESS, 8192)
    bus.write_memory(64, np.arange(10, dtype=np.uint8))
    assert (bus.read_memory(64, 10) == np.arange(10)).all()
    with pytest.raises(ValueError, match="2 bytes from 8191 are outside the DRAM window of 8192 bytes"):
        bus.read_memory(8191, 2)


def test_wrong_buffers(core: FakeBus) -> None:
    with pytest.raises(ValueError, match="exactly one of memory_bytes and buffer"):
        PynqBus(Ip(core))
    with pytest.raises(ValueError, match=r"buffer must be a vector of uint8, not int32 of shape \(4,\)"):
        PynqBus(Ip(core), buffer=allocate((4,), np.int32))


def test_without_pynq(core: FakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pynq")
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pynq":
            raise ImportError("No module named 'pynq'")
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match="pynq"):
        PynqBus(Ip(core), memory_bytes=4096)
