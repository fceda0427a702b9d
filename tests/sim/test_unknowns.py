"""Verilog without initial values. `make unknowns` runs it."""

from __future__ import annotations

import pytest

from ssvq_gen.config import PRESETS
from ssvq_sim.core_verilog import core_verilog
from ssvq_sim.unknowns.verilog import without_initial_values, without_resets

VERILOG = r"""  reg \$auto$verilog_backend.cc:2355:dump_module$6  = 0;
  reg [5:0] fsm_state = 6'h00;
  reg \w_rdy$34  = 1'h1;
  reg signed [31:0] total;
  reg [25:0] lines [127:0];
  initial begin
    lines[0] = 26'h1ff0000;
  end
  wire [3:0] sum = a + b;
  always @(posedge clk)
    fsm_state <= 6'h01;
"""


def test_registers_lose_their_values() -> None:
    stripped, count = without_initial_values(VERILOG)
    assert count == 2
    assert "  reg [5:0] fsm_state ;\n" in stripped
    assert "  reg \\w_rdy$34 ;\n" in stripped
    changed = [b for a, b in zip(VERILOG.splitlines(), stripped.splitlines(), strict=True) if a != b]
    assert len(changed) == 2


def test_resets_can_be_taken_out() -> None:
    text = core_verilog(PRESETS["tiny"]).path.read_text(encoding="utf-8")
    assert text.count("if (rst) begin") > 100
    assert "if (rst) begin" not in without_resets(text)
    with pytest.raises(ValueError, match="must have"):
        without_resets(VERILOG)


def test_no_register_of_the_core_keeps_one() -> None:
    text = core_verilog(PRESETS["tiny"]).path.read_text(encoding="utf-8")
    stripped, count = without_initial_values(text)
    assert count > 500
    left = [line for line in stripped.splitlines() if line.lstrip().startswith("reg ") and " = " in line]
    assert all("dump_module$" in line for line in left)
    assert "posedge clk" not in "".join(left)
    assert without_initial_values(stripped) == (stripped, 0)
