# amaranth: UnusedElaboratable=no
"""The descriptor fetch: requests of the job's table and of nothing else, with room for what comes, and descriptors made
of the beats that came.

Bursts need no splitter here: a descriptor is one of them, and is aligned to its size.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, Value

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import DESCRIPTOR_BYTES, DRAM_ALIGNMENT
from ssvq_rtl.descriptor import INDEX_WIDTH
from ssvq_rtl.descriptor_fetch import DescriptorFetch

from .proof import Method, Proof, any_in_every_cycle, itself
from .rules import PAGE_BYTES, Shown, Token, any_input, any_ready, assert_held, flat, moves, within

_ROOM = 2
"""Descriptors that are requested and not taken."""
_DESCRIPTOR_WIDTH = 8 * DESCRIPTOR_BYTES


class Fetching(Shown):
    """A descriptor fetch with any jobs one after the other, any pauses, a bus that brings what was requested in that
    order, and a reset in any cycle, as after an error: properties are reset with it, so what was open is forgotten.
    """

    def __init__(self, config: CoreConfig) -> None:
        self._beats = DESCRIPTOR_BYTES // config.beat_bytes
        widths = {"to_request": INDEX_WIDTH, "to_deliver": INDEX_WIDTH, "free": _ROOM.bit_length()}
        widths |= {"assemble.part": (self._beats - 1).bit_length(), "assemble.word": _DESCRIPTOR_WIDTH}
        super().__init__(config, widths | {"assemble.full": 1, "hold.full": 1})

    def elaborate(self, platform: object) -> Module:
        self._m = m = Module()
        config = self._config
        m.submodules.dut = self._dut = dut = DescriptorFetch(config=config)
        any_input(m, dut.data, "data")
        any_ready(m, dut.requests, "requests")
        any_ready(m, dut.o, "o")
        for name in ("start", "addr", "count"):
            port = getattr(dut, name)
            m.d.comb += port.eq(any_in_every_cycle(m, len(port), name))
        self._count, self._asked, self._given = (Signal(INDEX_WIDTH, name=n) for n in ("count", "asked", "given"))
        self._base = Signal(config.axi_addr_width, name="base")
        with m.If(dut.start):
            m.d.sync += [self._base.eq(dut.addr), self._count.eq(dut.count), self._asked.eq(0), self._given.eq(0)]
        with m.Else():
            m.d.sync += [
                self._asked.eq(self._asked + moves(dut.requests)),
                self._given.eq(self._given + moves(dut.o)),
            ]
        m.d.comb += [
            # What job control promises of a table, and when it starts a job.
            Assume(dut.addr % DRAM_ALIGNMENT == 0),
            Assume(dut.addr + dut.count * DESCRIPTOR_BYTES <= 1 << config.axi_addr_width),
            Assume(~dut.start | (self._given == self._count)),
        ]
        self._requests()
        self._arrivals()
        self._descriptors()
        self._progress()
        return m

    def _requests(self) -> None:
        """One burst for each descriptor of the table, in their order, whenever there is room."""
        m, requests, see = self._m, self._dut.requests, self.see
        asked, count, request = self._asked, self._count, requests.p
        left = asked != count
        self._owed = owed = Signal(INDEX_WIDTH, name="owed")  # requested and not taken
        end = self._base + count * DESCRIPTOR_BYTES
        addr_of_next = self._base + asked * DESCRIPTOR_BYTES
        assert_held(m, requests, "requests")
        m.d.comb += [
            owed.eq(asked - self._given),
            Assert(requests.valid == (left & (owed < _ROOM))),
            Assert(~left | ((request.addr == addr_of_next) & (request.tag == asked) & (request.beats == self._beats))),
            Assert(~requests.valid | (request.addr + DESCRIPTOR_BYTES <= end)),
            Assert(~requests.valid | (request.addr % PAGE_BYTES + DESCRIPTOR_BYTES <= PAGE_BYTES)),
            # What the induction needs besides.
            Assert((self._given <= asked) & (asked <= count) & (owed <= _ROOM)),
            Assert((self._base % DRAM_ALIGNMENT == 0) & (end <= 1 << self._config.axi_addr_width)),
            Assert((see("to_request") == count - asked) & (see("free") == _ROOM - owed)),
        ]

    def _arrivals(self) -> None:
        """What was requested has a place when it comes."""
        m, dut, see = self._m, self._dut, self.see
        self._open = open_beats = Signal(range(_ROOM * self._beats + 1), name="open_beats")
        self._position = position = Signal(range(self._beats), name="position")  # of the next beat in its descriptor
        self._whole = whole = Signal(range(_ROOM + 1), name="whole")  # descriptors that have come and were not taken
        comes, ends = moves(dut.data), Signal(name="ends")
        m.d.comb += ends.eq(comes & (position == self._beats - 1))
        m.d.sync += [
            open_beats.eq(open_beats + Mux(moves(dut.requests), self._beats, 0) - comes),
            whole.eq(whole + ends - moves(dut.o)),
        ]
        with m.If(comes):
            m.d.sync += position.eq(Mux(ends, 0, position + 1))
        m.d.comb += [
            Assume(~dut.data.valid | (open_beats != 0)),
            Assume(dut.data.p.last == (position == self._beats - 1)),
            Assert((open_beats == 0) | dut.data.ready),
            Assert(self._owed * self._beats == open_beats + position + whole * self._beats),
            # What the induction needs besides.
            Assert((see("assemble.part") == position) & (see("assemble.full") + see("hold.full") == whole)),
        ]

    def _descriptors(self) -> None:
        """Each is made of its own beats, as a beat of the solver's choice shows, and numbered; the last one is marked,
        and there is no other behind it."""
        m, dut, see = self._m, self._dut, self.see
        o, width, given = dut.o, self._config.axi_data_width, self._given
        number, place = Signal(INDEX_WIDTH, name="token_number"), Signal(len(self._position), name="token_place")
        is_next = number == given
        token = Token(m, moves(dut.data), dut.data.p.data, moves(o) & is_next)
        with m.If(token.enters):
            m.d.sync += [number.eq(given + self._whole), place.eq(self._position)]

        def is_in(word: Value) -> Value:
            found: Value = word.word_select(place, width) == token.kept
            return found

        held = see("hold.full") & is_next
        behind = Signal(INDEX_WIDTH, name="behind")  # descriptors before that of the token
        assert_held(m, o, "o")
        m.d.comb += [
            Assert(~o.valid | ((self._whole != 0) & (o.p.index == given) & (o.p.last == (given + 1 == self._count)))),
            Assert(~(token.there & o.valid & is_next) | is_in(flat(o.p.fields))),
            # What the induction needs besides.
            behind.eq(number - given),
            Assert(o.valid == see("hold.full")),
            Assert(~token.there | held | is_in(see("assemble.word"))),
            Assert(~token.there | (behind < self._whole) | ((behind == self._whole) & (place < self._position))),
            Assert((given == self._count) | (see("to_deliver") == self._count - given)),
            Assert((given == self._count) | (o.p.index == given)),
        ]

    def _progress(self) -> None:
        """Until all were taken a neighbour is waited for, but in the one cycle in which a whole descriptor goes on to
        the output; and each descriptor has a number of moves, so that all come when every neighbour moves at last."""
        m, dut = self._m, self._dut
        asks = dut.requests.valid | (self._open != 0) | dut.o.valid
        within(m, (self._whole != 0) & ~dut.o.valid, 1, "whole")
        within(m, (self._given != self._count) & ~asks, 1, "job")


def descriptor_proofs() -> list[Proof]:
    """For the two narrowest buses that presets have."""
    harnesses = {config.axi_data_width: Fetching(config) for config in (PRESETS["tiny"], PRESETS["edge"])}
    return [
        Proof(
            name=f"axi_descriptors_{width}",
            claim=f"on a bus of {width} bits a job's descriptors are requested in their order, one burst each, and "
            f"nothing else is; {_ROOM} at most are requested and not taken, so that beats never wait; each is "
            "delivered once, numbered, made of its own beats, the last one marked; what waits stays; until all are "
            "taken no two cycles pass without a neighbour that is waited for; after a reset nothing happens until the "
            "next job",
            build=partial(itself, harness),
            method=Method.INDUCTION,
            depth=2,
            probes=harness.probes,
        )
        for width, harness in harnesses.items()
    ]
