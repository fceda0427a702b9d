"""The core's ports as bus interfaces, named as vendors name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..config import MAX_BURST_BEATS
from ..verilog import Port

CLOCK, RESET, INTERRUPT = "aclk", "aresetn", "irq"
REGISTERS, MEMORY = "s_axil", "m_axi"

_LITE = {"PROTOCOL": "AXI4LITE"}
_FULL = {"PROTOCOL": "AXI4", "MAX_BURST_LENGTH": str(MAX_BURST_BEATS), "SUPPORTS_NARROW_BURST": "0"}


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A bus interface.

    name : as the packaged core shows it
    kind : type in the library of interfaces, `aximm` or one of `clock`, `reset`, `interrupt`
    library : that library, `interface` or `signal`
    mode : slave or master
    ports : names of the core's ports by the names that the interface gives them
    parameters : what else the interface says of itself
    """

    name: str
    kind: str
    library: str
    mode: str
    ports: Mapping[str, str]
    parameters: Mapping[str, str]


def interfaces(ports: Sequence[Port]) -> tuple[Interface, ...]:
    """All interfaces; every port is in exactly one. Raises ValueError for a port that is in none."""
    buses = tuple(_bus(ports, name, mode) for name, mode in ((REGISTERS, "slave"), (MEMORY, "master")))
    found = (
        *buses,
        _signal(CLOCK, "clock", "CLK", "slave", ASSOCIATED_BUSIF=f"{REGISTERS}:{MEMORY}", ASSOCIATED_RESET=RESET),
        _signal(RESET, "reset", "RST", "slave", POLARITY="ACTIVE_LOW"),
        _signal(INTERRUPT, "interrupt", "INTERRUPT", "master", SENSITIVITY="LEVEL_HIGH"),
    )
    placed = {port for interface in found for port in interface.ports.values()}
    if lost := [port.name for port in ports if port.name not in placed]:
        raise ValueError(f"port {lost[0]} belongs to no bus interface")
    return found


def _bus(ports: Sequence[Port], name: str, mode: str) -> Interface:
    prefix = f"{name}_"
    members = {p.name.removeprefix(prefix).upper(): p.name for p in ports if p.name.startswith(prefix)}
    parameters = _LITE if name == REGISTERS else _FULL
    return Interface(name=name, kind="aximm", library="interface", mode=mode, ports=members, parameters=parameters)


def _signal(name: str, kind: str, logical: str, mode: str, **parameters: str) -> Interface:
    return Interface(name=name, kind=kind, library="signal", mode=mode, ports={logical: name}, parameters=parameters)
