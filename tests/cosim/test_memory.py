"""The bench's memory keeps the pace and the latency that it is told."""

from __future__ import annotations

import numpy as np
import pytest

from ssvq.compile import compile_layer
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_sim.behaviour import Behaviour, SimulationJob
from ssvq_sim.checker import check_job
from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.layers import random_input, random_layer

CONFIG = PRESETS["tiny"]
TOKENS, CHANNELS = 60, 160
LOAD_BYTES = TOKENS * CHANNELS


@pytest.mark.slow
@pytest.mark.cosim
def test_pace_and_latency() -> None:
    rng = np.random.default_rng(5)
    layer = random_layer(rng, weight_format=WeightFormat.SSVQ, out_channels=CHANNELS, in_channels=CHANNELS)
    x = random_input(rng, TOKENS, layer)
    program = compile_layer(CONFIG, layer, TOKENS)
    behaviours = [Behaviour(bytes_per_cycle=rate) for rate in (4, 2, 1)]
    behaviours += [Behaviour(latency=500), Behaviour(stalls={"r": 0.5}), Behaviour(stalls={"w": 0.5})]
    jobs = [
        SimulationJob(name="pace", program=program, inputs={layer.name: x}, behaviour=behaviour)
        for behaviour in behaviours
    ]
    results = run_jobs(CONFIG, jobs)
    for job, result in zip(jobs, results, strict=True):
        assert result.error is None
        assert check_job(CONFIG, job, layer, result) is None
    for result, rate in zip(results, (4, 2, 1), strict=False):
        for phase in ("LOAD_CYCLES", "STORE_CYCLES"):
            assert LOAD_BYTES / rate <= result.counters[phase] <= 1.1 * LOAD_BYTES / rate + 60
    fast, _, _, distant, slow_reads, slow_writes = (result.counters for result in results)
    assert distant["LOAD_CYCLES"] - fast["LOAD_CYCLES"] >= 500
    assert 1.7 <= slow_reads["LOAD_CYCLES"] / fast["LOAD_CYCLES"] <= 2.4
    assert slow_reads["STORE_CYCLES"] <= fast["STORE_CYCLES"] + 60
    assert 1.4 <= slow_writes["STORE_CYCLES"] / fast["STORE_CYCLES"] <= 2.6
