"""Convolutions in programs: the reference's integers on the functional model, and every rule's error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssvq.builder import ImageTensor, ProgramBuilder
from ssvq.convolution_geometry import Band, ConvolutionGeometry, split_bands
from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import CompileError
from ssvq.program import Program, place_input, read_output
from ssvq.reference import Int8Array
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_gen.format import Opcode
from ssvq_sim.systems.core_model import CoreModel
from ssvq_sim.systems.layers import random_convolution
from ssvq_sim.systems.strategies import configs, geometries, weights_on

CONFIG = PRESETS["tiny"]


def packed(word: int, height: int, width: int, channels: int) -> ImageTensor:
    return ImageTensor.packed(CONFIG, word=word, height=height, width=width, channels=channels)


def convolution_of(n: int, c: int, **geometry: Any) -> IntegerConvolution:
    return random_convolution(
        np.random.default_rng(n),
        geometry=ConvolutionGeometry(**{"kernel": (3, 3), **geometry}),
        weight_format=WeightFormat.SSVQ,
        out_channels=n,
        in_channels=c,
    )


def run(program: Program, model: CoreModel, image: Int8Array, shape: tuple[int, ...]) -> Int8Array:
    memory = program.new_memory()
    place_input(memory, program, image.reshape(-1, image.shape[2]), job="x")
    model.run(memory, program.descriptor_offset, program.descriptor_count)
    return read_output(memory, program, job="y").reshape(shape)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_convolution_on_any_core(data: st.DataObject) -> None:
    config = data.draw(configs(activation_words=st.just(1500)))
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    geometry = data.draw(geometries(height=height, width=width))
    layer = random_convolution(geometry=geometry, **data.draw(weights_on(config, max_channels=40)))
    size = geometry.output_size(height, width)
    x = ImageTensor.packed(config, word=3, height=height, width=width, channels=layer.in_channels)
    end = x.tokens().end(config)
    y = ImageTensor.packed(config, word=end, height=size[0], width=size[1], channels=layer.out_channels)
    assume(y.tokens().end(config) <= config.activation_depth)
    builder = ProgramBuilder(config)
    builder.load("x", x.tokens(), layer.input_scale)
    for band in split_bands(config, *size):
        builder.convolution(layer, source=x, target=y, band=band)
    builder.store("y", y.tokens(), layer.output_scale)
    program = builder.build()
    assert len({d["dram_offset"] for d in program.descriptors() if d["opcode"] == Opcode.CONV}) == 1
    image = np.random.default_rng(height).integers(-128, 128, (height, width, layer.in_channels), dtype=np.int8)
    output = run(program, CoreModel(config), image, (*size, layer.out_channels))
    np.testing.assert_array_equal(output, layer.reference(image).output)


def test_images_with_gaps() -> None:
    """Rows and pixels apart, in a row of bands of one row each; the pixels between are not touched."""
    layer = convolution_of(12, 10, padding=(1, 1, 1, 1))
    packed_x, packed_y = packed(0, 4, 5, 10), packed(1000, 4, 5, 12)
    x = replace(packed_x, word=100, stride=3, row_stride=17)
    y = replace(packed_y, word=300, stride=2, row_stride=11)
    image = np.random.default_rng(0).integers(-128, 128, (4, 5, 10), dtype=np.int8)
    model = CoreModel(CONFIG)
    before = model.words.copy()
    for row, column in np.ndindex(4, 5):
        model.words[x.pixel(row, column) :][:2].reshape(-1)[:10] = image[row, column]
    builder = ProgramBuilder(CONFIG)
    for row in range(4):
        builder.convolution(layer, source=x, target=y, band=Band(y=row, x=0, height=1, width=5))
    program = builder.build()
    model.run(program.new_memory(), program.descriptor_offset, program.descriptor_count)
    expected = layer.reference(image).output
    for row, column in np.ndindex(4, 5):
        found = model.words[y.pixel(row, column) :][:2].reshape(-1)[:12]
        np.testing.assert_array_equal(found, expected[row, column])
    np.testing.assert_array_equal(model.words[310], before[310])


def test_rows_that_are_there() -> None:
    """Of an image whose first rows have gone, the windows of the last rows."""
    layer = convolution_of(8, 8, padding=(1, 1, 0, 0))
    image = np.random.default_rng(0).integers(-128, 128, (9, 4, 8), dtype=np.int8)
    x, y = packed(-20, 9, 4, 8), packed(200, 9, 2, 8)  # rows from 5 on are at words from 0 on
    model = CoreModel(CONFIG)
    model.words[:16] = image[5:].reshape(-1, 8)
    builder = ProgramBuilder(CONFIG)
    builder.convolution(layer, source=x, target=y, band=Band(y=6, x=0, height=3, width=2))
    program = builder.build()
    model.run(program.new_memory(), program.descriptor_offset, program.descriptor_count)
    found = model.words[y.pixel(6, 0) : y.pixel(9, 0)].reshape(3, 2, 8)
    np.testing.assert_array_equal(found, layer.reference(image).output[6:])
    with pytest.raises(CompileError, match="it reaches word 85899345"):
        ProgramBuilder(CONFIG).convolution(layer, source=x, target=y, band=Band(y=5, x=0, height=3, width=2))


X, Y = packed(0, 6, 5, 16), packed(200, 4, 3, 16)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"source": packed(0, 6, 5, 15)}, "source must be 6 x 5 pixels of 16 channels, not 6 x 5 pixels of 15"),
        ({"target": packed(200, 4, 4, 16)}, "target must be 4 x 3 pixels of 16 channels, not 4 x 4 pixels of 16"),
        ({"source": packed(0, 6, 2, 16)}, "source: a padded image of 2 pixels has no window of 3"),
        ({"source": replace(X, stride=1)}, "source has a stride of 1 words, its pixels have 2"),
        ({"target": replace(Y, row_stride=7)}, "target: rows of 3 pixels that are 2 words apart must be 6 words apart"),
        ({"band": Band(y=0, x=0, height=2, width=2)}, "target: rows of 2 pixels that are 2 words apart must be 4"),
        ({"band": Band(y=4, x=0, height=1, width=3)}, "its output of 4 x 3 pixels has no Band"),
        ({"band": Band(y=-1, x=0, height=1, width=3)}, "its output of 4 x 3 pixels has no Band"),
        ({"target": packed(50, 4, 3, 16)}, "its target overlaps what it reads"),
        ({"source": packed(2040, 6, 5, 16)}, "it reaches word 2099, the activation memory has 2048"),
    ],
)
def test_convolutions_that_cannot_be(changes: dict[str, Any], rule: str) -> None:
    builder = ProgramBuilder(CONFIG)
    with pytest.raises(CompileError, match=f"layer 'layer': {rule}"):
        builder.convolution(convolution_of(16, 16), **{"source": X, "target": Y} | changes)
    with pytest.raises(CompileError, match="a program needs at least one descriptor"):
        builder.build()


@pytest.mark.parametrize(
    ("geometry", "size", "rule"),
    [
        ({"stride": (8, 1)}, (4, 4), "descriptor field stride_y must be from 0 to 7, not 8"),
        ({"kernel": (1, 16)}, (1, 16), "descriptor field kernel_width must be from 0 to 15, not 16"),
        ({}, (10, 10), "tokens must be at most the core's accumulator_depth 64, not 100: split them"),
    ],
)
def test_what_the_core_cannot(geometry: dict[str, Any], size: tuple[int, int], rule: str) -> None:
    layer = convolution_of(8, 8, **geometry)
    top, left = layer.geometry.kernel[0] - 1, layer.geometry.kernel[1] - 1
    layer = replace(layer, geometry=replace(layer.geometry, padding=(top, 0, left, 0)))
    target = packed(1000, *layer.geometry.output_size(*size), 8)
    with pytest.raises(CompileError, match=rule):
        ProgramBuilder(CONFIG).convolution(layer, source=packed(0, *size, 8), target=target)


def test_a_core_without_convolutions() -> None:
    builder = ProgramBuilder(CONFIG.replace(convolution=False))
    with pytest.raises(CompileError, match="core 'tiny' was generated without convolutions: set convolution"):
        builder.convolution(convolution_of(16, 16), source=X, target=Y)
