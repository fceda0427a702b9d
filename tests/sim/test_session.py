"""How a session reports a simulator that dies, hangs or breaks a rule; scripts stand in for the simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssvq.compile import compile_layer
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_sim.behaviour import SimulationJob
from ssvq_sim.runner import ProtocolViolation, Session, SimulationError, SimulationTimeout
from ssvq_sim.simulator import Simulator
from ssvq_sim.systems.layers import random_input, random_layer

CONFIG = PRESETS["tiny"]
MEMORY_BYTES = 1 << 16


def a_job() -> SimulationJob:
    rng = np.random.default_rng(0)
    layer = random_layer(rng, weight_format=WeightFormat.INT8, out_channels=5, in_channels=6)
    return SimulationJob(
        name="job", program=compile_layer(CONFIG, layer, 3), inputs={"layer": random_input(rng, 3, layer)}
    )


def stand_in(folder: Path, script: str) -> Simulator:
    path = folder / "simulator"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Simulator(
        config=CONFIG,
        executable=path,
        verilog=path,
        toplevel="bench_top",
        trace=False,
        verilog_seconds=0.0,
        build_seconds=0.0,
    )


def test_simulator_that_dies(tmp_path: Path) -> None:
    simulator = stand_in(tmp_path, "echo something is wrong; exit 5")
    with Session(simulator, memory_bytes=MEMORY_BYTES) as session:
        for _ in range(2):
            with pytest.raises(SimulationError, match=r"(?s)something is wrong|gone before job"):
                session.run(a_job())


def test_broken_rule(tmp_path: Path) -> None:
    script = """
    read job
    for argument; do case $argument in +violation=*) echo -n 'W: too late (cycle 7)' > "${argument#*=}";; esac; done
    exit 3
    """
    with (
        Session(stand_in(tmp_path, script), memory_bytes=MEMORY_BYTES) as session,
        pytest.raises(ProtocolViolation, match=r"ended with 3 in job 0: W: too late \(cycle 7\)"),
    ):
        session.run(a_job())


def test_simulator_that_hangs(tmp_path: Path) -> None:
    with (
        Session(stand_in(tmp_path, "sleep 60"), memory_bytes=MEMORY_BYTES, wall_seconds=0.2) as session,
        pytest.raises(SimulationTimeout, match="job 0 took more than 0.2 s"),
    ):
        session.run(a_job())


def test_program_must_fit(tmp_path: Path) -> None:
    with (
        Session(stand_in(tmp_path, "exit 1"), memory_bytes=4096) as session,
        pytest.raises(ValueError, match="bytes of DRAM, too much for this session"),
    ):
        session.run(a_job())
