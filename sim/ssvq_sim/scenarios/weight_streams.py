"""Layers of more tiles, and batches of more products, than the other scenarios have: counters up to their upper bits.

What the unpacker counts down is loaded anew wherever a layer, a tile column or a product ends. So these follow each
other in several orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.product import IntegerProduct
from ssvq.reference import ActivationScale
from ssvq_gen.arithmetic import encode_multiplier
from ssvq_gen.config import CoreConfig

from ..behaviour import SimulationJob
from ..systems.convolution_cases import ConvolutionCase
from ..systems.layer_cases import LayerCase
from ..systems.model_outputs import outputs_of
from ..systems.outcome import problems_of
from .modelled_job import WATCHDOG_CYCLES
from .scenario import JobScenario

_TIMEOUT_CYCLES = 200_000
_SYMMETRIC = ActivationScale(scale=0.1, zero_point=0)
_SPREAD = 2.0**-7
"""What makes int8 of products of two int8."""
Inputs = dict[str, npt.NDArray[np.int8]]


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """A convolution of one pixel: `positions` of the kernel times `channel_tiles` down a column, `columns` of them.

    All positions but one are outside the image, so that a column may be longer than the activation memory.
    """

    weight_format: str
    codebook_size: int = 2
    vector_dim: int = 8
    positions: int = 1
    channel_tiles: int
    columns: int

    def add_to(self, builder: ProgramBuilder, config: CoreConfig, name: str, seed: int) -> Inputs:
        """LOAD, CONV, STORE; returns the input."""
        layer = LayerCase(
            weight_format=self.weight_format,
            codebook_size=self.codebook_size,
            vector_dim=self.vector_dim,
            in_channels=self.channel_tiles * config.rows,
            out_channels=self.columns * config.cols,
            tokens=1,
            activations="random",
            weights="random",
            parameters="tuned",
            records="small",
            seed=seed,
        )
        padding = (self.positions - 1, 0, 0, 0)
        geometry = ConvolutionGeometry(kernel=(self.positions, 1), padding=padding)
        case = ConvolutionCase(layer=layer, height=1, width=1, geometry=geometry)
        convolution, image = case.build(name)
        case.add_to(builder, config, convolution)
        return {name: image.reshape(1, -1)}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`count` products of one activation with `channels` x `columns` tiles of operand, each a word behind the last."""

    count: int
    channels: int
    columns: int

    def add_to(self, builder: ProgramBuilder, config: CoreConfig, name: str, seed: int) -> Inputs:
        """LOAD, PRODUCT, STORE; returns the words of all inputs and operands."""
        out_channels = self.columns * config.cols
        operand = ActivationTensor(word=self.count, tokens=self.channels, channels=out_channels, stride=self.columns)
        end = operand.end(config) + self.count - 1
        target = ActivationTensor.packed(config, word=end, tokens=self.count, channels=out_channels)
        mantissa, exponent = encode_multiplier(_SPREAD)
        product = IntegerProduct(
            name=name,
            tokens=1,
            in_channels=self.channels,
            out_channels=out_channels,
            batch_count=self.count,
            transposed=False,
            input_scale=_SYMMETRIC,
            operand_scale=_SYMMETRIC,
            output_scale=_SYMMETRIC,
            mantissa=mantissa,
            exponent=exponent,
        )
        words = ActivationTensor.packed(config, word=0, tokens=end, channels=config.word_bytes)
        builder.load(name, words, _SYMMETRIC)
        builder.product(
            product,
            source=ActivationTensor.packed(config, word=0, tokens=1, channels=self.channels),
            operand=operand,
            target=target.select_tokens(0, 1),
            source_batch_stride=1,
            operand_batch_stride=1,
            target_batch_stride=self.columns,
        )
        builder.store(name, target, _SYMMETRIC)
        values = np.random.default_rng(seed).integers(-128, 128, (end, config.word_bytes), dtype=np.int8)
        return {name: values}


DENSE: Mapping[str, Any] = {"weight_format": "int8", "codebook_size": 256, "vector_dim": 1}
_PROGRAMS: dict[str, tuple[Tiles | Batch, ...]] = {
    "tall columns": (
        Tiles(weight_format="ssvq", channel_tiles=171, columns=4),
        Tiles(weight_format="vq", channel_tiles=213, columns=4),
        Tiles(weight_format="ssvq", channel_tiles=682, columns=2),
    ),
    "tall dense columns": (
        Tiles(**DENSE, channel_tiles=682, columns=1),
        Tiles(weight_format="ssvq", channel_tiles=30, columns=3),
        Tiles(**DENSE, channel_tiles=341, columns=1),
    ),
    "batches": (
        Tiles(weight_format="vq", channel_tiles=30, columns=3),
        Batch(count=341, channels=8, columns=1),
        Tiles(**DENSE, channel_tiles=682, columns=1),
        Batch(count=2, channels=1, columns=102),
    ),
    "wide products": (Batch(count=2, channels=1, columns=342),),
    "wider products": (Batch(count=2, channels=1, columns=673),),
    "taller columns": (
        Tiles(weight_format="vq", channel_tiles=30, columns=3),
        Tiles(**DENSE, channel_tiles=341, columns=1),
        Tiles(weight_format="vq", positions=2, channel_tiles=1026, columns=1),
    ),
    "many columns": (
        Tiles(weight_format="ssvq", vector_dim=2, channel_tiles=1, columns=682),
        Tiles(weight_format="vq", vector_dim=2, channel_tiles=1, columns=341),
    ),
    "tallest column": (
        Tiles(weight_format="vq", channel_tiles=30, columns=3),
        Tiles(**DENSE, positions=4, channel_tiles=1027, columns=1),
    ),
}
"""By name; steps of each begin while those before them end. Counts as 341 and 682 have every other bit.

The last column is as tall as it takes for a bit beside the highest ones; int8 takes 16 cycles for a tile.
"""


def weight_streams(config: CoreConfig) -> Iterator[JobScenario]:
    """A job for each program."""
    for name, steps in _PROGRAMS.items():
        job = job_of(config, name, steps)
        expected = outputs_of(config, job.program, job.inputs)
        yield JobScenario(job=job, check=partial(problems_of, config, job.program, expected))


def job_of(config: CoreConfig, name: str, steps: Sequence[Tiles | Batch]) -> SimulationJob:
    """The job of a program of these steps, on random inputs."""
    builder = ProgramBuilder(config)
    inputs: Inputs = {}
    for number, step in enumerate(steps):
        inputs |= step.add_to(builder, config, f"{name} {number}", number)
    return SimulationJob(
        name=name,
        program=builder.build(),
        inputs=inputs,
        timeout_cycles=_TIMEOUT_CYCLES,
        watchdog_cycles=WATCHDOG_CYCLES,
    )
