"""FuseSoC runs the targets of a core: of the real `tiny` out of a release archive, and of the stub."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from cached_core import write_core

from ssvq_gen.config import ECP5, PRESETS
from ssvq_gen.generate import generate
from ssvq_gen.packaging.archive import content, packed
from ssvq_gen.packaging.fusesoc import core_file_text, core_name
from ssvq_gen.packaging.run_fusesoc import main, run_target
from ssvq_gen.synthesis.targets import TARGETS
from ssvq_gen.toolbox import ToolError

TINY = PRESETS["tiny"]
ON_ECP5 = TINY.replace(name="tiny_ecp5", target=ECP5)
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive of `tiny`."""
    core = tmp_path_factory.mktemp("core") / "tiny"
    write_core(TINY, core)
    out = tmp_path_factory.mktemp("released")
    with tarfile.open(fileobj=io.BytesIO(packed(content(core, PROJECT), "tiny"))) as archive:
        archive.extractall(out, filter="data")
    return out / "tiny"


@pytest.mark.slow
def test_lint_of_a_release(released: Path, tmp_path: Path) -> None:
    log = run_target(TINY, "lint", core=released, work=tmp_path)
    assert "Verilator: Built from" in log


@pytest.mark.slow
@pytest.mark.cosim
def test_simulation_of_a_release(released: Path, tmp_path: Path) -> None:
    log = run_target(TINY, "sim", core=released, work=tmp_path)
    assert "PASS: 32 bytes of output as the reference has them" in log

    simulator = next(path for path in tmp_path.rglob("Vssvq_core_tb") if path.is_file())
    expected = simulator.parent / "expected.hex"
    first, rest = expected.read_text().split(maxsplit=1)
    expected.write_text(f"{int(first, 16) ^ 1:02x} {rest}")
    result = subprocess.run([simulator], cwd=simulator.parent, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "FAIL 1 of 32 bytes of the output are wrong" in result.stdout + result.stderr
    assert "PASS" not in result.stdout

    memory = simulator.parent / "memory.hex"
    memory.write_text("00 " + memory.read_text().split(maxsplit=1)[1])
    result = subprocess.run([simulator], cwd=simulator.parent, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "FAIL the job ended with ERROR_CODE 5" in result.stdout + result.stderr, "a descriptor without its magic"


@pytest.mark.usefixtures("stub")
def test_synthesis_and_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = generate(TINY, tmp_path)
    options = ["tiny", "--output", str(tmp_path), "--target"]
    assert main([*options, "synth_ecp5"]) == 0
    assert capsys.readouterr().out == "synth_ecp5: done\n"
    netlist = next((core.folder / "fusesoc").rglob("synth_ecp5.json"))
    assert "TRELLIS_FF" in netlist.read_text()
    log = netlist.with_suffix(".log").read_text()
    assert "TRELLIS_FF" in log.rpartition("Printing statistics")[2]

    core.verilog.write_text(core.verilog.read_text().replace("endmodule", "  wire [0:3] up;\nendmodule", 1))
    assert main([*options, "lint"]) == 1
    fault = capsys.readouterr().err
    assert fault.startswith("error: fusesoc's target lint of tiny failed:\n")
    assert main(["nano", *options[1:], "lint"]) == 2


@pytest.mark.usefixtures("stub")
def test_second_driver_fails_synthesis(tmp_path: Path) -> None:
    core = generate(TINY, tmp_path)
    head, end, tail = core.verilog.read_text().rpartition("endmodule")
    core.verilog.write_text(f"{head}  assign irq = aclk;\n{end}{tail}")
    with pytest.raises(ToolError, match=r"(?s)synth_ecp5 of tiny failed.*Found 1 problems in 'check -assert'"):
        run_target(TINY, "synth_ecp5", core=core.folder, work=tmp_path / "work")


def test_core_file_names_every_family_and_its_version() -> None:
    text = core_file_text(TINY)
    assert core_name(TINY) == "ssvq:cores:ssvq_core_tiny:1.1.0"
    for name in TARGETS:
        assert f"\n  synth_{name}: &synth_{name}\n" in text


def test_core_file_of_a_core_for_one_family() -> None:
    """Models of cells are for Verilator and Icarus; Yosys, and cores that depend on this one, have their own."""
    text = core_file_text(ON_ECP5)
    assert "  models:\n    files: [sim/MULT18X18D.v]\n" in text
    assert "    filesets_append: [models]\n    flow: lint" in text
    assert "filesets_append: [models, simulation]" in text
    assert "filesets: [rtl, waivers]\n" in text
    assert "MULT18X18D" not in text.partition("  synthesis:\n")[2]
    assert [name for name in TARGETS if f"synth_{name}" in text] == [ECP5]
    assert "models" not in core_file_text(TINY)


@pytest.fixture(scope="module")
def released_for_ecp5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    core = tmp_path_factory.mktemp("core") / ON_ECP5.name
    write_core(ON_ECP5, core)
    out = tmp_path_factory.mktemp("released")
    with tarfile.open(fileobj=io.BytesIO(packed(content(core, PROJECT), core.name))) as archive:
        archive.extractall(out, filter="data")
    return out / core.name


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("target", ["lint", "sim"])
def test_targets_of_a_release_for_ecp5(target: str, released_for_ecp5: Path, tmp_path: Path) -> None:
    log = run_target(ON_ECP5, target, core=released_for_ecp5, work=tmp_path)
    assert ("PASS: 32 bytes" in log) is (target == "sim")
