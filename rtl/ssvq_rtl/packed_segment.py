"""Some rows of the MAC array with two columns in each DSP block."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import PACKING_PORTS, CoreConfig

from .array_timing import low_width, segment_rows
from .checks import require_config

LANE = 64
"""Bits of a pair's field in products and partial sums, as in `mac_row`."""


def packed_product(config: CoreConfig, activation: Value, weights: Value) -> Value:
    """What a DSP block makes of an activation and two weights, the lower one with 128 added to it."""
    operand = Cat(weights[:8], Signal(low_width(config) - 8, name="between"), weights[8:])
    return activation * operand.as_signed()


class PackedSegment(wiring.Component):
    """``(upper << low_width) + lower + 128`` times the activation, summed down `segment_rows` rows, then split in two.

    With 128 added, the lower weight is never negative: it needs no subtraction from the upper one, and the operand is
    a mere concatenation. ``128 * activations`` too much comes of that for the lower sum, the same in all columns: the
    first row adds `correction` where the others add the row above. The correction takes 1 more, so that the lower
    sum, which would reach 2^(low_width - 1), has its sign in its highest bit; that sign is what the upper sum lacks.

    Latency: the sums of the segment are added to those `before` three enabled cycles after its last row is multiplied.

    Members
    -------
    swap, multiply, add : In, a bit for each row, as in `MacRow`
    split : In, one enabled cycle behind the last `add`
    activations : In, `segment_rows` int8, each at the time of its row
    shadow : In, for each row `cols` int8, those of even columns with their highest bit inverted
    correction : In, at the time of the first `add`: ``-128 * (sum of the segment's activations) - 1``
    before : In, `cols` sums of `partial_width` bits of the segments above, at the time of `split`
    sums : `cols` sums, one enabled cycle later; those of even columns 1 too small for each segment
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        self._rows = segment_rows(config)
        self._width = low_width(config) + 16 + (self._rows - 1).bit_length()
        """Bits of packed sums."""
        super().__init__(
            {
                "swap": In(self._rows),
                "multiply": In(self._rows),
                "add": In(self._rows),
                "split": In(1),
                "activations": In(8 * self._rows),
                "shadow": In(8 * config.cols * self._rows),
                "correction": In(signed(low_width(config) + 1)),
                "before": In(config.cols * config.partial_width),
                "sums": Out(config.cols * config.partial_width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        pairs = range(config.cols // 2)
        correction = Signal(signed(self._width))
        m.d.comb += correction.eq(self.correction)
        above: Value = Cat(self._field(correction) for _ in pairs)
        for row in range(self._rows):
            activation = Signal(signed(LANE - PACKING_PORTS[config.target]), name=f"activation{row}")
            m.d.comb += activation.eq(self.activations.word_select(row, 8).as_signed())
            weights = Signal(8 * config.cols, reset_less=True, name=f"weights{row}")
            with m.If(self.swap[row]):
                m.d.sync += weights.eq(self.shadow.word_select(row, 8 * config.cols))
            products = Signal(LANE * len(pairs), reset_less=True, name=f"products{row}")
            partial = Signal(LANE * len(pairs), reset_less=True, name=f"partial{row}")
            with m.If(self.multiply[row]):
                m.d.sync += products.eq(Cat(self._product(row, activation, weights.word_select(p, 16)) for p in pairs))
            with m.If(self.add[row]):
                m.d.sync += partial.eq(
                    Cat(
                        self._field(
                            products.word_select(p, LANE)[: PACKING_PORTS[config.target] + 8].as_signed()
                            + above.word_select(p, LANE)[: self._width].as_signed()
                        )
                        for p in pairs
                    )
                )
            above = partial
        with m.If(self.split):
            m.d.sync += self.sums.eq(Cat(self._split(above.word_select(p, LANE), p) for p in pairs))
        return m

    def _field(self, packed: Value) -> Value:
        """A packed sum as a field. Bits above it would make the adder wider than that of a DSP block."""
        return Cat(packed[: self._width], Const(0, LANE - self._width))

    def _product(self, row: int, activation: Value, weights: Value) -> Value:
        """The product of a row's activation and the weights of a pair."""
        return packed_product(self._config, activation, weights)

    def _split(self, packed: Value, pair: int) -> Value:
        """The two sums of a pair, added to those before."""
        width, low = self._config.partial_width, low_width(self._config)
        upper_sum = packed[low : self._width].as_signed()
        before = self.before.word_select(pair, 2 * width)
        borrow = packed[low - 1]
        lower = before[:width] + packed[:low].as_signed()
        upper = before[width:] + upper_sum + borrow
        return Cat(lower[:width], upper[:width])
