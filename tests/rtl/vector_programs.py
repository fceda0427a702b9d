"""Random vector operations with their tensors placed in a small activation memory."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssvq import window
from ssvq.convolution_geometry import Band, ConvolutionGeometry
from ssvq.image_tensor import ImageTensor
from ssvq.reference import Int8Array
from ssvq.vector_image import parameter_words, table_words, vector_fields
from ssvq.vector_operation import VectorOperation
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import VECTOR_OPCODES, VECTOR_WINDOW_OPCODES, Opcode
from ssvq_sim.systems.vector_operations import (
    random_activations,
    random_geometry,
    random_operation,
)

Words = npt.NDArray[np.int8]
"""An activation memory, (activation_depth, word_bytes)."""


AnyOperation = VectorOperation | WindowOperation


@dataclass(frozen=True, kw_only=True)
class VectorStep:
    """An operation, its command, and the memory before and after it."""

    operation: AnyOperation
    fields: dict[str, int]
    before: Words
    after: Words


def random_step(config: CoreConfig, seed: int, *, opcode: Opcode | None = None, index: int = 0) -> VectorStep:
    """An operation that fits the memory, with everything else in there at random."""
    rng = np.random.default_rng(seed)
    chosen = Opcode(int(rng.choice(VECTOR_OPCODES))) if opcode is None else opcode
    if chosen in VECTOR_WINDOW_OPCODES:
        return random_window_step(config, seed, opcode=chosen, index=index)
    width = config.word_bytes
    while True:
        tokens = int(rng.choice([1, 2, 3, 4, 5, rng.integers(1, config.accumulator_depth + 1)]))
        tokens = min(tokens, config.accumulator_depth)
        channels = int(rng.integers(1, 5 * width))
        operation = random_operation(rng, chosen, channels)
        assert isinstance(operation, VectorOperation)
        words = -(-channels // width)
        strides = [words + int(rng.integers(0, 3)) for _ in range(3)]
        memory = _Memory(config, seed, operation, [(tokens - 1) * stride + words for stride in strides])
        if memory.fits:
            break
    x, second = (random_activations(rng, tokens, channels) for _ in range(2))
    for tensor, place, stride in zip((x, second), memory.places, strides[:2], strict=False):
        put(memory.before, place, stride, tensor)
    output = operation.reference(x, second) if operation.has_second else operation.reference(x)
    fields = {"source": memory.places[0], "input_stride": strides[0], "tokens": tokens, "index": index}
    if operation.has_second:
        fields |= {"second_source": memory.places[1], "second_stride": strides[1]}
    return memory.step(operation, fields, output, memory.places[2], strides[2])


def random_window_step(
    config: CoreConfig,
    seed: int,
    *,
    opcode: Opcode,
    index: int = 0,
    geometry: ConvolutionGeometry | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    operation: WindowOperation | None = None,
    image: Int8Array | None = None,
) -> VectorStep:
    """The same of an operation on windows; what is not given is random, and what is given has to fit together. With
    `size`, that of the image, the step is the whole output, else a band of it that may end within a row.
    """
    rng = np.random.default_rng(seed)
    width = config.word_bytes
    while True:
        windows = random_geometry(rng, opcode) if geometry is None else geometry
        height, columns = (int(n) for n in rng.integers(1, 9, 2)) if size is None else size
        count = int(rng.integers(1, 3 * width)) if channels is None else channels
        try:
            full = windows.output_size(height, columns)
        except ValueError:
            continue
        chosen = random_operation(rng, opcode, count, windows) if operation is None else operation
        assert isinstance(chosen, WindowOperation)
        band = Band(y=0, x=0, height=full[0], width=full[1]) if size is not None else _random_band(rng, *full)
        words = -(-count // width)
        strides = [words + int(rng.integers(0, 2)) for _ in range(2)]
        row_stride = columns * strides[0] + int(rng.integers(0, 3))
        sizes = [(height - 1) * row_stride + columns * strides[0], band.pixels * strides[1]]
        memory = _Memory(config, seed, chosen, sizes)
        if memory.fits:
            break
    if image is None:
        image = random_activations(rng, height * columns, count).reshape(height, columns, count)
    tensor = ImageTensor(
        word=memory.places[0],
        height=height,
        width=columns,
        channels=count,
        stride=strides[0],
        row_stride=row_stride,
    )
    for y, row in enumerate(image):
        put(memory.before, tensor.pixel(y, 0), strides[0], row)
    output = chosen.reference(image)[band.y :, band.x :][: band.height, : band.width].reshape(-1, count)
    fields = window.fields(windows, tensor, band) | {"kernel_height": windows.kernel[0], "index": index}
    if opcode is Opcode.DEPTHWISE:
        fields["extra_taps"] = chosen.extra_taps(config) if size is not None or rng.random() < 0.8 else 0
    tokens = band.pixels if size is not None else band.pixels - int(rng.integers(0, band.width))
    return memory.step(chosen, fields | {"tokens": tokens}, output[:tokens], memory.places[1], strides[1])


def _random_band(rng: np.random.Generator, height: int, width: int) -> Band:
    y, x = int(rng.integers(height)), int(rng.integers(width))
    return Band(y=y, x=x, height=int(rng.integers(1, height - y + 1)), width=int(rng.integers(1, width - x + 1)))


class _Memory:
    """Places for tensors of some sizes, the parameters and the table of an operation."""

    def __init__(self, config: CoreConfig, seed: int, operation: AnyOperation, sizes: list[int]) -> None:
        self._config = config
        stored = parameter_words(operation, config), table_words(operation, config)
        all_sizes = [*sizes, *(len(words) for words in stored)]
        depth = config.activation_depth
        self.fits = sum(all_sizes) <= depth
        if self.fits:
            self.places = _places(random.Random(seed), all_sizes, depth)
            rng = np.random.default_rng(seed)
            self.before: Words = rng.integers(-128, 128, (depth, config.word_bytes), dtype=np.int8)
            for words, place in zip(stored, self.places[-2:], strict=True):
                self.before[place : place + len(words)] = words.view(np.int8)

    def step(
        self, operation: AnyOperation, fields: dict[str, int], output: Words, place: int, stride: int
    ) -> VectorStep:
        """The step that leaves these outputs there."""
        after = self.before.copy()
        put(after, place, stride, np.pad(output, ((0, 0), (0, -operation.channels % self._config.vector_lanes))))
        places = {"parameters": self.places[-2], "table": self.places[-1]}
        fields = vector_fields(operation) | places | fields | {"destination": place, "output_stride": stride}
        return VectorStep(operation=operation, fields=fields, before=self.before, after=after)


def _places(rng: random.Random, sizes: list[int], depth: int) -> list[int]:
    """First words of pieces in a random order with random gaps."""
    order = list(range(len(sizes)))
    rng.shuffle(order)
    free, at, places = depth - sum(sizes), 0, [0] * len(sizes)
    for number in order:
        gap = rng.randint(0, free)
        places[number] = at + gap
        at, free = at + gap + sizes[number], free - gap
    return places


def put(memory: npt.NDArray[np.generic], place: int, stride: int, tensor: npt.NDArray[np.generic]) -> None:
    """Write a tensor (T, C) to a memory."""
    width = memory.shape[1]
    for token, channels in enumerate(tensor):
        for first in range(0, len(channels), width):
            part = channels[first : first + width]
            memory[place + token * stride + first // width, : len(part)] = part
