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
from ..mutants.scenario import JobScenario
from ..systems.layers import random_layer
from ..systems.outcome import problems_of

_LAYERS = 16
"""More than all queues between the descriptors and the weights hold."""
_SLOW = Behaviour(latency=200, bytes_per_cycle=1)
_SCALE = ActivationScale(scale=0.1)


def corners(config: CoreConfig) -> Iterator[JobScenario]:
    """One program for each corner."""
    yield _scenario(config, "layers that wait for weights", *_many_layers(config))
    yield _scenario(config, "a wide window", *_wide_window(config))


def _many_layers(config: CoreConfig) -> tuple[Program, Int8Array, dict[str, Int8Array]]:
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


def _wide_window(config: CoreConfig) -> tuple[Program, Int8Array, dict[str, Int8Array]]:
    """Pooling with a kernel of more than 8 columns, and with the longest steps."""
    rng = np.random.default_rng(2)
    geometry = ConvolutionGeometry(kernel=(3, 11), stride=(5, 6), padding=(1, 1, 2, 2), dilation=(2, 1))
    operation = WindowOperation(
        name="pool",
        opcode=Opcode.POOL,
        channels=config.word_bytes,
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
    height, width = 13, 24
    x = rng.integers(-128, 128, (height, width, config.word_bytes), dtype=np.int8)
    source = ImageTensor.packed(config, word=0, height=height, width=width, channels=config.word_bytes)
    rows, columns = geometry.output_size(height, width)
    target = ImageTensor.packed(
        config, word=source.tokens().end(config), height=rows, width=columns, channels=config.word_bytes
    )
    builder = ProgramBuilder(config)
    builder.load("pool", source.tokens(), _SCALE)
    builder.windows(operation, source=source, target=target)
    builder.store("out", target.tokens(), _SCALE)
    windows = geometry.windows(x, operation.padding_value)
    output = operation.of_windows(windows.reshape(rows * columns, *geometry.kernel, config.word_bytes))
    return builder.build(), x.reshape(-1, config.word_bytes), {"out": output}


def _scenario(
    config: CoreConfig, name: str, program: Program, x: Int8Array, expected: dict[str, Int8Array]
) -> JobScenario:
    first = next(job.name for job in program.jobs if job.input)
    job = SimulationJob(name=name, program=program, inputs={first: x}, behaviour=_SLOW, timeout_cycles=200_000)
    return JobScenario(job=job, check=partial(problems_of, config, program, expected))
