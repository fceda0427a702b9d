"""Waivers are counted, reasoned and needed; what they do not cover is found."""

import re
from pathlib import Path

import pytest

from ssvq_gen.lint import WaiverError, check_structure, count_messages, lint_verilog, main, read_waivers, verify_waived
from ssvq_gen.toolbox import ToolError

WAIVERS = Path(__file__).parents[2] / "gen" / "ssvq_gen" / "ssvq_core.vlt"
LINE = 'lint_off -rule UNUSEDSIGNAL -file "*/ssvq_core.v"\n'


def test_waivers_of_the_project() -> None:
    waivers = read_waivers(WAIVERS)
    assert len(waivers) == 6, "a new waiver is a decision: see whether the hardware should change instead"
    assert all(len(w.reason) > 40 for w in waivers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"// reason\n{LINE}", "a line `// Waivers: N` must state the number of waivers"),
        (f"// Waivers: 2\n// reason\n{LINE}", "states 2 waivers but has 1"),
        (f"// Waivers: 1\n\n{LINE}", "waiver UNUSEDSIGNAL must have its reason in a comment right above it"),
        ("// Waivers: 1\n// all of it\nlint_off\n", "a waiver must name its rule, not 'lint_off'"),
    ],
)
def test_waiver_rules(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.vlt"
    path.write_text(text)
    with pytest.raises(WaiverError, match=f"{re.escape(message)}$"):
        read_waivers(path)


def test_messages_are_counted() -> None:
    log = "%Warning-WIDTHTRUNC: a.v:1:1: x\n  more\n%Warning-WIDTHTRUNC: a.v:2:1: x\n%Error: a.v:3:1: y\n"
    assert count_messages(log) == {"WIDTHTRUNC": 2, "ERROR": 1}


def test_waived_and_others(tmp_path: Path) -> None:
    verilog = tmp_path / "ssvq_core.v"
    verilog.write_text(
        "module ssvq_core(input a, input unused, output b, output [1:0] wide);\n"
        "  assign b = a; assign wide = a;\n  wire [0:3] up;\nendmodule\n"
    )
    counts, faults = lint_verilog(verilog, read_waivers(WAIVERS))
    assert counts["UNUSEDSIGNAL"]
    assert counts["WIDTHEXPAND"] == 1
    assert faults
    assert all(re.match(r"%Warning-(ASCRANGE|UNDRIVEN)", fault) for fault in faults)
    assert "ASCRANGE" in verify_waived(verilog, WAIVERS)

    verilog.write_text(verilog.read_text().replace("  wire [0:3] up;\n", ""))
    assert lint_verilog(verilog, read_waivers(WAIVERS))[1] == []
    assert verify_waived(verilog, WAIVERS) == ""


def test_latch_fails_the_structure_check(tmp_path: Path) -> None:
    verilog = tmp_path / "ssvq_core.v"
    verilog.write_text("module ssvq_core(input en, d, output reg q); always @* if (en) q = d; endmodule\n")
    with pytest.raises(ToolError, match="selection is not empty"):
        check_structure(verilog)


@pytest.mark.usefixtures("stub")
def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needed = tmp_path / "needed.vlt"
    rules = ["WIDTHEXPAND", "WIDTHTRUNC", "UNUSEDSIGNAL", "PROCASSINIT", "CASEINCOMPLETE", "DECLFILENAME"]
    needed.write_text(
        "`verilator_config\n// Waivers: 6\n" + "".join(f"// why\n{LINE}".replace("UNUSEDSIGNAL", r) for r in rules)
    )
    assert main(["tiny", "--output", str(tmp_path), "--waivers", str(needed)]) == 1
    faults = capsys.readouterr().err.splitlines()
    assert f"FAIL {needed}: waiver CASEINCOMPLETE is not needed" in faults, "the stub has no case statement"
    assert all(re.search(r"waiver \w+ is not needed$", fault) for fault in faults)

    missing = tmp_path / "none.vlt"
    missing.write_text("`verilator_config\n// Waivers: 0\n")
    assert main(["tiny", "--output", str(tmp_path), "--waivers", str(missing)]) == 1
    assert "FAIL tiny: %Warning-" in capsys.readouterr().err
    assert main(["nano"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
