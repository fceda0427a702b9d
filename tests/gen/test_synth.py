"""Synthesis reports: counts, and every fault planted and found."""

import json
from pathlib import Path

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.synth import (
    TARGETS,
    Memory,
    Report,
    count_dsps,
    count_resources,
    expected_dsps,
    main,
    parse_memories,
    synthesize,
    write_reports,
)
from ssvq_gen.toolbox import ToolError

TINY = PRESETS["tiny"]
MULTIPLIER = """
module columns(input clk, input signed [7:0] a, b, output reg signed [15:0] y);
  reg signed [7:0] w; always @(posedge clk) begin w <= b; y <= a * w; end
endmodule
module ssvq_core(input aclk, input signed [7:0] a, b, output signed [15:0] y, input [5:0] wa, ra, input [31:0] d,
                 output reg [31:0] q);
  columns array(.clk(aclk), .a(a), .b(b), .y(y));
  reg [31:0] memory [63:0];
  always @(posedge aclk) begin memory[wa] <= d; q <= memory[ra]; end
endmodule
"""
RESETTABLE_MEMORY = """
module ssvq_core(input aclk, r, input [4:0] wa, ra, input [31:0] d, output reg [31:0] q);
  reg [31:0] memory [31:0]; wire [31:0] all = memory[ra] ^ memory[wa] ^ memory[d[4:0]];
  always @(posedge aclk) begin
    memory[wa] <= d; memory[ra + 1] <= ~d; memory[wa ^ ra] <= d + 1; if (r) memory[0] <= 0; q <= all;
  end
endmodule
"""
LATCH = "module ssvq_core(input en, d, output reg q); always @* if (en) q = d; endmodule\n"
TWO_DRIVERS = "module ssvq_core(input a, b, output y); wire n; assign n = a, n = b; assign y = n; endmodule\n"
LOOP = "module ssvq_core(input a, output y); wire n; assign n = a ^ y; assign y = n; endmodule\n"


def synth_text(text: str, folder: Path, target: str) -> Report:
    verilog = folder / "ssvq_core.v"
    verilog.write_text(text)
    return synthesize(TINY, TARGETS[target], verilog)


@pytest.mark.parametrize("target", TARGETS)
def test_resources_are_counted(tmp_path: Path, target: str) -> None:
    report = synth_text(MULTIPLIER, tmp_path, target)
    assert report.resources["dsp"] == 1
    assert report.dsps == {"array": 1, "requantizer": 0}
    assert report.resources["bram"] + report.resources["lutram"] > 0
    assert report.memories == (Memory(name="memory", words=64, width=32),)
    assert report.flipflop_memories == ()
    assert report.faults == [
        "1 DSP blocks in the array instead of 64",
        "0 DSP blocks in the requantizer instead of 8",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["ssvq_core.v"]


@pytest.mark.parametrize("target", TARGETS)
def test_memory_in_flipflops_is_found(tmp_path: Path, target: str) -> None:
    report = synth_text(RESETTABLE_MEMORY, tmp_path, target)
    assert "memory memory of 32 x 32 bits ended in flip-flops" in report.faults
    assert report.resources["ff"] >= 1024


@pytest.mark.parametrize("target", TARGETS)
def test_latch_is_found(tmp_path: Path, target: str) -> None:
    assert any(fault.startswith("latch: ssvq_core/") for fault in synth_text(LATCH, tmp_path, target).faults)


@pytest.mark.parametrize("text", [TWO_DRIVERS, LOOP], ids=["drivers", "loop"])
def test_drivers_and_loops_stop_synthesis(tmp_path: Path, text: str) -> None:
    with pytest.raises(ToolError, match=r"(?s)^Yosys failed:.*problems in 'check -assert'"):
        synth_text(text, tmp_path, "xc7")


def test_cells_by_kind() -> None:
    cells = {"\\LUT6": 3, "LUT2": 1, "FDRE": 5, "DSP48E1": 2, "RAMB18E1": 1, "RAM64M": 4, "SRL16E": 6, "LDCE": 7}
    counts = count_resources(TARGETS["xc7"], {**cells, "CARRY4": 8, "MUXF7": 9, "RAM128X1D": 1, "$_DLATCH_P_": 1})
    assert counts == {"lut": 4, "carry": 8, "ff": 5, "dsp": 2, "bram": 1, "lutram": 5, "shift": 6, "latch": 8}


def test_dsps_by_part() -> None:
    names = [
        "ssvq_core/$flatten\\array.\\column0.$mul$ssvq_core.v:2933$6661",
        "ssvq_core/$flatten\\drain.\\requantizer.$mul$ssvq_core.v:4088$7207.sliceA.last",
        "ssvq_core/$flatten\\sequencer.$mul$ssvq_core.v:1$1",
    ]
    assert count_dsps(names) == {"array": 1, "requantizer": 1, "rest of the core": 1}
    assert count_dsps(["ssvq_core/$flatten\\vector.\\lanes.$mul$ssvq_core.v:1$2"]) == {
        "array": 0,
        "requantizer": 0,
        "vector": 1,
    }


def test_memory_dump_without_size() -> None:
    with pytest.raises(ToolError, match="dump of memory m names no size or width"):
        parse_memories("  cell $mem_v2 \\m\n  end\n")


def test_report_file(tmp_path: Path) -> None:
    resources = count_resources(TARGETS["xc7"], {"DSP48E1": 73, "LDCE": 1})
    report = Report(
        target="xc7",
        seconds=1.0,
        resources=resources,
        dsps={"array": 64, "requantizer": 8, "rest of the core": 1},
        dsps_expected={"array": 64, "requantizer": 8},
        memories=(),
        flipflop_memories=(Memory(name="small", words=16, width=32),),
        latches=(),
    )
    assert report.faults == ["1 latch cells after mapping", "1 DSP blocks in the rest of the core instead of 0"]
    write_reports(TINY, [report], tmp_path / "synth.json")
    data = json.loads((tmp_path / "synth.json").read_text())
    assert data["config"] == "tiny"
    assert data["targets"][0]["resources"]["dsp"] == 73
    assert data["targets"][0]["faults"] == report.faults


@pytest.mark.usefixtures("stub")
def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tiny", "--target", "xc7", "--output", str(tmp_path)]) == 1, "the stub has no MAC"
    assert "FAIL Xilinx 7: 0 DSP blocks in the array instead of 64" in capsys.readouterr().err
    assert (tmp_path / "tiny" / "synth.json").is_file()
    assert main(["nano"]) == 2
    assert capsys.readouterr().err.startswith("error: 'nano' is neither")


def test_expected_share_scales_with_the_array() -> None:
    assert expected_dsps(PRESETS["base"].replace(requantize_lanes=16)) == {"array": 1024, "requantizer": 32}
