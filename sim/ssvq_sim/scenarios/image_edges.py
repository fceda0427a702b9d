"""Windows that begin before the image, at the first word of the memory, and the widest and highest ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from ssvq.builder import ProgramBuilder
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.image_tensor import ImageTensor
from ssvq.reference import ActivationScale
from ssvq.vector_image import parameter_words, table_words
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import Opcode

from ..systems.layers import random_convolution
from ..systems.overlap_cases import tuned
from ..systems.vector_operations import random_operation
from .modelled_job import modelled_job
from .scenario import JobScenario

_SCALE = ActivationScale(scale=0.1)
_HEIGHT, _WIDTH = 9, 16
_BEFORE = (
    ConvolutionGeometry(kernel=(3, 3), padding=(1, 1, 1, 1), stride=(2, 2)),
    ConvolutionGeometry(kernel=(2, 3), padding=(2, 0, 3, 0), stride=(3, 2), dilation=(1, 2)),
    ConvolutionGeometry(kernel=(3, 1), padding=(3, 3, 0, 0), stride=(2, 3)),
    ConvolutionGeometry(kernel=(3, 2), padding=(5, 2, 1, 1), stride=(3, 2), dilation=(3, 4)),
)
"""Their first pixel would be at a word below zero."""
_POOLED = (
    ConvolutionGeometry(kernel=(2, 15), stride=(4, 1)),
    ConvolutionGeometry(kernel=(9, 5), stride=(1, 4)),
    ConvolutionGeometry(kernel=(3, 7), padding=(1, 1, 3, 3), stride=(7, 7)),
)
_DEPTHWISE = (
    ConvolutionGeometry(kernel=(8, 8), stride=(1, 4)),
    ConvolutionGeometry(kernel=(3, 3), padding=(1, 1, 1, 1), stride=(3, 1)),
    ConvolutionGeometry(kernel=(2, 6), stride=(3, 2)),
    ConvolutionGeometry(kernel=(2, 8), padding=(0, 0, 4, 4), stride=(4, 3)),
)
"""A pixel is in up to as many windows as the core has multipliers for, and in more of the first ones."""


def image_edges(config: CoreConfig) -> Iterator[JobScenario]:
    """A program for each operation on windows; each has the same image for all of its geometries."""
    rng = np.random.default_rng(12)
    yield _scenario(config, rng, Opcode.CONV, _BEFORE)
    yield _scenario(config, rng, Opcode.POOL, (*_BEFORE, *_POOLED))
    yield _scenario(config, rng, Opcode.DEPTHWISE, (*_BEFORE, *_DEPTHWISE))


def _scenario(
    config: CoreConfig, rng: np.random.Generator, opcode: Opcode, geometries: Sequence[ConvolutionGeometry]
) -> JobScenario:
    """An image at word 0, and all outputs behind it."""
    channels = config.word_bytes
    builder = ProgramBuilder(config)
    image = ImageTensor.packed(config, word=0, height=_HEIGHT, width=_WIDTH, channels=channels)
    builder.load("image", image.tokens(), _SCALE)
    end = image.tokens().end(config)
    add = _add_convolution if opcode is Opcode.CONV else partial(_add_operation, opcode)
    for number, geometry in enumerate(geometries):
        target = add(config, rng, builder, geometry, image, end, f"windows {number}")
        builder.store(f"output {number}", target.tokens(), _SCALE)
        end = target.tokens().end(config)
    x = rng.integers(-128, 128, (_HEIGHT * _WIDTH, channels), dtype=np.int8)
    return modelled_job(config, f"edges of images, {opcode.name}", builder.build(), {"image": x})


def _add_convolution(
    config: CoreConfig,
    rng: np.random.Generator,
    builder: ProgramBuilder,
    geometry: ConvolutionGeometry,
    image: ImageTensor,
    word: int,
    name: str,
) -> ImageTensor:
    """A convolution whose output is at a word, which is returned."""
    channels = {"in_channels": image.channels, "out_channels": image.channels}
    layer = random_convolution(rng, geometry=geometry, weight_format=WeightFormat.INT8, name=name, **channels)
    target = _target(config, geometry, image, word)
    builder.convolution(tuned(rng, layer), source=image, target=target)
    return target


def _add_operation(
    opcode: Opcode,
    config: CoreConfig,
    rng: np.random.Generator,
    builder: ProgramBuilder,
    geometry: ConvolutionGeometry,
    image: ImageTensor,
    word: int,
    name: str,
) -> ImageTensor:
    """The same with an operation of the vector unit, which has its parameters and table in front of the output."""
    operation = random_operation(rng, opcode, image.channels, geometry, scaled=True)
    places = []
    for words in (parameter_words(operation, config), table_words(operation, config)):
        places.append(word)
        if len(words):
            builder.constant(name, words, word=word)
        word += len(words)
    target = _target(config, geometry, image, word)
    builder.windows(operation, source=image, target=target, parameters=places[0], table=places[1], name=name)
    return target


def _target(config: CoreConfig, geometry: ConvolutionGeometry, image: ImageTensor, word: int) -> ImageTensor:
    height, width = geometry.output_size(image.height, image.width)
    return ImageTensor.packed(config, word=word, height=height, width=width, channels=image.channels)
