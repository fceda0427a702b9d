"""Addresses of the activations of a matrix, in a core without convolutions."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from ssvq_gen.config import CoreConfig

from .checks import require_config
from .walk import ADDRESS_WIDTH, lane_count, walk_members


class MatrixWalk(wiring.Component):
    """Activations that are `input_stride` words apart, in tiles of `rows` channels.

    Latency: the address is a register; it is there with the cycle after `start` and `advance`. An activation a cycle.

    Members: `walk_members`; every activation is inside.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(walk_members(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = lane_count(self._config)
        input_stride = Signal(16, reset_less=True)
        batch_stride = Signal(16, reset_less=True)
        tile_address = Signal(ADDRESS_WIDTH)  # of the tile's first activation
        product_address = Signal(ADDRESS_WIDTH)  # of the product's first activation
        next_product = product_address + batch_stride
        next_tile = Signal.like(tile_address)
        m.d.comb += [self.inside.eq(1), self.last_channels.eq(self.last_tile)]
        with m.If(self.last_tile & self.last_column):
            m.d.comb += next_tile.eq(next_product)
        with m.Elif(self.last_tile):
            m.d.comb += next_tile.eq(product_address)
        with m.Else():
            m.d.comb += next_tile.eq(tile_address + (self.lane == lanes - 1))
        with m.If(self.start):
            m.d.sync += [input_stride.eq(self.command.input_stride), batch_stride.eq(self.command.input_batch_stride)]
            for register in (self.address, tile_address, product_address):
                m.d.sync += register.eq(self.command.source)
            m.d.sync += self.lane.eq(0)
        with m.Elif(self.advance):
            m.d.sync += self.address.eq(self.address + input_stride)
            with m.If(self.last_token):
                m.d.sync += [self.address.eq(next_tile), tile_address.eq(next_tile)]
                if lanes > 1:
                    m.d.sync += self.lane.eq(self.lane + 1)
                with m.If(self.last_tile):
                    m.d.sync += self.lane.eq(0)
                with m.If(self.last_tile & self.last_column):
                    m.d.sync += product_address.eq(next_product)
        return m
