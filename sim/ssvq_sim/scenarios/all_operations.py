"""A program with one descriptor of each operation, to make others of it that fail."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.image_tensor import ImageTensor
from ssvq.reference import ActivationScale
from ssvq.vector_operation import VectorOperation
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import TABLE_ENTRIES, Opcode
from ssvq_gen.vector_arithmetic import SHIFTS

from ..systems.layers import random_convolution, random_layer
from ..systems.overlap_cases import spread_product
from ..systems.work import Work

_SCALE = ActivationScale(scale=0.1)
TOKENS = 3
"""Of every operation."""


def all_operations(config: CoreConfig) -> Work:
    """One descriptor of each kind, with parameters and a table; the two positions of kernels are two tiles of a CONV.

    They are behind a LOAD. What they make of it is not said.
    """
    rng, channels = np.random.default_rng(11), max(config.rows, config.cols)
    builder = ProgramBuilder(config)
    source, second, target = (
        ActivationTensor.packed(config, word=word, tokens=TOKENS, channels=channels) for word in (16, 48, 80)
    )
    operand = ActivationTensor.packed(config, word=112, tokens=channels, channels=channels)
    builder.load("x", source, _SCALE)
    weights: dict[str, Any] = {"weight_format": WeightFormat.INT8, "in_channels": channels, "out_channels": channels}
    builder.matmul(random_layer(rng, **weights, name="matmul"), source=source, target=target)
    product = spread_product("product", (TOKENS, channels, channels), transposed=False, batch_count=2)
    builder.product(product, source=source, operand=operand, target=target)
    geometry = ConvolutionGeometry(kernel=(1, 2))
    image = ImageTensor.packed(config, word=16, height=1, width=TOKENS + 1, channels=channels)
    windows = ImageTensor.packed(config, word=80, height=1, width=TOKENS, channels=channels)
    builder.convolution(
        random_convolution(rng, geometry=geometry, **weights, name="convolution"), source=image, target=windows
    )
    common: dict[str, Any] = {
        "channels": channels,
        "multiplier": np.arange(channels),  # so that there are parameters
        "shift": SHIFTS[0],
        "zero_point": 0,
        "output_scale": _SCALE,
    }
    tensors: dict[str, Any] = {"source": source, "target": target, "parameters": 256, "table": 512}
    table = np.zeros(TABLE_ENTRIES, dtype=np.int64)
    builder.vector(
        VectorOperation(name="sum", opcode=Opcode.SUM, has_second=True, table=table, **common), second=second, **tensors
    )
    builder.vector(VectorOperation(name="norm", opcode=Opcode.LAYERNORM, **common), **tensors)
    images: dict[str, Any] = {"source": image, "target": windows, "parameters": 256}
    weight = np.zeros((channels, *geometry.kernel), dtype=np.int8)
    builder.windows(WindowOperation(name="pool", opcode=Opcode.POOL, geometry=geometry, **common), **images)
    builder.windows(
        WindowOperation(name="depthwise", opcode=Opcode.DEPTHWISE, geometry=geometry, weight=weight, **common), **images
    )
    x = rng.integers(-128, 128, (TOKENS, channels), dtype=np.int8)
    return Work(program=builder.build(), inputs={"x": x}, expected={})
