"""The device: loads a program, runs it, and says what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ssvq_gen.config import CoreConfig
from ssvq_gen.registers import (
    CORE_ID,
    CORE_VERSION,
    COUNTERS,
    MEMORY_BASE_ALIGNMENT,
    REGISTER_BY_NAME,
    TRAFFIC_COUNTERS,
)

from ..program import Memory, Program, ProgramError, input_pieces, output_from_pieces
from ..reference import Int8Array
from .bus import Bus
from .errors import (
    CounterMismatch,
    DeviceBusy,
    DigestMismatch,
    DriverError,
    JobTimeout,
    RecoveryFailed,
    WrongDevice,
    WrongVersion,
)
from .job_failure import failure_of_job
from .profile import Profile, check_profile, read_profile, require_profile

COUNTER_LIMIT = (1 << 32) - 1
"""Where counters stop; from there on their sum says nothing."""
WATCHDOG_CYCLES_DEFAULT = 1 << 20
RECOVER_SECONDS_DEFAULT = 0.1

_CONTROL = REGISTER_BY_NAME["CONTROL"]
_STATUS = REGISTER_BY_NAME["STATUS"]
_EVENTS = REGISTER_BY_NAME["IRQ_STATUS"].mask
_BUSY, _DONE, _ERROR, _DRAINING = (_STATUS.bit(name) for name in ("BUSY", "DONE", "ERROR", "DRAINING"))
_MAJOR_SHIFT = 16


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a program gave.

    outputs : int8 (tokens, channels) of each job by name
    counters : by the names in `ssvq_gen.registers`
    profile : if it was asked for
    """

    outputs: dict[str, Int8Array]
    counters: dict[str, int]
    profile: Profile | None = None


class Device:
    """One core on a bus.

    Construction reads only: it checks the ID, the version and the configuration's digest.
    Raises WrongDevice, WrongVersion or DigestMismatch, and DriverError for a misaligned DRAM window.
    """

    def __init__(self, bus: Bus, config: CoreConfig) -> None:
        self._bus = bus
        self._config = config
        identity = self.read("ID")
        if identity != CORE_ID:
            raise WrongDevice(f"register ID must be {CORE_ID:#010x}, not {identity:#010x}: this is no SSVQ core")
        version = self.read("VERSION")
        if version >> _MAJOR_SHIFT != CORE_VERSION >> _MAJOR_SHIFT:
            raise WrongVersion(f"register VERSION must be {CORE_VERSION >> _MAJOR_SHIFT}.x, not {version:#010x}")
        digest = self._read_pair("DIGEST")
        if digest != config.digest:
            raise DigestMismatch(
                f"the core has configuration digest {digest:016x}, {config.name!r} has {config.digest:016x}"
            )
        if bus.memory_base % MEMORY_BASE_ALIGNMENT:
            raise DriverError(f"memory_base must be a multiple of {MEMORY_BASE_ALIGNMENT}, not {bus.memory_base:#x}")

    @property
    def config(self) -> CoreConfig:
        """The core's configuration."""
        return self._config

    def read(self, name: str) -> int:
        """A register by name. Raises KeyError for an unknown one."""
        return self._bus.read32(REGISTER_BY_NAME[name].offset)

    def write(self, name: str, value: int) -> None:
        """Write a register by name. Raises KeyError for an unknown one."""
        self._bus.write32(REGISTER_BY_NAME[name].offset, value)

    def run(
        self,
        program: Program,
        inputs: Mapping[str, Int8Array],
        *,
        timeout_s: float = 1.0,
        watchdog_cycles: int = WATCHDOG_CYCLES_DEFAULT,
        profile: bool = False,
    ) -> RunResult:
        """Load a program and its inputs (int8 (tokens, channels) by job name), run it, and read outputs and counters.

        `timeout_s` is in the bus's time; `profile` reads the profile, too. Afterwards the core is idle, whether this
        returns or raises JobFailed, JobTimeout or CounterMismatch. Raises before it touches the core: DigestMismatch
        for a program of another configuration, ProgramError for inputs that do not fit, DeviceBusy when a job is
        running, DriverError for a profile of a core that records none.
        """
        self._check(program, inputs)
        if profile:
            require_profile(self._config)
        self.load(program, inputs)
        self.start(program, watchdog_cycles=watchdog_cycles)
        self.wait(program, timeout_s=timeout_s)
        counters = self.counters()
        self.recover()
        recorded = self.profile(program) if profile else None
        return RunResult(outputs=self.outputs(program), counters=counters, profile=recorded)

    def _check(self, program: Program, inputs: Mapping[str, Int8Array]) -> None:
        if program.config_digest != self._config.digest:
            raise DigestMismatch(
                f"the program was compiled for configuration digest {program.config_digest:016x}, "
                f"the core has {self._config.digest:016x}"
            )
        unknown = sorted(set(inputs) ^ {job.name for job in program.jobs if job.input})
        if unknown:
            raise ProgramError(f"inputs must be given for exactly the jobs that have one; {unknown[0]!r} differs")

    def load(self, program: Program, inputs: Mapping[str, Int8Array]) -> None:
        """Write the image and the inputs to DRAM. Raises ProgramError, DeviceBusy."""
        self._require_window(program)
        pieces = [entry for name, x in inputs.items() for entry in input_pieces(program, x, job=name)]
        self._require_not_busy()
        self.recover()
        self._bus.write_memory(0, program.image)
        for piece, data in pieces:
            self._bus.write_memory(piece.offset, data)

    def start(self, program: Program, *, watchdog_cycles: int = WATCHDOG_CYCLES_DEFAULT) -> None:
        """Start a loaded program. Leftovers of an earlier job are cleared.

        Raises DeviceBusy when a job is running, ProgramError when the window is too small or not addressable.
        """
        self._require_window(program)
        self._require_not_busy()
        self.recover()
        self.write("IRQ_STATUS", _EVENTS)
        self.write("IRQ_ENABLE", _EVENTS)
        self._write_pair("MEMORY_BASE", self._bus.memory_base)
        self.write("MEMORY_SIZE", program.memory_bytes)
        self.write("DESCRIPTOR_OFFSET", program.descriptor_offset)
        self.write("DESCRIPTOR_COUNT", program.descriptor_count)
        self.write("WATCHDOG_CYCLES", watchdog_cycles)
        self.write("CONTROL", _CONTROL.bit("START"))

    def wait(self, program: Program, *, timeout_s: float) -> None:
        """Wait until a started job is DONE. Raises JobFailed or JobTimeout, after which the core is idle."""
        deadline = self._bus.elapsed() + timeout_s
        while True:
            status = self.read("STATUS")
            if status & _DONE:
                return
            if status & _ERROR:
                failure = failure_of_job(self.read, program)
                self._recover_after(failure)
                raise failure
            left = deadline - self._bus.elapsed()
            if left <= 0:
                break
            # A raised interrupt whose event is no end of the job must not make this a busy loop.
            if self._bus.wait_for_interrupt(left) and not self.read("STATUS") & (_DONE | _ERROR):
                self.write("IRQ_STATUS", _EVENTS)
        done = self.read("DESCRIPTORS_DONE")
        message = (
            f"no end after {timeout_s} s, {done} of {program.descriptor_count} descriptors done; the job is aborted"
        )
        timeout = JobTimeout(message, seconds=timeout_s, descriptors_done=done)
        self._recover_after(timeout)
        raise timeout

    def outputs(self, program: Program) -> dict[str, Int8Array]:
        """The outputs of a completed program, int8 (tokens, channels) by the names of the jobs that have one."""
        names = [job.name for job in program.jobs if job.output]
        return {name: output_from_pieces(program, self._read_memory, job=name) for name in names}

    def _read_memory(self, offset: int, size: int) -> Memory:
        return np.frombuffer(self._bus.read_memory(offset, size), dtype=np.uint8)

    def counters(self) -> dict[str, int]:
        """All counters of the last job by name. Raises CounterMismatch when the classes do not add up to the total."""
        values = {name: self.read(name) for name, _ in COUNTERS + TRAFFIC_COUNTERS}
        total_name, *class_names = (name for name, _ in COUNTERS)
        total, classes = values[total_name], sum(values[name] for name in class_names)
        if total < COUNTER_LIMIT and total != classes:
            self.recover()
            raise CounterMismatch(f"{total_name} is {total}, its classes add up to {classes}")
        return values

    def profile(self, program: Program) -> Profile:
        """The profile of the last job, which was `program`; it is there until the next one starts.

        Raises DriverError when the core records none or the job did not complete, DeviceBusy while it runs,
        CounterMismatch when the profile does not add up.
        """
        require_profile(self._config)
        self._require_not_busy()
        result = read_profile(self, program)
        if result.total < COUNTER_LIMIT:
            check_profile(result)
        return result

    def recover(self, *, timeout_s: float = RECOVER_SECONDS_DEFAULT) -> None:
        """Bring the core to idle from any state: abort a running job, wait for its bus transactions, clear.

        Raises RecoveryFailed when that takes more than `timeout_s`, in the bus's time.
        """
        deadline = self._bus.elapsed() + timeout_s
        while status := self.read("STATUS"):
            if status & _BUSY:
                self.write("CONTROL", _CONTROL.bit("ABORT"))
            elif not status & _DRAINING:
                self.write("CONTROL", _CONTROL.bit("CLEAR"))
            if self._bus.elapsed() > deadline:
                raise RecoveryFailed(f"STATUS is still {status:#x} after {timeout_s} s: {_status_text(status)}")
        self.write("IRQ_STATUS", _EVENTS)

    def _recover_after(self, error: DriverError) -> None:
        try:
            self.recover()
        except RecoveryFailed as failed:
            raise failed from error

    def _require_window(self, program: Program) -> None:
        """Beyond its window a core would write to memory that belongs to others."""
        base, size, bits = self._bus.memory_base, program.memory_bytes, self._config.axi_addr_width
        if size > self._bus.memory_bytes:
            raise ProgramError(f"the program needs a window of {size} bytes, this one has {self._bus.memory_bytes}")
        if base + size > 1 << bits:
            raise ProgramError(f"the program's window ends at {base + size:#x}, beyond the core's {bits}-bit addresses")

    def _require_not_busy(self) -> None:
        status = self.read("STATUS")
        if status & _BUSY:
            raise DeviceBusy("a job is running that was not started here; recover() aborts it")

    def _read_pair(self, name: str) -> int:
        return self.read(f"{name}_LO") | self.read(f"{name}_HI") << 32

    def _write_pair(self, name: str, value: int) -> None:
        self.write(f"{name}_LO", value & 0xFFFF_FFFF)
        self.write(f"{name}_HI", value >> 32)


def _status_text(status: int) -> str:
    return ", ".join(b.name for b in _STATUS.bits if status & _STATUS.bit(b.name)) or "idle"
