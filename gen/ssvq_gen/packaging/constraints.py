"""Examples of constraints for a design around the core, one file for each vendor's format."""

from __future__ import annotations

from dataclasses import dataclass

_CLOCK, _RESET, _INTERRUPT = "clk", "reset_n", "irq"
"""Pins of the design in the examples: a board's clock and reset button, and an interrupt for a host outside."""

_HEAD = """\
{mark} {title}: an example for a design around ssvq_core whose pins are clk, reset_n and irq.
{mark} Put in your board's pins and frequency; nothing here comes from a measurement of the core.
{mark}
{mark} Clock: the core has one clock, aclk, to which all of its ports belong. The period is what your design must meet.
{mark} Reset: aresetn is sampled by aclk and is no asynchronous reset, so the path from the flip-flop that drives it is
{mark} timed as any other. What may be ignored is the way from a pin to the first flip-flop of a synchroniser, here
{mark} called reset_meta. All bus ports go to other logic of the same clock and need no constraint.
"""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A constraint file: its title, what begins a comment, the clock in MHz, and its lines."""

    title: str
    mark: str
    mhz: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole file."""
        body = "\n".join(self.lines).format(
            clock=_CLOCK,
            reset=_RESET,
            interrupt=_INTERRUPT,
            mhz=self.mhz,
            period=f"{1000 / self.mhz:.3f}",
            mark=self.mark,
        )
        return f"{_HEAD.format(mark=self.mark, title=self.title)}\n{body}\n"


EXAMPLES: dict[str, Example] = {
    "constraints/xilinx.xdc": Example(
        title="Vivado (XDC)",
        mark="#",
        mhz=100,
        lines=(
            "create_clock -name {clock} -period {period} [get_ports {clock}]",
            "set_property -dict {{PACKAGE_PIN H16 IOSTANDARD LVCMOS33}} [get_ports {clock}]",
            "set_property -dict {{PACKAGE_PIN D19 IOSTANDARD LVCMOS33}} [get_ports {reset}]",
            "set_property -dict {{PACKAGE_PIN R14 IOSTANDARD LVCMOS33}} [get_ports {interrupt}]",
            "",
            "{mark} Only as far as the first flip-flop of the synchroniser; the second one is timed.",
            "set_false_path -from [get_ports {reset}] -to [get_cells reset_meta_reg]",
            "set_property ASYNC_REG TRUE [get_cells {{reset_meta_reg reset_sync_reg}}]",
            "{mark} The interrupt is a level that stays until the host clears it: whenever it comes is soon enough.",
            "set_false_path -to [get_ports {interrupt}]",
        ),
    ),
    "constraints/ecp5.lpf": Example(
        title="ECP5 (LPF; nextpnr-ecp5 --lpf and Diamond)",
        mark="#",
        mhz=50,
        lines=(
            "BLOCK RESETPATHS;",
            "BLOCK ASYNCPATHS;",
            'FREQUENCY PORT "{clock}" {mhz} MHZ;',
            'LOCATE COMP "{clock}" SITE "G2";',
            'IOBUF PORT "{clock}" PULLMODE=NONE IO_TYPE=LVCMOS33;',
            'LOCATE COMP "{reset}" SITE "D6";',
            'IOBUF PORT "{reset}" PULLMODE=UP IO_TYPE=LVCMOS33;',
            'LOCATE COMP "{interrupt}" SITE "B2";',
            'IOBUF PORT "{interrupt}" PULLMODE=NONE IO_TYPE=LVCMOS33 DRIVE=4;',
            "{mark} nextpnr checks no path from or to a pin: none has to be ignored by name.",
        ),
    ),
    "constraints/ice40.pcf": Example(
        title="iCE40 (PCF; nextpnr-ice40 --pcf)",
        mark="#",
        mhz=12,
        lines=(
            "set_io {clock} 35",
            "set_io -pullup yes {reset} 10",
            "set_io {interrupt} 11",
            "set_frequency {clock} {mhz}",
            "{mark} nextpnr checks no path from or to a pin: none has to be ignored by name.",
        ),
    ),
    "constraints/gowin.cst": Example(
        title="Gowin (CST; nextpnr-himbaechel --vopt cst=..., and Gowin EDA)",
        mark="//",
        mhz=27,
        lines=(
            'IO_LOC "{clock}" 52;',
            'IO_PORT "{clock}" IO_TYPE=LVCMOS33 PULL_MODE=UP;',
            'IO_LOC "{reset}" 4;',
            'IO_PORT "{reset}" IO_TYPE=LVCMOS18 PULL_MODE=UP;',
            'IO_LOC "{interrupt}" 10;',
            'IO_PORT "{interrupt}" IO_TYPE=LVCMOS18 PULL_MODE=UP DRIVE=8;',
            "{mark} The clock is in gowin.sdc.",
        ),
    ),
    "constraints/gowin.sdc": Example(
        title="Gowin (SDC; nextpnr-himbaechel --sdc, and Gowin EDA)",
        mark="#",
        mhz=27,
        lines=(
            "create_clock -name {clock} -period {period} [get_ports {{{clock}}}]",
            "{mark} Gowin EDA only; nextpnr checks no path from a pin and does not know the command:",
            "{mark} set_false_path -from [get_ports {{{reset}}}] -to [get_regs {{reset_meta*}}]",
        ),
    ),
}


def constraint_files() -> dict[str, str]:
    """Text of each example by its name below the core's folder."""
    return {name: example.text for name, example in EXAMPLES.items()}
