# amaranth: UnusedElaboratable=no
"""Two columns in a multiplier block have the sums that each of them would have alone, in four steps.

A packed value is ``(upper << s) + lower``. A product of packed weights is the packed products, the lower with 128 times
the activation added (`PackedProduct`). Adding packed values adds both parts (`PackedAddition`, in the first row to the
correction). So the last row has ``lower = sum of products + 128 * sum of activations + correction``, which is one less
than the sum of products, and the split takes the parts apart (`PackedSplit`). That step from row to row is not proved
by a solver: it is the sum of as many integers, each within the bounds that are assumed and proved here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, ResetSignal, Signal, Value, signed

from ssvq_gen.config import CoreConfig
from ssvq_rtl.array_timing import low_width, segment_rows
from ssvq_rtl.packed_segment import LANE, PackedSegment, packed_product

from .proof import Method, Proof, any_for_ever, any_in_every_cycle, itself

_SMALLEST, _LARGEST = -128 * 127, 128 * 128
"""Products of two int8."""
_PAIR = 0
"""The pair of columns that is looked at; all are written by one expression."""


def _packed(config: CoreConfig, upper: Value, lower: Value) -> Value:
    return (upper << low_width(config)) + lower


def _among(value: Value, smallest: int, largest: int) -> Value:
    return (value >= smallest) & (value <= largest)


class PackedProduct(Elaboratable):
    """Any two weights times some activations."""

    def __init__(self, config: CoreConfig, activations: Sequence[int]) -> None:
        self._config, self._activations = config, activations

    def elaborate(self, platform: object) -> Module:
        m = Module()
        upper, lower = any_in_every_cycle(m, signed(8)), any_in_every_cycle(m, signed(8))
        weights = Cat(lower.as_unsigned() ^ 0x80, upper)
        for value in self._activations:
            activation = Const(value, signed(8))
            products = [weight * activation for weight in (upper, lower)]
            found = packed_product(self._config, activation, weights)
            m.d.comb += [
                Assert(found == _packed(self._config, products[0], products[1] + 128 * activation)),
                *(Assert(_among(product, _SMALLEST, _LARGEST)) for product in products),
            ]
        return m


class _OneStep(Elaboratable, ABC):
    """A segment in which one thing happens, in the first cycle; `_relate` says what is known and what follows."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self.probes: dict[str, str] = {}
        self._segment = PackedSegment(config=config)

    def _show(self, register: str) -> None:
        setattr(self, register, Signal(LANE * self._config.cols // 2, name=register))
        self.probes[register] = f"segment.{register}"

    def _of_pair(self, register: str) -> Value:
        value: Value = getattr(self, register)
        return value.word_select(_PAIR, LANE)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.segment = self._segment
        second = Signal()
        m.d.sync += second.eq(1)
        m.d.comb += Assume(~ResetSignal())
        self._relate(m, second)
        return m

    @abstractmethod
    def _relate(self, m: Module, second: Signal) -> None:
        """What is assumed, what happens in the first cycle, and what has to hold in the `second`."""


class PackedAddition(_OneStep):
    """Row 0 or row 1 adds any product to the correction or to any partial sum."""

    def __init__(self, config: CoreConfig, row: int) -> None:
        super().__init__(config)
        self._row = row
        for register in [f"products{row}", f"partial{row}"] + ([f"partial{row - 1}"] if row else []):
            self._show(register)
        self.cuts = tuple(path for name, path in self.probes.items() if name != f"partial{row}")

    def _relate(self, m: Module, second: Signal) -> None:
        config, row, segment = self._config, self._row, self._segment
        rows, low = segment_rows(config), low_width(config)
        bits = low + 16 + (rows - 1).bit_length()
        upper, lower = any_for_ever(m, signed(16)), any_for_ever(m, signed(17))
        upper_above = any_for_ever(m, signed(16 + (rows - 1).bit_length()))
        lower_above = any_for_ever(m, signed(low + 1))
        product = self._of_pair(f"products{row}")[: low + 16]
        m.d.comb += [
            segment.add.eq(Cat(~second if number == row else Const(0, 1) for number in range(rows))),
            Assume(_among(upper, _SMALLEST, _LARGEST)),
            Assume(_among(lower, _SMALLEST - 128 * 128, _LARGEST + 128 * 127)),
            Assume(_among(upper_above, (rows - 1) * _SMALLEST, (rows - 1) * _LARGEST)),
            Assume(product == _packed(config, upper, lower)[: low + 16]),
        ]
        if row:
            above = self._of_pair(f"partial{row - 1}")[:bits]
            m.d.comb += Assume(above == _packed(config, upper_above, lower_above)[:bits])
        else:
            m.d.comb += [segment.correction.eq(lower_above), Assume(upper_above == 0)]
        sums = _packed(config, upper + upper_above, lower + lower_above)
        m.d.comb += Assert(~second | (self._of_pair(f"partial{row}")[:bits] == sums[:bits]))


class PackedSplit(_OneStep):
    """Any sums of the last row, the lower one 1 too small, are taken apart and added to those before."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self._last = f"partial{segment_rows(config) - 1}"
        self._show(self._last)
        self.cuts = (self.probes[self._last],)

    def _relate(self, m: Module, second: Signal) -> None:
        config, segment = self._config, self._segment
        rows, width = segment_rows(config), config.partial_width
        bits = low_width(config) + 16 + (rows - 1).bit_length()
        before = any_for_ever(m, config.cols * width)
        sums = [any_for_ever(m, signed(17 + (rows - 1).bit_length())) for _ in range(2)]
        m.d.comb += [
            *(Assume(_among(value, rows * _SMALLEST, rows * _LARGEST)) for value in sums),
            Assume(self._of_pair(self._last)[:bits] == _packed(config, sums[1], sums[0] - 1)[:bits]),
            segment.split.eq(~second),
            segment.before.eq(before),
        ]
        for side, too_small in enumerate((1, 0)):
            column = 2 * _PAIR + side
            expected = (before.word_select(column, width) + sums[side] - too_small)[:width]
            m.d.comb += Assert(~second | (segment.sums.word_select(column, width) == expected))


def packing_proofs(config: CoreConfig, activations: Sequence[int]) -> list[Proof]:
    """For a configuration with packed MACs; the product is proved for the given activations."""
    target, rows = config.target, segment_rows(config)
    which = "any activation" if len(activations) == 256 else f"activations {', '.join(map(str, activations))}"
    result = [
        Proof(
            name=f"{target}_product",
            claim=f"two packed weights of any values times {which} are both products and 128 times the activation",
            build=lambda: PackedProduct(config, activations),
            method=Method.EXHAUSTIVE,
            subject="",
        )
    ]
    steps: list[tuple[str, str, PackedAddition | PackedSplit]] = [
        ("first_addition", "the first row adds any packed product and the correction", PackedAddition(config, 0)),
        ("addition", "a row adds any packed product and any packed sum above it", PackedAddition(config, 1)),
        ("split", f"any packed sums of {rows} products are split and added to those before", PackedSplit(config)),
    ]
    result += [
        Proof(
            name=f"{target}_{name}",
            claim=claim,
            build=partial(itself, component),
            method=Method.BOUNDED,
            depth=2,
            subject="",  # of its places, each proof is about a few bits
            probes=component.probes,
            cuts=component.cuts,
        )
        for name, claim, component in steps
    ]
    return result
