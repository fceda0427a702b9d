"""Counting what the scenarios reach of the `tiny` core."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ssvq_gen.config import PRESETS

from ..job_bench import DRAM_FILE
from ..job_files import write_config
from ..runner import (
    LOG_FILE,
    MEMORY_BYTES_DEFAULT,
    VIOLATION_FILE,
    SimulationError,
    SimulationTimeout,
    log_tail,
    start_simulator,
    stop,
)
from ..simulator import Simulator, build_simulator
from .bench import PROBLEMS_FILE, PROGRESS_FILE
from .exclusions import read_exclusions
from .points import read_points
from .report import Report, make_report

CONFIG = PRESETS["tiny"]
MODULE = "ssvq_sim.coverage.bench"
DATA_FILE = "coverage.dat"
WALL_SECONDS = 3600.0
_POLL_SECONDS = 0.2


def measure(*, on_progress: Callable[[int, int], None] | None = None) -> Report:
    """Build the core with counters, run all scenarios, and count.

    on_progress : called with how many scenarios are done, of how many

    Raises BuildError, ExclusionError, and SimulationError when the simulator stops or takes too long.
    """
    rules = read_exclusions()
    simulator = build_simulator(CONFIG, coverage=True)
    with tempfile.TemporaryDirectory(prefix="ssvq-") as name:
        folder = Path(name)
        problems = _simulate(simulator, folder, on_progress)
        return make_report(read_points(folder / DATA_FILE, simulator.verilog), rules, problems)


def _simulate(simulator: Simulator, folder: Path, on_progress: Callable[[int, int], None] | None) -> list[str]:
    """Leaves coverage.dat in the folder; returns what was wrong in scenarios."""
    write_config(folder, simulator.config)
    with (folder / DRAM_FILE).open("wb") as file:
        file.truncate(MEMORY_BYTES_DEFAULT)
    with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
        process = start_simulator(simulator, MODULE, folder, log_file=log.fileno())
    try:
        _await(process, folder, on_progress)
    finally:
        stop(process)
    if (violation := folder / VIOLATION_FILE).exists():
        raise SimulationError(f"the core broke a rule of AXI: {violation.read_text(encoding='utf-8')}")
    if not (folder / PROBLEMS_FILE).exists():
        raise SimulationError(f"the simulator ended before its scenarios did:\n{log_tail(folder)}")
    found = json.loads((folder / PROBLEMS_FILE).read_text(encoding="utf-8"))
    return [f"{scenario}: {problem}" for scenario, problems in found.items() for problem in problems]


def _await(process: subprocess.Popen[bytes], folder: Path, on_progress: Callable[[int, int], None] | None) -> None:
    deadline = time.monotonic() + WALL_SECONDS
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise SimulationTimeout(f"scenarios took more than {WALL_SECONDS} s:\n{log_tail(folder)}")
        if on_progress is not None and (path := folder / PROGRESS_FILE).exists():
            progress = json.loads(path.read_text(encoding="utf-8"))
            on_progress(progress["done"], progress["total"])
        time.sleep(_POLL_SECONDS)
