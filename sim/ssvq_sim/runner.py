"""Running jobs on a simulated core from outside: one simulator process runs many jobs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ssvq_gen.config import CoreConfig

from .behaviour import JobResult, SimulationJob
from .job_bench import DRAM_FILE, FOLDER_VARIABLE
from .job_files import read_result, write_jobs
from .simulator import Simulator, build_simulator
from .verilator_runner import PortsOnlyVerilator

GUARD_BYTES = 4096
"""DRAM after the largest window, where nothing may be written."""
WALL_SECONDS_DEFAULT = 900.0
VIOLATION_FILE = "violation.txt"
LOG_FILE = "simulation.log"
WAVES_FILE = "dump.fst"
_BENCH_MODULE = "ssvq_sim.job_bench"
_POLL_SECONDS = 0.05
_LOG_LINES = 25


class SimulationError(RuntimeError):
    """The simulator ended before its jobs did; the message ends with the last lines of its log."""


class ProtocolViolation(SimulationError):
    """The core broke a rule of AXI; the message names it."""


class SimulationTimeout(SimulationError):
    """The simulator took more wall-clock time than allowed."""


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

    What the driver raises is in `JobResult.error`. Raises BuildError, and SimulationError when a result is missing.
    """
    if not jobs:
        return []
    simulator = simulator or build_simulator(config, trace=trace)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return _run(simulator, jobs, folder.absolute(), wall_seconds, on_result)
    with tempfile.TemporaryDirectory(prefix="ssvq-") as name:
        return _run(simulator, jobs, Path(name), wall_seconds, on_result)


def _run(
    simulator: Simulator,
    jobs: Sequence[SimulationJob],
    folder: Path,
    wall_seconds: float,
    on_result: Callable[[int, JobResult], None] | None,
) -> list[JobResult]:
    for old in folder.glob("*.result.json"):
        old.unlink()
    (folder / VIOLATION_FILE).unlink(missing_ok=True)
    write_jobs(folder, simulator.config, jobs)
    size = max(job.program.memory_bytes for job in jobs)
    with (folder / DRAM_FILE).open("wb") as file:
        file.truncate(-(-size // GUARD_BYTES) * GUARD_BYTES + GUARD_BYTES)
    with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
        process = start_simulator(simulator, _BENCH_MODULE, folder, log_file=log.fileno())
        try:
            results = _collect(process, folder, len(jobs), time.monotonic() + wall_seconds, on_result)
        finally:
            stop(process)
    (folder / DRAM_FILE).unlink(missing_ok=True)
    return results


def start_simulator(simulator: Simulator, module: str, folder: Path, *, log_file: int) -> subprocess.Popen[bytes]:
    """Start the simulator's process with a cocotb test module, its files in `folder`."""
    arguments = [str(simulator.executable)]
    if simulator.trace:
        arguments += ["--trace", "--trace-file", str(folder / WAVES_FILE)]
    arguments += [f"+dram={folder / DRAM_FILE}", f"+violation={folder / VIOLATION_FILE}"]
    environment = PortsOnlyVerilator().test_environment(simulator.toplevel, module)
    environment |= {FOLDER_VARIABLE: str(folder), "COCOTB_RESULTS_FILE": str(folder / "results.xml")}
    environment.setdefault("COCOTB_LOG_LEVEL", "WARNING")
    return subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=log_file, stderr=subprocess.STDOUT, start_new_session=True
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _collect(
    process: subprocess.Popen[bytes],
    folder: Path,
    count: int,
    deadline: float,
    on_result: Callable[[int, JobResult], None] | None,
) -> list[JobResult]:
    results: list[JobResult] = []
    while len(results) < count:
        ended = process.poll() is not None
        result = read_result(folder, len(results))
        if result is not None:
            results.append(result)
            if on_result:
                on_result(len(results) - 1, result)
        elif ended:
            raise _failure(folder, f"the simulator ended with {process.returncode} in job {len(results)}")
        elif time.monotonic() > deadline:
            raise SimulationTimeout(f"job {len(results)} is not finished in time:\n{log_tail(folder)}")
        else:
            time.sleep(_POLL_SECONDS)
    return results


def _failure(folder: Path, what: str) -> SimulationError:
    violation = folder / VIOLATION_FILE
    if violation.exists():
        return ProtocolViolation(f"{what}: {violation.read_text(encoding='utf-8')}")
    return SimulationError(f"{what}:\n{log_tail(folder)}")


def log_tail(folder: Path) -> str:
    """The last lines that the simulator printed."""
    text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-_LOG_LINES:])


def keep(folder: Path, target: Path) -> None:
    """Copy a run's folder, for a report."""
    shutil.copytree(folder, target, dirs_exist_ok=True)
