"""A SoC for simulation with an SSVQ core, RAM and a bridge whose bytes come from a test bench: one Verilog file.

python integration/litex/simulated_soc.py --core build/tiny --output-dir build/litex
"""

import argparse
from pathlib import Path

from litex.build.generic_platform import Pins, Subsignal
from litex.build.sim import SimPlatform
from litex.gen import ClockDomain, LiteXModule
from litex.soc.cores.uart import RS232PHYModel, UARTBone
from litex.soc.integration.soc_core import SoCCore
from ssvq_litex import add_ssvq

RAM = 0x40000000
RAM_BYTES = 0x10000
REGISTERS = 0x30000000
CLOCK_HZ = 100_000_000
NAME = "simulated_soc"

_PINS = [
    ("sys_clk", 0, Pins(1)),
    ("sys_rst", 0, Pins(1)),
    (
        "bridge",
        0,
        Subsignal("source_valid", Pins(1)),
        Subsignal("source_ready", Pins(1)),
        Subsignal("source_data", Pins(8)),
        Subsignal("sink_valid", Pins(1)),
        Subsignal("sink_ready", Pins(1)),
        Subsignal("sink_data", Pins(8)),
    ),
]


class _Clock(LiteXModule):
    def __init__(self, platform):
        self.cd_sys = ClockDomain()
        self.comb += [
            self.cd_sys.clk.eq(platform.request("sys_clk")),
            self.cd_sys.rst.eq(platform.request("sys_rst")),
        ]


class SimulatedSoC(SoCCore):
    """RAM at `RAM`, the core's registers at `REGISTERS`, and LiteX's UART bridge without its UART."""

    def __init__(self, core):
        platform = SimPlatform("SIM", _PINS)
        self.crg = _Clock(platform)
        SoCCore.__init__(
            self,
            platform,
            CLOCK_HZ,
            cpu_type=None,
            with_uart=False,
            with_timer=False,
            ident_version=False,
            integrated_sram_size=0,
            integrated_main_ram_size=RAM_BYTES,
        )
        self.bridge_phy = RS232PHYModel(platform.request("bridge"))
        self.bridge = UARTBone(self.bridge_phy, CLOCK_HZ)
        self.bus.add_master(name="bridge", master=self.bridge.wishbone)
        add_ssvq(self, core, origin=REGISTERS)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--core", default="build/tiny", help="folder of a core, of `make verilog` (default: build/tiny)"
    )
    parser.add_argument("--output-dir", default="build/litex", help="folder to write to (default: build/litex)")
    options = parser.parse_args()
    soc = SimulatedSoC(options.core)
    soc.finalize()
    folder = Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    soc.platform.get_verilog(soc, name=NAME).write(str(folder / f"{NAME}.v"))


if __name__ == "__main__":
    main()
