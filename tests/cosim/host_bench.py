"""Scenes in which the host does more than run jobs: a cocotb module for the fast bench, started by test_host.py.

Everything goes through the driver and its bus; what is read of the bench are the beats that passed on the memory bus.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
import pytest
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import Timer

from ssvq.driver import Device, DeviceBusy, JobTimeout, RecoveryFailed
from ssvq.program_file import BadMagic, CorruptFile, ProgramFileError, load_program, program_to_bytes
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import REGISTER_BY_NAME
from ssvq_sim.behaviour import CHANNELS, CLOCK_NS, Behaviour, Fault
from ssvq_sim.job_bench import DRAM_FILE, FILL, FOLDER_VARIABLE, first_stray
from ssvq_sim.simulation_bus import AxiLiteMaster, SimulationBus, reset
from ssvq_sim.systems.work import BASE, CONFIG, GOOD, LONG_LOAD, LONG_STORE, Work

_STATUS, _CONTROL = REGISTER_BY_NAME["STATUS"], REGISTER_BY_NAME["CONTROL"]
_BUSY, _DONE, _ERROR, _DRAINING = (_STATUS.bit(name) for name in ("BUSY", "DONE", "ERROR", "DRAINING"))
_START, _CLEAR, _ABORT = (_CONTROL.bit(name) for name in ("START", "CLEAR", "ABORT"))
_SETTINGS = (
    "MEMORY_BASE_LO",
    "MEMORY_BASE_HI",
    "MEMORY_SIZE",
    "DESCRIPTOR_OFFSET",
    "DESCRIPTOR_COUNT",
    "WATCHDOG_CYCLES",
)
_SCENE_MS = 20
"""Simulated time after which a scene has failed."""


class Host:
    """One core, its driver, and the controls of the bench. Its methods block: they run beside the simulation."""

    def __init__(self, dut: Any, memory: npt.NDArray[np.uint8]) -> None:
        self._dut = dut
        self.memory = memory
        self.device = Device(SimulationBus(dut, AxiLiteMaster(dut), memory, BASE), CONFIG)

    def behave(self, behaviour: Behaviour) -> None:
        """Set the memory's behaviour from now on."""
        resume(self._set)(behaviour.ports(CONFIG.beat_bytes, BASE))

    def hang(self, *channels: str) -> None:
        """Stop channels until the next call."""
        resume(self._set)({"bus_hang": sum(1 << CHANNELS.index(name) for name in channels)})

    def wait(self, cycles: int) -> None:
        """Let time pass."""
        resume(self._wait)(cycles)

    def beats(self) -> tuple[int, int]:
        """Beats read and written since reset."""
        return int(self._dut.bus_read_beats.value), int(self._dut.bus_write_beats.value)

    def status(self) -> int:
        return self.device.read("STATUS")

    def command(self, bits: int) -> None:
        self.device.write("CONTROL", bits)

    async def _set(self, values: dict[str, int]) -> None:
        for name, value in values.items():
            getattr(self._dut, name).value = value
        await Timer(CLOCK_NS, unit="ns")

    async def _wait(self, cycles: int) -> None:
        await Timer(cycles * CLOCK_NS, unit="ns")

    def load_and_start(self, work: Work, *, watchdog_cycles: int = 0) -> None:
        self.memory[:] = FILL
        self.device.load(work.program, work.inputs)
        self.device.start(work.program, watchdog_cycles=watchdog_cycles)

    def check_outputs(self, work: Work) -> None:
        """The job is done, its outputs are right, and nothing else was written."""
        self.device.wait(work.program, timeout_s=1e-3)
        self.device.recover()
        for name, found in self.device.outputs(work.program).items():
            np.testing.assert_array_equal(found, work.expected[name])
        self.check_no_stray(work)

    def check_no_stray(self, work: Work) -> None:
        stray = first_stray(self.memory, work.program, work.job("scene"))
        assert stray is None, f"byte {stray} of DRAM changed"

    def check_healthy(self) -> None:
        """The core is idle, quiet, and runs a job bit for bit."""
        self.behave(Behaviour())
        assert self.status() == 0
        before = self.beats()
        self.wait(500)
        assert self.beats() == before, "something moves on the bus of an idle core"
        self.load_and_start(GOOD)
        self.check_outputs(GOOD)
        counters = self.device.counters()
        moved = tuple(after - first for after, first in zip(self.beats(), before, strict=True))
        assert moved == (counters["READ_BEATS"], counters["WRITE_BEATS"])


def scene(function: Callable[[Host], None]) -> Any:
    """A cocotb test from a blocking function; every scene begins with a reset and ends with a healthy core."""

    async def run(dut: Any) -> None:
        memory = np.memmap(Path(os.environ[FOLDER_VARIABLE]) / DRAM_FILE, dtype=np.uint8, mode="r+")
        for name, value in Behaviour().ports(CONFIG.beat_bytes, BASE).items():
            getattr(dut, name).value = value
        Clock(dut.aclk, CLOCK_NS, unit="ns").start()
        await bridge(_play)(dut, memory, function)

    run.__name__ = run.__qualname__ = function.__name__
    run.__doc__ = function.__doc__
    return cocotb.test(timeout_time=_SCENE_MS, timeout_unit="ms")(run)


def _play(dut: Any, memory: npt.NDArray[np.uint8], function: Callable[[Host], None]) -> None:
    resume(reset)(dut)
    host = Host(dut, memory)
    function(host)
    host.check_healthy()


@scene
def program_files(host: Host) -> None:
    """A damaged program file is refused before the core is touched; the good one runs."""
    good = program_to_bytes(GOOD.program)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "job.program"
        damaged: tuple[tuple[type[ProgramFileError], bytes], ...] = (
            (BadMagic, b"SSVQPROX" + good[8:]),
            (CorruptFile, good[:-1] + bytes([good[-1] ^ 1])),
            (CorruptFile, good[:2000] + bytes([good[2000] ^ 0x10]) + good[2001:]),
        )
        for error, data in damaged:
            path.write_bytes(data)
            with pytest.raises(error, match=path.name):
                load_program(path)
            assert host.status() == 0
        path.write_bytes(good)
        host.memory[:] = FILL
        result = host.device.run(load_program(path), GOOD.inputs, timeout_s=1e-3)
    for layer, found in result.outputs.items():
        np.testing.assert_array_equal(found, GOOD.expected[layer])


@scene
def writes_while_busy(host: Host) -> None:
    """Settings, START and CLEAR are ignored while a job runs; the driver refuses to start another."""
    host.behave(Behaviour(latency=100, bytes_per_cycle=1))
    host.load_and_start(GOOD, watchdog_cycles=50_000)
    settings = {name: host.device.read(name) for name in _SETTINGS}
    for name in _SETTINGS:
        host.device.write(name, 0x1000)
    for bits in (_START, _CLEAR, _START | _CLEAR):
        host.command(bits)
        assert host.status() == _BUSY
    assert {name: host.device.read(name) for name in _SETTINGS} == settings
    with pytest.raises(DeviceBusy):
        host.device.load(GOOD.program, GOOD.inputs)
    with pytest.raises(DeviceBusy):
        host.device.start(GOOD.program)
    assert host.status() == _BUSY, "the job was over too soon for this scene"
    host.check_outputs(GOOD)


@scene
def start_when_done(host: Host) -> None:
    """DONE stays until CLEAR: START and ABORT do nothing, and nothing moves."""
    host.load_and_start(GOOD)
    host.device.wait(GOOD.program, timeout_s=1e-3)
    before = host.beats()
    for bits in (_START, _ABORT):
        host.command(bits)
        host.wait(200)
        assert host.status() == _DONE
    assert host.beats() == before
    assert host.device.read("DESCRIPTORS_DONE") == GOOD.program.descriptor_count
    host.device.recover()


@scene
def clear_while_draining(host: Host) -> None:
    """After an abort with transactions open, CLEAR, START and settings are ignored until they end."""
    for channel, work in (("r", LONG_LOAD), ("b", LONG_STORE), ("w", LONG_STORE), ("aw", LONG_STORE)):
        host.behave(Behaviour(latency=3))
        host.load_and_start(work)
        if work is LONG_STORE:
            _wait_for_writes(host)
        host.hang(channel)
        host.wait(300)
        assert host.status() == _BUSY
        host.command(_ABORT)
        settings = {name: host.device.read(name) for name in _SETTINGS}
        for bits in (_CLEAR, _START, _CLEAR | _START, _ABORT):
            host.command(bits)
            assert host.status() == _ERROR | _DRAINING, channel
        for name in _SETTINGS:
            host.device.write(name, 0x2000)
        assert {name: host.device.read(name) for name in _SETTINGS} == settings
        assert host.device.read("ERROR_CODE") == ErrorCode.ABORTED
        with pytest.raises(RecoveryFailed, match="DRAINING"):
            host.device.recover(timeout_s=20e-6)
        before = host.beats()
        host.wait(1000)
        assert host.beats() == before, "the hung bus moved"
        host.hang()
        host.wait(500)
        assert host.status() == _ERROR
        most = 8 * 16 + 1 if work is LONG_STORE else 16 * 16
        assert sum(host.beats()) - sum(before) <= most, "more than the open bursts"
        host.command(_CLEAR)
        assert host.status() == 0
        assert host.device.read("ERROR_CODE") == ErrorCode.NONE
        host.device.write("IRQ_STATUS", 3)
        host.check_healthy()


def _wait_for_writes(host: Host) -> None:
    before = host.beats()[1]
    while host.beats()[1] == before:
        host.wait(10)


@scene
def time_out_on_a_dead_bus(host: Host) -> None:
    """A bus that never answers: the driver says that it cannot recover, and why it tried."""
    host.load_and_start(LONG_LOAD)
    host.hang("r")
    host.wait(100)
    with pytest.raises(RecoveryFailed):
        host.device.recover(timeout_s=10e-6)
    host.hang()
    host.wait(500)
    host.device.recover()
    host.load_and_start(LONG_LOAD)
    with pytest.raises(JobTimeout, match="0 of 3 descriptors"):
        host.device.wait(LONG_LOAD.program, timeout_s=2e-6)


@scene
def impossible_tables(host: Host) -> None:
    """A descriptor table that cannot be: no beat is read, and the error is of descriptor 0."""
    program = GOOD.program
    for changes, code in (
        ({"DESCRIPTOR_COUNT": 0}, ErrorCode.BAD_DESCRIPTOR),
        ({"DESCRIPTOR_COUNT": 1 << 16}, ErrorCode.BAD_DESCRIPTOR),
        ({"DESCRIPTOR_COUNT": 0xFFFF_FFFF}, ErrorCode.BAD_DESCRIPTOR),
        ({"DESCRIPTOR_OFFSET": 32}, ErrorCode.DRAM_RANGE),
        ({"DESCRIPTOR_OFFSET": 1}, ErrorCode.DRAM_RANGE),
        ({"DESCRIPTOR_OFFSET": program.memory_bytes}, ErrorCode.DRAM_RANGE),
        ({"DESCRIPTOR_OFFSET": 0xFFFF_FFC0}, ErrorCode.DRAM_RANGE),
        ({"MEMORY_SIZE": program.descriptor_count * 64 - 1}, ErrorCode.DRAM_RANGE),
        ({"MEMORY_SIZE": 0}, ErrorCode.DRAM_RANGE),
    ):
        host.memory[:] = FILL
        host.device.load(program, GOOD.inputs)
        values = {
            "MEMORY_BASE_LO": BASE,
            "MEMORY_BASE_HI": 0,
            "MEMORY_SIZE": program.memory_bytes,
            "DESCRIPTOR_OFFSET": program.descriptor_offset,
            "DESCRIPTOR_COUNT": program.descriptor_count,
            "WATCHDOG_CYCLES": 0,
            "IRQ_ENABLE": 3,
            **changes,
        }
        before = host.beats()
        for name, value in values.items():
            host.device.write(name, value)
        host.command(_START)
        host.wait(50)
        assert host.status() == _ERROR, changes
        assert host.device.read("ERROR_CODE") == code, changes
        assert host.device.read("ERROR_DESCRIPTOR") == 0
        assert host.device.read("IRQ_STATUS") == REGISTER_BY_NAME["IRQ_STATUS"].bit("ERROR")
        assert host.beats() == before
        host.device.recover()
        assert host.device.read("IRQ_STATUS") == 0


@scene
def nothing_is_written_after_an_error(host: Host) -> None:
    """Jobs that fail leave all of DRAM but their outputs alone, also where their descriptors point outside."""
    window = GOOD.program.memory_bytes
    last = GOOD.program.descriptor_count - 1
    for changes in (
        {"dram_offset": window},
        {"dram_offset": 64},  # onto the descriptors, in a descriptor that also fails
        {"source": CONFIG.activation_depth},
    ):
        work = GOOD.patched(last, **{"magic": 0, **changes} if changes == {"dram_offset": 64} else changes)
        host.load_and_start(work)
        host.wait(3000)
        assert host.status() == _ERROR
        assert host.device.read("DESCRIPTORS_DONE") == last
        host.device.recover()
        host.check_no_stray(work)


@scene
def no_burst_after_an_error(host: Host) -> None:
    """With the channels stopped when the error comes, only the bursts that are open end afterwards."""
    load = LONG_LOAD.program.descriptor(0)["dram_offset"]
    fault = Fault(first=load, last=load, response=2, reads=True)
    host.behave(Behaviour(faults=(fault,), latency=60))
    host.load_and_start(LONG_LOAD)
    while host.status() == _BUSY:
        pass
    at_error = host.beats()
    host.wait(2000)
    after = host.beats()
    assert after[0] - at_error[0] <= 16 * 16
    assert after[1] == at_error[1]
    assert host.status() == _ERROR
    assert host.device.read("ERROR_CODE") == ErrorCode.READ_SLAVE
    host.wait(2000)
    assert host.beats() == after
    host.device.recover()
