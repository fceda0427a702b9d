"""A row of the MAC array: a multiplier and an adder for each column."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .checks import require_config

LANE = 32
"""Bits of a column's field in the products and partial sums: one word of Verilator's wide signals, so that simulation
packs and masks nothing. Synthesis drops the bits that nobody reads and packs what is left into the DSPs."""
_PRODUCT_WIDTH = 16


class MacRow(wiring.Component):
    """``product <= activation * weight; partial <= product + above``, the form that DSP cascades take whole.

    Members
    -------
    swap, multiply, add : In, registers that take over: weights, products, partial sums; each a cycle after the other
    activation : In, for all columns, at the time of `multiply`
    shadow : In, `cols` int8, the next weights
    above : In, `cols` partial sums of the row above, in fields of `LANE` bits
    partial : `cols` partial sums
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "swap": In(1),
                "multiply": In(1),
                "add": In(1),
                "activation": In(signed(8)),
                "shadow": In(8 * config.cols),
                "above": In(config.cols * LANE),
                "partial": Out(config.cols * LANE),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        columns = range(self._config.cols)
        weights = Signal(8 * self._config.cols, reset_less=True)
        with m.If(self.swap):
            m.d.sync += weights.eq(self.shadow)

        # Operands as wide as it takes for every result to be one lane.
        activation = Signal(signed(LANE - 8))
        products = Signal(LANE * self._config.cols, reset_less=True)
        m.d.comb += activation.eq(self.activation)
        with m.If(self.multiply):
            m.d.sync += products.eq(Cat(activation * weights.word_select(c, 8).as_signed() for c in columns))

        partial = Signal(LANE * self._config.cols, reset_less=True)
        with m.If(self.add):
            m.d.sync += partial.eq(
                Cat(
                    products.word_select(c, LANE)[:_PRODUCT_WIDTH].as_signed()
                    + self.above.word_select(c, LANE)[: LANE - 1].as_signed()
                    for c in columns
                )
            )
        m.d.comb += self.partial.eq(partial)
        return m
