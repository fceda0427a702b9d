"""Jobs of one descriptor that leads out of the activation memory: the core has to name the first word of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.image_tensor import ImageTensor
from ssvq.program import Program
from ssvq.reference import ActivationScale
from ssvq.vector_operation import VectorOperation
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_FIELDS,
    TABLE_ENTRIES,
    ErrorCode,
    Opcode,
)
from ssvq_gen.vector_arithmetic import SHIFTS

from ..systems.layers import random_convolution, random_layer
from ..systems.overlap_cases import spread_product
from .odd_descriptors import OddCase, OddDescriptors, with_field

_SCALE = ActivationScale(scale=0.1)
_WORDS = (0xFFFF_FFFF, 0xA5A5_A5A5)
"""Words far outside of every memory. With the one just behind it, each bit of an address is seen as both."""
_STEPS = (0xFFFF, 0x5A5A)
"""Distances that lead there."""
_LARGEST = {field.name: field.bounds[1] for field in DESCRIPTOR_FIELDS}
_TOKENS = 3
_PLACES = {
    Opcode.MATMUL: ("source", "destination"),
    Opcode.PRODUCT: ("source", "operand", "destination"),
    Opcode.CONV: ("source", "destination"),
    Opcode.SUM: ("table", "parameters", "source", "second_source", "destination"),
    Opcode.LAYERNORM: ("parameters", "source", "destination"),
    Opcode.POOL: ("source", "destination"),
    Opcode.DEPTHWISE: ("parameters", "source", "destination"),
}
"""Fields that name the first word of something, of which each operation has more than one."""


@dataclass(frozen=True, kw_only=True)
class _Way:
    """`times` steps of `stride` from `place` on there is a second token, pixel or product.

    changes : other fields, with which nothing else comes before it
    """

    opcode: Opcode
    place: str
    stride: str
    times: int = 1
    changes: Mapping[str, int] = field(default_factory=dict)


def far_words(config: CoreConfig) -> Iterator[OddDescriptors]:
    """A scenario for each operation: places that are far away, and strides that lead there."""
    program = _program(config)
    memory = program.new_memory()
    found = {Opcode(d["opcode"]): (index, d) for index, d in enumerate(program.descriptors())}

    def case(opcode: Opcode, changes: Mapping[str, int], address: int) -> OddCase:
        offset = program.descriptor_offset + found[opcode][0] * DESCRIPTOR_BYTES
        data = memory[offset : offset + DESCRIPTOR_BYTES].tobytes()
        for known in DESCRIPTOR_FIELDS:
            if known.name in changes and known.belongs_to(opcode):
                data = with_field(data, known, changes[known.name])
        text = ", ".join(f"{name} ({value})" for name, value in changes.items())
        return OddCase(offset=offset, data=data, field=text, code=ErrorCode.ACTIVATION_RANGE, address=address)

    words = (config.activation_depth, *_WORDS)
    ways = [*_plain_ways(), *_window_ways()]
    for opcode, names in _PLACES.items():
        places = [case(opcode, {name: word}, word) for name in names for word in words]
        strides = [
            case(opcode, {**way.changes, way.stride: step}, found[opcode][1][way.place] + way.times * step)
            for way in ways
            if way.opcode is opcode
            for step in _STEPS
        ]
        yield OddDescriptors(name=f"{opcode.name} of far words", memory=memory, cases=(*places, *strides))


def _plain_ways() -> Iterator[_Way]:
    """Strides from a token or product to the next."""
    for opcode in (Opcode.MATMUL, Opcode.PRODUCT, Opcode.SUM, Opcode.LAYERNORM):
        yield _Way(opcode=opcode, place="source", stride="input_stride")
    for opcode in _PLACES:
        yield _Way(opcode=opcode, place="destination", stride="output_stride")
    yield _Way(opcode=Opcode.SUM, place="second_source", stride="second_stride")
    yield _Way(opcode=Opcode.PRODUCT, place="operand", stride="operand_stride")
    for place, stride in (("source", "input"), ("operand", "operand"), ("destination", "output")):
        yield _Way(opcode=Opcode.PRODUCT, place=place, stride=f"{stride}_batch_stride")


def _window_ways() -> Iterator[_Way]:
    """Strides in an image with their largest multiples: to the next window and to the one below, and in the kernel."""
    image = {"input_height": _LARGEST["input_height"], "input_width": _LARGEST["input_width"]}
    row, column = image | {"output_width": _TOKENS}, image | {"output_width": 1}
    wide, high = {"kernel_width": 2, "kernel_height": 1}, {"kernel_width": 1, "kernel_height": 2}
    single = {"kernel_width": 1, "kernel_height": 1}
    for opcode in (Opcode.CONV, Opcode.POOL, Opcode.DEPTHWISE):
        for stride, step, changes in (
            ("input_stride", "stride_x", single | row),
            ("row_stride", "stride_y", single | column),
            ("input_stride", "dilation_x", wide | column | {"tokens": 1}),
            ("row_stride", "dilation_y", high | row | {"tokens": 1}),
        ):
            times = _LARGEST[step]
            yield _Way(
                opcode=opcode,
                place="source",
                stride=stride,
                times=times,
                changes={"extra_taps": 0, **changes, step: times},
            )


def _program(config: CoreConfig) -> Program:
    """One descriptor of each kind, with parameters and a table; the two positions of kernels are two tiles of a CONV.

    Nobody runs it as it is.
    """
    rng, channels = np.random.default_rng(11), max(config.rows, config.cols)
    builder = ProgramBuilder(config)
    source, second, target = (
        ActivationTensor.packed(config, word=word, tokens=_TOKENS, channels=channels) for word in (16, 48, 80)
    )
    operand = ActivationTensor.packed(config, word=112, tokens=channels, channels=channels)
    weights: dict[str, Any] = {"weight_format": WeightFormat.INT8, "in_channels": channels, "out_channels": channels}
    builder.matmul(random_layer(rng, **weights, name="matmul"), source=source, target=target)
    product = spread_product("product", (_TOKENS, channels, channels), transposed=False, batch_count=2)
    builder.product(product, source=source, operand=operand, target=target)
    geometry = ConvolutionGeometry(kernel=(1, 2))
    image = ImageTensor.packed(config, word=16, height=1, width=_TOKENS + 1, channels=channels)
    windows = ImageTensor.packed(config, word=80, height=1, width=_TOKENS, channels=channels)
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
    return builder.build()
