"""What a host may do to the `tiny` core at the wrong moment, and what it may not."""

from __future__ import annotations

from collections.abc import Callable

from ssvq.driver import DeviceBusy, JobTimeout, RecoveryFailed
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import REGISTER_BY_NAME

from ..behaviour import Behaviour, Fault
from ..job_bench import FILL
from .host import Host, raises, require
from .work import BASE, CONFIG, GOOD, LONG_LOAD, LONG_STORE

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


def writes_while_busy(host: Host) -> None:
    """Settings, START and CLEAR are ignored while a job runs; the driver refuses to start another."""
    host.behave(Behaviour(latency=100, bytes_per_cycle=1))
    host.load_and_start(GOOD, watchdog_cycles=50_000)
    settings = {name: host.device.read(name) for name in _SETTINGS}
    for name in _SETTINGS:
        host.device.write(name, 0x1000)
    for bits in (_START, _CLEAR, _START | _CLEAR):
        host.command(bits)
        host.require_status(_BUSY)
    require({name: host.device.read(name) for name in _SETTINGS} == settings, "a setting changed while busy")
    with raises(DeviceBusy):
        host.device.load(GOOD.program, GOOD.inputs)
    with raises(DeviceBusy):
        host.device.start(GOOD.program)
    require(host.status() == _BUSY, "the job was over too soon for this scene")
    host.check_outputs(GOOD)


def start_when_done(host: Host) -> None:
    """DONE stays until CLEAR: START and ABORT do nothing, and nothing moves."""
    host.load_and_start(GOOD)
    host.device.wait(GOOD.program, timeout_s=1e-3)
    before = host.beats()
    for bits in (_START, _ABORT):
        host.command(bits)
        host.wait(200)
        host.require_status(_DONE)
    require(host.beats() == before, "something moved on the bus")
    host.require_register("DESCRIPTORS_DONE", GOOD.program.descriptor_count)
    host.device.recover()


def clear_while_draining(host: Host) -> None:
    """After an abort with transactions open, CLEAR, START and settings are ignored until they end."""
    for channel, work in (("r", LONG_LOAD), ("b", LONG_STORE), ("w", LONG_STORE), ("aw", LONG_STORE)):
        host.behave(Behaviour(latency=3))
        host.load_and_start(work)
        if work is LONG_STORE:
            _wait_for_writes(host)
        host.hang(channel)
        host.wait(300)
        host.require_status(_BUSY)
        host.command(_ABORT)
        settings = {name: host.device.read(name) for name in _SETTINGS}
        for bits in (_CLEAR, _START, _CLEAR | _START, _ABORT):
            host.command(bits)
            host.require_status(_ERROR | _DRAINING, channel)
        for name in _SETTINGS:
            host.device.write(name, 0x2000)
        require({name: host.device.read(name) for name in _SETTINGS} == settings, "a setting changed while busy")
        host.require_register("ERROR_CODE", ErrorCode.ABORTED)
        with raises(RecoveryFailed, match="DRAINING"):
            host.device.recover(timeout_s=20e-6)
        before = host.beats()
        host.wait(1000)
        require(host.beats() == before, "the hung bus moved")
        host.hang()
        host.wait(500)
        host.require_status(_ERROR)
        most = 8 * 16 + 1 if work is LONG_STORE else 16 * 16
        require(sum(host.beats()) - sum(before) <= most, "more than the open bursts")
        host.command(_CLEAR)
        host.require_status(0)
        host.require_register("ERROR_CODE", ErrorCode.NONE)
        host.device.write("IRQ_STATUS", 3)
        host.check_healthy()


def _wait_for_writes(host: Host) -> None:
    before = host.beats()[1]
    while host.beats()[1] == before:
        host.wait(10)


def time_out_on_a_dead_bus(host: Host) -> None:
    """A bus that never answers: the driver says that it cannot recover, and why it tried."""
    host.load_and_start(LONG_LOAD)
    host.hang("r")
    host.wait(100)
    with raises(RecoveryFailed):
        host.device.recover(timeout_s=10e-6)
    host.hang()
    host.wait(500)
    host.device.recover()
    host.load_and_start(LONG_LOAD)
    with raises(JobTimeout, match="0 of 3 descriptors"):
        host.device.wait(LONG_LOAD.program, timeout_s=2e-6)


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
        host.require_status(_ERROR, changes)
        host.require_register("ERROR_CODE", code, changes)
        host.require_register("ERROR_DESCRIPTOR", 0)
        host.require_register("IRQ_STATUS", REGISTER_BY_NAME["IRQ_STATUS"].bit("ERROR"))
        require(host.beats() == before, "something moved on the bus")
        host.device.recover()
        host.require_register("IRQ_STATUS", 0)


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
        host.require_status(_ERROR)
        host.require_register("DESCRIPTORS_DONE", last)
        host.device.recover()
        host.check_no_stray(work)


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
    require(after[0] - at_error[0] <= 16 * 16, "more than the open bursts were read")
    require(after[1] == at_error[1], "something was written after the error")
    host.require_status(_ERROR)
    host.require_register("ERROR_CODE", ErrorCode.READ_SLAVE)
    host.wait(2000)
    require(host.beats() == after, "something moved after the error")
    host.device.recover()


SCENES: tuple[Callable[[Host], None], ...] = (
    writes_while_busy,
    start_when_done,
    clear_while_draining,
    time_out_on_a_dead_bus,
    impossible_tables,
    nothing_is_written_after_an_error,
    no_burst_after_an_error,
)
"""Each begins with an idle core, and leaves one that is healthy."""
