"""A SoC on Radiona's ULX3S board (ECP5, SDRAM) with an SSVQ core and a bridge from the board's USB UART.

    python integration/litex/ecp5_soc.py --core build/tiny            # writes build/ulx3s/gateware
    python integration/litex/ecp5_soc.py --core build/tiny --build    # and runs Yosys, nextpnr-ecp5 and ecppack

A program on the host then drives the core through `litex_bus.LitexBus`. There is no CPU in the SoC unless
`--cpu-type` names one.
"""

import argparse

from litex.soc.integration.builder import Builder
from litex_boards.targets.radiona_ulx3s import BaseSoC
from ssvq_litex import add_ssvq

REGISTERS = 0x30000000
"""Where the core's registers are."""


def parser():
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument(
        "--core", default="build/tiny", help="folder of a core, of `make verilog` (default: build/tiny)"
    )
    result.add_argument("--device", default="LFE5U-85F", help="FPGA of the board (default: LFE5U-85F)")
    result.add_argument("--sys-clk-freq", default=40e6, type=float, help="clock of the SoC in Hz (default: 40e6)")
    result.add_argument("--cpu-type", default=None, help="a LiteX CPU, which needs its compiler (default: none)")
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
        uart_name="crossover+uartbone",
        l2_size=0 if options.direct_dram else 8192,
        with_led_chaser=False,
    )
    add_ssvq(result, options.core, origin=REGISTERS, direct_dram=options.direct_dram)
    return result


def main():
    """Run the command."""
    options = parser().parse_args()
    builder = Builder(soc(options), output_dir=options.output_dir, compile_software=options.cpu_type is not None)
    builder.build(run=options.build)


if __name__ == "__main__":
    main()
