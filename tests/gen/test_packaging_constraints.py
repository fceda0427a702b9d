"""Constraint examples: Tcl reads those in Tcl; nextpnr, where it is installed, the others with three pins."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ssvq_gen.packaging.constraints import EXAMPLES, constraint_files
from ssvq_gen.toolbox import run_yosys

DESIGN = """
module top(input clk, input reset_n, output reg irq);
  reg reset_meta = 0, reset_sync = 0;
  always @(posedge clk) begin {reset_sync, reset_meta} <= {reset_meta, reset_n}; irq <= reset_sync & ~irq; end
endmodule
"""
GOWIN = ["--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C", "--vopt", "cst=gowin.cst", "--sdc", "gowin.sdc"]
NEXTPNR = {
    "ecp5": ("ecp5", "synth_ecp5", ["--85k", "--package", "CABGA381", "--lpf", "ecp5.lpf"], 50),
    "ice40": ("ice40", "synth_ice40", ["--up5k", "--package", "sg48", "--pcf", "ice40.pcf"], 12),
    "gowin": ("himbaechel_gowin", "synth_gowin -family gw1n", GOWIN, 27),
}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.endswith((".xdc", ".sdc"))])
def test_tcl_reads_the_file(tmp_path: Path, name: str) -> None:
    pytest.importorskip("tkinter", reason="Tcl comes with Python's tkinter: sudo apt install python3-tk")
    from tcl import Recorder

    (tmp_path / "constraints").write_text(EXAMPLES[name].text)
    calls = Recorder().run(str(tmp_path / "constraints"))
    pins = {call[1] for call in calls if call[0] == "get_ports"}
    assert pins == ({"clk", "reset_n", "irq"} if name.endswith(".xdc") else {"clk"})
    clock = next(call for call in calls if call[0] == "create_clock")
    assert float(clock[clock.index("-period") + 1]) == pytest.approx(1000 / EXAMPLES[name].mhz, abs=0.001)
    ignored = [call[1:] for call in calls if call[0] == "set_false_path"]
    assert [flags[::2] for flags in ignored] == ([("-from", "-to"), ("-to",)] if name.endswith(".xdc") else [])


@pytest.mark.slow
@pytest.mark.parametrize("family", NEXTPNR)
def test_nextpnr_reads_the_file(tmp_path: Path, family: str) -> None:
    package, synthesis, arguments, mhz = NEXTPNR[family]
    module = f"yowasp_nextpnr_{package}"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"pip install {module.replace('_', '-')}")
    for name, text in constraint_files().items():
        (tmp_path / Path(name).name).write_text(text)
    (tmp_path / "top.v").write_text(DESIGN)
    run_yosys(f"read_verilog top.v; {synthesis} -top top -json top.json", cwd=tmp_path)
    run = f"import sys, {module} as m; sys.exit(m.run_nextpnr_{package}(sys.argv[1:]))"
    command = [sys.executable, "-c", run, "--json", "top.json", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"constraining clock net 'clk' to {mhz}.00 MHz" in result.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_files_say_what_they_are(name: str) -> None:
    example = EXAMPLES[name]
    lines = [line for line in example.text.splitlines() if line and not line.startswith(example.mark)]
    assert any(re.search(r"\bclk\b", line) for line in lines)
    assert "an example for a design around ssvq_core" in example.text
    assert "aresetn is sampled by aclk" in example.text
