# amaranth: UnusedElaboratable=no
"""A column of multipliers and adders has the sum of products at its end, in two steps.

`Column` is about registers and adders, with any values in place of the products; `Product` is one multiplier.
"""

from __future__ import annotations

from amaranth.hdl import Assert, Cat, Const, Elaboratable, Module, Mux, Signal, Value, signed

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_rtl.mac_row import LANE, products_of

from .proof import Method, Proof, any_for_ever
from .row import RowOfAnyProducts

_PRODUCT = 16
_COLUMN = 0
"""All columns are made by one expression."""


class Product(Elaboratable):
    """The product of any weight and each activation, as a sum of the weight shifted by the bits of the activation."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weight = any_for_ever(m, signed(8), "weight")
        for activation in range(-128, 128):
            found = products_of(Const(activation, signed(LANE - 8)), weight, range(1))[:_PRODUCT].as_signed()
            total: Value = Const(0)
            for bit in range(8):
                if activation >> bit & 1:
                    total = total - (weight << bit) if bit == 7 else total + (weight << bit)
            m.d.comb += Assert(found == total)
        return m


class Column(Elaboratable):
    """`height` rows of an array, each with its product a cycle after the one above, as the array skews them."""

    def __init__(self, config: CoreConfig, height: int) -> None:
        self._config, self._height = config, height

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cols, height = self._config.cols, self._height
        any_products = [any_for_ever(m, LANE * cols, f"any_products{row}") for row in range(height)]
        cycle = Signal(range(height + 4))
        m.d.sync += cycle.eq(Mux(cycle == height + 3, cycle, cycle + 1))
        m.submodules.dut = dut = Module()
        above = Signal(LANE * cols)
        for row in range(height):
            dut.submodules[f"row{row}"] = mac_row = RowOfAnyProducts(
                config=self._config, any_products=any_products[row]
            )
            m.d.comb += [
                mac_row.swap.eq(cycle == row),
                mac_row.multiply.eq(cycle == row + 1),
                mac_row.add.eq(cycle == row + 2),
                mac_row.above.eq(above),
            ]
            above = mac_row.partial
        products = [value.word_select(_COLUMN, LANE)[:_PRODUCT].as_signed() for value in any_products]
        total = Signal(signed(LANE))
        found = Cat(above).word_select(_COLUMN, LANE)[: self._config.partial_width].as_signed()
        m.d.comb += [total.eq(sum(products[1:], start=products[0])), Assert((cycle < height + 2) | (found == total))]
        return m


def column_proofs(height: int = 4) -> list[Proof]:
    """For the generic rows of `tiny`."""
    config = PRESETS["tiny"]
    return [
        Proof(
            name="mac_column",
            claim=f"a column of {height} generic rows has the sum of its {height} products, whatever they are",
            build=lambda: Column(config, height),
            method=Method.BOUNDED,
            depth=height + 4,
        ),
        Proof(
            name="mac_product",
            claim="a generic row's product is that of weight and activation, for all int8",
            build=Product,
            method=Method.EXHAUSTIVE,
            subject="",
        ),
    ]
