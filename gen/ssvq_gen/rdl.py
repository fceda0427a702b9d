"""SystemRDL of the register table, for PeakRDL and other register tools."""

from __future__ import annotations

from .config import CoreConfig
from .manifest import digest_text, register_init
from .registers import AXIL_ADDR_WIDTH, REGISTERS, Access, Bits, Register
from .verilog import TOP

_PROPERTIES = {
    Access.R: "sw = r; hw = w;",
    Access.W: "sw = w; hw = r;",
    Access.RW: "sw = rw; hw = r;",
    Access.RW1C: "sw = rw; hw = w; onwrite = woclr;",
}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _field(register: Register, bits: Bits, init: int) -> str:
    reset = init >> bits.lsb & ((1 << bits.width) - 1)
    return (
        f"        field {{ desc = {_quoted(bits.doc)}; {_PROPERTIES[register.access]} }} "
        f"{bits.name}[{bits.lsb + bits.width - 1}:{bits.lsb}] = {bits.width}'h{reset:x};"
    )


def _register(register: Register, init: int) -> str:
    fields = register.bits or (Bits(name="VALUE", lsb=0, width=32, doc=register.doc),)
    lines = [f"    reg {{\n        desc = {_quoted(register.doc)};", *(_field(register, b, init) for b in fields)]
    return "\n".join([*lines, f"    }} {register.name} @ {register.offset:#05x};"])


def rdl_text(config: CoreConfig) -> str:
    """One address map with every register; reset values are those of this configuration."""
    registers = "\n\n".join(_register(r, register_init(r, config)) for r in REGISTERS)
    return (
        "// Generated: change the generator, not this file.\n"
        f"addrmap {TOP} {{\n"
        f'    name = "SSVQ core";\n'
        f'    desc = "Registers of configuration {config.name}, digest {digest_text(config)}; '
        f'{AXIL_ADDR_WIDTH} address bits";\n'
        "    default regwidth = 32;\n"
        "    default accesswidth = 32;\n"
        "    littleendian;\n"
        "    lsb0;\n\n"
        f"{registers}\n"
        "};\n"
    )
