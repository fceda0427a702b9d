"""From the sums over an activation's channels to what its channels are multiplied by."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.vector_arithmetic import (
    CHANNELS_MAX,
    DEVIATION_FRACTION,
    GAIN_SHIFT_MAX,
    INVERSE_LINES,
    INVERSE_ROOT_LINES,
    INVERSE_WIDTH,
    MEAN_FRACTION,
    NORMALIZING_SHIFT_MAX,
    NORMALIZING_SHIFT_MIN,
    NORMALIZING_SHIFT_STEP,
    ROOT_MAX,
    ROOT_WIDTH,
    SEGMENT_FRACTION_WIDTH,
    SEGMENTS_LOG2,
    SHARE_FRACTION,
)

CENTRED_WIDTH = 9 + GAIN_SHIFT_MAX
"""Bits of an activation less its zero point, shifted by the largest gain."""
CHANNELS_LOG2 = (CHANNELS_MAX - 1).bit_length()
TOTAL_WIDTH = CENTRED_WIDTH + CHANNELS_LOG2
SQUARES_WIDTH = 2 * (CENTRED_WIDTH - 1) + CHANNELS_LOG2 + 1
SPREAD_WIDTH = SQUARES_WIDTH + CHANNELS_LOG2
CENTRE_WIDTH = CENTRED_WIDTH + MEAN_FRACTION
"""Bits of a mean."""
COARSE_WIDTH = 3
_LOG2_WIDTH = (SPREAD_WIDTH - 1).bit_length()
_FALL_WIDTH = max(fall for _, fall in (*INVERSE_LINES, *INVERSE_ROOT_LINES)).bit_length()


class Root(data.StructLayout):
    """An activation's multiplier, `fine` bits given up, and the shift after it in steps of 4, less one step."""

    def __init__(self) -> None:
        super().__init__({"root": ROOT_WIDTH, "coarse": COARSE_WIDTH})


class VectorRoots(wiring.Component):
    """See `ssvq_gen.vector_arithmetic`: `spread`, `mean`, `inverse`, `inverse_root` and the shifts of `normalize`.

    Latency: `LATENCY` cycles; one activation a cycle.

    Members
    -------
    shares : In, the sums are those of a SOFTMAX, else of a LAYERNORM; with the others, static while any are on the way
    channels, inverse, epsilon : In, of the operation
    total, squares : In, sums over an activation; of a SOFTMAX, `squares` is the sum of weights
    mean : of the channels
    root : `Root`
    """

    LATENCY = 10

    def __init__(self) -> None:
        super().__init__(
            {
                "shares": In(1),
                "channels": In(16),
                "inverse": In(INVERSE_WIDTH),
                "epsilon": In(32),
                "total": In(signed(TOTAL_WIDTH)),
                "squares": In(SQUARES_WIDTH),
                "mean": Out(signed(CENTRE_WIDTH)),
                "root": Out(Root()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        channels_log2 = Signal(range(CHANNELS_LOG2 + 1))
        m.d.sync += channels_log2.eq(_bit_length(m, (self.channels - 1)[:CHANNELS_LOG2], "channels"))

        # Three products, registered before, inside and behind the multipliers.
        total = self._delayed(m, self.total, 1, "total")
        squares = self._delayed(m, self.squares, 1, "squares")
        channels = self.channels[: CHANNELS_LOG2 + 1]
        scaled = self._delayed(m, channels * squares, 2, "scaled")
        squared = self._delayed(m, total * total, 2, "squared")
        inverted = self._delayed(m, total * self.inverse, 2, "inverted")
        weights = self._delayed(m, squares, 2, "weights")

        # Spread or sum of weights, and the mean.
        spread = Signal(SPREAD_WIDTH)
        m.d.comb += spread.eq(scaled - squared + self.epsilon)
        divisor = Signal(SPREAD_WIDTH, reset_less=True)
        m.d.sync += divisor.eq(Mux(self.shares, weights, Mux(spread == 0, 1, spread)))
        shift = INVERSE_WIDTH - 1 - MEAN_FRACTION
        halves = Signal(signed(CENTRE_WIDTH + 1), reset_less=True)
        m.d.sync += halves.eq((inverted >> (shift - 1)) >> channels_log2)
        mean = Signal(signed(CENTRE_WIDTH))
        m.d.comb += mean.eq((halves + 1) >> 1)
        m.d.comb += self.mean.eq(self._delayed(m, mean, self.LATENCY - 4, "mean"))

        # Leading one, and the bits behind it.
        log2 = Signal(_LOG2_WIDTH, reset_less=True)
        m.d.sync += log2.eq(_bit_length(m, divisor, "divisor") - 1)
        divisor = self._delayed(m, divisor, 1, "counted")
        fraction_width = SEGMENTS_LOG2 + SEGMENT_FRACTION_WIDTH
        aligned = Signal(SPREAD_WIDTH + fraction_width)
        mantissa = Signal(fraction_width, reset_less=True)
        m.d.comb += aligned.eq(Cat(Signal(fraction_width, name="no_bits"), divisor) >> log2)
        m.d.sync += mantissa.eq(aligned)
        log2 = self._delayed(m, log2, 1, "log2")

        # A straight line from a table.
        m.submodules.lines = lines = Memory(
            shape=data.StructLayout({"start": ROOT_WIDTH + 1, "fall": _FALL_WIDTH}),
            depth=4 << SEGMENTS_LOG2,
            init=[{"start": start, "fall": fall} for start, fall in (*INVERSE_ROOT_LINES, *INVERSE_LINES)],
        )
        line = lines.read_port()
        m.d.comb += line.addr.eq(Cat(mantissa[SEGMENT_FRACTION_WIDTH:], ~self.shares & log2[0], self.shares))
        place = self._delayed(m, mantissa[:SEGMENT_FRACTION_WIDTH], 1, "place")
        start = self._delayed(m, line.data.start, 1, "start")
        fall = self._delayed(m, line.data.fall * place, 1, "fall")
        lower = Signal(ROOT_WIDTH + 1)
        root = Signal(ROOT_WIDTH, reset_less=True)
        m.d.comb += lower.eq(start - ((fall + (1 << (SEGMENT_FRACTION_WIDTH - 1))) >> SEGMENT_FRACTION_WIDTH))
        m.d.sync += root.eq(Mux(lower[-1], ROOT_MAX, lower))
        log2 = self._delayed(m, log2, 3, "root_log2")

        # How far the product has to be shifted.
        deviation = Signal(signed(_LOG2_WIDTH + 2))
        shift_by = Signal(range(NORMALIZING_SHIFT_MAX + 1))
        constant = ROOT_WIDTH + MEAN_FRACTION - DEVIATION_FRACTION
        m.d.comb += deviation.eq((log2 >> 1) + constant - channels_log2)
        with m.If(self.shares):
            m.d.comb += shift_by.eq(log2 + (ROOT_WIDTH - SHARE_FRACTION))
        with m.Elif(deviation < NORMALIZING_SHIFT_MIN):
            m.d.comb += shift_by.eq(NORMALIZING_SHIFT_MIN)
        with m.Else():
            m.d.comb += shift_by.eq(deviation)
        fine_width = NORMALIZING_SHIFT_STEP.bit_length() - 1
        m.d.sync += [
            self.root.root.eq(root >> shift_by[:fine_width]),
            self.root.coarse.eq(shift_by[fine_width:] - 1),
        ]
        return m

    @staticmethod
    def _delayed(m: Module, value: Value, cycles: int, name: str) -> Signal:
        """The value of `cycles` cycles ago."""
        for number in range(cycles):
            register = Signal.like(value, name=f"{name}_{number}", reset_less=True)
            m.d.sync += register.eq(value)
            value = register
        return value


def _bit_length(m: Module, value: Value, name: str) -> Signal:
    """Combinational `ssvq_gen.vector_arithmetic.bit_length`."""
    length = Signal(range(len(value) + 1), name=f"{name}_length")
    for bit in range(len(value)):
        with m.If(value[bit]):
            m.d.comb += length.eq(bit + 1)
    return length
