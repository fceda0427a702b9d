# amaranth: UnusedElaboratable=no
"""Width converters and FIFOs: words wait as they are, and none is lost, invented, repeated or overtaken."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, Signal
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES
from ssvq_rtl.decoder import SIGNS_AHEAD, Decoder
from ssvq_rtl.dispatcher import QUEUE_DEPTH
from ssvq_rtl.read_arbiter import OPEN_BURSTS
from ssvq_rtl.store import READ_AHEAD
from ssvq_rtl.width_converter import WidthConverter

from .proof import Method, Proof
from .rules import InOrder, Token, any_input, any_ready, assert_held, before, flat, moves, never_reset

_BUFFERED_DEPTH = 8
"""FIFOs with an output register hold parameters and weights; what they do is the same at all depths."""
_SLOW_WIDTH, _SLOW_DEPTH = 512, 16
_FIFO_WIDTH = 2
"""FIFOs do not look at their words, and this is enough to tell one from another."""


class Widening(Elaboratable):
    """A converter to wider words, with a part of the solver's choice followed through it."""

    def __init__(self, i_width: int, o_width: int) -> None:
        self._i_width, self._o_width = i_width, o_width

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, ratio = self._i_width, self._o_width // self._i_width
        m.submodules.dut = dut = WidthConverter(i_width=width, o_width=self._o_width)
        i, o = dut.i, dut.o
        any_input(m, i, "i")
        any_ready(m, o, "o")
        never_reset(m)
        taken, given = moves(i), moves(o)

        filled = Signal(range(ratio))  # parts of the word that is not complete
        waiting = Signal()  # a complete word
        ends = Signal()
        last, tag = Signal(), Signal(len(i.p.tag))
        m.d.comb += ends.eq(taken & (i.p.last | (filled == ratio - 1)))
        with m.If(taken):
            m.d.sync += filled.eq(Mux(ends, 0, filled + 1))
        with m.If(ends):
            m.d.sync += [waiting.eq(1), last.eq(i.p.last), tag.eq(i.p.tag)]
        with m.Elif(given):
            m.d.sync += waiting.eq(0)

        place = Signal(range(ratio))  # of the token in its word
        complete = Signal()  # its word is
        token = Token(m, taken, i.p.data, given & complete)
        with m.If(token.enters):
            m.d.sync += [place.eq(filled), complete.eq(ends)]
        with m.Elif(token.there & ends):
            m.d.sync += complete.eq(1)
        m.d.comb += [
            Assert(o.valid == waiting),
            Assert(i.ready == ~waiting | o.ready),
            Assert(~waiting | ((o.p.last == last) & (o.p.tag == tag))),
            Assert(~(token.there & complete) | (waiting & (o.p.data.word_select(place, width) == token.kept))),
        ]
        assert_held(m, o, "o")
        return m


class Narrowing(Elaboratable):
    """A converter to words of the same width or narrower: it holds one word, of which every part is known."""

    def __init__(self, i_width: int, o_width: int) -> None:
        self._i_width, self._o_width = i_width, o_width

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, ratio = self._o_width, self._i_width // self._o_width
        m.submodules.dut = dut = WidthConverter(i_width=self._i_width, o_width=width)
        i, o = dut.i, dut.o
        any_input(m, i, "i")
        any_ready(m, o, "o")
        never_reset(m)

        left = Signal(range(ratio + 1))
        word, last, tag = Signal(self._i_width), Signal(), Signal(len(i.p.tag))
        part = Signal(range(ratio + 1))
        m.d.comb += part.eq(ratio - left)
        with m.If(moves(i)):
            m.d.sync += [left.eq(ratio), word.eq(i.p.data), last.eq(i.p.last), tag.eq(i.p.tag)]
        with m.Elif(moves(o)):
            m.d.sync += left.eq(left - 1)
        m.d.comb += [
            Assert(o.valid == (left != 0)),
            Assert(i.ready == (left == 0) | ((left == 1) & o.ready)),
            Assert(
                ~o.valid
                | ((o.p.data == word.word_select(part, width)) & (o.p.last == (last & (left == 1))) & (o.p.tag == tag))
            ),
        ]
        assert_held(m, o, "o")
        return m


class Queue(Elaboratable):
    """A FIFO of Amaranth, at a depth that the core has.

    at_once : a word that is in it is offered in the next cycle
    """

    def __init__(self, make: Callable[..., Any], depth: int, *, at_once: bool) -> None:
        self._make, self._depth, self._at_once = make, depth, at_once
        self._numbers = depth if at_once else 2 * (depth - 1)  # one is in a register behind the memory

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._make(width=_FIFO_WIDTH, depth=self._depth)
        i, o = dut.w_stream, dut.r_stream
        any_input(m, i, "i")
        any_ready(m, o, "o")
        never_reset(m)
        order = InOrder(
            m, moves(i), flat(i.payload), moves(o), flat(o.payload), most=self._depth, numbers=self._numbers
        )
        m.d.comb += Assert(i.ready == (order.inside < self._depth))
        m.d.comb += Assert(o.valid == (order.inside != 0) if self._at_once else ~o.valid | (order.inside != 0))
        assert_held(m, o, "o")
        return m


class SignQueue(Elaboratable):
    """The decoder's sign words: the first is offered in the cycle in which it comes, the others wait."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = Module()
        decoder = Decoder(config=self._config)
        o = decoder._signs_ahead(dut)
        m.submodules.dut = dut
        i = decoder.signs
        any_input(m, i, "i")
        any_ready(m, o, "o")
        never_reset(m)
        order = InOrder(m, moves(i), flat(i.payload), moves(o), flat(o.payload), most=SIGNS_AHEAD, through=True)
        m.d.comb += [
            Assert(i.ready == (order.inside < SIGNS_AHEAD)),
            Assert(o.valid == (i.valid | (order.inside != 0))),
        ]
        # What passes waits as well as what is in the queue, if it waits in front of it.
        waited = before(m, i.valid & ~i.ready, "i_waited")
        m.d.comb += Assume(~waited | i.valid)
        assert_held(m, o, "o")
        return m


def converter_proofs() -> list[Proof]:
    """All pairs of widths that converters of the presets have."""
    proofs = []
    for i_width, o_width in sorted({pair for config in PRESETS.values() for pair in _widths(config)}):
        kind = Widening if i_width < o_width else Narrowing
        proofs.append(
            Proof(
                name=f"converter_{i_width}_{o_width}",
                claim=f"words of {i_width} bits become words of {o_width}: none lost, repeated, changed or overtaken; "
                "an offered word waits; one word a cycle",
                build=partial(kind, i_width, o_width),
                method=Method.PDR,
                quick=max(i_width, o_width) < _SLOW_WIDTH,
            )
        )
    return proofs


def _widths(config: CoreConfig) -> list[tuple[int, int]]:
    """Widths of the resizer, LOAD, STORE, and of both converters of the descriptor fetch."""
    beat, word, descriptor = config.axi_data_width, 8 * config.word_bytes, 8 * DESCRIPTOR_BYTES
    return [(beat, config.stream_width), (beat, word), (word, beat), (beat, descriptor), (descriptor, descriptor)]


def queue_proofs() -> list[Proof]:
    """FIFOs of all depths that a core has, but for those with an output register, and the sign words' of `tiny`."""
    kinds: list[tuple[Callable[..., Any], int]] = [
        (SyncFIFO, depth) for depth in sorted({SIGNS_AHEAD, READ_AHEAD, QUEUE_DEPTH, OPEN_BURSTS})
    ]
    kinds.append((SyncFIFOBuffered, _BUFFERED_DEPTH))
    queues = [
        Proof(
            name=f"fifo_{'buffered_' if make is SyncFIFOBuffered else ''}{depth}",
            claim=f"a FIFO of {depth} words takes a word whenever it has room; none is lost, repeated, changed or "
            "overtaken; an offered word waits",
            build=partial(Queue, make, depth, at_once=make is SyncFIFO),
            method=Method.PDR,
            quick=make is SyncFIFO and depth < _SLOW_DEPTH,
        )
        for make, depth in kinds
    ]
    signs = Proof(
        name="sign_queue",
        claim=f"sign words are offered as they come, {SIGNS_AHEAD} wait; none is lost, repeated, changed or overtaken",
        build=partial(SignQueue, PRESETS["tiny"]),
        method=Method.PDR,
        subject="dut.sign_queue",
    )
    return [*queues, signs]


def stream_proofs() -> list[Proof]:
    """Converters and queues."""
    return [*converter_proofs(), *queue_proofs()]
