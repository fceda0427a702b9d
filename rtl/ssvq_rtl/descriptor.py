"""A descriptor as hardware sees it, generated from the format's table."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from ssvq_gen.format import DESCRIPTOR_FIELDS

INDEX_WIDTH = 16
"""Bits of a descriptor's index in its job."""


def descriptor_layout() -> data.FlexibleLayout:
    """All fields of a descriptor by name; those of different opcodes may share bits."""
    members = {
        field.name: data.Field(signed(field.width) if field.signed else unsigned(field.width), field.offset)
        for field in DESCRIPTOR_FIELDS
    }
    return data.FlexibleLayout(max(field.offset + field.width for field in DESCRIPTOR_FIELDS), members)


class FetchedDescriptor(data.StructLayout):
    """A descriptor's `fields`, its `index` in the job, and whether it is the `last`."""

    def __init__(self) -> None:
        super().__init__({"fields": descriptor_layout(), "index": INDEX_WIDTH, "last": 1})
