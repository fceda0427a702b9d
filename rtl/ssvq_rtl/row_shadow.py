"""The shadow weights of a row of the MAC array: those of the next tile, which are written while this one computes."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .checks import require_config


class RowShadow(wiring.Component):
    """One wide register, written by column groups; not reset.

    Members
    -------
    load, loaded : In, column groups that are written, with the same weights
    shadow : `cols` int8
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "load": In(config.column_groups),
                "loaded": In(8 * config.decode_lanes),
                "shadow": Out(8 * config.cols),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes_width = 8 * self._config.decode_lanes
        shadow = Signal(8 * self._config.cols, reset_less=True)
        m.d.comb += self.shadow.eq(shadow)
        for group in range(self._config.column_groups):
            with m.If(self.load[group]):
                m.d.sync += shadow.word_select(group, lanes_width).eq(self.loaded)
        return m
