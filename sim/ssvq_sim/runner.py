"""Running jobs on a simulated core from outside: one simulator process runs many jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ssvq_gen.config import CoreConfig

from .behaviour import JobResult, SimulationJob
from .job_bench import DRAM_FILE, FOLDER_VARIABLE, GUARD_BYTES
from .job_files import read_result, write_config, write_job
from .simulator import Simulator, build_simulator
from .verilator_runner import PortsOnlyVerilator

WALL_SECONDS_DEFAULT = 600.0
"""Longest that one job may take in real time."""
MEMORY_BYTES_DEFAULT = 16 << 20
WAVES_FILE = "dump.vcd"
VIOLATION_FILE = "violation.txt"
LOG_FILE = "simulation.log"
FAST_MODULE = "ssvq_sim.job_bench"
SLOW_MODULE = "ssvq_sim.cocotbext_bench"
"""Cocotb modules that run jobs, of `FAST_BENCH` and `PORTS_BENCH`."""
_POLL_SECONDS = 0.002
_END_SECONDS = 20.0
_LOG_LINES = 25


class SimulationError(RuntimeError):
    """The simulator ended before its job did; the message ends with the last lines of its log."""


class ProtocolViolation(SimulationError):
    """The core broke a rule that the bench watches, such as AXI's; the message names it."""


class SimulationTimeout(SimulationError):
    """The simulator took more real time than allowed."""


class Session:
    """A simulator process that runs one job after the other, without a reset in between. A context manager.

    folder : where files are kept; a temporary one when it is None
    memory_bytes : size of the DRAM, for the largest program and a guard after it
    wall_seconds : real time that a job may take
    module : cocotb module, of the bench that the simulator was built with
    arguments : of the simulator's process, such as "+verilator+seed+1"

    After a `SimulationError` the next job starts a new process.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        folder: Path | None = None,
        memory_bytes: int = MEMORY_BYTES_DEFAULT,
        wall_seconds: float = WALL_SECONDS_DEFAULT,
        module: str = FAST_MODULE,
        arguments: Sequence[str] = (),
    ) -> None:
        self._module = module
        self._arguments = tuple(arguments)
        self._simulator = simulator
        self._temporary = tempfile.TemporaryDirectory(prefix="ssvq-") if folder is None else None
        self._folder = Path(self._temporary.name) if self._temporary else Path(folder or ".").absolute()
        self._memory_bytes = memory_bytes
        self._wall_seconds = wall_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(graceful=kind is None)
        (self._folder / DRAM_FILE).unlink(missing_ok=True)
        if self._temporary:
            self._temporary.cleanup()

    def run(self, job: SimulationJob) -> JobResult:
        """Run a job. What the driver raises is in `JobResult.error`; raises SimulationError, ValueError."""
        if job.program.memory_bytes + GUARD_BYTES > self._memory_bytes:
            raise ValueError(f"the program needs {job.program.memory_bytes} bytes of DRAM, too much for this session")
        if self._process is None:
            self._start()
        index, self._count = self._count, self._count + 1
        write_job(self._folder, index, job)
        process = self._process
        if process is None or process.stdin is None:
            raise SimulationError("the simulator has not started")
        try:
            process.stdin.write(f"{index}\n".encode())
            process.stdin.flush()
            return self._await(process, index)
        except BaseException as error:
            self._end(graceful=False)
            if isinstance(error, BrokenPipeError):
                raise self._failure(f"the simulator was gone before job {index} ({job.name})") from error
            raise

    def _start(self) -> None:
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        for old in (*folder.glob("*.result.json"), folder / VIOLATION_FILE):
            old.unlink(missing_ok=True)
        write_config(folder, self._simulator.config)
        with (folder / DRAM_FILE).open("wb") as file:
            file.truncate(self._memory_bytes)
        with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
            self._process = start_simulator(
                *(self._simulator, self._module, folder),
                log_file=log.fileno(),
                stdin=subprocess.PIPE,
                arguments=self._arguments,
            )

    def _await(self, process: subprocess.Popen[bytes], index: int) -> JobResult:
        deadline = time.monotonic() + self._wall_seconds
        while True:
            ended = process.poll() is not None
            result = read_result(self._folder, index)
            if result is not None:
                return result
            if ended:
                raise self._failure(f"the simulator ended with {process.returncode} in job {index}")
            if time.monotonic() > deadline:
                raise SimulationTimeout(f"job {index} took more than {self._wall_seconds} s:\n{log_tail(self._folder)}")
            time.sleep(_POLL_SECONDS)

    def _end(self, *, graceful: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if graceful and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                graceful = False
        stop(process)
        if process.stdin is not None and not process.stdin.closed:
            with suppress(BrokenPipeError):
                process.stdin.close()

    def _failure(self, what: str) -> SimulationError:
        violation = self._folder / VIOLATION_FILE
        if violation.exists():
            return ProtocolViolation(f"{what}: {violation.read_text(encoding='utf-8')}")
        return SimulationError(f"{what}:\n{log_tail(self._folder)}")


def start_simulator(
    simulator: Simulator,
    module: str,
    folder: Path,
    *,
    log_file: int,
    stdin: int = subprocess.DEVNULL,
    arguments: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start the simulator's process with a cocotb test module, its files in `folder`."""
    waves = ["--trace", "--trace-file", str(folder / WAVES_FILE)] if simulator.trace else []
    plus = [f"+dram={folder / DRAM_FILE}", f"+violation={folder / VIOLATION_FILE}"]
    environment = PortsOnlyVerilator().test_environment(simulator.toplevel, module)
    environment |= {FOLDER_VARIABLE: str(folder), "COCOTB_RESULTS_FILE": str(folder / "results.xml")}
    environment.setdefault("COCOTB_LOG_LEVEL", "WARNING")
    return subprocess.Popen(
        [str(simulator.executable), *waves, *plus, *arguments],
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=log_file,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def log_tail(folder: Path) -> str:
    """The last lines that the simulator printed."""
    text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-_LOG_LINES:])


def run_jobs(
    config: CoreConfig,
    jobs: Sequence[SimulationJob],
    *,
    folder: Path | None = None,
    trace: bool = False,
    wall_seconds: float = WALL_SECONDS_DEFAULT,
    on_result: Callable[[int, JobResult], None] | None = None,
    simulator: Simulator | None = None,
) -> list[JobResult]:
    """Run jobs on a core, which is built when it is not in the cache; results in the order of the jobs.

    folder : where files are kept; a temporary one when it is None
    on_result : called with index and result as soon as a job is finished

    What the driver raises is in `JobResult.error`. Raises BuildError and SimulationError.
    """
    simulator = simulator or build_simulator(config, trace=trace)
    needed = max((job.program.memory_bytes for job in jobs), default=0) + 2 * GUARD_BYTES
    results = []
    size = -(-needed // GUARD_BYTES) * GUARD_BYTES
    with Session(simulator, folder=folder, memory_bytes=size, wall_seconds=wall_seconds) as session:
        for index, job in enumerate(jobs):
            results.append(session.run(job))
            if on_result:
                on_result(index, results[-1])
    return results
