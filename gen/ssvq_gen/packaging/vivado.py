"""Vivado: a wrapper whose ports say what they are, and the script that packages it as IP."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import CoreConfig
from ..manifest import digest_text
from ..registers import AXIL_ADDR_WIDTH, CORE_VERSION, REGISTERS, Access, Bits, Register
from ..verilog import TOP, Port
from .interfaces import MEMORY, Interface, interfaces
from .interfaces import REGISTERS as REGISTER_BUS

WRAPPER = f"{TOP}_ip"
WRAPPER_FILE = f"vivado/{WRAPPER}.v"
SCRIPT_FILE = "vivado/package_ip.tcl"

_NOTE = "Generated: change the generator, not this file."
_BLOCK = "registers"
_ACCESS = {
    Access.R: "read-only",
    Access.W: "write-only",
    Access.RW: "read-write",
    Access.RW1C: "read-write",
}
_SCRIPT = """\
# Package the core as IP for block designs. {note}
#
#   vivado -mode batch -source package_ip.tcl -tclargs [FOLDER [PART]]
#
# FOLDER receives the IP (default: ip beside this script), and is what ip_repo_paths then names; PART is any part that
# this Vivado has installed (default: {part}); the IP itself takes parts of all families.

set here [file dirname [file normalize [info script]]]
set folder [file join $here ip]
set part {part}
if {{[llength $argv] > 0}} {{ set folder [file normalize [lindex $argv 0]] }}
if {{[llength $argv] > 1}} {{ set part [lindex $argv 1] }}
if {{[llength $argv] > 2}} {{ error "give at most a folder and a part, not: $argv" }}

create_project -in_memory -part $part
add_files -norecurse [list [file join $here .. {top}.v] [file join $here {wrapper}.v]]
set_property top {wrapper} [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir $folder -vendor ssvq -library cores -taxonomy /UserIP -import_files -force

set core [ipx::current_core]
set_property name {name} $core
set_property version {version} $core
set_property core_revision 1 $core
set_property display_name {{SSVQ core, {config}}} $core
set_property description {{Configuration {config}, digest {digest}}} $core
set_property supported_families {families} $core

# Interfaces that were inferred from the attributes in the wrapper are made anew, so that all follow from this script.
proc interface {{core name library kind mode ports parameters}} {{
    if {{[llength [ipx::get_bus_interfaces -quiet $name -of_objects $core]]}} {{
        ipx::remove_bus_interface $name $core
    }}
    set bus [ipx::add_bus_interface $name $core]
    set_property bus_type_vlnv xilinx.com:$library:$kind:1.0 $bus
    set_property abstraction_type_vlnv xilinx.com:$library:${{kind}}_rtl:1.0 $bus
    set_property interface_mode $mode $bus
    foreach {{logical physical}} $ports {{
        set_property physical_name $physical [ipx::add_port_map $logical $bus]
    }}
    foreach {{parameter value}} $parameters {{
        set_property value $value [ipx::add_bus_parameter $parameter $bus]
    }}
    return $bus
}}
{interfaces}

# Registers: {block_bytes} bytes.
foreach map [ipx::get_memory_maps -quiet -of_objects $core] {{ ipx::remove_memory_map [get_property name $map] $core }}
set map [ipx::add_memory_map {registers} $core]
set_property slave_memory_map_ref {registers} [ipx::get_bus_interfaces {registers} -of_objects $core]
set block [ipx::add_address_block {block} $map]
set_property usage register $block
set_property access read-write $block
set_property base_address 0 $block
set_property range {block_bytes} $block
set_property width 32 $block

proc register {{block name offset access doc}} {{
    set register [ipx::add_register $name $block]
    set_property address_offset $offset $register
    set_property size 32 $register
    set_property access $access $register
    set_property description $doc $register
    return $register
}}
proc bits {{register name lsb width access doc}} {{
    set field [ipx::add_field $name $register]
    set_property bit_offset $lsb $field
    set_property bit_width $width $field
    set_property access $access $field
    set_property description $doc $field
}}
{register_lines}

# What the core reaches through its memory port.
foreach space [ipx::get_address_spaces -quiet -of_objects $core] {{
    ipx::remove_address_space [get_property name $space] $core
}}
set space [ipx::add_address_space {memory} $core]
set_property master_address_space_ref {memory} [ipx::get_bus_interfaces {memory} -of_objects $core]
set_property range {space_bytes} $space
set_property width {data_width} $space

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
puts "packaged {name} in $folder"
"""
_PART = "xc7z020clg400-1"
_FAMILIES = (
    "artix7",
    "kintex7",
    "spartan7",
    "virtex7",
    "zynq",
    "artixuplus",
    "kintexu",
    "kintexuplus",
    "virtexu",
    "virtexuplus",
    "zynquplus",
)


def wrapper_text(ports: Sequence[Port]) -> str:
    """Verilog of the wrapper: the core's ports, each with the attributes that Vivado reads.

    Raises ValueError for a port that is in no interface.
    """
    attributes = _attributes(interfaces(ports))
    declarations = ",\n".join(f"{attributes[p.name]}\n    {p.direction} wire {_width(p)}{p.name}" for p in ports)
    connections = ",\n".join(f"        .{p.name}({p.name})" for p in ports)
    return (
        f"// The core with its interfaces named for Vivado. {_NOTE}\n"
        f"module {WRAPPER} (\n{declarations}\n);\n"
        f"    {TOP} core (\n{connections}\n    );\n"
        "endmodule\n"
    )


def _attributes(found: Sequence[Interface]) -> dict[str, str]:
    """Attribute lines of each port; an interface's parameters stand at its first port."""
    result = {}
    for interface in found:
        pending = ", ".join(f"{key} {value}" for key, value in interface.parameters.items())
        for logical, port in interface.ports.items():
            info = f"xilinx.com:{interface.library}:{interface.kind}:1.0 {interface.name} {logical}"
            lines = [f'    (* X_INTERFACE_INFO = "{info}" *)']
            if pending:
                lines.append(f'    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {interface.name}, {pending}" *)')
            pending = ""
            result[port] = "\n".join(lines)
    return result


def _width(port: Port) -> str:
    return f"[{port.width - 1}:0] " if port.width > 1 else ""


def script_text(config: CoreConfig, ports: Sequence[Port]) -> str:
    """The Tcl script. Raises ValueError for a port that is in no interface."""
    return _SCRIPT.format(
        note=_NOTE,
        part=_PART,
        top=TOP,
        wrapper=WRAPPER,
        name=f"{TOP}_{config.name}",
        version=f"{CORE_VERSION >> 16}.{CORE_VERSION & 0xFFFF}",
        config=config.name,
        digest=digest_text(config),
        families=_braced(" ".join(f"{family} Production" for family in _FAMILIES)),
        interfaces="\n".join(_interface_line(interface) for interface in interfaces(ports)),
        registers=REGISTER_BUS,
        memory=MEMORY,
        block=_BLOCK,
        block_bytes=1 << AXIL_ADDR_WIDTH,
        register_lines="\n".join(line for register in REGISTERS for line in _register_lines(register)),
        space_bytes=1 << config.axi_addr_width,
        data_width=config.axi_data_width,
    )


def _interface_line(i: Interface) -> str:
    pairs = (_braced(" ".join(f"{key} {value}" for key, value in items.items())) for items in (i.ports, i.parameters))
    return f"interface $core {i.name} {i.library} {i.kind} {i.mode} {' '.join(pairs)}"


def _register_lines(register: Register) -> list[str]:
    access = _ACCESS[register.access]
    head = f"set register [register $block {register.name} {register.offset:#05x} {access} {_braced(register.doc)}]"
    return [head, *(_field_line(bits, access) for bits in register.bits)]


def _field_line(bits: Bits, access: str) -> str:
    return f"bits $register {bits.name} {bits.lsb} {bits.width} {access} {_braced(bits.doc)}"


def _braced(text: str) -> str:
    """A Tcl word of any text. Raises ValueError for braces and backslashes, which would need care."""
    if any(character in text for character in "{}\\"):
        raise ValueError(f"text for Tcl must have no braces or backslashes: {text!r}")
    return f"{{{text}}}"
