"""Jobs of one descriptor that leads out of the activation memory: the core has to name the first word of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_FIELDS,
    ErrorCode,
    Opcode,
)

from .all_operations import TOKENS, all_operations
from .odd_descriptors import OddCase, OddDescriptors, with_field

_WORDS = (0xFFFF_FFFF, 0xA5A5_A5A5)
"""Words far outside of every memory. With the one just behind it, each bit of an address is seen as both."""
_STEPS = (0xFFFF, 0x5A5A)
"""Distances that lead there."""
_LARGEST = {field.name: field.bounds[1] for field in DESCRIPTOR_FIELDS}
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
    program = all_operations(config).program
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
    row, column = image | {"output_width": TOKENS}, image | {"output_width": 1}
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
