# amaranth: UnusedElaboratable=no
"""Convolutions through the matrix engine, bit for bit."""

import itertools
from typing import Any

import numpy as np
import pytest
from matmul_bench import MatmulBench
from matrix_programs import ALL_TILES, MatrixProgram, Step, conv_step, random_words, with_words
from placed_steps import matmul_between, side_by_side
from small_configs import FORMATS, FULL, QUARTER, SQUARE, TALL, WIDE, name_of

from ssvq.convolution_geometry import Band, ConvolutionGeometry, split_bands
from ssvq.image_tensor import ImageTensor
from ssvq.integer_convolution import IntegerConvolution
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_sim.stream_bench import seeded
from ssvq_sim.systems.layers import random_convolution, random_layer

CONFIGS = (SQUARE, WIDE, TALL, QUARTER, FULL)


def run(program: MatrixProgram, **options: Any) -> MatmulBench:
    bench = MatmulBench(program.config, **options)
    np.testing.assert_array_equal(bench.run(program), program.expected())
    return bench


def program_of(
    config: CoreConfig, *layers: IntegerConvolution, height: int, width: int, image: Any = None
) -> MatrixProgram:
    """The whole outputs of convolutions of the same shapes, band by band, one over the other.

    image : int8 (height, width, C), random when left out
    """
    layer = layers[0]
    x = ImageTensor.packed(config, word=1, height=height, width=width, channels=layer.in_channels)
    size = layer.geometry.output_size(height, width)
    # Whole tile columns are written.
    columns = -(-layer.out_channels // config.cols) * config.cols
    y = ImageTensor.packed(config, word=x.tokens().end(config), height=size[0], width=size[1], channels=columns)
    end = y.tokens().end(config)
    config = with_words(config, max(end + end % 2, 16))
    program = MatrixProgram(config, random_words(config, seeded(20)))
    if image is not None:
        for row, column in np.ndindex(height, width):
            program.words[x.pixel(row, column) :][: x.stride].reshape(-1)[: layer.in_channels] = image[row, column]
    for layer, band in itertools.product(layers, split_bands(config, *size)):
        step = conv_step(layer, config, x, band, destination=y.pixel(band.y, band.x), stride=y.stride)
        program.append(step, matmuls_open=1)
    return program


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_every_format(config: CoreConfig) -> None:
    """Ragged channels, tiles and rows of windows."""
    geometry = ConvolutionGeometry(kernel=(2, 2), stride=(2, 1), padding=(1, 0, 1, 1), dilation=(1, 2))
    layers = [
        random_convolution(
            np.random.default_rng(1),
            geometry=geometry,
            weight_format=weight_format,
            out_channels=config.cols + 3,
            in_channels=config.rows + config.rows // 2 + 1,
            codebook_size=codebook_size,
            vector_dim=vector_dim,
        )
        for weight_format, codebook_size, vector_dim in FORMATS[config.name]
    ]
    run(program_of(config, *layers, height=3, width=3), idle=0.1, denied=0.5)


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL], ids=name_of)
def test_the_reference_of_images(config: CoreConfig) -> None:
    """Not what the descriptors say, but what the layer computes."""
    geometry = ConvolutionGeometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    layer = random_convolution(
        np.random.default_rng(2),
        geometry=geometry,
        weight_format=WeightFormat.SSVQ,
        out_channels=config.cols - 1,
        in_channels=config.rows + 2,
        codebook_size=4,
        vector_dim=4,
    )
    image = np.random.default_rng(3).integers(-128, 128, (5, 6, layer.in_channels), dtype=np.int8)
    program = program_of(config, layer, height=5, width=6, image=image)
    words = MatmulBench(program.config, denied=0.2).run(program)
    first = program.steps[0].fields["destination"]
    stride = program.steps[0].fields["output_stride"]
    expected = layer.reference(image).output.reshape(-1, layer.out_channels)
    found = words[first : first + len(expected) * stride].reshape(len(expected), -1)
    np.testing.assert_array_equal(found[:, : layer.out_channels], expected)


def fast_convolution(config: CoreConfig, geometry: ConvolutionGeometry, out_channels: int) -> IntegerConvolution:
    """Few bits a weight, so that the array need not wait for them."""
    return random_convolution(
        np.random.default_rng(4),
        geometry=geometry,
        weight_format=WeightFormat.VQ,
        out_channels=out_channels,
        in_channels=config.rows,
        codebook_size=2,
        vector_dim=4,
    )


@pytest.mark.parametrize("denied", [0.0, 0.9])
def test_padding_alone(denied: float) -> None:
    """All of the windows but one pixel are outside; those wait for no bank."""
    geometry = ConvolutionGeometry(kernel=(1, 1), padding=(2, 1, 2, 1))
    config = SQUARE.replace(accumulator_depth=16, requantize_lanes=8)
    layer = fast_convolution(config, geometry, config.cols)
    bench = run(program_of(config, layer, height=1, width=1), denied=denied)
    assert len(bench.issues) == 16
    gaps = [after - before for before, after in zip(bench.issues, bench.issues[1:], strict=False)]
    assert set(gaps[:9]) | set(gaps[10:]) == {1}, "all but the tenth, the pixel inside"


@pytest.mark.parametrize("config", [SQUARE, WIDE, TALL], ids=name_of)
def test_as_fast_as_a_matmul_of_as_many_tiles(config: CoreConfig) -> None:
    """Across kernel positions, rows of windows and bands, wherever the windows are: an activation a cycle."""
    config = config.replace(accumulator_depth=16, requantize_lanes=config.cols)
    geometry = ConvolutionGeometry(kernel=(3, 3), stride=(1, 2), padding=(1, 1, 2, 0))
    convolution = fast_convolution(config, geometry, 2 * config.cols)
    windows = program_of(config, convolution, height=4, width=16)
    matrix = random_layer(
        np.random.default_rng(4),
        weight_format=WeightFormat.VQ,
        out_channels=2 * config.cols,
        in_channels=9 * config.rows,
        codebook_size=2,
        vector_dim=4,
    )
    source, target = side_by_side(config, (16, 9 * config.rows), (16, 2 * config.cols))
    config = with_words(config, 512)
    matrices = MatrixProgram(config, random_words(config, seeded(22)))
    for step in windows.steps:
        after = matmul_between(matrix, config, 16, source, target)
        matrices.append(Step(after.fields | {"destination": target[0] + step.fields["destination"]}, matrix))
        matrices.steps[-1].fields.update(matmuls_open=1, early_tiles=ALL_TILES)
        step.fields["early_tiles"] = ALL_TILES
    fast, found = run(matrices), run(windows)
    assert len(found.issues) == 4 * 8 * 9 * 2
    assert found.issues == fast.issues
    assert found.events == fast.events


def test_rows_in_parts() -> None:
    """Rows of the output that are longer than the accumulators are deep."""
    geometry = ConvolutionGeometry(kernel=(2, 2), padding=(0, 1, 1, 0), stride=(1, 1))
    layer = fast_convolution(TALL, geometry, TALL.cols)
    program = program_of(TALL, layer, height=2, width=6)
    assert [step.fields["tokens"] for step in program.steps] == [3, 3, 3, 3]
    run(program, denied=0.3)


def test_an_unfinished_row() -> None:
    """Windows may end within a row."""
    layer = fast_convolution(SQUARE, ConvolutionGeometry(kernel=(2, 2)), SQUARE.cols)
    x = ImageTensor.packed(SQUARE, word=0, height=4, width=4, channels=SQUARE.rows)
    program = MatrixProgram(SQUARE, random_words(SQUARE, seeded(21)))
    step = conv_step(layer, SQUARE, x, Band(y=0, x=0, height=2, width=3), destination=100, stride=2)
    step.fields["tokens"] = 5
    program.append(step)
    run(program)
