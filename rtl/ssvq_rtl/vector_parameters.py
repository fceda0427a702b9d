"""Addresses of the parameters and weights of a vector operation's channels."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import PLANE_BYTES

from .checks import require_config
from .vector_command import Operation, VectorCommand

PLANE_POSITIONS = sum(PLANE_BYTES.values())
"""Bytes of the parameters of a channel that has all of them."""


class VectorParameters(wiring.Component):
    """For a group of channels: the bytes of their parameters, each in turn, then the weights of a DEPTHWISE.

    A byte a cycle; one that the channels do not have takes a cycle as well.

    Members
    -------
    command : In, static from `start` on
    start : In, the next group is the first one
    advance : In, to the next byte with the next cycle
    next_word : In, the next group's channels are in the next word
    address : activation memory word
    present : there is such a word
    last : the last byte of the group
    position : which byte of the parameters it is
    is_weight : it is a weight
    tap : ... of which multiplier of the lane
    weight : ... and where that keeps it
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "command": In(VectorCommand()),
                "start": In(1),
                "advance": In(1),
                "next_word": In(1),
                "address": Out(33),
                "present": Out(1),
                "last": Out(1),
                "position": Out(range(PLANE_POSITIONS)),
                "is_weight": Out(1),
                "tap": Out(3),
                "weight": Out(6),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = self.command
        group_address = Signal(33)  # of the first byte
        following = Signal(33)
        last_position = self.position == PLANE_POSITIONS - 1
        has_weights = (command.operation == Operation.DEPTHWISE) if self._config.depthwise_taps else 0
        row, column, place = Signal(3), Signal(3), Signal(3)
        last_column = column == command.kernel_width - 1
        last_weight = last_column & (row == command.kernel_height - 1)
        planes = [plane.value.bit_length() - 1 for plane, size in PLANE_BYTES.items() for _ in range(size)]
        with m.Switch(self.position):
            for number, bit in enumerate(planes):
                with m.Case(number):
                    m.d.comb += self.present.eq(command.planes[bit])
        with m.If(self.is_weight):
            m.d.comb += self.present.eq(1)
        m.d.comb += [
            following.eq(self.address + self.present),
            self.last.eq(Mux(self.is_weight, last_weight, last_position & ~has_weights)),
            self.weight.eq(Cat(row, place)),
        ]
        with m.If(self.start):
            m.d.sync += [register.eq(command.parameters) for register in (self.address, group_address)]
            m.d.sync += [self.position.eq(0), self.is_weight.eq(0)]
        with m.Elif(self.advance):
            m.d.sync += [self.address.eq(following), self.position.eq(self.position + 1)]
            with m.If(last_position):
                m.d.sync += [self.position.eq(0), self.is_weight.eq(has_weights)]
            with m.If(self.is_weight):
                m.d.sync += self.position.eq(0)
            with m.If(self.last):
                # The next group may have its channels in the same word.
                m.d.sync += [self.is_weight.eq(0), self.position.eq(0)]
                with m.If(self.next_word):
                    m.d.sync += group_address.eq(following)
                with m.Else():
                    m.d.sync += self.address.eq(group_address)
        if self._config.depthwise_taps:
            # Positions of a row go to places 0, 1, ... of the last tap, then to those of the one before.
            period = Mux(command.extra_taps != 0, command.stride_x, command.kernel_width)
            with m.If(~self.is_weight):
                m.d.sync += [row.eq(0), column.eq(0), place.eq(0), self.tap.eq(command.extra_taps)]
            with m.Elif(self.advance):
                m.d.sync += [column.eq(column + 1), place.eq(place + 1)]
                with m.If(place == period - 1):
                    m.d.sync += [place.eq(0), self.tap.eq(self.tap - 1)]
                with m.If(last_column):
                    m.d.sync += [row.eq(row + 1), column.eq(0), place.eq(0), self.tap.eq(command.extra_taps)]
        return m
