# amaranth: UnusedElaboratable=no
"""The write port: addresses, beats and responses of a STORE agree, whatever happens.

FIFOs are proved for themselves (`fifo_8`). Here the outputs of those of open bursts have any value, but for a burst
that the solver follows: of this they are what was put in. That the splitter's bursts are the command's is `axi_bursts`.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from ssvq_gen.config import MAX_BURST_BEATS, PRESETS, CoreConfig
from ssvq_gen.format import ErrorCode
from ssvq_rtl.bus import BURST_INCR, TAG_WIDTH, BurstRequest, beat_size
from ssvq_rtl.store import OPEN_BURSTS, READ_AHEAD, StoreEngine

from .axi_store import component_of
from .proof import Method, Proof, any_in_every_cycle, itself
from .rules import Followed, Shown, any_input, before, held, moves, never_reset

_LENGTH = 8
_PORTS = ("awready", "wready", "bvalid", "bresp")


class Storing(Shown):
    """A STORE engine with any commands, memory, pauses, responses and halts."""

    def __init__(self, config: CoreConfig) -> None:
        self._request = BurstRequest(config.axi_addr_width)
        self._entry = data.StructLayout({"addr": config.axi_addr_width, "tag": TAG_WIDTH})
        widths = {"splitter.requests__payload": self._request.size, "splitter.requests__valid": 1}
        widths |= {"splitter.requests__ready": 1, "splitter.idle": 1, "busy": 1, "moved": 1}
        widths |= {"lengths.level": 4, "opened.level": 4, "position": 4, "failed": 1}
        widths |= {"words.w_en": 1, "words.w_rdy": 1, "words.level": 3, "arriving": 1, "room": 3}
        widths["last_strobe"] = config.beat_bytes
        widths |= {"lengths.w_data": _LENGTH, "lengths.r_data": _LENGTH, "lengths.r_en": 1, "lengths.w_en": 1}
        widths |= {"opened.w_data": self._entry.size, "opened.r_data": self._entry.size, "opened.w_en": 1}
        widths |= {"converter.o__payload": config.axi_data_width + 1 + TAG_WIDTH}
        super().__init__(config, widths)
        # Bursts are asked for and words come whenever they like.
        free = ("splitter.requests__payload", "splitter.requests__valid", "converter.o__payload", "converter.o__valid")
        self.cuts = ("dut.lengths.r_data", "dut.opened.r_data", *(f"dut.{path}" for path in free))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._m, see = m, self.see
        m.submodules.dut = self._dut = dut = StoreEngine(config=self._config)
        self._axi = axi = dut.axi
        any_input(m, dut.commands, "commands")
        never_reset(m)
        for name in _PORTS:
            port = getattr(axi, name)
            m.d.comb += port.eq(any_in_every_cycle(m, len(port), name))
        m.d.comb += [
            dut.halt.eq(any_in_every_cycle(m, 1, "halt")),
            dut.read_data.eq(any_in_every_cycle(m, len(dut.read_data), "read_data")),
            Assume(dut.commands.p.words != 0),
        ]
        request = data.View(self._request, see("splitter.requests__payload"))
        fits = (request.beats >= 1) & (request.beats <= MAX_BURST_BEATS)
        m.d.comb += Assume(~see("splitter.requests__valid") | fits)  # `axi_bursts`
        taken = see("splitter.requests__valid") & see("splitter.requests__ready")
        self._words()
        self._addresses(taken, request)
        self._beats(taken, request)
        self._responses(taken, request)
        return m

    def _words(self) -> None:
        """A word is only read where there is a place for it."""
        m, see = self._m, self.see
        m.d.comb += [
            Assert(~see("words.w_en") | see("words.w_rdy")),
            Assert(see("words.level") + see("arriving") + see("room") == READ_AHEAD),
        ]

    def _addresses(self, taken: Value, request: data.View[BurstRequest]) -> None:
        """The address that is raised is that of the burst that was taken last, and stays until it is accepted."""
        m, axi = self._m, self._axi
        raised, latest = Signal(), Signal(self._request.size)
        with m.If(taken):
            m.d.sync += [raised.eq(1), latest.eq(request.as_value())]
        with m.Elif(axi.awready):
            m.d.sync += raised.eq(0)
        burst = data.View(self._request, latest)
        m.d.comb += [
            Assert(axi.awvalid == raised),
            Assert(~raised | ((axi.awaddr == burst.addr) & (axi.awlen == burst.beats - 1))),
            Assert((axi.awsize == beat_size(self._config)) & (axi.awburst == BURST_INCR)),
            Assert(held(m, axi.awvalid, axi.awready, Cat(axi.awaddr, axi.awlen), "aw")),
            Assert(~self._dut.halt | ~taken),
        ]

    def _beats(self, taken: Value, request: data.View[BurstRequest]) -> None:
        """As many beats as the address says, the last of them marked, none before its address."""
        m, axi, see = self._m, self._axi, self.see
        moved, done = see("moved"), see("lengths.r_en")
        self._unsent = unsent = Followed(m, taken, request.beats, done, numbers=OPEN_BURSTS, name="unsent")
        self._position = position = Signal(range(MAX_BURST_BEATS))
        with m.If(moved):
            m.d.sync += position.eq(Mux(done, 0, position + 1))
        raised, last, beat = Signal(), Signal(), Signal(self._config.axi_data_width)
        begun, known = Signal(), Signal()  # no beat comes before a command, but for those that the cut makes
        m.d.sync += begun.eq(begun | moves(self._dut.commands))
        with m.If(moved):
            m.d.sync += [known.eq(begun), raised.eq(1), last.eq(done), beat.eq(see("converter.o__payload"))]
        with m.Elif(axi.wready):
            m.d.sync += raised.eq(0)
        m.d.comb += [
            Assert(~taken | (see("lengths.w_data") == request.beats - 1)),
            Assert(see("lengths.w_en") == taken),
            Assume(~unsent.is_next | (see("lengths.r_data") == unsent.token.kept - 1)),
            Assume(see("lengths.r_data") < MAX_BURST_BEATS),
            Assert(~moved | (unsent.inside != 0)),
            Assert(~done | moved),
            Assert(~(unsent.is_next & moved) | (done == (position == unsent.token.kept - 1))),
            Assert(axi.wvalid == raised),
            Assert(~begun | see("last_strobe").all()),
            Assert(~raised | ((axi.wlast == last) & (axi.wdata == beat) & (axi.wstrb.all() | ~known))),
            Assert(held(m, axi.wvalid, axi.wready, Cat(axi.wdata, axi.wstrb, axi.wlast), "w")),
        ]

    def _responses(self, taken: Value, request: data.View[BurstRequest]) -> None:
        """A bad response is reported with its burst, and a command only ends when all of its bursts were answered."""
        m, dut, axi, see = self._m, self._dut, self._axi, self.see
        answered = axi.bvalid & axi.bready
        opened = Followed(m, taken, Cat(request.addr, request.tag), answered, numbers=OPEN_BURSTS, name="opened")
        accepted, sent = Signal(range(OPEN_BURSTS + 1)), Signal(range(OPEN_BURSTS + 1))
        m.d.sync += [
            accepted.eq(accepted + (axi.awvalid & axi.awready) - answered),
            sent.eq(sent + (axi.wvalid & axi.wready & axi.wlast) - answered),
        ]
        failed, bad = Signal(), Signal()
        stop = dut.halt | failed
        rests = (opened.inside == 0) & ~axi.awvalid & ~axi.wvalid
        m.d.comb += bad.eq(answered & axi.bresp[1] & ~stop)
        with m.If(bad):
            m.d.sync += failed.eq(1)
        with m.Elif(dut.halt & rests):
            m.d.sync += failed.eq(0)
        code = Mux(axi.bresp[0], ErrorCode.WRITE_DECODE, ErrorCode.WRITE_SLAVE)
        m.d.comb += [
            # The subordinate answers bursts that it has whole.
            Assume(~axi.bvalid | ((accepted != 0) & (sent != 0))),
            Assert(see("opened.w_en") == taken),
            Assert(~taken | (see("opened.w_data") == Cat(request.addr, request.tag))),
            Assume(~opened.is_next | (see("opened.r_data") == opened.token.kept)),
            Assert(opened.inside <= OPEN_BURSTS),
            Assert(axi.bready == (opened.inside != 0)),
            Assert(~failed | ~taken),
            Assert(dut.error_valid == before(m, bad, "bad")),
            Assert(~before(m, bad, "reported") | (dut.error.code == before(m, code, "code"))),
            Assert(
                ~before(m, bad & opened.is_next, "token_bad")
                | (Cat(dut.error.addr, dut.error.tag) == before(m, opened.token.kept, "burst"))
            ),
            # What the induction needs besides.
            Assert((see("lengths.level") == self._unsent.inside) & (see("opened.level") == opened.inside)),
            Assert((see("position") == self._position) & (see("failed") == failed)),
            Assert(opened.inside == accepted + axi.awvalid),
            Assert(opened.inside == sent + self._unsent.inside + (axi.wvalid & axi.wlast)),
            Assert((self._unsent.inside != 0) | (self._position == 0)),
            # Nothing of a command is left when it has ended, well or not.
            Assert(dut.idle == (~see("busy") & rests)),
            Assert(~rests | ((self._unsent.inside == 0) & (self._position == 0))),
            Assert(~dut.done | before(m, see("busy") & rests & see("splitter.idle") & ~stop, "ends")),
        ]


def write_proofs() -> list[Proof]:
    """For `tiny`: no other width changes what is looked at, and words of presets are whole beats."""
    harness = Storing(PRESETS["tiny"])
    return [
        Proof(
            name="axi_write",
            claim="a STORE raises every burst's address once and holds it, then as many beats as it says, the "
            f"last one marked; at most {OPEN_BURSTS} bursts are open; no word is read without a place for it; a bad "
            "response is reported with its burst, and no burst is begun behind it or in a halt; a command ends when "
            "all is answered, with nothing left",
            build=partial(itself, harness),
            method=Method.INDUCTION,
            depth=2,
            probes=harness.probes,
            cuts=harness.cuts,
            component=component_of(PRESETS["tiny"]),
        )
    ]
