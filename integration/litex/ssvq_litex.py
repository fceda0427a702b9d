"""An SSVQ core in a LiteX SoC.

    from ssvq_litex import add_ssvq
    add_ssvq(soc, "build/tiny")          # after the SoC's memory, before it is finalized

The core's registers become a region of the SoC's bus, its memory port a master on that bus, its interrupt one of the
CPU's if there is a CPU. `make verilog CONFIG=tiny` writes the folder.
"""

import json
from pathlib import Path

from litex.gen import ClockSignal, Instance, LiteXModule, ResetSignal, Signal
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import axi
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel

_CHANNELS = ("aw", "ar", "w", "r", "b")


class SSVQ(LiteXModule):
    """The core with its two buses.

    Parameters
    ----------
    platform : LiteX platform, which gets the Verilog
    folder : what `make verilog` wrote
    address_width : of the memory port; the SoC's

    Members
    -------
    registers, register_bytes : AXI4-Lite slave, and the size of its region
    memory : AXI4 master; addresses of the core beyond `address_width` bits are answered by no one, so its driver must
        keep the DRAM window below
    irq : level, high while an enabled event has happened
    config : the core's configuration, as the manifest has it
    """

    def __init__(self, platform, folder, address_width=32):
        manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
        self.config = manifest["config"]
        core_address_width, data_width = self.config["axi_addr_width"], self.config["axi_data_width"]
        if core_address_width < address_width:
            raise ValueError(f"axi_addr_width must be at least the SoC's {address_width}, not {core_address_width}")
        self.register_bytes = 2 ** manifest["register_address_width"]
        self.registers = axi.AXILiteInterface(data_width=32, address_width=address_width)
        self.memory = axi.AXIInterface(data_width=data_width, address_width=address_width, id_width=1)
        self.irq = Signal()

        ports = {"i_aclk": ClockSignal("sys"), "i_aresetn": ~ResetSignal("sys"), "o_irq": self.irq}
        for port in manifest["ports"]:
            prefix, _, signal = port["name"].rpartition("_")
            if bus := {"s_axil": self.registers, "m_axi": self.memory}.get(prefix):
                ports[f"{port['direction'][0]}_{port['name']}"] = self._wire(bus, signal, port)
        self.specials += Instance(manifest["top"], **ports)
        platform.add_source(str((Path(folder) / f"{manifest['top']}.v").resolve()))

    def _wire(self, bus, signal, port):
        """What a port is connected to: a signal of a LiteX bus; of an address, the bits that both have."""
        channel = next(name for name in _CHANNELS if signal.startswith(name))
        wire = getattr(getattr(bus, channel), signal.removeprefix(channel))
        if len(wire) == port["width"]:
            return wire
        if not signal.endswith("addr"):
            raise ValueError(f"port {port['name']} has {port['width']} bits, LiteX's has {len(wire)}")
        if port["direction"] == "input":
            return wire[: port["width"]]
        whole = Signal(port["width"])
        self.comb += wire.eq(whole)
        return whole


class SSVQInterrupt(LiteXModule):
    """The core's interrupt for a LiteX CPU: an event that is pending as long as the core raises it."""

    def __init__(self, irq):
        self.ev = EventManager()
        self.ev.core = EventSourceLevel()
        self.ev.finalize()
        self.comb += self.ev.core.trigger.eq(irq)


def add_ssvq(soc, folder, name="ssvq", origin=None, direct_dram=False):
    """Add a core to a SoC and return it.

    Parameters
    ----------
    soc : a LiteX SoC that is not finalized
    folder : what `make verilog` wrote
    name : of the module, the region of the bus, and the interrupt
    origin : address of the registers; None lets LiteX choose
    direct_dram : a port of LiteDRAM's crossbar in place of the SoC's bus: whole bursts in place of single beats

    Raises ValueError for `direct_dram` in a SoC without LiteDRAM, or with an L2 cache, which would not see what the
    core writes.
    """
    core = SSVQ(soc.platform, folder, address_width=soc.bus.address_width)
    soc.add_module(name=name, module=core)
    soc.bus.add_slave(name, core.registers, SoCRegion(origin=origin, size=core.register_bytes, cached=False))
    if direct_dram:
        _connect_dram(soc, core)
    else:
        soc.bus.add_master(name=name, master=core.memory)
    if soc.irq.enabled:
        soc.add_module(name=f"{name}_interrupt", module=SSVQInterrupt(core.irq))
        soc.irq.add(f"{name}_interrupt", use_loc_if_exists=True)
    return core


def _connect_dram(soc, core):
    from litedram.frontend.axi import LiteDRAMAXI2Native

    if not hasattr(soc, "sdram"):
        raise ValueError("direct_dram needs LiteDRAM in the SoC: call add_sdram first")
    if hasattr(soc, "l2_cache"):
        raise ValueError("direct_dram needs a SoC without an L2 cache: build it with l2_size=0")
    port = soc.sdram.crossbar.get_port(data_width=core.memory.data_width)
    soc.submodules += LiteDRAMAXI2Native(core.memory, port, base_address=soc.bus.regions["main_ram"].origin)
