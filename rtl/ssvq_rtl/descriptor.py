"""A descriptor as hardware sees it, generated from the format's table."""

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from ssvq_gen.format import DESCRIPTOR_FIELDS

INDEX_WIDTH = 16
"""Bits of a descriptor's index in its job."""


def descriptor_layout() -> data.StructLayout:
    """All fields of a descriptor by name, from its bit 0 to its last field; gaps are called ``reserved_<bit>``."""
    members: dict[str, Shape] = {}
    end = 0
    for field in sorted(DESCRIPTOR_FIELDS, key=lambda f: f.offset):
        if field.offset > end:
            members[f"reserved_{end}"] = unsigned(field.offset - end)
        members[field.name] = signed(field.width) if field.signed else unsigned(field.width)
        end = field.offset + field.width
    return data.StructLayout(members)


class FetchedDescriptor(data.StructLayout):
    """A descriptor's `fields`, its `index` in the job, and whether it is the `last`."""

    def __init__(self) -> None:
        super().__init__({"fields": descriptor_layout(), "index": INDEX_WIDTH, "last": 1})
