"""Conversion of a stream to words of another width."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .bus import TAG_WIDTH, StreamWord
from .checks import require_power_of_two

_MAX_WIDTH = 1024


class WidthConverter(wiring.Component):
    """Little-endian conversion of words of `i_width` bits to words of `o_width` bits.

    A wider output is filled from its least significant part; an input with `last` ends it early, and the parts above
    are then undefined. A narrower output takes the least significant part of the input first and carries `last` on
    the final one. `tag` is that of the word's last part.

    Latency 1 cycle from the (last) input to the (first) output; one word a cycle on the narrower side.

    Parameters
    ----------
    i_width, o_width : bits of a word, powers of two

    Members
    -------
    i : stream of StreamWord(i_width)
    o : stream of StreamWord(o_width)
    """

    def __init__(self, *, i_width: int, o_width: int) -> None:
        self._i_width = require_power_of_two("i_width", i_width, 1, _MAX_WIDTH)
        self._o_width = require_power_of_two("o_width", o_width, 1, _MAX_WIDTH)
        super().__init__(
            {
                "i": In(stream.Signature(StreamWord(i_width))),
                "o": Out(stream.Signature(StreamWord(o_width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return self._widen() if self._i_width < self._o_width else self._narrow()

    def _widen(self) -> Module:
        m = Module()
        ratio = self._o_width // self._i_width
        word = Signal(self._o_width, reset_less=True)
        last = Signal(reset_less=True)
        tag = Signal(TAG_WIDTH, reset_less=True)
        part = Signal(range(ratio))
        full = Signal()
        ends = Signal()
        i, o = self.i, self.o

        m.d.comb += [
            ends.eq(i.p.last | (part == ratio - 1)),
            i.ready.eq(~full | o.ready),
            o.valid.eq(full),
            o.p.data.eq(word),
            o.p.last.eq(last),
            o.p.tag.eq(tag),
        ]
        with m.If(i.valid & i.ready):
            m.d.sync += [
                word.word_select(part, self._i_width).eq(i.p.data),
                last.eq(i.p.last),
                tag.eq(i.p.tag),
                full.eq(ends),
                part.eq(Mux(ends, 0, part + 1)),
            ]
        with m.Elif(o.ready):
            m.d.sync += full.eq(0)
        return m

    def _narrow(self) -> Module:
        m = Module()
        ratio = self._i_width // self._o_width
        word = Signal(self._i_width, reset_less=True)
        last = Signal(reset_less=True)
        tag = Signal(TAG_WIDTH, reset_less=True)
        full = Signal()
        ends = Const(1)
        i, o = self.i, self.o

        if ratio > 1:
            part = Signal(range(ratio))
            ends = part == ratio - 1
            with m.If(o.valid & o.ready):
                m.d.sync += [word.eq(word >> self._o_width), part.eq(part + 1)]
        m.d.comb += [
            i.ready.eq(~full | (o.ready & ends)),
            o.valid.eq(full),
            o.p.data.eq(word),
            o.p.last.eq(last & ends),
            o.p.tag.eq(tag),
        ]
        with m.If(i.valid & i.ready):
            m.d.sync += [word.eq(i.p.data), last.eq(i.p.last), tag.eq(i.p.tag), full.eq(1)]
        with m.Elif(o.ready & ends):
            m.d.sync += full.eq(0)
        return m
