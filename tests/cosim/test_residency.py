"""Compressed weights that stay in the weight cache are fetched once, for two inputs and for the next job."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ssvq.builder import ActivationTensor, ProgramBuilder
from ssvq.program import Program
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_gen.format import Residency
from ssvq_sim.behaviour import Behaviour, JobResult, SimulationJob
from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.layers import random_input, random_layer

CONFIG = PRESETS["tiny"]
CHANNELS = 56
TOKENS = 40
RNG = np.random.default_rng(8)
LAYER = random_layer(RNG, weight_format=WeightFormat.INT8, in_channels=CHANNELS, out_channels=CHANNELS)
INPUTS = {name: random_input(RNG, TOKENS, LAYER) for name in ("first", "second")}
OFFSET = 128


def program(*residencies: Residency) -> Program:
    """The layer on both inputs, one after the other."""
    builder = ProgramBuilder(CONFIG)
    source = ActivationTensor.packed(CONFIG, word=0, tokens=TOKENS, channels=CHANNELS)
    target = replace(source, word=source.end(CONFIG))
    for name, residency in zip(INPUTS, residencies, strict=True):
        builder.load(name, source, LAYER.input_scale)
        offset = OFFSET if residency is not Residency.NONE else 0
        builder.matmul(LAYER, source=source, target=target, residency=residency, cache_offset=offset, name=name)
        builder.store(name, target, LAYER.output_scale)
    return builder.build()


def run(*programs: Program) -> list[JobResult]:
    """In a row on one core, with weights that are slower than the array."""
    jobs = [
        SimulationJob(name=f"job{i}", program=p, inputs=INPUTS, behaviour=Behaviour(bytes_per_cycle=1))
        for i, p in enumerate(programs)
    ]
    results = run_jobs(CONFIG, jobs)
    for result in results:
        assert result.error is None
        for name, x in INPUTS.items():
            assert (result.outputs[name] == LAYER.reference(x).output).all()
    return results


@pytest.mark.cosim
def test_weights_are_fetched_once() -> None:
    none, keep, reuse = Residency.NONE, Residency.KEEP, Residency.REUSE
    fetched, kept, again = run(program(none, none), program(keep, reuse), program(reuse, reuse))
    beats = fetched.counters["WEIGHT_BEATS"]
    assert beats * CONFIG.beat_bytes > 2 * CHANNELS * CHANNELS
    assert (kept.counters["WEIGHT_BEATS"], again.counters["WEIGHT_BEATS"]) == (beats // 2, 0)
    saved = beats // 2 * CONFIG.beat_bytes
    array = TOKENS * (CHANNELS // CONFIG.rows) * (CHANNELS // CONFIG.cols)
    assert array < saved, "the bus is the slower side"
    # From the cache the array is the slower side; whatever else a job costs is the same.
    for result, times in ((kept, 1), (again, 2)):
        gained = fetched.counters["TOTAL_CYCLES"] - result.counters["TOTAL_CYCLES"]
        assert 0.8 * times * (saved - array) < gained <= times * saved
