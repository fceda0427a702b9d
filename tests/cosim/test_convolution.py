"""Two convolutions of a network on `tiny`: from PyTorch modules to images, bit for bit, without leaving the core."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from ssvq.builder import ImageTensor, ProgramBuilder
from ssvq.convolution_geometry import split_bands
from ssvq.integer_convolution import IntegerConvolution
from ssvq.quantize import QuantizeConfig, WeightFormat, encode_module
from ssvq.reference import ActivationScale
from ssvq_gen.config import PRESETS
from ssvq_gen.format import MATRIX_OPCODES, Residency
from ssvq_sim.behaviour import Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.outcome import problems_of

CONFIG = PRESETS["tiny"]
SIZE, CHANNELS = 12, (13, 24, 16)
SSVQ = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8)
BETWEEN_CYCLES = 10
"""Most cycles that the array has nothing to do between two descriptors."""


def layers_of(x: torch.Tensor) -> list[IntegerConvolution]:
    """A 3 x 3 convolution with ReLU and one that halves the image, for the ranges that x produces."""
    torch.manual_seed(0)
    modules = [
        torch.nn.Conv2d(channels, following, 3, stride=index + 1, padding=1)
        for index, (channels, following) in enumerate(pairwise(CHANNELS))
    ]
    result, scale = [], ActivationScale.from_values(x.numpy())
    for index, module in enumerate(modules):
        layer = encode_module(module, SSVQ, name=f"conv{index}")
        x = torch.relu(torch.nn.functional.conv2d(x, layer.decode(), layer.bias, stride=index + 1, padding=1))
        following = ActivationScale.from_values(x.numpy())
        result.append(
            IntegerConvolution.from_compressed(layer, input_scale=scale, output_scale=following, activation="relu")
        )
        scale = following
    return result


@pytest.mark.slow
@pytest.mark.cosim
def test_two_convolutions() -> None:
    x = torch.randn(1, CHANNELS[0], SIZE, SIZE)
    layers = layers_of(x)
    sizes = [SIZE, SIZE, SIZE // 2]
    images, word = [], 0
    for size, channels in zip(sizes, CHANNELS, strict=True):
        images.append(ImageTensor.packed(CONFIG, word=word, height=size, width=size, channels=channels))
        word = images[-1].tokens().end(CONFIG)
    builder = ProgramBuilder(CONFIG)
    builder.load("x", images[0].tokens(), layers[0].input_scale)
    for layer, (source, target) in zip(layers, pairwise(images), strict=True):
        for index, band in enumerate(split_bands(CONFIG, target.height, target.width)):
            residency = Residency.REUSE if index else Residency.KEEP
            builder.convolution(layer, source=source, target=target, band=band, residency=residency)
    builder.store("y", images[2].tokens(), layers[1].output_scale)
    program = builder.build()
    image = layers[0].input_scale.quantize(x[0].permute(1, 2, 0).numpy())
    expected = layers[1].reference(layers[0].reference(image).output).output.reshape(-1, CHANNELS[2])
    assert len(np.unique(expected)) > 50
    job = SimulationJob(
        name="job",
        program=program,
        inputs={"x": image.reshape(-1, CHANNELS[0])},
        behaviour=Behaviour(latency=20),
        profile=True,
    )
    (result,) = run_jobs(CONFIG, [job])
    problems = problems_of(CONFIG, program, {"y": expected}, result, (0, 0))
    assert not problems, "\n".join(problems)
    assert result.profile is not None
    matrix = [d for d in program.descriptors() if d["opcode"] in MATRIX_OPCODES]
    # Final sums take the requantizer that many cycles each.
    ideal = [d["tokens"] * d["n_tiles"] * (d["k_tiles"] + CONFIG.requantize_groups - 1) for d in matrix]
    costs = [row.cost for row in result.profile.rows if row.is_matrix]
    for cost, cycles in zip(costs[1:], ideal[1:], strict=True):
        assert cycles <= cost <= cycles + BETWEEN_CYCLES
