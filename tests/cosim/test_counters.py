"""What the array waits for is counted as what it is: the bus when weights are many, the decoder when they are few."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from ssvq.compile import compile_layer
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_sim.behaviour import Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.layers import random_input, random_layer

CONFIG = PRESETS["tiny"]
CHANNELS = 128


def counters(
    weight_format: WeightFormat, codebook_size: int, bytes_per_cycle: int, vector_dim: int = 8
) -> Mapping[str, int]:
    """Of a layer with one token, whose profile adds up to the total as well."""
    rng = np.random.default_rng(5)
    layer = random_layer(
        rng,
        weight_format=weight_format,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        codebook_size=codebook_size,
        vector_dim=1 if weight_format is WeightFormat.INT8 else vector_dim,
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
def test_decoding_is_the_limit_of_half_a_bit() -> None:
    """A beat of 32 bits holds 64 weights, of which the lanes decode 16 a cycle."""
    found = counters(WeightFormat.VQ, 2, 4, 2)
    assert found["WAIT_DECODE_CYCLES"] > found["WAIT_WEIGHT_CYCLES"] > found["WAIT_ARRAY_CYCLES"]
    assert found["WAIT_DECODE_CYCLES"] > 0.5 * CHANNELS * CHANNELS / 16


@pytest.mark.cosim
def test_the_array_is_the_limit_of_an_eighth_of_a_bit() -> None:
    """The lanes decode a tile in 2 cycles, and the swap needs 4 before the next one."""
    found = counters(WeightFormat.VQ, 2, 4)
    assert found["WAIT_ARRAY_CYCLES"] > found["WAIT_DECODE_CYCLES"] > found["WAIT_WEIGHT_CYCLES"]


@pytest.mark.cosim
@pytest.mark.parametrize(("codebook_size", "vector_dim"), [(4, 2), (256, 2), (2, 4), (256, 4), (2, 8), (256, 8)])
def test_decoding_is_no_limit_of_signed_codewords(codebook_size: int, vector_dim: int) -> None:
    """A stream word in every cycle is as fast as the bus can be."""
    found = counters(WeightFormat.SSVQ, codebook_size, 4, vector_dim)
    assert found["WAIT_DECODE_CYCLES"] == 0


@pytest.mark.cosim
def test_two_codewords_of_two_weights_are_the_exception() -> None:
    """A group has three words for two steps of two cycles each: the fourth cycle counts, or a wait for the swap."""
    found = counters(WeightFormat.SSVQ, 2, 4, 2)
    groups = CHANNELS * CHANNELS / (2 * CONFIG.stream_width)
    assert 0.5 * groups < found["WAIT_DECODE_CYCLES"] <= groups
