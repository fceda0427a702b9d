"""SoCs with a core: LiteX builds the one for ECP5, and the simulated one runs a job from its bridge."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from cached_core import write_core
from ulx3s_map import RAM, REGISTERS

from ssvq_gen.config import PRESETS
from ssvq_gen.toolbox import run_yosys

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("litex", "litedram", "litex_boards")),
    reason="LiteX is not installed: pip install 'ssvq-core[litex]'",
)

TINY = PRESETS["tiny"]
LITEX = Path(__file__).parents[2] / "integration" / "litex"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core") / "tiny"
    write_core(TINY, folder)
    return folder


def run_soc(script: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(LITEX / script), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "options", [(), ("--direct-dram",), ("--cpu-type", "vexriscv", "--no-software")], ids=["bus", "direct", "cpu"]
)
def test_ecp5_soc_elaborates(core: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    result = run_soc("ecp5_soc.py", tmp_path, "--core", str(core), "--output-dir", str(tmp_path), *options)
    assert result.returncode == 0, result.stderr
    gateware = tmp_path / "gateware"
    verilog = next(gateware.glob("*.v"))
    text = verilog.read_text()
    assert text.count("\nssvq_core ssvq_core") == 1
    regions = (tmp_path / "software" / "include" / "generated" / "mem.h").read_text()
    assert f"#define MAIN_RAM_BASE {RAM:#010x}L" in regions
    assert f"#define SSVQ_BASE {REGISTERS:#010x}L" in regions
    assert 'LOCATE COMP "clk25"' in next(gateware.glob("*.lpf")).read_text()
    assert ("LiteDRAMAXI2Native" in text) == ("--direct-dram" in options)
    assert ("VexRiscv" in text) == ("ssvq_interrupt IRQ allocated" in result.stdout + result.stderr)
    assert ("VexRiscv" in text) == ("vexriscv" in options)
    if "vexriscv" not in options:  # whose Verilog is not beside the SoC's
        (gateware / "ssvq_core.v").write_bytes((core / "ssvq_core.v").read_bytes())
        cells = "read_verilog -lib -specify +/ecp5/cells_sim.v +/ecp5/cells_bb.v"
        script = f"{cells}; read_verilog ssvq_core.v {verilog.name}; hierarchy -check -top {verilog.stem}; proc"
        run_yosys(script, cwd=gateware)


@pytest.mark.slow
@pytest.mark.cosim
def test_job_from_the_bridge(core: Path) -> None:
    result = run_soc("simulate.py", core.parent, "tiny", "--output", str(core.parent))
    assert result.returncode == 0, result.stderr
    assert result.stdout == "PASS: 32 bytes of output as the reference has them, through LiteX's bridge\n"


REFUSED = """
import sys
sys.path.insert(0, sys.argv[2])
from simulated_soc import SimulatedSoC
from ssvq_litex import SSVQ, add_ssvq
soc = SimulatedSoC(sys.argv[1])
for case in (
    lambda: add_ssvq(soc, sys.argv[1], name="second", direct_dram=True),
    lambda: SSVQ(soc.platform, sys.argv[1], address_width=64),
):
    try:
        case()
    except ValueError as error:
        print("refused:", error)
"""


def test_what_cannot_be_connected_is_refused(core: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", REFUSED, str(core), str(LITEX)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert [line for line in result.stdout.splitlines() if line.startswith("refused")] == [
        "refused: direct_dram needs LiteDRAM in the SoC: call add_sdram first",
        "refused: axi_addr_width must be at least the SoC's 64, not 32",
    ], result.stderr
