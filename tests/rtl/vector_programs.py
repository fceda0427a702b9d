"""Random vector operations with their tensors placed in a small activation memory."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from vector_operations import random_activations, random_operation

from ssvq.vector_image import parameter_words, table_words, vector_fields
from ssvq.vector_operation import VectorOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import VECTOR_OPCODES, Opcode

Words = npt.NDArray[np.int8]
"""An activation memory, (activation_depth, word_bytes)."""


@dataclass(frozen=True, kw_only=True)
class VectorStep:
    """An operation, its command, and the memory before and after it."""

    operation: VectorOperation
    fields: dict[str, int]
    before: Words
    after: Words


def random_step(config: CoreConfig, seed: int, *, opcode: Opcode | None = None, index: int = 0) -> VectorStep:
    """An operation that fits the memory, with everything else in there at random."""
    rng = np.random.default_rng(seed)
    chosen = Opcode(int(rng.choice(VECTOR_OPCODES))) if opcode is None else opcode
    width, depth = config.word_bytes, config.activation_depth
    while True:
        tokens = int(rng.choice([1, 2, 3, 4, 5, rng.integers(1, config.accumulator_depth + 1)]))
        tokens = min(tokens, config.accumulator_depth)
        channels = int(rng.integers(1, 5 * width))
        operation = random_operation(rng, chosen, channels)
        words = -(-channels // width)
        parameters, table = parameter_words(operation, config), table_words(operation, config)
        strides = [words + int(rng.integers(0, 3)) for _ in range(3)]
        sizes = [(tokens - 1) * stride + words for stride in strides] + [len(parameters), len(table)]
        if sum(sizes) <= depth:
            break
    memory = rng.integers(-128, 128, (depth, width), dtype=np.int8)
    places = _places(random.Random(seed), sizes, depth)
    x, second = (random_activations(rng, tokens, channels) for _ in range(2))
    for tensor, place, stride in ((x, places[0], strides[0]), (second, places[1], strides[1])):
        _put(memory, place, stride, tensor)
    memory[places[3] : places[3] + len(parameters)] = parameters.view(np.int8)
    memory[places[4] : places[4] + len(table)] = table.view(np.int8)
    after = memory.copy()
    output = operation.reference(x, second) if operation.has_second else operation.reference(x)
    padded = np.pad(output, ((0, 0), (0, -channels % config.vector_lanes)))
    _put(after, places[2], strides[2], padded)
    fields = vector_fields(operation) | {
        "source": places[0],
        "input_stride": strides[0],
        "destination": places[2],
        "output_stride": strides[2],
        "parameters": places[3],
        "table": places[4],
        "tokens": tokens,
    }
    if operation.has_second:
        fields |= {"second_source": places[1], "second_stride": strides[1]}
    return VectorStep(operation=operation, fields=fields | {"index": index}, before=memory, after=after)


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


def _put(memory: npt.NDArray[np.generic], place: int, stride: int, tensor: npt.NDArray[np.generic]) -> None:
    width = memory.shape[1]
    for token, channels in enumerate(tensor):
        for first in range(0, len(channels), width):
            part = channels[first : first + width]
            memory[place + token * stride + first // width, : len(part)] = part
