"""A row of the MAC array for ECP5: a multiplier block, with its registers in use, and an adder for each column."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring

from ssvq_gen.config import CoreConfig

from .checks import require_config
from .ecp5_multiplier import Ecp5Multiplier
from .mac_row import LANE, mac_row_members, sums_of


class Ecp5MacRow(wiring.Component):
    """What `MacRow` computes, with weights, activation and products in the registers of the multiplier blocks.

    The activation comes at the time of `swap`, an enabled cycle before it is multiplied: a register of each block takes
    it over. That register is the last of the row's skew, and its copies are beside the multipliers. The products have
    one more register in front of the adders, as it is a long way there: they are added two enabled cycles after the
    multiplication.

    Members
    -------
    multiply : In, in every enabled cycle: activation, products and their copies are taken over
    others : see `MacRow`
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(mac_row_members(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        columns = range(self._config.cols)
        products = Signal(LANE * self._config.cols, reset_less=True)
        fresh = []
        for column in columns:
            m.submodules[f"multiplier{column}"] = multiplier = Ecp5Multiplier()
            m.d.comb += [
                multiplier.load.eq(self.swap),
                multiplier.advance.eq(self.multiply),
                multiplier.weight.eq(self.shadow.word_select(column, 8)),
                multiplier.activation.eq(self.activation),
            ]
            fresh.append(Cat(multiplier.product, Const(0, LANE - len(multiplier.product))))
        with m.If(self.multiply):
            m.d.sync += products.eq(Cat(fresh))
        partial = Signal(LANE * self._config.cols, reset_less=True)
        with m.If(self.add):
            m.d.sync += partial.eq(sums_of(products, self.above, columns))
        m.d.comb += self.partial.eq(partial)
        return m
