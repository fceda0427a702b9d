# amaranth: UnusedElaboratable=no
"""The row of an ECP5 computes what the generic row does, in two steps.

`ProductEquivalence` compares the multipliers alone. `RowEquivalence` is about everything else, registers and enables,
with one value in place of either product: solvers do not see through two multipliers and their registers at once.
"""

from collections.abc import Mapping
from typing import ClassVar

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, ResetSignal, Signal, Value, signed

from ssvq_gen.config import CoreConfig
from ssvq_gen.verilog import cell_models
from ssvq_rtl.ecp5_multiplier import Ecp5Multiplier
from ssvq_rtl.mac_row import LANE, MacRow, products_of, sums_of
from ssvq_rtl.mac_row_ecp5 import Ecp5MacRow

from .proof import Method, Proof, any_in_every_cycle

_PAD = 10
"""Zeros below an int8 at the multiplier block."""
_PRODUCT = 16


class _BareMultiplier(Ecp5Multiplier):
    """A multiplier block with none of its registers."""

    REGISTERS: ClassVar[Mapping[str, str]] = {}


class ProductEquivalence(Elaboratable):
    """A multiplier block and any two int8."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.multiplier = multiplier = _BareMultiplier()
        weight = any_in_every_cycle(m, signed(8))
        activation = Signal(signed(LANE - 8))
        m.d.comb += [
            activation.eq(any_in_every_cycle(m, signed(8))),
            multiplier.weight.eq(weight),
            multiplier.activation.eq(activation),
            Assert(multiplier.product == products_of(activation, weight, range(1))[:_PRODUCT].as_signed()),
        ]
        return m


class RowOfAnyProducts(MacRow):
    """The generic row with `any_products` in place of its products."""

    def __init__(self, *, config: CoreConfig, any_products: Signal) -> None:
        super().__init__(config=config)
        self._any_products = any_products

    def _products(self, m: Module) -> Value:
        super()._products(m)  # the weights are still there
        return self._any_products


class RowEquivalence(Elaboratable):
    """Both rows side by side; the ECP5's is given its activation one enabled cycle before, and adds one later.

    probes : registers inside the rows, which the induction is about
    cuts : the products of the blocks
    """

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self.weights = Signal(8 * config.cols)
        self.products = Signal(LANE * config.cols)
        self.copies = Signal(LANE * config.cols)
        self.probes = {"weights": "generic.weights", "products": "generic.products", "copies": "ecp5.products"}
        for column in range(config.cols):
            for inside, width in (("held_a", 18), ("held_b", 18), ("product", 36), ("held_product", 36)):
                name = f"{inside}_{column}"
                setattr(self, name, Signal(width, name=name))
                self.probes[name] = f"ecp5.multiplier{column}.block.{inside}"
        self.cuts = tuple(path for path in self.probes.values() if path.endswith(".product"))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cols = self._config.cols
        any_products = any_in_every_cycle(m, LANE * cols)
        m.submodules.generic = generic = RowOfAnyProducts(config=self._config, any_products=any_products)
        m.submodules.ecp5 = ecp5 = Ecp5MacRow(config=self._config)
        enable, swap, enters = (any_in_every_cycle(m, 1) for _ in range(3))
        activation = any_in_every_cycle(m, signed(8))
        shadow, above = (any_in_every_cycle(m, width * cols) for width in (8, LANE))
        multiplied = Signal()  # an activation that counts is there
        added = Signal()
        late = Signal()
        loaded = Signal()  # weights have been swapped
        moved = Signal()  # a cycle was enabled
        skewed = Signal(signed(8))
        above_before = Signal(LANE * cols)
        product_before = Signal(LANE * cols)
        expected = Signal(LANE * cols)
        with m.If(enable):
            m.d.sync += [
                multiplied.eq(enters),
                added.eq(multiplied),
                late.eq(added),
                loaded.eq(loaded | swap),
                moved.eq(1),
                skewed.eq(activation),
                above_before.eq(above),
                product_before.eq(self.products),
                expected.eq(generic.partial),
            ]
        m.d.comb += [
            Assume(~ResetSignal()),  # rows have none
            Assume(~enters | loaded | swap),  # weights come with the first activation, or before it
            generic.swap.eq(enable & swap),
            generic.multiply.eq(enable & multiplied),
            generic.add.eq(enable & added),
            generic.activation.eq(skewed),
            generic.shadow.eq(shadow),
            generic.above.eq(above),
            ecp5.swap.eq(enable & swap),
            ecp5.multiply.eq(enable),
            ecp5.add.eq(enable & late),
            ecp5.activation.eq(activation),
            ecp5.shadow.eq(shadow),
            ecp5.above.eq(above_before),
            Assert(ecp5.partial == expected),
            # What the induction needs to know besides.
            Assert(~multiplied | (loaded & moved)),
            Assert(generic.partial == Mux(late, sums_of(product_before, above_before, range(cols)), expected)),
        ]
        for column in range(cols):
            lane = slice(column * LANE, column * LANE + _PRODUCT)
            held_a, held_b, held_product, product = (
                getattr(self, f"{name}_{column}") for name in ("held_a", "held_b", "held_product", "product")
            )
            same_operands = Signal()
            m.d.comb += [
                same_operands.eq(
                    (held_a == self.weights.word_select(column, 8) << _PAD) & (held_b == skewed.as_unsigned() << _PAD)
                ),
                # `ProductEquivalence`; of other operands the block makes something else.
                Assume(~same_operands | (product[2 * _PAD :] == any_products[lane])),
                Assert(~loaded | (held_a == self.weights.word_select(column, 8) << _PAD)),
                Assert(~moved | (held_b == skewed.as_unsigned() << _PAD)),
                Assert(~added | (held_product[2 * _PAD :] == self.products[lane])),
                Assert(~late | (self.copies[lane] == product_before[lane])),
            ]
        return m


def row_proofs(config: CoreConfig) -> list[Proof]:
    """For a configuration with the target ecp5."""
    row = RowEquivalence(config)
    return [
        Proof(
            name="ecp5_product",
            claim="a multiplier block makes of every two int8 the product of the generic row",
            build=ProductEquivalence,
            method=Method.EXHAUSTIVE,
            quick=False,
            subject="multiplier",
            models=cell_models(config),
        ),
        Proof(
            name="ecp5_row",
            claim=f"a row of {config.cols} multiplier blocks has the sums of the generic row an enabled cycle later, "
            "with any pauses, swaps and activations, if the products are the same",
            build=lambda: row,
            method=Method.INDUCTION,
            depth=1,
            subject="ecp5",
            models=cell_models(config),
            probes=row.probes,
            cuts=row.cuts,
        ),
    ]
