"""Layers of one tile, and programs of one convolution."""

from __future__ import annotations

from ssvq.builder import ProgramBuilder
from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig, WeightFormat

from ..systems.convolution_cases import ConvolutionCase
from ..systems.layer_cases import LayerCase

LayerProgram = tuple[Program, Int8Array, dict[str, Int8Array]]
"""A program, its input, and its outputs by job."""
_INT8_SHAPE = (256, 1)
"""What stands for codebook_size and vector_dim where there is no codebook."""


def one_tile(
    config: CoreConfig, weight_format: WeightFormat, codebook_size: int = 0, vector_dim: int = 0, *, seed: int
) -> LayerCase:
    """A layer of as many channels as the array has rows and columns, for one activation."""
    shape = _INT8_SHAPE if weight_format is WeightFormat.INT8 else (codebook_size, vector_dim)
    return LayerCase(
        weight_format=weight_format.name.lower(),
        codebook_size=shape[0],
        vector_dim=shape[1],
        in_channels=config.rows,
        out_channels=config.cols,
        tokens=1,
        activations="random",
        weights="random",
        parameters="tuned",
        seed=seed,
    )


def convolution_program(config: CoreConfig, case: ConvolutionCase, name: str = "convolution") -> LayerProgram:
    """The program of one convolution, whose job has the given name."""
    layer, image = case.build(name)
    builder = ProgramBuilder(config)
    case.add_to(builder, config, layer)
    output = layer.reference(image).output.reshape(-1, layer.out_channels)
    return builder.build(), image.reshape(-1, layer.in_channels), {name: output}
