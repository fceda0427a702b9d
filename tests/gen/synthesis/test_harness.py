"""The top around a core for place and route: nothing in it is optimised away."""

import json
import re
from pathlib import Path

import pytest

from ssvq_gen.synthesis.harness import FOLD, HARNESS, fold_widths, harness_text
from ssvq_gen.toolbox import run_yosys
from ssvq_gen.verilog import Port

CLOCK = Port(name="aclk", direction="input", width=1)
PORTS = [
    CLOCK,
    Port(name="a", direction="input", width=5),
    Port(name="b", direction="input", width=1),
    Port(name="y", direction="output", width=17),
    Port(name="z", direction="output", width=1),
]
CORE = """
module ssvq_core(input aclk, input [4:0] a, input b, output reg [16:0] y, output reg z);
  always @(posedge aclk) begin y <= y + a; z <= ^a ^ b; end
endmodule
"""


@pytest.mark.parametrize(("width", "widths"), [(1, [1]), (4, [1]), (5, [2, 1]), (17, [5, 2, 1]), (64, [16, 4, 1])])
def test_fold_widths(width: int, widths: list[int]) -> None:
    assert FOLD == 4
    assert fold_widths(width) == widths


def test_every_port_is_registered(tmp_path: Path) -> None:
    (tmp_path / "core.v").write_text(CORE)
    (tmp_path / "top.v").write_text(harness_text(PORTS))
    script = f"read_verilog core.v top.v; hierarchy -check -top {HARNESS}; proc; opt_clean; check -assert; stat -json"
    log = run_yosys(f"{script}; flatten; opt_clean; simplemap; opt; tee -q -o stat.json stat -json", cwd=tmp_path)
    assert not re.search(r"Warning: .*(port|width|resizing)", log)
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert cells["$_DFF_P_"] == 18 + 6 + 18 + 5 + 2 + 1, "the core's, the inputs', the outputs', and the tree's"


@pytest.mark.parametrize("missing", [0, slice(1, 3), slice(3, 5)], ids=["clock", "inputs", "outputs"])
def test_cores_that_do_not_fit(missing: int | slice) -> None:
    ports = list(PORTS)
    del ports[missing]
    with pytest.raises(ValueError, match="a core in the harness needs aclk, another input and an output"):
        harness_text(ports)


def test_one_bit_each_way(tmp_path: Path) -> None:
    ports = [CLOCK, PORTS[2], PORTS[4]]
    (tmp_path / "core.v").write_text("module ssvq_core(input aclk, b, output z); assign z = b; endmodule\n")
    (tmp_path / "top.v").write_text(harness_text(ports))
    run_yosys(f"read_verilog core.v top.v; hierarchy -check -top {HARNESS}; proc; check -assert", cwd=tmp_path)
