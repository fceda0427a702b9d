"""Products and vector operations at all edges of the array, of a word and of the accumulators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.image_tensor import ImageTensor
from ssvq.reference import ActivationScale, Int8Array
from ssvq.vector_image import parameter_words, table_words
from ssvq.vector_operation import VectorOperation
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import VECTOR_OPCODES, VECTOR_WINDOW_OPCODES, Opcode

from ..scenarios.modelled_job import modelled_job
from ..scenarios.scenario import JobScenario
from ..systems.overlap_cases import spread_product
from ..systems.vector_operations import random_operation

_SCALE = ActivationScale(scale=0.1)
_PART = 3
"""Channels, or activations, of less than a word, a side of the array or the accumulators."""
_GEOMETRY = ConvolutionGeometry(kernel=(2, 2))
_OUTPUTS = ((1, 1), (2, 2))
"""Height and width: one activation, and several."""


def edge_jobs(config: CoreConfig) -> Iterator[JobScenario]:
    """One program of products, and one for each vector operation."""
    yield _products(config)
    for opcode in VECTOR_OPCODES:
        yield _operations(config, opcode)


def _products(config: CoreConfig) -> JobScenario:
    """All on the same words, into the same words."""
    rng, builder = np.random.default_rng(21), ProgramBuilder(config)
    rows, cols, depth = config.rows, config.cols, config.accumulator_depth
    inputs: dict[str, Int8Array] = {}
    for name, word, tokens, channels in (("x", 0, depth, rows), ("y", depth, rows, cols)):
        tensor = ActivationTensor(word=word, tokens=tokens, channels=channels, stride=1)
        builder.load(name, tensor, _SCALE)
        inputs[name] = rng.integers(-128, 128, (tokens, channels), dtype=np.int8)
    for number, (k, n, tokens) in enumerate(product((1, _PART, rows), (1, _PART, cols), (1, _PART, depth))):
        source = ActivationTensor(word=0, tokens=tokens, channels=k, stride=1)
        operand = ActivationTensor(word=depth, tokens=k, channels=n, stride=1)
        target = ActivationTensor(word=depth + rows, tokens=tokens, channels=n, stride=1)
        one = spread_product(f"product{number}", (tokens, k, n), transposed=False)
        builder.product(one, source=source, operand=operand, target=target)
        builder.store(f"out{number}", target, _SCALE)
    return modelled_job(config, "products at all edges", builder.build(), inputs)


def _operations(config: CoreConfig, opcode: Opcode) -> JobScenario:
    """On one channel, a part of a word, and a word; one activation and several."""
    rng, builder = np.random.default_rng((22, opcode)), ProgramBuilder(config)
    inputs: dict[str, Int8Array] = {}
    geometry = _GEOMETRY if opcode in VECTOR_WINDOW_OPCODES else None
    word = 0
    for number, (channels, size) in enumerate(product((1, _PART, config.word_bytes), _OUTPUTS)):
        name, operation = f"operation{number}", random_operation(rng, opcode, channels, geometry, scaled=True)
        places = []
        for words in (parameter_words(operation, config), table_words(operation, config)):
            places.append(word)
            if len(words):
                builder.constant(f"{name} constants", words, word=word)
            word += len(words)
        images = []
        for height, width in (_input_size(geometry, size), size):
            images.append(ImageTensor.packed(config, word=word, height=height, width=width, channels=channels))
            word = images[-1].tokens().end(config)
        builder.load(name, images[0].tokens(), _SCALE)
        inputs[name] = rng.integers(-128, 128, (images[0].tokens().tokens, channels), dtype=np.int8)
        _add(builder, operation, images, name=f"{name} run", parameters=places[0], table=places[1])
        builder.store(f"{name} out", images[1].tokens(), _SCALE)
    return modelled_job(config, f"{opcode.name} at all edges", builder.build(), inputs)


def _input_size(geometry: ConvolutionGeometry | None, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image whose windows are as many, without steps and padding."""
    if geometry is None:
        return size
    return size[0] + geometry.kernel[0] - 1, size[1] + geometry.kernel[1] - 1


def _add(
    builder: ProgramBuilder, operation: VectorOperation | WindowOperation, images: Sequence[ImageTensor], **others: Any
) -> None:
    """Source and target as images, or the activations in them; a second operand is the first once more."""
    if isinstance(operation, WindowOperation):
        builder.windows(operation, source=images[0], target=images[1], **others)
        return
    source, target = (image.tokens() for image in images)
    second = source if operation.has_second else None
    builder.vector(operation, source=source, second=second, target=target, **others)
