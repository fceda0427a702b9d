"""The drivers on what Linux shows of a core: the Python driver's `UioBus`, and the C driver's Linux platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from c_driver import Command, checked_command
from driver_programs import CONFIG, INPUTS, LAYERS, PROGRAM
from fake_device import Faults
from linux_machine import MEMORY_BASE, REGISTER_BYTES, LinuxMachine

from ssvq.driver import Bus, Device, DriverError, JobTimeout, MemoryRangeError, UioBus, WrongDevice
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import CORE_ID
from ssvq_sim.systems.core_model import CoreFault

MEMORY_BYTES = 1 << 16


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[LinuxMachine]:
    with LinuxMachine(CONFIG, tmp_path, memory_bytes=MEMORY_BYTES) as result:
        yield result


def open_bus(machine: LinuxMachine, *, poll: bool = False) -> UioBus:
    return UioBus(machine.uio, machine.memory, interrupt=machine.interrupt, poll=poll, sysfs=machine.sysfs)


def check_run(bus: Bus) -> None:
    result = Device(bus, CONFIG).run(PROGRAM, INPUTS, timeout_s=30)
    for layer, _ in LAYERS:
        np.testing.assert_array_equal(result.outputs[layer.name], layer.reference(INPUTS[layer.name]).output)
    assert result.counters["TOTAL_CYCLES"] == 100


@pytest.mark.parametrize("poll", [False, True])
def test_run(machine: LinuxMachine, poll: bool) -> None:
    with open_bus(machine, poll=poll) as bus:
        assert (bus.memory_base, bus.memory_bytes) == (MEMORY_BASE, MEMORY_BYTES)
        check_run(bus)
        check_run(bus)
    assert bool(machine.unmasked) is not poll
    assert bool(machine.interrupts) is not poll
    assert machine.bus.registers["MEMORY_BASE_HI"] == MEMORY_BASE >> 32


def test_failures(machine: LinuxMachine) -> None:
    with open_bus(machine) as bus:
        machine.bus.faults = Faults(fails=CoreFault(ErrorCode.DRAM_RANGE, 1, 0x40))
        with pytest.raises(MemoryRangeError, match="descriptor 1 .* address 0x40"):
            Device(bus, CONFIG).run(PROGRAM, INPUTS, timeout_s=30)
        machine.bus.faults = Faults(hangs=True)
        with pytest.raises(JobTimeout, match="no end after 0.05 s"):
            Device(bus, CONFIG).run(PROGRAM, INPUTS, timeout_s=0.05)
        machine.bus.faults = Faults()
        check_run(bus)


def test_wait_without_an_interrupt(machine: LinuxMachine) -> None:
    for poll in (False, True):
        with open_bus(machine, poll=poll) as bus:
            before = bus.elapsed()
            assert not bus.wait_for_interrupt(0.02)
            assert 0.02 <= bus.elapsed() - before < 10


def test_registers_that_begin_later(tmp_path: Path) -> None:
    """A device tree may give a register range that begins within a page."""
    with LinuxMachine(CONFIG, tmp_path, memory_bytes=MEMORY_BYTES, offset=0x200) as machine, open_bus(machine) as bus:
        assert np.fromfile(machine.uio, dtype=np.uint32)[0x80] == CORE_ID
        check_run(bus)


def test_accesses_outside(machine: LinuxMachine) -> None:
    with open_bus(machine) as bus:
        for offset in (-4, 2, REGISTER_BYTES):
            with pytest.raises(ValueError, match="offset must be a multiple of 4 below 4096"):
                bus.read32(offset)
            with pytest.raises(ValueError, match="offset must be a multiple of 4 below 4096"):
                bus.write32(offset, 0)
        with pytest.raises(ValueError, match="2 bytes from 65535 are outside the DRAM window of 65536 bytes"):
            bus.write_memory(MEMORY_BYTES - 1, np.zeros(2, dtype=np.uint8))
        with pytest.raises(ValueError, match="outside the DRAM window"):
            bus.read_memory(-1, 1)


def test_devices_that_do_not_do(machine: LinuxMachine, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        UioBus(machine.uio, tmp_path / "gone", memory_base=0, memory_bytes=4096, sysfs=machine.sysfs)
    with pytest.raises(DriverError, match="must be given together"):
        UioBus(machine.uio, machine.memory, memory_base=0, sysfs=machine.sysfs)
    with pytest.raises(DriverError, match="gone is no u-dma-buf that the kernel knows"):
        UioBus(machine.uio, tmp_path / "gone", sysfs=machine.sysfs)
    (machine.sysfs / "uio/uio0/maps/map0/size").write_text("0x800\n")
    with pytest.raises(DriverError, match="maps 2048 bytes, the core's registers need 4096"):
        open_bus(machine)


def test_something_else_at_the_address(machine: LinuxMachine) -> None:
    machine.bus.registers["ID"] = 0
    with open_bus(machine, poll=True) as bus:
        while bus.read32(0) == CORE_ID:
            pass
        with pytest.raises(WrongDevice):
            Device(bus, CONFIG)


def test_older_class_name_and_given_window(machine: LinuxMachine) -> None:
    (machine.sysfs / "u-dma-buf").rename(machine.sysfs / "udmabuf")
    with open_bus(machine) as bus:
        assert bus.memory_base == MEMORY_BASE
    given = UioBus(machine.uio, machine.memory, memory_base=0x8000, memory_bytes=4096, poll=True, sysfs=machine.sysfs)
    with given:
        assert (given.memory_base, given.memory_bytes) == (0x8000, 4096)


@pytest.mark.parametrize("offset", [0, 0x200])
def test_c_driver(tmp_path: Path, offset: int) -> None:
    with LinuxMachine(CONFIG, tmp_path, memory_bytes=MEMORY_BYTES, offset=offset) as machine:
        command = Command(checked_command(CONFIG), tmp_path)
        device = ("--uio", "uio0", "--memory", "udmabuf0", "--interrupt", str(machine.interrupt), "--sysfs", "sys")
        slow = ("--timeout-us", "30000000")
        for options in ((), ("--poll",), ()):
            ran = command.run(PROGRAM, INPUTS, device, *slow, *options)
            assert (ran.code, ran.error) == (0, "")
            for layer, _ in LAYERS:
                np.testing.assert_array_equal(ran.outputs[layer.name], layer.reference(INPUTS[layer.name]).output)
        assert machine.interrupts == 2
        assert machine.bus.registers["MEMORY_BASE_HI"] == MEMORY_BASE >> 32
        machine.bus.faults = Faults(hangs=True)
        assert command.run(PROGRAM, INPUTS, device, "--timeout-us", "20000").result == "JOB_TIMEOUT"
        small = ("--memory-base", "0x8000", "--memory-bytes", "2048")
        assert command.run(PROGRAM, INPUTS, (*device, *small)).result == "WINDOW_TOO_SMALL"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--uio", "gone"), "cannot open gone: No such file or directory"),
        (("--memory", "gone"), "gone is no u-dma-buf that the kernel knows: address and size of the window"),
        (("--sysfs", "gone"), "cannot read gone/uio/uio0/maps/map0/size"),
        (("--interrupt", "gone"), "cannot open gone: No such file or directory"),
        (("--memory", "gone", "--memory-base", "0", "--memory-bytes", "64"), "cannot open gone"),
    ],
)
def test_c_driver_without_devices(machine: LinuxMachine, options: tuple[str, ...], message: str) -> None:
    command = Command(checked_command(CONFIG), machine.folder)
    ran = command.run(PROGRAM, INPUTS, ("--uio", "uio0", "--memory", "udmabuf0", "--sysfs", "sys", *options))
    assert ran.code == 1
    assert message in ran.error
