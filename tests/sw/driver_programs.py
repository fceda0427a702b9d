"""What drivers run on the fake core: two layers, with their inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssvq.compile import compile_layers
from ssvq.program import Program
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_gen.format import DESCRIPTOR_BYTES, FIELD_BY_NAME, pack_descriptor
from ssvq_sim.systems.layers import random_input, random_layer

CONFIG = PRESETS["tiny"].replace(axi_addr_width=40)
LAYERS = [
    (
        random_layer(
            np.random.default_rng(0), weight_format=WeightFormat.SSVQ, out_channels=20, in_channels=30, name="up"
        ),
        5,
    ),
    (
        random_layer(
            np.random.default_rng(1), weight_format=WeightFormat.INT8, out_channels=9, in_channels=8, name="down"
        ),
        70,
    ),
]
PROGRAM = compile_layers(CONFIG, LAYERS)
INPUTS = {layer.name: random_input(np.random.default_rng(2), tokens, layer) for layer, tokens in LAYERS}


def with_descriptor(index: int, **changes: int) -> Program:
    image = PROGRAM.image.copy()
    start = PROGRAM.descriptor_offset + index * DESCRIPTOR_BYTES
    values = {**PROGRAM.descriptor(index), **changes}
    owned = {name: value for name, value in values.items() if FIELD_BY_NAME[name].belongs_to(values["opcode"])}
    changed = pack_descriptor(owned)
    image[start : start + DESCRIPTOR_BYTES] = np.frombuffer(changed, dtype=np.uint8)
    return replace(PROGRAM, image=image)
