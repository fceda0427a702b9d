"""Layers in every format on the presets, bit for bit: several chunks of tokens, output channels split in two."""

from __future__ import annotations

import os

import numpy as np
import pytest

from ssvq.compile import compile_layers
from ssvq.integer_layer import IntegerLayer
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import Opcode
from ssvq_sim.behaviour import CHANNELS, Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.layers import random_input, random_layer
from ssvq_sim.systems.outcome import beats_after, problems_of

WALL_SECONDS = 600.0
LARGE_VARIABLE = "SSVQ_LARGE"
INT8, SSVQ, VQ = WeightFormat.INT8, WeightFormat.SSVQ, WeightFormat.VQ
FORMATS = ((INT8, 256, 1), (SSVQ, 16, 8), (SSVQ, 256, 8), (VQ, 256, 4), (VQ, 64, 2))
"""Format, codebook size, vector dimension."""
_large = pytest.mark.skipif(LARGE_VARIABLE not in os.environ, reason=f"takes many minutes to build: {LARGE_VARIABLE}=1")


def ragged_layers(config: CoreConfig) -> list[tuple[IntegerLayer, int]]:
    """A layer in every format, with ragged edges, and more activations than the accumulators hold in the first."""
    rng = np.random.default_rng(10)
    result = []
    for index, (weight_format, codebook_size, vector_dim) in enumerate(FORMATS):
        layer = random_layer(
            rng,
            weight_format=weight_format,
            in_channels=2 * config.rows + 5,
            out_channels=config.cols + 3,
            codebook_size=codebook_size,
            vector_dim=vector_dim,
            name=f"{weight_format.name.lower()}{index}",
        )
        result.append((layer, 3 if index else config.accumulator_depth + 3))
    return result


def wide_layer(config: CoreConfig) -> tuple[IntegerLayer, int]:
    """One whose output does not fit the activation memory beside its input."""
    tokens = config.accumulator_depth
    words = config.activation_depth // tokens
    rng = np.random.default_rng(11)
    layer = random_layer(
        rng, weight_format=SSVQ, in_channels=config.rows, out_channels=words * config.word_bytes - 1, name="wide"
    )
    return layer, tokens


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("preset", ["tiny", "edge", "base", pytest.param("large", marks=_large)])
def test_layers_on_a_preset(preset: str) -> None:
    config = PRESETS[preset]
    works = (ragged_layers(config), [wide_layer(config)])
    busy = Behaviour(latency=37, stalls=dict.fromkeys(CHANNELS, 0.2), seed=9)
    jobs, expected = [], []
    for index, (work, behaviour) in enumerate(zip(works, (busy, Behaviour()), strict=True)):
        rng = np.random.default_rng(index)
        inputs = {layer.name: random_input(rng, tokens, layer) for layer, tokens in work}
        program = compile_layers(config, work)
        jobs.append(SimulationJob(name=str(index), program=program, inputs=inputs, behaviour=behaviour))
        expected.append({layer.name: layer.reference(inputs[layer.name]).output for layer, _ in work})
    opcodes = [[d["opcode"] for d in job.program.descriptors()] for job in jobs]
    assert opcodes[0].count(Opcode.LOAD) == len(FORMATS) + 1, "two chunks of tokens"
    assert (opcodes[1].count(Opcode.LOAD), opcodes[1].count(Opcode.MATMUL)) == (1, 2), "output channels in two parts"
    before = (0, 0)
    for job, outputs, result in zip(jobs, expected, run_jobs(config, jobs, wall_seconds=WALL_SECONDS), strict=True):
        problems = problems_of(config, job.program, outputs, result, before)
        assert not problems, "\n".join(problems)
        before = beats_after(result)
