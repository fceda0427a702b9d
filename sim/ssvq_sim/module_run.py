"""Running a cocotb module of one's own from outside, from its start to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .job_bench import DRAM_FILE
from .runner import (
    LOG_FILE,
    VIOLATION_FILE,
    ProtocolViolation,
    SimulationError,
    SimulationTimeout,
    log_tail,
    start_simulator,
    stop,
)
from .simulator import Simulator

_POLL_SECONDS = 0.05


def run_module(
    simulator: Simulator,
    module: str,
    folder: Path,
    *,
    result_file: str,
    memory_bytes: int,
    wall_seconds: float,
    on_poll: Callable[[], None] | None = None,
) -> Any:
    """What a module leaves in its result file, as JSON.

    Args:
        module: with one test, which finds what it needs in `folder`.
        result_file: that the module writes in `folder` when it is done.
        memory_bytes: of the DRAM, which the module finds in `folder` too.
        wall_seconds: that it may take.
        on_poll: called many times a second.

    Raises SimulationTimeout, ProtocolViolation for a rule of AXI that the core breaks, and SimulationError when the
    simulator ends without a result.
    """
    with (folder / DRAM_FILE).open("wb") as file:
        file.truncate(memory_bytes)
    with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
        process = start_simulator(simulator, module, folder, log_file=log.fileno())
    deadline = time.monotonic() + wall_seconds
    try:
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise SimulationTimeout(f"{module} took more than {wall_seconds} s:\n{log_tail(folder)}")
            if on_poll is not None:
                on_poll()
            time.sleep(_POLL_SECONDS)
    finally:
        stop(process)
    if (violation := folder / VIOLATION_FILE).exists():
        raise ProtocolViolation(f"the core broke a rule of AXI: {violation.read_text(encoding='utf-8')}")
    if not (folder / result_file).exists():
        raise SimulationError(f"the simulator ended before {module} did:\n{log_tail(folder)}")
    return json.loads((folder / result_file).read_text(encoding="utf-8"))
