"""What becomes of the pixels of a window: their sum, weighted or not, or the largest of them."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ssvq_gen.config import CoreConfig
from ssvq_gen.vector_arithmetic import DEPTHWISE_KERNEL_MAX, VALUE_WIDTH, WINDOW_SUM_WIDTH

from .checks import require_config
from .vector_command import Operation, VectorCommand, WindowPlace
from .vector_walk import Arrival, ArrivedWord

TERM_WIDTH = 17
"""Bits of a pixel times a weight."""


def value_width(config: CoreConfig) -> int:
    """Bits of the value that a lane scales."""
    return WINDOW_SUM_WIDTH if config.depthwise_taps else VALUE_WIDTH


class VectorWindowSums(wiring.Component):
    """Running sums of the windows that have a pixel in common, `depthwise_taps` of them for each lane.

    Tap 0 has the window that is complete first; its products are made elsewhere. The sums move on by one tap at the end
    of a period.

    Members
    -------
    command : In
    arrives, arrived, part : In, a word of the memory and the lanes' part of it, of which weights are kept
    first_place : In, where the pixel is whose weight of tap 0 is wanted
    first_weights : one cycle later, for each lane
    place : In, where the pixels are that come in the next cycle
    pixels : In, for each lane, less the zero point
    valid, term_place : In, two cycles later: there are such pixels, and where
    terms : In, their products of tap 0 or, for a POOL, themselves
    values : combinational, the value of the window of tap 0 with these
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config = require_config(config)
        lanes = config.vector_lanes
        super().__init__(
            {
                "command": In(VectorCommand()),
                "arrives": In(1),
                "arrived": In(ArrivedWord(config)),
                "part": In(8 * lanes),
                "first_place": In(WindowPlace()),
                "first_weights": Out(data.ArrayLayout(signed(8), lanes)),
                "place": In(WindowPlace()),
                "pixels": In(data.ArrayLayout(signed(9), lanes)),
                "valid": In(1),
                "term_place": In(WindowPlace()),
                "terms": In(data.ArrayLayout(signed(TERM_WIDTH), lanes)),
                "values": Out(data.ArrayLayout(signed(value_width(config)), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, command = self._config, self.command
        taps, lanes = max(config.depthwise_taps, 1), range(config.vector_lanes)
        weights = [self._weights(m, tap) for tap in range(config.depthwise_taps)]
        beyond = Signal()
        m.d.sync += beyond.eq(self.first_place.beyond)
        if weights:
            m.d.comb += [
                self.first_weights[lane].eq(weights[0].word_select(lane, 8) & (~beyond).replicate(8)) for lane in lanes
            ]
        used = [Signal(name=f"used{tap}") for tap in range(taps)]
        m.d.comb += [used[tap].eq(tap <= command.extra_taps) for tap in range(1, taps)]
        is_largest = Signal()
        m.d.comb += is_largest.eq((command.operation == Operation.POOL) & command.largest)
        for lane in lanes:
            terms: list[Value] = [self.terms[lane]]
            for tap in range(1, taps):
                weight = (weights[tap].word_select(lane, 8) & used[tap].replicate(8)).as_signed()
                made = Signal(signed(TERM_WIDTH), reset_less=True, name=f"made{tap}_{lane}")
                term = Signal(signed(TERM_WIDTH), reset_less=True, name=f"term{tap}_{lane}")
                m.d.sync += [made.eq(self.pixels[lane] * weight), term.eq(made)]
                terms.append(term)
            shape = signed(value_width(config))
            sums = [Signal(shape, reset_less=True, name=f"sum{tap}_{lane}") for tap in range(taps)]
            new = [Signal(shape, name=f"new{tap}_{lane}") for tap in range(taps)]
            for total, added, term in zip(sums, new, terms, strict=True):
                m.d.comb += added.eq(Mux(self.term_place.opens, 0, total) + term)
            with m.If(is_largest):
                larger = self.term_place.opens | (terms[0] > sums[0])
                m.d.comb += new[0].eq(Mux(larger, terms[0], sums[0]))
            with m.If(self.valid):
                for total, added, shifted in zip(sums, new, (*new[1:], 0), strict=True):
                    m.d.sync += total.eq(Mux(self.term_place.shifts, shifted, added))
            m.d.comb += self.values[lane].eq(new[0])
        return m

    def _weights(self, m: Module, tap: int) -> Value:
        """The weights of one tap, for all lanes."""
        depth, width = DEPTHWISE_KERNEL_MAX**2, 8 * self._config.vector_lanes
        m.submodules[f"weights{tap}"] = weights = Memory(shape=width, depth=depth, init=[])
        read, write = weights.read_port(), weights.write_port()
        arrived = self.arrived
        m.d.comb += [
            write.en.eq(self.arrives & (arrived.kind == Arrival.WEIGHT) & (arrived.position == tap)),
            write.addr.eq(arrived.element.place.weight),
            write.data.eq(self.part),
            read.addr.eq((self.place if tap else self.first_place).weight),
        ]
        return read.data
