"""Programs for what random ones hardly ever reach."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.image_tensor import ImageTensor
from ssvq.program import Program
from ssvq.reference import ActivationScale, Int8Array
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import Opcode

from ..behaviour import Behaviour, SimulationJob
from ..scenarios.scenario import JobScenario
from ..systems.convolution_cases import ConvolutionCase
from ..systems.layers import random_layer
from ..systems.outcome import problems_of
from .layer_program import LayerProgram, convolution_program, one_tile

_LAYERS = 16
"""More than all queues between the descriptors and the weights hold."""
_SLOW = Behaviour(latency=200, bytes_per_cycle=1)
_SCALE = ActivationScale(scale=0.1)
_WIDE = ConvolutionGeometry(kernel=(3, 11), stride=(5, 6), padding=(1, 1, 2, 2), dilation=(2, 1))
_FAR = ConvolutionGeometry(kernel=(2, 2), stride=(1, 1), padding=(0, 0, 0, 0), dilation=(8, 9))


def corners(config: CoreConfig) -> Iterator[JobScenario]:
    """One program for each corner."""
    yield _scenario(config, "layers that wait for weights", *_many_layers(config))
    yield _scenario(config, "a wide window with long steps", *_pooled(config, _WIDE, 13, 24))
    for name, program in (("pooling", _pooled), ("convolution", _convolved)):
        yield _scenario(config, f"{name} of pixels far apart", *program(config, _FAR, 10, 11))


def _many_layers(config: CoreConfig) -> LayerProgram:
    """Layers on one input, each with many weights and little to do: descriptors run ahead until queues are full."""
    rng = np.random.default_rng(1)
    builder = ProgramBuilder(config)
    expected: dict[str, Int8Array] = {}
    targets = []
    channels = 12 * config.rows
    source = ActivationTensor(word=0, tokens=1, channels=channels, stride=channels // config.word_bytes)
    builder.load("layers", source, _SCALE)
    x = rng.integers(-128, 128, (1, channels), dtype=np.int8)
    for number in range(_LAYERS):
        layer = random_layer(
            rng,
            weight_format=WeightFormat.INT8,
            out_channels=config.cols,
            in_channels=channels,
            codebook_size=256,
            vector_dim=1,
            name=f"layer{number}",
        )
        target = ActivationTensor(word=channels + number, tokens=1, channels=config.cols, stride=1)
        builder.matmul(layer, source=source, target=target)
        targets.append((layer, target))
    for number, (layer, target) in enumerate(targets):
        builder.store(f"out{number}", target, layer.output_scale)
        expected[f"out{number}"] = layer.reference(x).output
    return builder.build(), x, expected


def _pooled(config: CoreConfig, geometry: ConvolutionGeometry, height: int, width: int) -> LayerProgram:
    """Sums of the windows of an image."""
    rng = np.random.default_rng(2)
    channels = config.word_bytes
    operation = WindowOperation(
        name="pool",
        opcode=Opcode.POOL,
        channels=channels,
        multiplier=np.asarray(1 << 9),
        offset=np.asarray(0),
        shift=14,
        input_zero_point=3,
        table=None,
        zero_point=-2,
        clamp_min=-128,
        clamp_max=127,
        output_scale=_SCALE,
        geometry=geometry,
    )
    x = rng.integers(-128, 128, (height, width, channels), dtype=np.int8)
    source = ImageTensor.packed(config, word=0, height=height, width=width, channels=channels)
    rows, columns = geometry.output_size(height, width)
    word = source.tokens().end(config)
    target = ImageTensor.packed(config, word=word, height=rows, width=columns, channels=channels)
    builder = ProgramBuilder(config)
    builder.load("pool", source.tokens(), _SCALE)
    builder.windows(operation, source=source, target=target)
    builder.store("out", target.tokens(), _SCALE)
    windows = geometry.windows(x, operation.padding_value)
    output = operation.of_windows(windows.reshape(rows * columns, *geometry.kernel, channels))
    return builder.build(), x.reshape(-1, channels), {"out": output}


def _convolved(config: CoreConfig, geometry: ConvolutionGeometry, height: int, width: int) -> LayerProgram:
    """A convolution of an image."""
    layer = one_tile(config, WeightFormat.INT8, seed=3)
    return convolution_program(config, ConvolutionCase(layer=layer, height=height, width=width, geometry=geometry))


def _scenario(
    config: CoreConfig, name: str, program: Program, x: Int8Array, expected: dict[str, Int8Array]
) -> JobScenario:
    first = next(job.name for job in program.jobs if job.input)
    job = SimulationJob(name=name, program=program, inputs={first: x}, behaviour=_SLOW, timeout_cycles=200_000)
    return JobScenario(job=job, check=partial(problems_of, config, program, expected))
