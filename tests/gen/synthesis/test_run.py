"""Synthesis of small cores: counts, and every fault planted and found."""

from pathlib import Path

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.synthesis.blocks import Cell
from ssvq_gen.synthesis.memories import Memory
from ssvq_gen.synthesis.report import Report
from ssvq_gen.synthesis.run import count_dsps, expected_dsps, synthesize
from ssvq_gen.synthesis.targets import TARGETS
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
PINS = ", ".join(
    f".{port.upper()}{bit}({port}[{bit}])" for port, width in (("a", 18), ("b", 18), ("p", 36)) for bit in range(width)
)
CELL = f"""
module ssvq_core(input aclk, input [17:0] a, b, output [35:0] p);
  MULT18X18D #(.REG_INPUTA_CLK("CLK0")) cell(.CLK0(aclk), .SIGNEDA(1'b0), .SIGNEDB(1'b0), {PINS});
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
    multipliers = 0 if target == "ice40" else 1  # the HX chips have none
    assert report.resources["dsp"] == multipliers
    assert report.dsps == {"array": multipliers, "requantizer": 0}
    assert report.resources["block_ram"] + report.resources["lut_ram"] > 0
    assert report.memories == (Memory(name="memory", words=64, width=32),)
    assert report.flipflop_memories == ()
    assert [block.path for block in report.blocks] == ["", "array"]
    assert report.blocks[1].resources["dsp"] == multipliers
    assert report.blocks[1].resources["ff"] <= report.resources["ff"]
    if TARGETS[target].dsps_per_mac is not None:
        assert report.faults == [
            "1 DSP blocks in the array instead of 64",
            "0 DSP blocks in the requantizer instead of 8",
        ]
    else:
        assert report.faults == []
    assert [p.name for p in tmp_path.iterdir()] == ["ssvq_core.v"]


def test_cells_of_the_family_are_known(tmp_path: Path) -> None:
    report = synth_text(CELL, tmp_path, "ecp5")
    assert report.dsps == {"array": 0, "requantizer": 0, "rest of the core": 1}
    with pytest.raises(ToolError, match="MULT18X18D"):
        synth_text(CELL, tmp_path, "xc7")


def test_packed_arrays_take_half_of_the_dsps() -> None:
    packed = TINY.replace(target="xc7", packed_macs=True)
    assert expected_dsps(TINY, TARGETS["xc7"])["array"] == 64
    assert expected_dsps(packed, TARGETS["xc7"])["array"] == 32


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


def test_dsps_by_part() -> None:
    names = [
        "$flatten\\array.\\column0.$mul$ssvq_core.v:2933$6661",
        "$flatten\\drain.\\requantizer.$mul$ssvq_core.v:4088$7207.sliceA.last",
        "\\matmul.accumulator.after0_DSP48E1_C",
        "$flatten\\sequencer.$mul$ssvq_core.v:1$1",
    ]
    cells = [Cell(type="DSP48E1", name=name) for name in names]
    counts = count_dsps(TARGETS["xc7"], [*cells, Cell(type="LUT6", name="\\array.x")])
    assert counts == {"array": 2, "requantizer": 1, "rest of the core": 1}
    vector = Cell(type="MULT18X18", name="\\vector.lanes.product")
    assert count_dsps(TARGETS["gowin"], [vector]) == {"array": 0, "requantizer": 0, "vector": 2}


def test_expected_share_scales_with_the_array() -> None:
    config = PRESETS["base"].replace(requantize_lanes=16)
    assert expected_dsps(config, TARGETS["xc7"]) == {"array": 1024, "requantizer": 32}
    assert expected_dsps(config, TARGETS["gowin"]) == {}
