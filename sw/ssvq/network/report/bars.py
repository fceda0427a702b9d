"""Cycles by class as parts of a bar."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq.network.report.cycle_charges import Classes
from ssvq_gen.registers import COUNTERS

LABELS = {
    "ARRAY_CYCLES": "array",
    "WAIT_WEIGHT_CYCLES": "weights",
    "WAIT_DECODE_CYCLES": "decoding",
    "WAIT_OPERAND_CYCLES": "operands",
    "WAIT_ACTIVATION_CYCLES": "activations",
    "WAIT_ARRAY_CYCLES": "swaps, sums",
    "WAIT_OUTPUT_CYCLES": "output",
    "VECTOR_CYCLES": "vector unit",
    "LOAD_CYCLES": "LOAD",
    "STORE_CYCLES": "STORE",
    "WAIT_DESCRIPTOR_CYCLES": "descriptors",
}
"""Short names of the classes, in their order."""
MEANINGS = {name: text for name, text in COUNTERS if name in LABELS}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a bar: class, cycles, and where it begins and how long it is, both in percent of the bar's room."""

    name: str
    cycles: int
    start: float
    length: float

    @property
    def style(self) -> str:
        """Class of its colour."""
        return style_of(self.name)

    @property
    def label(self) -> str:
        """Short name of its class."""
        return LABELS[self.name]


def segments(classes: Classes, room: int) -> list[Segment]:
    """The parts of a bar where `room` cycles would fill it."""
    found, passed = [], 0
    for name in LABELS:
        if cycles := classes.get(name, 0):
            start, length = 100 * passed / max(1, room), 100 * cycles / max(1, room)
            found.append(Segment(name=name, cycles=cycles, start=start, length=length))
            passed += cycles
    return found


def style_of(name: str) -> str:
    """Class of the colour of a class of cycles."""
    return "c-" + name.removesuffix("_CYCLES").lower().replace("_", "-")
