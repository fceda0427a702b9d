"""What the array waits for is counted as what it is: the bus when weights are many, the decoder when they are few."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from layers import random_input, random_layer

from ssvq.compile import compile_layer
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_sim.behaviour import Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs

CONFIG = PRESETS["tiny"]
CHANNELS = 128


def counters(weight_format: WeightFormat, codebook_size: int, bytes_per_cycle: int) -> Mapping[str, int]:
    """Of a layer with one token, whose profile adds up to the total as well."""
    rng = np.random.default_rng(5)
    layer = random_layer(
        rng,
        weight_format=weight_format,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        codebook_size=codebook_size,
    )
    x = random_input(rng, 1, layer)
    job = SimulationJob(
        name="layer",
        program=compile_layer(CONFIG, layer, 1),
        inputs={layer.name: x},
        behaviour=Behaviour(bytes_per_cycle=bytes_per_cycle),
        profile=True,
    )
    (result,) = run_jobs(CONFIG, [job])
    assert result.error is None
    assert (result.outputs[layer.name] == layer.reference(x).output).all()
    assert result.profile is not None
    passed = sum(row.cost for row in result.profile.rows) + sum(result.profile.tail.values())
    assert passed == result.profile.total == result.counters["TOTAL_CYCLES"]
    return result.counters


@pytest.mark.cosim
def test_the_bus_is_the_limit_of_dense_weights() -> None:
    found = counters(WeightFormat.INT8, 256, 1)
    assert found["WAIT_DECODE_CYCLES"] == 0
    assert found["WAIT_WEIGHT_CYCLES"] > 0.9 * CHANNELS * CHANNELS


@pytest.mark.cosim
def test_decoding_is_the_limit_of_an_eighth_of_a_bit() -> None:
    """A beat of 32 bits holds 256 weights, of which the lanes decode 32 a cycle."""
    found = counters(WeightFormat.VQ, 2, 4)
    assert found["WAIT_DECODE_CYCLES"] > found["WAIT_WEIGHT_CYCLES"]
    assert found["WAIT_DECODE_CYCLES"] > 0.5 * CHANNELS * CHANNELS / 32
