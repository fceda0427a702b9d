"""Counting what the scenarios reach of the `tiny` core."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from ssvq_gen.config import PRESETS

from ..job_files import write_config
from ..module_run import run_module
from ..runner import MEMORY_BYTES_DEFAULT
from ..simulator import Simulator, build_simulator
from .bench import PLAYED_FILE, PROGRESS_FILE
from .bins import groups
from .bus_log import DEFINES, LISTENING_BENCH, LOG_FILE, read_log
from .exclusions import read_exclusions
from .functional import Played, count, of_right_scenarios, read_bin_exclusions
from .points import read_points
from .report import Report, make_report

CONFIG = PRESETS["tiny"]
MODULE = "ssvq_sim.coverage.bench"
DATA_FILE = "coverage.dat"
WALL_SECONDS = 3600.0


def measure(*, on_progress: Callable[[int, int], None] | None = None) -> Report:
    """Build the core with counters and a listener, run all scenarios, and count.

    on_progress : called with how many scenarios are done, of how many

    Raises BuildError, ExclusionError, LogError, and SimulationError when the simulator stops or takes too long.
    """
    rules, bin_rules = read_exclusions(), read_bin_exclusions()
    simulator = build_simulator(CONFIG, coverage=True, bench=LISTENING_BENCH, extra_defines=DEFINES)
    with tempfile.TemporaryDirectory(prefix="ssvq-") as name:
        folder = Path(name)
        played = _simulate(simulator, folder, on_progress)
        with (folder / LOG_FILE).open(encoding="utf-8") as log:
            jobs = of_right_scenarios(read_log(log), played)
        functional = count(groups(CONFIG), jobs, bin_rules)
        problems = [f"{scenario.name}: {problem}" for scenario in played for problem in scenario.problems]
        return make_report(read_points(folder / DATA_FILE, simulator.verilog), rules, functional, problems)


def _simulate(simulator: Simulator, folder: Path, on_progress: Callable[[int, int], None] | None) -> list[Played]:
    """Leaves coverage.dat and the listener's log in the folder; returns the scenarios that were played."""
    write_config(folder, simulator.config)

    def show() -> None:
        path = folder / PROGRESS_FILE
        if on_progress is not None and path.exists():
            progress = json.loads(path.read_text(encoding="utf-8"))
            on_progress(progress["done"], progress["total"])

    found = run_module(
        simulator,
        MODULE,
        folder,
        result_file=PLAYED_FILE,
        memory_bytes=MEMORY_BYTES_DEFAULT,
        wall_seconds=WALL_SECONDS,
        on_poll=show,
    )
    return [Played(**scenario) for scenario in found]
