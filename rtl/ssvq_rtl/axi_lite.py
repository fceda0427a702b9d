"""The host's side of the registers."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ssvq_gen.registers import AXIL_ADDR_WIDTH

from .bus import AxiLiteSignature, RegisterBusSignature
from .checks import require_range


class AxiLiteSlave(wiring.Component):
    """AXI4-Lite subordinate that turns accesses into register reads and writes, all answered with OKAY.

    Address and data of a write may arrive in any order. Reads and writes go on independently.

    Latency: a write acts 1 cycle after the later of its two parts and is answered in the cycle after that; read data
    follows 3 cycles after the address. One write every 2 cycles, one read every 4 cycles.

    Parameters
    ----------
    addr_width : bits of a byte address

    Members
    -------
    axi : AXI4-Lite, seen from the subordinate
    bus : register accesses; addresses are aligned to words
    """

    def __init__(self, *, addr_width: int = AXIL_ADDR_WIDTH) -> None:
        require_range("addr_width", addr_width, 3, 32)
        super().__init__({"axi": In(AxiLiteSignature(addr_width)), "bus": Out(RegisterBusSignature(addr_width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, bus = self.axi, self.bus
        addr_width = len(axi.awaddr)
        byte_bits = Const(0, 2)

        # Writes
        addr_held = Signal()
        data_held = Signal()
        write_addr = Signal(addr_width, reset_less=True)
        write_data = Signal(32, reset_less=True)
        write_mask = Signal(4, reset_less=True)
        m.d.comb += [
            axi.awready.eq(~addr_held),
            axi.wready.eq(~data_held),
            bus.write_en.eq(addr_held & data_held & (~axi.bvalid | axi.bready)),
            bus.write_addr.eq(Cat(byte_bits, write_addr[2:])),
            bus.write_data.eq(write_data),
            bus.write_mask.eq(write_mask),
        ]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [addr_held.eq(1), write_addr.eq(axi.awaddr)]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [data_held.eq(1), write_data.eq(axi.wdata), write_mask.eq(axi.wstrb)]
        with m.If(bus.write_en):
            m.d.sync += [addr_held.eq(0), data_held.eq(0), axi.bvalid.eq(1)]
        with m.Elif(axi.bready):
            m.d.sync += axi.bvalid.eq(0)

        # Reads: address held, register read, data captured, answered
        reading = Signal()
        captures = Signal()
        read_addr = Signal(addr_width, reset_less=True)
        read_data = Signal(32, reset_less=True)
        m.d.comb += [
            axi.arready.eq(~reading & ~captures & ~axi.rvalid),
            bus.read_en.eq(reading),
            bus.read_addr.eq(Cat(byte_bits, read_addr[2:])),
            axi.rdata.eq(read_data),
        ]
        m.d.sync += [reading.eq(axi.arvalid & axi.arready), captures.eq(reading)]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += read_addr.eq(axi.araddr)
        with m.If(captures):
            m.d.sync += [axi.rvalid.eq(1), read_data.eq(bus.read_data)]
        with m.Elif(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
        return m
