"""Resets and hosts that interfere: many scenes in one simulator process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ssvq.program import Program

from ..job_bench import DRAM_FILE, GUARD_BYTES
from ..job_files import write_json
from ..runner import LOG_FILE, VIOLATION_FILE, SimulationError, SimulationTimeout, log_tail, start_simulator, stop
from ..simulator import Simulator
from .host_bench import FOUND_FILE, PLAN_FILE, SCENES, WORKS

MODULE = "ssvq_sim.faults.host_bench"
KINDS = tuple(SCENES)
WALL_SECONDS = 900.0


def play(simulator: Simulator, plan: Sequence[tuple[str, int]]) -> dict[str, list[str]]:
    """Problems of each scene by its name.

    plan : kind of scene, one of `KINDS`, and its seed

    Raises SimulationError when the simulator stops or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="ssvq-") as name:
        folder = Path(name)
        write_json(folder / PLAN_FILE, list(plan))
        with (folder / DRAM_FILE).open("wb") as file:
            file.truncate(max(_window(work.program) for work in WORKS))
        with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
            process = start_simulator(simulator, MODULE, folder, log_file=log.fileno())
        try:
            process.wait(WALL_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise SimulationTimeout(f"scenes took more than {WALL_SECONDS} s:\n{log_tail(folder)}") from error
        finally:
            stop(process)
        if (violation := folder / VIOLATION_FILE).exists():
            raise SimulationError(f"the core broke a rule of AXI: {violation.read_text(encoding='utf-8')}")
        if not (folder / FOUND_FILE).exists():
            raise SimulationError(f"the simulator ended before its scenes did:\n{log_tail(folder)}")
        return dict(json.loads((folder / FOUND_FILE).read_text(encoding="utf-8")))


def _window(program: Program) -> int:
    return -(-program.memory_bytes // GUARD_BYTES) * GUARD_BYTES + GUARD_BYTES
