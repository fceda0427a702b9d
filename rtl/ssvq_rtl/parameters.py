"""Expands the channel parameters of tile columns from the records in the weight stream."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ssvq_gen.arithmetic import BIAS_WIDTH, EXPONENT_WIDTH, MANTISSA_WIDTH
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FIELD_BY_NAME
from ssvq_gen.stream_format import CHANNEL_PARAMETER_WIDTH, NARROW_BIAS_WIDTH, PARAMETER_UNIT_WIDTH

from .checks import require_config
from .requantizer import ChannelParameters

UNIT_WORDS_MAX = CHANNEL_PARAMETER_WIDTH // PARAMETER_UNIT_WIDTH
BIAS_SHIFT_WIDTH = FIELD_BY_NAME["bias_shift"].width


def unit_words(narrow_bias: Value, shared_multiplier: Value) -> Value:
    """Stream words of a unit of `stream_width / 16` channels: 16-bit pieces of a record, 1 to 3."""
    return UNIT_WORDS_MAX - narrow_bias - shared_multiplier


class ParameterWord(data.StructLayout):
    """A stream word of channel parameters and how to read it; with `fill`, a column without any in the stream."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "data": config.stream_width,
                "narrow_bias": 1,
                "shared_multiplier": 1,
                "bias_shift": BIAS_SHIFT_WIDTH,
                "mantissa": MANTISSA_WIDTH,
                "exponent": EXPONENT_WIDTH,
                "fill": 1,
            }
        )


class ParameterCollector(wiring.Component):
    """Collects the parameters of the next tile column while the sums of a column come in.

    Channels are expanded in units of as many as `stream_width` has 16-bit pieces; a unit is one to three stream words,
    and a column is a whole number of units. Throughput: one item per cycle. A column is ready `LATENCY` cycles after
    its last item. Behind the two columns at hand, a buffer takes one more of any record width.

    Members
    -------
    i : `ParameterWord`; an item with `fill` is a whole column with bias 0 and the shared multiplier
    parameters_ready : the parameters of the next column are complete, and no tile has claimed them
    claim : In, the last tile of a column starts, it will use them
    opens : In, the first final sums of a column come with the next cycle
    current : parameters of the column whose sums come in
    """

    LATENCY = 3

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        super().__init__(
            {
                "i": In(stream.Signature(ParameterWord(config))),
                "parameters_ready": Out(1),
                "claim": In(1),
                "opens": In(1),
                "current": Out(data.ArrayLayout(ChannelParameters(), config.cols)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        unit_channels = config.stream_width // PARAMETER_UNIT_WIDTH
        units = config.cols // unit_channels

        item = Signal(ParameterWord(config))
        buffered = UNIT_WORDS_MAX * units + 1
        m.submodules.buffer = buffer = SyncFIFOBuffered(width=item.shape().size, depth=1 << (buffered - 1).bit_length())
        m.d.comb += [
            buffer.w_data.eq(self.i.payload),
            buffer.w_en.eq(self.i.valid),
            self.i.ready.eq(buffer.w_rdy),
            item.eq(buffer.r_data),
        ]

        upcoming = Signal(data.ArrayLayout(ChannelParameters(), config.cols), reset_less=True)
        count = Signal(range(units + 1))  # units in `upcoming`
        word = Signal(range(UNIT_WORDS_MAX))  # of the unit that is coming in
        words = Signal(UNIT_WORDS_MAX * config.stream_width)  # the last of them on top
        earlier = Signal((UNIT_WORDS_MAX - 1) * config.stream_width, reset_less=True)
        complete = count == units
        claimed = Signal()
        takes = Signal()
        ends_unit = Signal()
        m.d.comb += [
            self.parameters_ready.eq(complete & ~claimed),
            buffer.r_en.eq(~complete | self.opens),
            takes.eq(buffer.r_en & buffer.r_rdy),
            words.eq(Cat(earlier, item.data)),
            ends_unit.eq(word == unit_words(item.narrow_bias, item.shared_multiplier) - 1),
        ]
        with m.If(self.claim):
            m.d.sync += claimed.eq(1)
        with m.If(self.opens):
            m.d.sync += [self.current.eq(upcoming), count.eq(0), claimed.eq(0)]
        with m.If(takes):
            m.d.sync += [earlier.eq(words >> config.stream_width), word.eq(Mux(ends_unit, 0, word + 1))]
        with m.If(takes & ends_unit):
            unit = self._unit(m, item, words, unit_channels)
            m.d.sync += upcoming.eq(Cat(upcoming, unit) >> len(unit))
            m.d.sync += count.eq(Mux(self.opens, 1, count + 1))
        if config.attention:
            with m.If(takes & item.fill):
                m.d.sync += [count.eq(units), word.eq(0)]
                for channel in range(config.cols):
                    filled = {"bias": 0, "mantissa": item.mantissa, "exponent": item.exponent}
                    m.d.sync += [upcoming[channel][name].eq(value) for name, value in filled.items()]
        return m

    def _unit(self, m: Module, item: "data.View[ParameterWord]", words: Signal, channels: int) -> Value:
        """The parameters of a unit's channels; its records end with the last of `words`."""
        unit = Signal(data.ArrayLayout(ChannelParameters(), channels))
        for n in range(channels):
            bias, multiplier = Signal(BIAS_WIDTH, name=f"bias{n}"), Signal(PARAMETER_UNIT_WIDTH, name=f"multiplier{n}")
            for narrow in (0, 1):
                for shared in (0, 1):
                    pieces = UNIT_WORDS_MAX - narrow - shared
                    width = pieces * PARAMETER_UNIT_WIDTH
                    record = words[(UNIT_WORDS_MAX - pieces) * self._config.stream_width :].word_select(n, width)
                    bias_width = NARROW_BIAS_WIDTH if narrow else BIAS_WIDTH
                    with m.If((item.narrow_bias == narrow) & (item.shared_multiplier == shared)):
                        m.d.comb += bias.eq(record[:bias_width].as_signed())
                        if shared:
                            m.d.comb += multiplier.eq(Cat(item.mantissa, item.exponent))
                        else:
                            m.d.comb += multiplier.eq(record[bias_width:])
            m.d.comb += [
                unit[n].bias.eq(Mux(item.narrow_bias, bias << item.bias_shift, bias)),
                unit[n].mantissa.eq(multiplier[:MANTISSA_WIDTH]),
                unit[n].exponent.eq(multiplier[MANTISSA_WIDTH:]),
            ]
        return unit.as_value()
