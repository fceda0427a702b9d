"""What a host may do to a core at the wrong moment, and what it may not: the scenes of host_bench.py."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ssvq_sim.job_bench import DRAM_FILE
from ssvq_sim.runner import GUARD_BYTES, LOG_FILE, VIOLATION_FILE, log_tail, start_simulator, stop
from ssvq_sim.simulator import build_simulator
from ssvq_sim.systems.work import CONFIG, GOOD, LONG_LOAD, LONG_STORE

SCENES = 8
WALL_SECONDS = 300.0


@pytest.mark.slow
@pytest.mark.cosim
def test_scenes(tmp_path: Path) -> None:
    """All scenes run in one simulator process; each ends with a job that is right bit for bit."""
    simulator = build_simulator(CONFIG)
    with (tmp_path / DRAM_FILE).open("wb") as file:
        size = max(work.program.memory_bytes for work in (GOOD, LONG_LOAD, LONG_STORE))
        file.truncate(size // GUARD_BYTES * GUARD_BYTES + 2 * GUARD_BYTES)
    with (tmp_path / LOG_FILE).open("w") as log:
        process = start_simulator(simulator, "host_bench", tmp_path, log_file=log.fileno())
        try:
            process.wait(timeout=WALL_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the scenes did not end in time:\n{log_tail(tmp_path)}")
        finally:
            stop(process)
    violation = tmp_path / VIOLATION_FILE
    assert not violation.exists(), violation.read_text()
    assert (tmp_path / "results.xml").exists(), log_tail(tmp_path)
    cases = list(ET.parse(tmp_path / "results.xml").iter("testcase"))
    failed = [
        str(case.get("name")) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    assert not failed, f"{', '.join(failed)} failed:\n{(tmp_path / LOG_FILE).read_text()}"
    assert len(cases) == SCENES
