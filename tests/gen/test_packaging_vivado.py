"""The script and the wrapper for Vivado, as far as they can be checked without it."""

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tkinter", reason="Tcl comes with Python's tkinter: sudo apt install python3-tk")

from tcl import Recorder

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.packaging.interfaces import interfaces
from ssvq_gen.packaging.vivado import script_text, wrapper_text
from ssvq_gen.registers import REGISTERS
from ssvq_gen.toolbox import run_verilator
from ssvq_gen.verilog import Port, build_core, core_ports

Calls = list[tuple[str, ...]]


@pytest.fixture(scope="module")
def ports() -> list[Port]:
    return core_ports(build_core(PRESETS["tiny"]))


def run_script(
    folder: Path, config: CoreConfig, ports: list[Port], *arguments: str, answers: Any = None
) -> tuple[Path, Calls]:
    script = folder / "vivado" / "package_ip.tcl"
    script.parent.mkdir(exist_ok=True)
    script.write_text(script_text(config, ports))
    return script, Recorder(answers).run(str(script), *arguments)


def properties(calls: Calls, subject: str) -> dict[str, str]:
    return {call[1]: call[2] for call in calls if call[0] == "set_property" and call[-1] == subject}


def test_every_port_is_mapped_once(tmp_path: Path, ports: list[Port]) -> None:
    _, calls = run_script(tmp_path, PRESETS["tiny"], ports)
    physical = [call[2] for call in calls if call[:2] == ("set_property", "physical_name")]
    assert sorted(physical) == sorted(port.name for port in ports)
    logical = {(call[2], call[1]) for call in calls if call[0] == "ipx::add_port_map"}
    assert {
        ("bus_interface/s_axil", "AWADDR"),
        ("bus_interface/m_axi", "RLAST"),
        ("bus_interface/irq", "INTERRUPT"),
    } <= logical
    assert len(logical) == len(ports)


def test_interfaces(tmp_path: Path, ports: list[Port]) -> None:
    _, calls = run_script(tmp_path, PRESETS["tiny"], ports)
    for name, kind, mode in (
        ("s_axil", "interface:aximm", "slave"),
        ("m_axi", "interface:aximm", "master"),
        ("aclk", "signal:clock", "slave"),
        ("aresetn", "signal:reset", "slave"),
        ("irq", "signal:interrupt", "master"),
    ):
        found = properties(calls, f"bus_interface/{name}")
        assert found["bus_type_vlnv"] == f"xilinx.com:{kind}:1.0"
        assert found["abstraction_type_vlnv"] == f"xilinx.com:{kind}_rtl:1.0"
        assert found["interface_mode"] == mode
    assert properties(calls, "bus_parameter/ASSOCIATED_BUSIF") == {"value": "s_axil:m_axi"}
    assert properties(calls, "bus_parameter/ASSOCIATED_RESET") == {"value": "aresetn"}
    assert properties(calls, "bus_parameter/MAX_BURST_LENGTH") == {"value": "16"}
    assert properties(calls, "bus_parameter/SUPPORTS_NARROW_BURST") == {"value": "0"}
    assert properties(calls, "bus_parameter/POLARITY") == {"value": "ACTIVE_LOW"}
    assert properties(calls, "bus_parameter/SENSITIVITY") == {"value": "LEVEL_HIGH"}


def test_registers_and_address_spaces(tmp_path: Path, ports: list[Port]) -> None:
    config = PRESETS["base"]
    _, calls = run_script(tmp_path, config, ports)
    assert properties(calls, "address_block/registers")["range"] == "4096"
    for register in REGISTERS:
        found = properties(calls, f"register/{register.name}")
        assert int(found["address_offset"], 0) == register.offset
        assert found["description"] == register.doc
    added = [(call[2], call[1]) for call in calls if call[0] == "ipx::add_field"]
    assert added == [(f"register/{r.name}", b.name) for r in REGISTERS for b in r.bits]
    assert properties(calls, "register/CONTROL")["access"] == "write-only"
    assert properties(calls, "address_space/m_axi") == {"range": str(1 << 40), "width": "64"}


def test_inferred_interfaces_are_replaced(tmp_path: Path, ports: list[Port]) -> None:
    _, calls = run_script(tmp_path, PRESETS["tiny"], ports, answers={"ipx::get_bus_interfaces": ""})
    assert not [call for call in calls if call[0] == "ipx::remove_bus_interface"]
    _, calls = run_script(tmp_path, PRESETS["tiny"], ports, answers={"ipx::get_bus_interfaces": "inferred"})
    removed = [call[1] for call in calls if call[0] == "ipx::remove_bus_interface"]
    assert removed == ["s_axil", "m_axi", "aclk", "aresetn", "irq"]


def test_files_folder_and_part(tmp_path: Path, ports: list[Port]) -> None:
    script, calls = run_script(tmp_path, PRESETS["tiny"], ports)
    package = next(call for call in calls if call[0] == "ipx::package_project")
    assert package[package.index("-root_dir") + 1] == str(script.parent / "ip")
    added = next(call for call in calls if call[0] == "add_files")[-1].split()
    assert [Path(name).resolve() for name in added] == [tmp_path / "ssvq_core.v", script.parent / "ssvq_core_ip.v"]
    assert calls[-2][0] == "ipx::check_integrity"
    assert calls[-1][0] == "ipx::save_core"

    _, calls = run_script(tmp_path, PRESETS["tiny"], ports, "/elsewhere", "xck26-sfvc784-2LV-c")
    package = next(call for call in calls if call[0] == "ipx::package_project")
    assert package[package.index("-root_dir") + 1] == "/elsewhere"
    assert calls[0] == ("create_project", "-in_memory", "-part", "xck26-sfvc784-2LV-c")
    with pytest.raises(Exception, match="give at most a folder and a part, not: a b c"):
        run_script(tmp_path, PRESETS["tiny"], ports, "a", "b", "c")


def test_wrapper_is_the_core_with_attributes(tmp_path: Path, ports: list[Port]) -> None:
    text = wrapper_text(ports)
    info = re.findall(r'X_INTERFACE_INFO = "xilinx.com:(\w+:\w+):1.0 (\w+) (\w+)" \*\)', text)
    assert len(info) == len(ports)
    assert ("interface:aximm", "m_axi", "ARLEN") in info
    assert '"XIL_INTERFACENAME aclk, ASSOCIATED_BUSIF s_axil:m_axi, ASSOCIATED_RESET aresetn"' in text

    declarations = ", ".join(f"{p.direction} wire [{p.width - 1}:0] {p.name}" for p in ports)
    drivers = "".join(f"  assign {p.name} = 0;\n" for p in ports if p.direction == "output")
    (tmp_path / "ssvq_core.v").write_text(f"module ssvq_core({declarations});\n{drivers}endmodule\n")
    (tmp_path / "ssvq_core_ip.v").write_text(text)
    arguments = ["--lint-only", "--top-module", "ssvq_core_ip", "ssvq_core_ip.v", "ssvq_core.v"]
    assert run_verilator(arguments, cwd=tmp_path).returncode == 0
    (tmp_path / "ssvq_core_ip.v").write_text(text.replace(".m_axi_rlast(m_axi_rlast)", ".m_axi_rlats(m_axi_rlast)"))
    assert run_verilator(arguments, cwd=tmp_path).returncode != 0, "a wrong connection is found"


def test_a_port_without_an_interface_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^port debug belongs to no bus interface$"):
        interfaces([Port(name="debug", direction="output", width=1)])
