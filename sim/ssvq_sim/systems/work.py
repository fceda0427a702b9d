"""Small programs of the `tiny` core with what has to come of them; error cases are made from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq.compile import compile_layers
from ssvq.program import Program
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_gen.format import DESCRIPTOR_BYTES, FIELD_BY_NAME

from ..behaviour import MEMORY_BASE_DEFAULT, SimulationJob
from .layers import random_input, random_layer

CONFIG = PRESETS["tiny"]
BASE = MEMORY_BASE_DEFAULT
Inputs = Mapping[str, npt.NDArray[np.int8]]
"""Inputs or outputs by job."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A program with inputs, and the outputs of the integer reference."""

    program: Program
    inputs: Inputs
    expected: Inputs

    def job(self, name: str, **settings: Any) -> SimulationJob:
        """The job that runs it."""
        return SimulationJob(name=name, program=self.program, inputs=self.inputs, **settings)

    def patched(self, index: int, **fields: int) -> Work:
        """The same with other bits in one descriptor, whatever its opcode makes of them."""
        program = self.program
        image = program.image.copy()
        start = program.descriptor_offset + index * DESCRIPTOR_BYTES
        bits = int.from_bytes(image[start : start + DESCRIPTOR_BYTES].tobytes(), "little")
        for name, value in fields.items():
            field = FIELD_BY_NAME[name]
            mask = (1 << field.width) - 1
            bits = bits & ~(mask << field.offset) | (value & mask) << field.offset
        data = bits.to_bytes(DESCRIPTOR_BYTES, "little")
        image[start : start + DESCRIPTOR_BYTES] = np.frombuffer(data, dtype=np.uint8)
        return replace(self, program=replace(program, image=image))


def _work(*layers: tuple[WeightFormat, int, int, int], seed: int) -> Work:
    """Layers of (format, in_channels, out_channels, tokens)."""
    rng = np.random.default_rng(seed)
    built = [
        (random_layer(rng, weight_format=kind, in_channels=k, out_channels=n, name=f"layer{i}"), tokens)
        for i, (kind, k, n, tokens) in enumerate(layers)
    ]
    inputs = {layer.name: random_input(rng, tokens, layer) for layer, tokens in built}
    return Work(
        program=compile_layers(CONFIG, built),
        inputs=inputs,
        expected={layer.name: layer.reference(inputs[layer.name]).output for layer, _ in built},
    )


GOOD = _work((WeightFormat.SSVQ, 30, 20, 5), (WeightFormat.INT8, 8, 9, 70), seed=1)
"""Three LOADs, MATMULs and STOREs: the second layer is in two chunks. It also follows every job that fails."""
OTHER = _work((WeightFormat.VQ, 19, 12, 3), seed=2)
"""What is in the core before a job that fails is not what comes after it."""
LONG_LOAD = _work((WeightFormat.INT8, 240, 8, 64), seed=3)
LONG_STORE = _work((WeightFormat.INT8, 8, 240, 64), seed=4)
BOTH_WAYS = _work((WeightFormat.INT8, 8, 120, 64), (WeightFormat.INT8, 64, 8, 64), seed=5)
"""The second LOAD comes while the first STORE runs."""
