# amaranth: UnusedElaboratable=no
"""The read port: bursts are raised as they are asked for, and every beat reaches the client that it belongs to.

The FIFO of open bursts is proved for itself (`fifo_16`). Here its output has any value, but for the burst that the
solver follows: of this it is what was put in.
"""

from __future__ import annotations

from amaranth.hdl import Array, Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from ssvq_gen.config import MAX_BURST_BEATS, PRESETS, CoreConfig
from ssvq_gen.format import ErrorCode
from ssvq_rtl.bus import BURST_INCR, TAG_WIDTH, beat_size, bytes_of_beats
from ssvq_rtl.read_arbiter import OPEN_BURSTS, ReadArbiter

from .proof import Method, Proof, any_in_every_cycle
from .rules import Followed, any_input, any_ready, before, flat, held, moves, never_reset, patient, within

CLIENTS = 3
PATIENCE = 3
"""Cycles in which a fair subordinate takes an address, and answers while a burst is open."""


class Reading(Elaboratable):
    """An arbiter of three clients, with any requests, pauses, responses and halts."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self._entry = data.StructLayout({"client": range(CLIENTS), "addr": config.axi_addr_width, "tag": TAG_WIDTH})
        self.entry = Signal(self._entry.size, name="entry")
        self.oldest = Signal(self._entry.size, name="oldest")
        self.probes = {"entry": "dut.owners.w_data", "oldest": "dut.owners.r_data"}
        self.cuts = ("dut.owners.r_data",)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._m, config = m, self._config
        m.submodules.dut = self._dut = dut = ReadArbiter(config=config, clients=CLIENTS)
        axi = self._axi = dut.axi
        never_reset(m)
        for number, (request, beat) in enumerate(zip(dut.requests_i, dut.data_i, strict=True)):
            any_input(m, request, f"request{number}")
            any_ready(m, beat, f"data{number}")
            m.d.comb += Assume((request.p.beats >= 1) & (request.p.beats <= MAX_BURST_BEATS))
        for port, name in ((axi.arready, "arready"), (axi.rdata, "rdata"), (axi.rresp, "rresp"), (axi.rlast, "rlast")):
            m.d.comb += port.eq(any_in_every_cycle(m, len(port), name))
        m.d.comb += [
            dut.halt.eq(any_in_every_cycle(m, 1, "halt")),
            axi.rvalid.eq(any_in_every_cycle(m, 1, "rvalid")),
        ]
        self._follow()
        self._requests()
        self._responses()
        self._progress()
        return m

    def _follow(self) -> None:
        """Open bursts; the token is a burst with its client, address, tag and length."""
        m, dut, axi = self._m, self._dut, self._axi
        self._taken = Cat(moves(request) for request in dut.requests_i).any()
        number, self._request = Signal(range(CLIENTS)), Signal(len(flat(dut.requests_i[0].payload)))
        for client, request in enumerate(dut.requests_i):
            with m.If(moves(request)):
                m.d.comb += [number.eq(client), self._request.eq(flat(request.payload))]
        self._beat = axi.rvalid & axi.rready
        shape = dut.requests_i[0].payload.shape()
        self._bursts = bursts = Followed(
            m, self._taken, Cat(number, self._request), self._beat & axi.rlast, numbers=OPEN_BURSTS, name="bursts"
        )
        self._client = bursts.token.kept[: len(number)]
        self._kept = data.View(shape, bursts.token.kept[len(number) :])
        entry, oldest = data.View(self._entry, self.entry), data.View(self._entry, self.oldest)
        requested = data.View(shape, self._request)
        self._oldest = oldest
        self._position = Signal(range(MAX_BURST_BEATS))
        with m.If(self._beat):
            m.d.sync += self._position.eq(Mux(axi.rlast, 0, self._position + 1))
        self._raised = Signal()
        with m.If(self._taken):
            m.d.sync += self._raised.eq(1)
        with m.Elif(axi.arready):
            m.d.sync += self._raised.eq(0)
        same = (oldest.client == self._client) & (oldest.addr == self._kept.addr) & (oldest.tag == self._kept.tag)
        m.d.comb += [
            # What goes into the FIFO is right, so that what comes out of it may be taken for right.
            Assert(~self._taken | ((entry.client == number) & (entry.addr == requested.addr))),
            Assert(~self._taken | (entry.tag == requested.tag)),
            Assume(~bursts.is_next | same),
            Assume(oldest.client < CLIENTS),
            # The subordinate answers bursts that it has taken, in their order and at their length.
            Assume(~axi.rvalid | (bursts.inside > self._raised)),
            Assume(~(bursts.is_next & axi.rvalid) | (axi.rlast == (self._position == self._kept.beats - 1))),
            Assume(~axi.rvalid | axi.rlast | (self._position != MAX_BURST_BEATS - 1)),
            Assert(bursts.inside <= OPEN_BURSTS),
        ]

    def _requests(self) -> None:
        """One at a time, by priority; the address that is raised is the one that was taken last, and stays."""
        m, dut, axi = self._m, self._dut, self._axi
        taken = [moves(request) for request in dut.requests_i]
        for client, one in enumerate(taken):
            m.d.comb += Assert(~one | ~Cat(request.valid for request in list(dut.requests_i)[:client]).any())
        latest = Signal(len(self._request))
        with m.If(self._taken):
            m.d.sync += latest.eq(self._request)
        request = data.View(dut.requests_i[0].payload.shape(), latest)
        address = Cat(axi.araddr, axi.arlen, axi.arsize, axi.arburst)
        m.d.comb += [
            Assert(axi.arvalid == self._raised),
            Assert(~axi.arvalid | ((axi.araddr == request.addr) & (axi.arlen == request.beats - 1))),
            Assert((axi.arsize == beat_size(self._config)) & (axi.arburst == BURST_INCR)),
            Assert(held(m, axi.arvalid, axi.arready, address, "ar")),
            Assert(dut.idle == (~self._raised & (self._bursts.inside == 0))),
        ]

    def _responses(self) -> None:
        """Good beats reach their client and no other; after a bad one, and during a halt, none does."""
        m, dut, axi = self._m, self._dut, self._axi
        bad = axi.rresp[1]
        failed = Signal()
        stop = dut.halt | failed
        fails = self._beat & bad & ~stop
        with m.If(fails):
            m.d.sync += failed.eq(1)
        with m.Elif(dut.halt & dut.idle):
            m.d.sync += failed.eq(0)
        readies = Array([beat.ready for beat in dut.data_i])
        m.d.comb += [
            Assert(axi.rready == ((self._bursts.inside != 0) & (stop | readies[self._oldest.client]))),
            Assert(~stop | ~self._taken),
            Assert(dut.beat == self._beat),
        ]
        for client, beat in enumerate(dut.data_i):
            good = axi.rvalid & ~bad & ~stop & (self._bursts.inside != 0)
            m.d.comb += [
                Assert(~beat.valid | good),
                Assert(~self._bursts.is_next | (beat.valid == (good & (self._client == client)))),
                Assert(~beat.valid | ((beat.p.data == axi.rdata) & (beat.p.last == axi.rlast))),
            ]
        failed_before = before(m, fails, "fails")
        of_token = before(m, fails & self._bursts.is_next, "token_fails")
        addr, tag = Signal(self._config.axi_addr_width), Signal(TAG_WIDTH)
        code = Signal(len(dut.error.code))
        m.d.sync += [
            addr.eq(self._kept.addr + bytes_of_beats(self._config, self._position)),
            tag.eq(self._kept.tag),
            code.eq(Mux(axi.rresp[0], ErrorCode.READ_DECODE, ErrorCode.READ_SLAVE)),
        ]
        m.d.comb += [
            Assert(dut.error_valid == failed_before),
            Assert(~failed_before | (dut.error.code == code)),
            Assert(~of_token | ((dut.error.addr == addr) & (dut.error.tag == tag))),
        ]

    def _progress(self) -> None:
        """With a fair subordinate something moves again and again, so that a halt ends: no burst is taken in it, and
        those that are open have a number of beats."""
        m, dut, axi = self._m, self._dut, self._axi
        answers = self._bursts.inside > self._raised
        fair = patient(m, axi.arvalid & ~axi.arready, PATIENCE, "ar") & patient(m, answers & ~axi.rvalid, PATIENCE, "r")
        moved: Value = self._beat | (axi.arvalid & axi.arready)
        within(m, fair & dut.halt & ~dut.idle & ~moved, PATIENCE, "halt")


def read_proofs() -> list[Proof]:
    """For `tiny`; no other width changes what is looked at."""
    harness = Reading(PRESETS["tiny"])
    return [
        Proof(
            name="axi_read",
            claim="the read arbiter raises every request once, as it is and by priority, and holds it; at most "
            f"{OPEN_BURSTS} bursts are open; every good beat reaches the client of its burst and no other; a bad one "
            "is reported with its address, and nothing is delivered or requested behind it; a halt comes to an end",
            build=lambda: harness,
            method=Method.PDR,
            probes=harness.probes,
            cuts=harness.cuts,
        )
    ]
