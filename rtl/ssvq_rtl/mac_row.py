"""A row of the MAC array: a multiplier and an adder for each column."""

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig

from .checks import require_config

LANE = 32
"""Bits of a column's field in the products and partial sums: one word of Verilator's wide signals, so that simulation
packs and masks nothing. Synthesis drops the bits that nobody reads and packs what is left into the DSPs."""
_PRODUCT_WIDTH = 16


def products_of(activation: Value, weights: Value, columns: range) -> Value:
    """An activation times the weights of a row, in fields of as many bits as both have."""
    return Cat(activation * weights.word_select(c, 8).as_signed() for c in columns)


def sums_of(products: Value, above: Value, columns: range) -> Value:
    """Products and the sums of the row above, added in fields of `LANE` bits."""
    return Cat(
        products.word_select(c, LANE)[:_PRODUCT_WIDTH].as_signed() + above.word_select(c, LANE)[: LANE - 1].as_signed()
        for c in columns
    )


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
        self._columns = range(config.cols)
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
        products = Signal(LANE * self._config.cols, reset_less=True)
        fresh = self._products(m)
        with m.If(self.multiply):
            m.d.sync += products.eq(fresh)
        partial = Signal(LANE * self._config.cols, reset_less=True)
        with m.If(self.add):
            m.d.sync += partial.eq(sums_of(products, self.above, self._columns))
        m.d.comb += self.partial.eq(partial)
        return m

    def _products(self, m: Module) -> Value:
        """What the register of the products takes: other kinds of row make them in another way."""
        weights = Signal(8 * self._config.cols, reset_less=True)
        with m.If(self.swap):
            m.d.sync += weights.eq(self.shadow)
        # Operands as wide as it takes for every result to be one lane.
        activation = Signal(signed(LANE - 8))
        m.d.comb += activation.eq(self.activation)
        return products_of(activation, weights, self._columns)
