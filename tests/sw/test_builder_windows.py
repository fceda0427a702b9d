"""Pooling and depthwise convolutions in programs: the reference's integers, the exact footprint, every rule's error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssvq import footprint
from ssvq.builder import ImageTensor, ProgramBuilder
from ssvq.convolution_geometry import Band, ConvolutionGeometry, split_bands
from ssvq.layer_arithmetic import CompileError
from ssvq.program import place_input, read_output
from ssvq.reference import ActivationScale
from ssvq.vector_image import parameter_words, table_words
from ssvq.window_operation import WindowOperation
from ssvq.window_scales import average_pool
from ssvq_gen.config import PRESETS
from ssvq_gen.format import VECTOR_WINDOW_OPCODES, Opcode
from ssvq_sim.systems.core_model import CoreModel
from ssvq_sim.systems.strategies import configs, geometries
from ssvq_sim.systems.vector_operations import random_operation

CONFIG = PRESETS["tiny"]
SCALE = ActivationScale(scale=0.1)


def operation_of(opcode: Opcode, channels: int, geometry: ConvolutionGeometry, seed: int = 0) -> WindowOperation:
    operation = random_operation(np.random.default_rng(seed), opcode, channels, geometry)
    assert isinstance(operation, WindowOperation)
    return operation


def needed(operation: WindowOperation, source: ImageTensor, band: Band, words: int) -> set[int]:
    """Words of the pixels in the windows of a band, one by one."""
    geometry, found = operation.geometry, set()
    for oy, ox in np.ndindex(band.height, band.width):
        for ky, kx in np.ndindex(*geometry.kernel):
            y = (band.y + oy) * geometry.stride[0] - geometry.padding[0] + ky * geometry.dilation[0]
            x = (band.x + ox) * geometry.stride[1] - geometry.padding[2] + kx * geometry.dilation[1]
            if 0 <= y < source.height and 0 <= x < source.width:
                found |= {source.pixel(y, x) + word for word in range(words)}
    return found


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_windows_on_any_core(data: st.DataObject) -> None:
    config = data.draw(configs(activation_words=st.just(1500)))
    config = config.replace(depthwise_taps=data.draw(st.integers(0, 5))) if config.vector else config
    height, width, channels = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    geometry = data.draw(geometries(height=height, width=width))
    opcode = data.draw(st.sampled_from(VECTOR_WINDOW_OPCODES))
    operation = operation_of(opcode, channels, geometry, data.draw(st.integers(0, 1 << 20)))
    assume(config.vector and (config.depthwise_taps or opcode is Opcode.POOL))
    size = geometry.output_size(height, width)
    parameters, table = parameter_words(operation, config), table_words(operation, config)
    places = 3, 3 + len(parameters), 3 + len(parameters) + len(table)
    x = ImageTensor.packed(config, word=places[2], height=height, width=width, channels=channels)
    end = x.tokens().end(config)
    y = ImageTensor.packed(config, word=end, height=size[0], width=size[1], channels=channels)
    assume(y.tokens().end(config) <= config.activation_depth)
    builder = ProgramBuilder(config)
    builder.load("x", x.tokens(), SCALE)
    for words, place in zip((parameters, table), places, strict=False):
        if len(words):
            builder.constant("constants", words, word=place)
    bands = data.draw(st.sampled_from([split_bands(config, *size), [None]]))
    for band in bands:
        builder.windows(operation, source=x, target=y, band=band, parameters=places[0], table=places[1], name="pool")
    builder.store("y", y.tokens(), SCALE)
    program = builder.build()
    image = np.random.default_rng(height).integers(-128, 128, (height, width, channels), dtype=np.int8)
    memory = program.new_memory()
    place_input(memory, program, image.reshape(-1, channels), job="x")
    CoreModel(config).run(memory, program.descriptor_offset, program.descriptor_count)
    output = read_output(memory, program, job="y").reshape(*size, channels)
    np.testing.assert_array_equal(output, operation.reference(image))

    fields = next(d for d in program.descriptors() if d["opcode"] == opcode)
    part = bands[0] or Band(y=0, x=0, height=size[0], width=size[1])
    expected = needed(operation, x, part, -(-channels // config.word_bytes))
    expected |= set(range(places[0], places[1])) | set(range(places[1], places[2]))
    assert set(footprint.reads(config, fields).tolist()) == expected
    written = y.pixels(part.y, part.x, part.height, part.width)
    assert set(footprint.writes(config, fields).tolist()) == set(range(written.word, written.end(config)))


@pytest.mark.parametrize("size", [(22, 23), (7, 7), (1, 512), (16, 16)])
def test_a_window_that_is_the_image(size: tuple[int, int]) -> None:
    """Of any size up to 512 pixels, when there are no gaps; the output is one pixel."""
    geometry = ConvolutionGeometry(kernel=size)
    scale = ActivationScale(scale=0.1, zero_point=-3)
    operation = average_pool("pool", channels=10, geometry=geometry, input_scale=scale, output_scale=scale)
    image = np.random.default_rng(0).integers(-128, 128, (*size, 10), dtype=np.int8)
    x, y = packed(10, *size, 10), packed(2000, 1, 1, 10)
    model = CoreModel(CONFIG)
    for row, column in np.ndindex(*size):
        model.words[x.pixel(row, column) :][:2].reshape(-1)[:10] = image[row, column]
    builder = ProgramBuilder(CONFIG)
    builder.windows(operation, source=x, target=y)
    program = builder.build()
    model.run(program.new_memory(), program.descriptor_offset, program.descriptor_count)
    np.testing.assert_array_equal(model.words[2000:].reshape(-1)[:10], operation.reference(image)[0, 0])
    gaps = replace(x, row_stride=size[1] * 2 + 1)
    if size[1] > 15:
        with pytest.raises(CompileError, match="descriptor field kernel_width must be from 0 to 15"):
            ProgramBuilder(CONFIG).windows(operation, source=gaps, target=y)


def packed(word: int, height: int, width: int, channels: int) -> ImageTensor:
    return ImageTensor.packed(CONFIG, word=word, height=height, width=width, channels=channels)


X, Y = packed(0, 6, 5, 16), packed(200, 4, 3, 16)
KERNEL = ConvolutionGeometry(kernel=(3, 3))


@pytest.mark.parametrize("opcode", VECTOR_WINDOW_OPCODES)
@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"source": packed(0, 6, 5, 15)}, "source must be 6 x 5 pixels of 16 channels, not 6 x 5 pixels of 15"),
        ({"target": packed(200, 4, 4, 16)}, "target must be 4 x 3 pixels of 16 channels, not 4 x 4 pixels of 16"),
        ({"source": packed(0, 6, 2, 16)}, "source: a padded image of 2 pixels has no window of 3"),
        ({"source": replace(X, stride=1)}, "source has a stride of 1 words, its pixels have 2"),
        ({"target": replace(Y, row_stride=7)}, "target: rows of 3 pixels that are 2 words apart must be 6 words apart"),
        ({"band": Band(y=4, x=0, height=1, width=3)}, "its output of 4 x 3 pixels has no Band"),
        ({"target": packed(50, 4, 3, 16)}, "its target overlaps what it reads"),
        ({"source": packed(2040, 6, 5, 16)}, "it reaches word 2099, the activation memory has 2048"),
    ],
)
def test_windows_that_cannot_be(opcode: Opcode, changes: dict[str, Any], rule: str) -> None:
    builder = ProgramBuilder(CONFIG)
    with pytest.raises(CompileError, match=f"layer 'v': {rule}"):
        builder.windows(
            operation_of(opcode, 16, KERNEL), **{"source": X, "target": Y, "parameters": 1000, "table": 1900} | changes
        )
    with pytest.raises(CompileError, match="a program needs at least one descriptor"):
        builder.build()


@pytest.mark.parametrize(
    ("geometry", "rule"),
    [
        (ConvolutionGeometry(kernel=(1, 3), stride=(8, 1)), "descriptor field stride_y must be from 0 to 7, not 8"),
        (ConvolutionGeometry(kernel=(1, 16)), "descriptor field kernel_width must be from 0 to 15, not 16"),
    ],
)
def test_what_the_core_cannot(geometry: ConvolutionGeometry, rule: str) -> None:
    operation = operation_of(Opcode.POOL, 8, geometry)
    x = packed(0, 20, 20, 8)
    y = packed(1000, *geometry.output_size(20, 20), 8)
    with pytest.raises(CompileError, match=rule):
        ProgramBuilder(CONFIG).windows(operation, source=x, target=y, parameters=1900, table=1900)


def test_a_core_without_them() -> None:
    operation = operation_of(Opcode.DEPTHWISE, 16, KERNEL)
    for config, rule in (
        (CONFIG.replace(vector=False), "core 'tiny' was generated without the vector unit: set vector"),
        (
            CONFIG.replace(depthwise_taps=0),
            "core 'tiny' was generated without depthwise convolutions: set depthwise_taps",
        ),
    ):
        with pytest.raises(CompileError, match=rule):
            ProgramBuilder(config).windows(operation, source=X, target=Y)
