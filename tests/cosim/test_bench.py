"""The benchmark's programs on the simulated core: a miniature transformer, its products alone and as one job."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from bench_model import FEWER_COLUMNS, FEWER_ROWS, MINI

from ssvq_gen.config import CoreConfig
from ssvq_sim.behaviour import CHANNELS
from ssvq_sim.bench.measurement import Measurement
from ssvq_sim.bench.run import Runner
from ssvq_sim.bench.sweep import Bus, Networks, buses, layer_measurements, network_measurements
from ssvq_sim.runner import run_jobs
from ssvq_sim.simulator import build_simulator

pytestmark = [pytest.mark.slow, pytest.mark.cosim]
configs = pytest.mark.parametrize("config", [FEWER_ROWS, FEWER_COLUMNS], ids=lambda config: config.name)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(MINI)


def plan(config: CoreConfig, bus_list: list[Bus], networks: Networks) -> list[Measurement]:
    return [*layer_measurements(config, bus_list, networks), *network_measurements(config, bus_list, networks)]


@configs
@pytest.mark.parametrize("latency", [0, 100])
def test_sweep(config: CoreConfig, latency: int, networks: Networks) -> None:
    measurements = plan(config, buses(config, (1, config.beat_bytes), latency), networks)
    points = Runner({config.name: build_simulator(config)}).run(measurements)
    assert [p.name for p in points if not p.bit_exact] == []
    for point in points:
        assert point.counters["ARRAY_CYCLES"] == point.compute_cycles < point.cycles
        assert point.counters["WEIGHT_BEATS"] * config.beat_bytes == point.stream_bytes
        assert 0 < point.bus_utilisation <= 1


@configs
@pytest.mark.parametrize("stalls", [0.1, 0.5])
def test_random_pauses(config: CoreConfig, stalls: float, networks: Networks) -> None:
    measurements = plan(config, buses(config, (config.beat_bytes,), 20), networks)
    pauses = dict.fromkeys(CHANNELS, stalls)
    jobs = [
        replace(job, behaviour=replace(job.behaviour, stalls=pauses, seed=seed))
        for seed, measurement in enumerate(measurements)
        for job in measurement.jobs()
    ]
    results = run_jobs(config, jobs, simulator=build_simulator(config))
    assert [result.error for result in results] == [None] * len(jobs)
    left = iter(results)
    exact = [measurement.is_exact(list(islice(left, len(measurement.steps)))) for measurement in measurements]
    assert [m.name for m, is_exact in zip(measurements, exact, strict=True) if not is_exact] == []
