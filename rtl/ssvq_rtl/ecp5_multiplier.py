"""A multiplier of two int8 with its registers, as one MULT18X18D of an ECP5."""

from collections.abc import Mapping
from typing import ClassVar

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .cells import is_behavioural

_PORT_WIDTH = 18
_PAD = _PORT_WIDTH - 8
"""Zeros below an int8. They are constants in the routing; a sign above would be ten more wires."""


class Ecp5Multiplier(wiring.Component):
    """``product <= weight * activation`` of registered operands. Nothing is reset.

    Members
    -------
    load : In, the weight is taken over
    advance : In, the activation is taken over, and the product of the operands before
    weight, activation : In, int8
    product : one register behind the operands
    """

    # CE3 for the product: Project Trellis has no bit for the choice of this enable, and where none is set, the others
    # have CE3. nextpnr times these three registers when all of them are in use; it knows none in between.
    REGISTERS: ClassVar[Mapping[str, str]] = {"INPUTA": "CE0", "INPUTB": "CE3", "OUTPUT": "CE3"}
    """Registers of the block in use, and the enable of each."""

    def __init__(self) -> None:
        super().__init__(
            {
                "load": In(1),
                "advance": In(1),
                "weight": In(signed(8)),
                "activation": In(signed(8)),
                "product": Out(signed(16)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if is_behavioural(platform):
            self._describe(m)
        else:
            self._instantiate(m)
        return m

    def _describe(self, m: Module) -> None:
        weight = Signal(signed(8), reset_less=True)
        activation = Signal(signed(8), reset_less=True)
        product = Signal(signed(16), reset_less=True)
        with m.If(self.load):
            m.d.sync += weight.eq(self.weight)
        with m.If(self.advance):
            m.d.sync += [activation.eq(self.activation), product.eq(weight * activation)]
        m.d.comb += self.product.eq(product)

    def _instantiate(self, m: Module) -> None:
        clocks = {f"p_REG_{name}_CLK": "CLK0" for name in self.REGISTERS}
        enables = {f"p_REG_{name}_CE": enable for name, enable in self.REGISTERS.items()}
        product = Signal(2 * _PORT_WIDTH)
        m.submodules.block = Instance(
            "MULT18X18D",
            **clocks,
            **enables,
            p_REG_PIPELINE_CLK="NONE",
            p_REG_PIPELINE_CE=self.REGISTERS.get("OUTPUT", "CE0"),
            p_GSR="DISABLED",
            i_CLK0=ClockSignal(),
            i_CE0=self.load,
            i_CE3=self.advance,
            i_SIGNEDA=Const(1, 1),
            i_SIGNEDB=Const(1, 1),
            i_SOURCEA=Const(0, 1),
            i_SOURCEB=Const(0, 1),
            **_pins("i_A", Cat(Const(0, _PAD), self.weight)),
            **_pins("i_B", Cat(Const(0, _PAD), self.activation)),
            **_pins("o_P", product),
        )
        m.d.comb += self.product.eq(product[2 * _PAD :])


def _pins(name: str, value: Value) -> dict[str, Value]:
    """A wire for each bit: the cell has no buses."""
    return {f"{name}{bit}": value[bit] for bit in range(len(value))}
