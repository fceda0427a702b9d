"""A core with the ports of the real one and next to nothing inside: what the generator's own tests need."""

from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from ssvq_gen.config import CoreConfig


class StubCore(Component):
    """Counts reads into a small memory."""

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "irq": Out(1),
                "s_axil_araddr": In(12),
                "s_axil_rdata": Out(32),
                "m_axi_araddr": Out(config.axi_addr_width),
                "m_axi_rdata": In(config.axi_data_width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain()
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~self.aresetn)]
        memory = m.submodules.memory = Memory(shape=32, depth=64, init=[])
        read, write = memory.read_port(), memory.write_port()
        count = Signal(32)
        m.d.sync += count.eq(count + 1)
        m.d.comb += [
            read.addr.eq(self.s_axil_araddr),
            self.s_axil_rdata.eq(read.data),
            write.addr.eq(count),
            write.data.eq(self.m_axi_rdata),
            write.en.eq(1),
            self.m_axi_araddr.eq(count),
            self.irq.eq(count[-1]),
        ]
        return m
