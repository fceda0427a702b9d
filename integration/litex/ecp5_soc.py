"""A SoC on Radiona's ULX3S board (ECP5, SDRAM) with an SSVQ core and a bridge from the board's USB UART.

    python integration/litex/ecp5_soc.py --core build/tiny            # writes build/ulx3s/gateware
    python integration/litex/ecp5_soc.py --core build/tiny --build    # and runs Yosys, nextpnr-ecp5 and ecppack

A program on the host then drives the core through `litex_bus.LitexBus`, as `ulx3s_bus.py` does. There is no CPU in
the SoC unless `--cpu-type` names one.
"""

import argparse

from litex.soc.integration.builder import Builder
from litex_boards.targets.radiona_ulx3s import BaseSoC
from ssvq_litex import add_ssvq
from ulx3s_map import REGISTERS

ROM_BYTES = 0x20000
"""For LiteX's firmware, where there is a CPU to run it."""


def parser():
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument(
        "--core", default="build/tiny", help="folder of a core, of `make verilog` (default: build/tiny)"
    )
    result.add_argument("--device", default="LFE5U-85F", help="FPGA of the board (default: LFE5U-85F)")
    result.add_argument("--sys-clk-freq", default=40e6, type=float, help="clock of the SoC in Hz (default: 40e6)")
    result.add_argument("--cpu-type", default=None, help="a LiteX CPU, which needs its compiler (default: none)")
    result.add_argument("--no-software", action="store_true", help="do not compile the CPU's firmware")
    result.add_argument("--direct-dram", action="store_true", help="the core has a port of LiteDRAM of its own")
    result.add_argument("--output-dir", default="build/ulx3s", help="folder to write to (default: build/ulx3s)")
    result.add_argument("--build", action="store_true", help="run the FPGA tools, too")
    return result


def soc(options):
    """The SoC, not finalized."""
    result = BaseSoC(
        device=options.device,
        sys_clk_freq=int(options.sys_clk_freq),
        cpu_type=options.cpu_type,
        integrated_rom_size=ROM_BYTES if options.cpu_type else 0,
        uart_name="crossover+uartbone",
        l2_size=0 if options.direct_dram else 8192,
        with_led_chaser=False,
    )
    add_ssvq(result, options.core, origin=REGISTERS, direct_dram=options.direct_dram)
    return result


def main():
    """Run the command."""
    options = parser().parse_args()
    software = options.cpu_type is not None and not options.no_software
    builder = Builder(soc(options), output_dir=options.output_dir, compile_software=software)
    builder.build(run=options.build)


if __name__ == "__main__":
    main()
