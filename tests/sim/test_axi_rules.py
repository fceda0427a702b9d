"""Every rule that the bench checks is noticed when it is broken, and named; and the bench's SystemVerilog is clean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from rules_bench import BEFORE_RESET, RESET_RULE, RULE_VARIABLE, RULES

import ssvq_sim
from ssvq_gen.toolbox import VERILATOR_CXX_STANDARD, run_verilator
from ssvq_sim.cache import cached_folder, content_key
from ssvq_sim.verilator_runner import PortsOnlyVerilator, compiler, toolchain

SOURCES = Path(ssvq_sim.__file__).parent
PORTS = Path(__file__).parent / "axi_rules.vlt"
TOP = "axi_checks"


@pytest.fixture(scope="module")
def executable() -> Path:
    parts = [SOURCES / "axi_checks.sv", SOURCES / "dram.cpp", PORTS]
    key = content_key({**{path.name: path.read_bytes() for path in parts}, "tools": toolchain()})

    def make(folder: Path) -> None:
        runner = PortsOnlyVerilator()
        runner.make_variables = ("OPT_GLOBAL=-O2", f"CXX={compiler()}", f"LINK={compiler()}", "AR=ar")
        runner.build(
            sources=[PORTS, SOURCES / "axi_checks.sv"],
            build_args=["-CFLAGS", VERILATOR_CXX_STANDARD, "-Wno-fatal", "--quiet", str(SOURCES / "dram.cpp")],
            hdl_toplevel=TOP,
            build_dir=folder,
            timescale=("1ns", "1ns"),
            log_file=folder / "build.log",
            always=True,
        )

    folder, _ = cached_folder("axi-rules", key, make)
    return folder / TOP


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"), [*((n, m) for n, (_, m) in RULES.items()), RESET_RULE, (BEFORE_RESET, "")]
)
def test_rule(executable: Path, tmp_path: Path, name: str, message: str) -> None:
    report = tmp_path / "violation.txt"
    environment = PortsOnlyVerilator().test_environment(TOP, "rules_bench")
    environment |= {RULE_VARIABLE: name, "COCOTB_RESULTS_FILE": str(tmp_path / "results.xml")}
    result = subprocess.run(
        [str(executable), f"+violation={report}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if not message:
        assert result.returncode == 0, result.stdout
        assert not report.exists()
        assert 'failures="0"' in (tmp_path / "results.xml").read_text()
    else:
        assert result.returncode == 3, result.stdout
        assert report.read_text().startswith(message)


@pytest.mark.parametrize("file", ["axi_checks.sv", "dram.sv"])
def test_lint(file: str) -> None:
    """BLKSEQ is off: in one process, what a channel finishes makes room for what it offers in the same cycle."""
    log = run_verilator(["--lint-only", "-Wall", "-Wno-BLKSEQ", "--quiet", str(SOURCES / file)], cwd=SOURCES)
    assert log.returncode == 0, log.stdout
