"""Programs whose descriptors overlap leave what they leave one after the other, whatever the memory's pace.

`SSVQ_SEED` chooses other programs.
"""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest
from small_configs import CONFIGS, name_of

from ssvq_gen.config import CoreConfig
from ssvq_sim.behaviour import CHANNELS, Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.overlap_cases import ProgramCase

SEED = int(os.environ.get("SSVQ_SEED", "1"))
PROGRAMS = 12
STEPS = 14
WATCHDOG_CYCLES = 20_000
_LOG = logging.getLogger(__name__)


def behaviour(config: CoreConfig, rng: np.random.Generator) -> Behaviour:
    """From a memory that never waits to one that pauses everywhere."""
    rates = [0, *(1 << bit for bit in range(config.beat_bytes.bit_length()))]
    stalls = {channel: float(rng.choice((0.0, 0.0, 0.3, 0.8))) for channel in CHANNELS}
    return Behaviour(
        latency=int(rng.choice((0, 1, 20, 150))),
        bytes_per_cycle=int(rng.choice(rates)),
        stalls=stalls if rng.random() < 0.5 else None,
        seed=int(rng.integers(1, 1 << 32)),
    )


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_random_programs(config: CoreConfig) -> None:
    rng = np.random.default_rng((SEED, config.digest))
    _LOG.info("seed %d on %s", SEED, config)
    cases = [ProgramCase(config, rng, steps=STEPS) for _ in range(PROGRAMS)]
    jobs = [
        SimulationJob(
            name=f"case{index}",
            program=case.program,
            inputs=case.inputs,
            behaviour=behaviour(config, rng),
            watchdog_cycles=WATCHDOG_CYCLES,
        )
        for index, case in enumerate(cases)
    ]
    results = run_jobs(config, jobs)
    overlapped = 0
    for index, (case, result) in enumerate(zip(cases, results, strict=True)):
        where = f"SSVQ_SEED={SEED}, {config.name}, case {index}"
        assert result.error is None, f"{where}: {result.error}"
        assert result.stray is None, where
        for name, expected in case.expected().items():
            wrong = np.argwhere(result.outputs[name] != expected)
            assert not wrong.size, f"{where}: {len(wrong)} outputs of {name} differ, the first at {wrong[0]}"
        overlapped += sum(d["matmuls_open"] == 1 for d in case.program.descriptors())
    assert overlapped > PROGRAMS, "some of the programs overlap"
