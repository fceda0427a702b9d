"""Resets and hosts that interfere: many scenes in one simulator process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ssvq.program import Program

from ..job_bench import GUARD_BYTES
from ..job_files import write_json
from ..module_run import run_module
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
        found = run_module(
            simulator,
            MODULE,
            folder,
            result_file=FOUND_FILE,
            memory_bytes=max(_window(work.program) for work in WORKS),
            wall_seconds=WALL_SECONDS,
        )
    return dict(found)


def _window(program: Program) -> int:
    return -(-program.memory_bytes // GUARD_BYTES) * GUARD_BYTES + GUARD_BYTES
