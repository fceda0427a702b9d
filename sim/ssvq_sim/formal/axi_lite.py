# amaranth: UnusedElaboratable=no
"""The registers' bus: every access is done once, and answered once, under any back-pressure."""

from __future__ import annotations

from amaranth.hdl import Assert, Cat, Elaboratable, Module, Mux, Signal, Value

from ssvq_gen.registers import AXIL_ADDR_WIDTH
from ssvq_rtl.axi_lite import AxiLiteSlave

from .proof import Method, Proof, any_in_every_cycle
from .rules import before, held, never_reset, patient, within

PATIENCE = 3
"""Cycles in which a fair host offers the other half of a write, and takes a response."""
_WRITE_CYCLES = PATIENCE + 2
_READ_CYCLES = 3
_INPUTS = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")


class Registers(Elaboratable):
    """A host that offers and takes whatever it likes, and registers that read as anything."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self._dut = dut = AxiLiteSlave()
        never_reset(m)
        for name in _INPUTS:
            port = getattr(dut.axi, name)
            m.d.comb += port.eq(any_in_every_cycle(m, len(port), name))
        m.d.comb += dut.bus.read_data.eq(any_in_every_cycle(m, 32, "read_data"))
        self._writes(m)
        self._reads(m)
        return m

    def _writes(self, m: Module) -> None:
        """An address and data wait for each other, are written together, and are answered once."""
        axi, bus = self._dut.axi, self._dut.bus
        addresses, words, owed = Signal(2), Signal(2), Signal(2)
        addr, word = Signal(AXIL_ADDR_WIDTH), Signal(36)
        got_addr, got_word, answered = axi.awvalid & axi.awready, axi.wvalid & axi.wready, axi.bvalid & axi.bready
        m.d.sync += [
            addresses.eq(addresses + got_addr - bus.write_en),
            words.eq(words + got_word - bus.write_en),
            owed.eq(owed + bus.write_en - answered),
        ]
        with m.If(got_addr):
            m.d.sync += addr.eq(axi.awaddr)
        with m.If(got_word):
            m.d.sync += word.eq(Cat(axi.wdata, axi.wstrb))
        m.d.comb += [
            Assert((addresses <= 1) & (words <= 1) & (owed <= 1)),
            Assert(~bus.write_en | ((addresses == 1) & (words == 1))),
            Assert(~bus.write_en | (bus.write_addr == addr & ~3)),
            Assert(~bus.write_en | (Cat(bus.write_data, bus.write_mask) == word)),
            Assert(axi.bvalid == (owed == 1)),
            Assert(axi.bresp == 0),
            Assert(held(m, axi.bvalid, axi.bready, axi.bresp, "b")),
        ]
        fair = patient(m, axi.bvalid & ~axi.bready, PATIENCE, "b") & patient(
            m, ((addresses == 1) & ~axi.wvalid & (words == 0)), PATIENCE, "w"
        )
        within(m, fair & (addresses == 1) & ~bus.write_en, _WRITE_CYCLES, "write")

    def _reads(self, m: Module) -> None:
        """One read at a time, answered with what the register was in the cycle after `read_en`."""
        axi, bus = self._dut.axi, self._dut.bus
        asked, answered = axi.arvalid & axi.arready, axi.rvalid & axi.rready
        to_read, owed = Signal(), Signal()
        addr, value = Signal(AXIL_ADDR_WIDTH), Signal(32)
        read_before = before(m, bus.read_en, "read_en")
        m.d.sync += [to_read.eq(asked | (to_read & ~bus.read_en)), owed.eq(asked | (owed & ~answered))]
        with m.If(asked):
            m.d.sync += addr.eq(axi.araddr)
        m.d.sync += value.eq(Mux(read_before, bus.read_data, value))
        m.d.comb += [
            Assert(~asked | ~owed),
            Assert(~bus.read_en | to_read),
            Assert(~bus.read_en | (bus.read_addr == addr & ~3)),
            Assert(~axi.rvalid | (owed & ~to_read & ~read_before & (axi.rdata == value) & (axi.rresp == 0))),
            Assert(held(m, axi.rvalid, axi.rready, Cat(axi.rdata, axi.rresp), "r")),
            Assert(axi.arready == ~owed),
        ]
        waits: Value = owed & ~axi.rvalid
        within(m, waits, _READ_CYCLES, "read")


def lite_proofs() -> list[Proof]:
    """The one there is."""
    return [
        Proof(
            name="axi_lite",
            claim="every write is done once, with its address, data and strobes, and answered once, every read "
            "answered once with its register, in a bounded time, in any order and under any back-pressure; responses "
            "wait",
            build=Registers,
            method=Method.PDR,
        )
    ]
