"""A row of the MAC array for ECP5: a multiplier block, with its registers in use, and an adder for each column."""

from amaranth.hdl import Cat, Const, Module, Value

from .ecp5_multiplier import Ecp5Multiplier
from .mac_row import LANE, MacRow


class Ecp5MacRow(MacRow):
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

    def _products(self, m: Module) -> Value:
        products = []
        for column in self._columns:
            m.submodules[f"multiplier{column}"] = multiplier = Ecp5Multiplier()
            m.d.comb += [
                multiplier.load.eq(self.swap),
                multiplier.advance.eq(self.multiply),
                multiplier.weight.eq(self.shadow.word_select(column, 8)),
                multiplier.activation.eq(self.activation),
            ]
            products.append(Cat(multiplier.product, Const(0, LANE - len(multiplier.product))))
        return Cat(products)
