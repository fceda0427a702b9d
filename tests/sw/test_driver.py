"""The driver against the fake core: normal runs, every error, and the run after each error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from driver_programs import CONFIG, INPUTS, LAYERS, PROGRAM, with_descriptor
from fake_device import FakeBus, Faults

from ssvq.driver import (
    JOB_ERRORS,
    Bus,
    CounterMismatch,
    Device,
    DeviceBusy,
    DigestMismatch,
    DriverError,
    InvalidJob,
    JobAborted,
    JobFailed,
    JobTimeout,
    MemoryRangeError,
    RecoveryFailed,
    WrongDevice,
    WrongVersion,
)
from ssvq.program import ProgramError
from ssvq_gen.config import PRESETS
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import COUNTERS, TRAFFIC_COUNTERS
from ssvq_sim.systems.core_model import CoreFault


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus(CONFIG)


@pytest.fixture
def device(bus: FakeBus) -> Device:
    typed: Bus = bus
    return Device(typed, CONFIG)


def check_run(device: Device) -> None:
    """A whole run gives the reference's integers and leaves the core idle."""
    result = device.run(PROGRAM, INPUTS)
    for layer, _ in LAYERS:
        np.testing.assert_array_equal(result.outputs[layer.name], layer.reference(INPUTS[layer.name]).output)
    assert list(result.counters) == [name for name, _ in COUNTERS + TRAFFIC_COUNTERS]
    assert result.counters["TOTAL_CYCLES"] == 100
    assert device.read("STATUS") == 0
    assert device.read("IRQ_STATUS") == 0


def test_run(device: Device, bus: FakeBus) -> None:
    check_run(device)
    check_run(device)
    assert bus.registers["MEMORY_BASE_LO"] == bus.memory_base & 0xFFFF_FFFF
    assert bus.registers["MEMORY_BASE_HI"] == bus.memory_base >> 32
    assert bus.registers["MEMORY_SIZE"] == PROGRAM.memory_bytes


def test_wrong_device(bus: FakeBus) -> None:
    bus.registers["ID"] = 0xFFFF_FFFF
    with pytest.raises(WrongDevice, match="register ID must be 0x53535651, not 0xffffffff"):
        Device(bus, CONFIG)


def test_wrong_version(bus: FakeBus) -> None:
    bus.registers["VERSION"] = 0x0002_0000
    with pytest.raises(WrongVersion, match=r"register VERSION must be 1.x, not 0x00020000"):
        Device(bus, CONFIG)
    bus.registers["VERSION"] = 0x0001_0007
    Device(bus, CONFIG)


def test_core_of_another_configuration(bus: FakeBus) -> None:
    with pytest.raises(DigestMismatch, match=r"the core has configuration digest [0-9a-f]{16}, 'edge' has"):
        Device(bus, PRESETS["edge"])


def test_misaligned_memory(bus: FakeBus) -> None:
    bus.memory_base = 0x1000_0040
    with pytest.raises(DriverError, match="memory_base must be a multiple of 4096, not 0x10000040"):
        Device(bus, CONFIG)


def test_program_of_another_configuration(device: Device) -> None:
    other = replace(PROGRAM, config_digest=1)
    with pytest.raises(DigestMismatch, match="compiled for configuration digest 0000000000000001"):
        device.run(other, INPUTS)


def test_wrong_inputs(device: Device, bus: FakeBus) -> None:
    with pytest.raises(ProgramError, match="'down' differs"):
        device.run(PROGRAM, {"up": INPUTS["up"]})
    with pytest.raises(ProgramError, match=r"input of job 'up' must be int8 of shape \(5, 30\), not int8 \(4, 30\)"):
        device.run(PROGRAM, {**INPUTS, "up": INPUTS["up"][:4]})
    assert not bus.memory.any()


@pytest.mark.parametrize("code", [c for c in ErrorCode if c is not ErrorCode.NONE])
@pytest.mark.parametrize("drain_reads", [0, 5])
def test_every_error_code(device: Device, bus: FakeBus, code: ErrorCode, drain_reads: int) -> None:
    bus.faults = Faults(fails=CoreFault(code, 1, 0x1_0000_0040), drain_reads=drain_reads)
    with pytest.raises(JOB_ERRORS[code]) as caught:
        device.run(PROGRAM, INPUTS)
    error = caught.value
    assert (error.code, error.descriptor, error.address, error.layer) == (code, 1, 0x1_0000_0040, "up")
    assert str(error) == (
        f"descriptor 1 (MATMUL of layer 'up') failed: {code.meaning} ({code.name}), address 0x100000040"
    )
    bus.faults = Faults()
    check_run(device)


def test_error_codes_are_all_typed() -> None:
    assert set(JOB_ERRORS) == set(ErrorCode) - {ErrorCode.NONE}


def test_unknown_error_code_and_descriptor(device: Device, bus: FakeBus) -> None:
    bus.faults.fails = CoreFault(77, 1000)
    with pytest.raises(JobFailed, match="descriptor 1000 failed: unknown error code 77, address 0x0") as caught:
        device.run(PROGRAM, INPUTS)
    assert caught.value.code == 77
    assert caught.value.layer is None


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"magic": 0}, InvalidJob, r"descriptor 1 \(MATMUL of layer 'up'\) failed: a descriptor has an unknown opcode"),
        ({"opcode": 99}, InvalidJob, r"descriptor 1 \(opcode 99 of layer 'up'\) failed"),
        ({"dram_offset": 1 << 31}, MemoryRangeError, "DRAM window.*address 0x80000000"),
        ({"destination": 1 << 31}, MemoryRangeError, "outside the activation memory"),
    ],
)
def test_bad_descriptors(device: Device, changes: dict[str, int], kind: type[JobFailed], message: str) -> None:
    with pytest.raises(kind, match=message):
        device.run(with_descriptor(1, **changes), INPUTS)
    check_run(device)


@pytest.mark.parametrize("drain_reads", [0, 20])
def test_timeout_aborts_and_clears(device: Device, bus: FakeBus, drain_reads: int) -> None:
    bus.faults = Faults(hangs=True, drain_reads=drain_reads)
    with pytest.raises(JobTimeout, match=r"no end after 0.25 s, 0 of 9 descriptors done; the job is aborted") as caught:
        device.run(PROGRAM, INPUTS, timeout_s=0.25)
    assert (caught.value.seconds, caught.value.descriptors_done) == (0.25, 0)
    assert device.read("STATUS") == 0
    bus.faults = Faults()
    check_run(device)


def test_bus_that_never_drains(device: Device, bus: FakeBus) -> None:
    bus.faults = Faults(hangs=True, drain_reads=1 << 60)
    with pytest.raises(RecoveryFailed, match=r"STATUS is still 0xc after 0.1 s: ERROR, DRAINING") as caught:
        device.run(PROGRAM, INPUTS, timeout_s=0.1)
    assert isinstance(caught.value.__cause__, JobTimeout)


def test_running_job_of_someone_else(device: Device, bus: FakeBus) -> None:
    device.load(PROGRAM, INPUTS)
    device.start(PROGRAM)
    with pytest.raises(DeviceBusy):
        device.run(PROGRAM, INPUTS)
    device.recover()
    assert device.read("STATUS") == 0
    check_run(device)


def test_leftover_result_is_cleared(device: Device) -> None:
    device.load(PROGRAM, INPUTS)
    device.start(PROGRAM)
    device.wait(PROGRAM, timeout_s=1)
    check_run(device)


def test_abort_by_someone_else(device: Device) -> None:
    device.load(PROGRAM, INPUTS)
    device.start(PROGRAM)
    device.write("CONTROL", 4)
    with pytest.raises(JobAborted):
        device.wait(PROGRAM, timeout_s=1)


def test_a_window_beyond_the_address_bus(device: Device, bus: FakeBus) -> None:
    bus.memory_base = (1 << 40) - PROGRAM.memory_bytes // 4096 * 4096
    with pytest.raises(ProgramError, match=r"window ends at 0x.*, beyond the core's 40-bit addresses"):
        device.run(PROGRAM, INPUTS)
    bus.memory_base -= 4096
    check_run(device)


def test_a_window_that_is_too_small(bus: FakeBus) -> None:
    bus.memory = bus.memory[: PROGRAM.memory_bytes - 1]
    device = Device(bus, CONFIG)
    message = f"the program needs a window of {PROGRAM.memory_bytes} bytes, this one has {PROGRAM.memory_bytes - 1}"
    with pytest.raises(ProgramError, match=message):
        device.run(PROGRAM, INPUTS)
    with pytest.raises(ProgramError, match=message):
        device.load(PROGRAM, INPUTS)
    with pytest.raises(ProgramError, match=message):
        device.start(PROGRAM)
    assert not bus.memory.any()


def test_spurious_interrupts(device: Device, bus: FakeBus) -> None:
    bus.faults.spurious_interrupts = 3
    check_run(device)


def test_counters_that_do_not_add_up(device: Device, bus: FakeBus) -> None:
    bus.faults.lost_cycles = 1
    with pytest.raises(CounterMismatch, match="TOTAL_CYCLES is 101, its classes add up to 100"):
        device.run(PROGRAM, INPUTS)
    bus.faults = Faults()
    check_run(device)


def test_stopped_counters_are_not_compared(device: Device, bus: FakeBus) -> None:
    bus.faults.lost_cycles = (1 << 32) - 101
    assert device.run(PROGRAM, INPUTS).counters["TOTAL_CYCLES"] == (1 << 32) - 1
