"""The C driver against the fake core, through the socket: what the Python driver does, and with the same words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from c_driver import Command, Ran, checked_command, served
from driver_programs import CONFIG, INPUTS, LAYERS, PROGRAM, with_descriptor
from fake_device import FakeBus, Faults

from ssvq.driver import JOB_ERRORS, Device, JobFailed
from ssvq.program import Program
from ssvq_gen.config import PRESETS
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import COUNTERS, REGISTER_BY_NAME, TRAFFIC_COUNTERS
from ssvq_sim.systems.core_model import CoreFault

MEMORY_BYTES = 1 << 16


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(checked_command(CONFIG), tmp_path)


@pytest.fixture
def bus(tmp_path: Path) -> FakeBus:
    result = FakeBus(CONFIG)
    share_memory(result, tmp_path)
    return result


def share_memory(bus: FakeBus, folder: Path, size: int = MEMORY_BYTES) -> None:
    """Put the bus's memory into a file that the command can map."""
    file = folder / "dram.bin"
    file.write_bytes(bytes(size))
    bus.memory = np.memmap(file, dtype=np.uint8, mode="r+")


def run(
    command: Command,
    bus: FakeBus,
    *options: str,
    program: Program | bytes = PROGRAM,
    inputs: Mapping[str, npt.NDArray[np.int8]] = INPUTS,
) -> Ran:
    with served(bus, command.folder) as device:
        return command.run(program, inputs, (*device, "--memory", "dram.bin"), *options)


def check_run(command: Command, bus: FakeBus, *options: str) -> Ran:
    """A whole run gives the reference's integers and leaves the core idle."""
    ran = run(command, bus, *options)
    assert (ran.code, ran.error) == (0, "")
    for layer, _ in LAYERS:
        np.testing.assert_array_equal(ran.outputs[layer.name], layer.reference(INPUTS[layer.name]).output)
    assert (bus.registers["STATUS"], bus.registers["IRQ_STATUS"]) == (0, 0)
    return ran


def check_failure(ran: Ran, result: str, message: str) -> None:
    assert (ran.code, ran.result) == (1, result)
    assert re.fullmatch(message, ran.message), ran.message
    assert not ran.outputs


def test_run(command: Command, bus: FakeBus) -> None:
    for _ in range(2):
        counters = check_run(command, bus, "--counters").numbers()
        assert list(counters) == [name for name, _ in COUNTERS + TRAFFIC_COUNTERS]
        assert (counters["TOTAL_CYCLES"], counters["ARRAY_CYCLES"]) == (100, 70)
    assert bus.registers["MEMORY_BASE_LO"] == bus.memory_base & 0xFFFF_FFFF
    assert bus.registers["MEMORY_BASE_HI"] == bus.memory_base >> 32
    assert bus.registers["MEMORY_SIZE"] == PROGRAM.memory_bytes
    assert bus.registers["WATCHDOG_CYCLES"] == 1 << 20
    assert bus.registers["IRQ_ENABLE"] == REGISTER_BY_NAME["IRQ_ENABLE"].mask


def test_memory_is_written_as_python_does(command: Command, bus: FakeBus) -> None:
    check_run(command, bus)
    other = FakeBus(CONFIG, memory_bytes=MEMORY_BYTES)
    Device(other, CONFIG).run(PROGRAM, INPUTS)
    np.testing.assert_array_equal(bus.memory, other.memory)


@pytest.mark.parametrize(
    ("register", "value", "result", "message"),
    [
        ("ID", 0xFFFF_FFFF, "WRONG_DEVICE", "register ID must be 0x53535651, not 0xffffffff: this is no SSVQ core"),
        ("VERSION", 0x2_0000, "WRONG_VERSION", r"register VERSION must be 1.x, not 0x20000"),
        ("DIGEST_HI", 1, "DIGEST_MISMATCH", "the core has configuration digest 0x1.*, the driver was compiled for .*"),
    ],
)
def test_wrong_cores(command: Command, bus: FakeBus, register: str, value: int, result: str, message: str) -> None:
    bus.registers[register] = value
    check_failure(run(command, bus), result, message)
    assert not bus.memory.any()


def test_newer_minor_version(command: Command, bus: FakeBus) -> None:
    bus.registers["VERSION"] = 0x0001_0007
    check_run(command, bus)


def test_core_of_another_configuration(command: Command, tmp_path: Path) -> None:
    other = FakeBus(PRESETS["edge"])
    share_memory(other, tmp_path)
    mine, its = f"0x{CONFIG.digest:x}", f"0x{PRESETS['edge'].digest:x}"
    message = f"the core has configuration digest {its}, the driver was compiled for {CONFIG.name}, {mine}"
    check_failure(run(command, other), "DIGEST_MISMATCH", message)


def test_windows_that_do_not_do(command: Command, bus: FakeBus, tmp_path: Path) -> None:
    bus.memory_base = 0x1000_0040
    check_failure(run(command, bus), "BAD_BUS", "memory_base must be a multiple of 4096, not 0x10000040")
    size = PROGRAM.memory_bytes
    for base in ((1 << 40) - size // 4096 * 4096, 1 << 40, (1 << 64) - 4096):
        bus.memory_base = base
        check_failure(
            run(command, bus), "WINDOW_TOO_SMALL", f"{size} bytes from 0x{base:x} are beyond the core's addresses"
        )
    bus.memory_base = (1 << 40) - (size // 4096 + 1) * 4096
    check_run(command, bus)
    share_memory(bus, tmp_path, size - 1)
    message = f"the program needs a window of {size} bytes, this one has {size - 1}"
    check_failure(run(command, bus), "WINDOW_TOO_SMALL", message)
    assert not bus.memory.any()


def test_program_of_another_configuration(command: Command, bus: FakeBus) -> None:
    other = replace(PROGRAM, config_digest=1)
    message = f"the program was compiled for configuration digest 0x1, the core has 0x{CONFIG.digest:x}"
    check_failure(run(command, bus, program=other), "DIGEST_MISMATCH", message)
    assert not bus.memory.any()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"up": INPUTS["up"]}, "the program has 2 inputs, 1 are given"),
        ({**INPUTS, "up": INPUTS["up"][:4]}, "the input of job up has 150 bytes, not 120"),
        ({"up": INPUTS["up"], "sideways": INPUTS["down"]}, "sideways: the program has no such job"),
    ],
)
def test_wrong_inputs(command: Command, bus: FakeBus, inputs: Mapping[str, Any], message: str) -> None:
    ran = run(command, bus, inputs=inputs)
    assert ran.code == 1
    assert message in ran.error
    assert not bus.memory.any()


@pytest.mark.parametrize("code", [c for c in ErrorCode if c is not ErrorCode.NONE])
@pytest.mark.parametrize("drain_reads", [0, 5])
def test_every_error_code(command: Command, bus: FakeBus, code: ErrorCode, drain_reads: int) -> None:
    bus.faults = Faults(fails=CoreFault(code, 1, 0x1_0000_0040), drain_reads=drain_reads)
    name = re.sub("(?<=[a-z])(?=[A-Z])", "_", JOB_ERRORS[code].__name__).upper()
    check_failure(run(command, bus), name, re.escape(words_of_python(CoreFault(code, 1, 0x1_0000_0040))))
    bus.faults = Faults()
    check_run(command, bus)


def words_of_python(fault: CoreFault) -> str:
    other = FakeBus(CONFIG)
    other.faults = Faults(fails=fault)
    with pytest.raises(JobFailed) as caught:
        Device(other, CONFIG).run(PROGRAM, INPUTS)
    return str(caught.value)


def test_unknown_error_code_and_descriptor(command: Command, bus: FakeBus) -> None:
    bus.faults.fails = CoreFault(77, 1000)
    message = "descriptor 1000 failed: unknown error code 77, address 0x0"
    assert message == words_of_python(CoreFault(77, 1000))
    check_failure(run(command, bus), "JOB_FAILED", message)


@pytest.mark.parametrize(
    ("changes", "result", "message"),
    [
        ({"magic": 0}, "INVALID_JOB", r"descriptor 1 \(MATMUL of layer 'up'\) failed: a descriptor has an unknown.*"),
        ({"opcode": 99}, "INVALID_JOB", r"descriptor 1 \(opcode 99 of layer 'up'\) failed.*"),
        ({"dram_offset": 1 << 31}, "MEMORY_RANGE_ERROR", ".*DRAM window.*address 0x80000000"),
    ],
)
def test_bad_descriptors(command: Command, bus: FakeBus, changes: dict[str, int], result: str, message: str) -> None:
    check_failure(run(command, bus, program=with_descriptor(1, **changes)), result, message)
    check_run(command, bus)


@pytest.mark.parametrize("drain_reads", [0, 20])
def test_timeout_aborts_and_clears(command: Command, bus: FakeBus, drain_reads: int) -> None:
    bus.faults = Faults(hangs=True, drain_reads=drain_reads)
    for options in ((), ("--poll",)):
        ran = run(command, bus, "--timeout-us", "2000", *options)
        check_failure(ran, "JOB_TIMEOUT", "no end after 2000 us, 0 of 9 descriptors done; the job is aborted")
        assert bus.registers["STATUS"] == 0
    bus.faults = Faults()
    check_run(command, bus)


def test_bus_that_never_drains(command: Command, bus: FakeBus) -> None:
    bus.faults = Faults(hangs=True, drain_reads=1 << 60)
    bus.access_seconds = 1e-3
    ran = run(command, bus, "--timeout-us", "1000")
    check_failure(ran, "RECOVERY_FAILED", "STATUS is still 0xc after 100000 us")
    assert ran.error.endswith("this was after JOB_TIMEOUT")


def test_running_job_of_someone_else(command: Command, bus: FakeBus) -> None:
    bus.registers["STATUS"] = REGISTER_BY_NAME["STATUS"].bit("BUSY")
    check_failure(run(command, bus), "DEVICE_BUSY", "a job is running that was not started here; .*")
    assert not bus.memory.any()
    assert bus.registers["STATUS"] == REGISTER_BY_NAME["STATUS"].bit("BUSY")


def test_leftovers_are_cleared(command: Command, bus: FakeBus) -> None:
    bus.registers["STATUS"] = REGISTER_BY_NAME["STATUS"].bit("ERROR")
    bus.registers["IRQ_STATUS"] = REGISTER_BY_NAME["IRQ_STATUS"].bit("ERROR")
    check_run(command, bus)


def test_spurious_interrupts(command: Command, bus: FakeBus) -> None:
    bus.faults.spurious_interrupts = 3
    check_run(command, bus)


def test_counters_that_do_not_add_up(command: Command, bus: FakeBus) -> None:
    bus.faults.lost_cycles = 1
    message = "TOTAL_CYCLES is 101, its classes add up to 100"
    check_failure(run(command, bus), "COUNTER_MISMATCH", message)
    bus.faults.lost_cycles = (1 << 32) - 101
    assert check_run(command, bus, "--counters").numbers()["TOTAL_CYCLES"] == (1 << 32) - 1


def test_profile(command: Command, bus: FakeBus) -> None:
    lines = [line.split() for line in check_run(command, bus, "--profile").lines]
    other = FakeBus(CONFIG)
    profile = Device(other, CONFIG).run(PROGRAM, INPUTS, profile=True).profile
    assert profile is not None
    expected: list[list[str]] = []
    for row in profile.rows:
        words: list[object] = ["row", row.index, row.opcode.name, "begin", row.begin, "end", row.end]
        if row.is_matrix:
            for name in ("decoded", "compute_begin", "compute_end", "drain_begin"):
                words += [name, getattr(row, name)]
            for name, cycles in row.classes.items():
                words += [name, cycles] if cycles else []
        expected.append([str(word) for word in words])
    assert lines[: len(expected)] == expected
    tail = {name: int(cycles) for lead, name, cycles in lines[len(expected) :] if lead == "tail"}
    assert {name: tail[name] for name in profile.tail} == profile.tail


@pytest.mark.parametrize(
    ("address", "value", "message"),
    [
        (1 * 16 + 3, 1, "profile: COMPUTE_END is 1, the classes add up to .*"),
        (4 * 16 + 6, 0, r"profile of descriptor 4: a class of cycles has run backwards by \d+"),
        (0, 1000, r"profile of descriptor 0: it runs from 1000 to \d+, beyond the job's cycles"),
    ],
)
def test_profile_that_does_not_add_up(command: Command, bus: FakeBus, address: int, value: int, message: str) -> None:
    bus.faults.profile = {address: value}
    check_failure(run(command, bus, "--profile"), "COUNTER_MISMATCH", message)


def test_simulator_that_goes_away(command: Command, bus: FakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(offset: int, value: int) -> None:
        raise ConnectionAbortedError

    monkeypatch.setattr(bus, "write32", refuse)
    check_failure(run(command, bus), "DEVICE_BUSY", ".*")
