"""Building a core and its bench with Verilator, each content once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from cocotb_tools import config as cocotb_config

from ssvq_gen.config import MAX_BURST_BEATS, CoreConfig
from ssvq_gen.toolbox import VERILATOR_CXX_STANDARD
from ssvq_gen.verilog import TOP

from .cache import cache_root, cached_folder, content_key
from .core_verilog import CoreVerilog, core_verilog
from .verilator_runner import CompilerMissing, PortsOnlyVerilator, compiler, toolchain

_HERE = Path(__file__).resolve().parent
_SMALL_ARRAY = 256
"""MACs up to which a core is compiled for a short build rather than for speed, unless much is run."""
_LOG_LINES = 15
_WIDEST = 1024
"""Bits of the widest signal whose toggles are counted: more than any register has, fewer than most memories."""


class Runs(Enum):
    """How much a simulator will run, which says how long the compiler may take to make it fast.

    FEW builds in half of the time that SOME needs, and runs at half of its speed.
    """

    FEW = "-O0"
    SOME = "-O1"
    MANY = "-O2"


class BuildError(RuntimeError):
    """The simulator could not be built; the message ends with the last lines of the log."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is simulated around the core: the top module, and the files beside the core's Verilog."""

    toplevel: str
    files: tuple[str, ...]

    def of_kind(self, *suffixes: str) -> list[Path]:
        """Those of the files that have one of the suffixes, in their order."""
        return [_HERE / name for name in self.files if Path(name).suffix in suffixes]


FAST_BENCH = Bench(
    toplevel="bench_top", files=("bench.vlt", "dram.sv", "axi_checks.sv", "bus_times.sv", "bench_top.sv", "dram.cpp")
)
"""Memory in C++, for everything that has to be fast."""
PORTS_BENCH = Bench(toplevel=TOP, files=("ports.vlt",))
"""The core alone; Python drives all its ports."""


def random_contents(seed: int) -> tuple[str, str]:
    """Arguments of a process in which what has no value begins with one that follows from a seed, as `build_simulator`
    makes it with `unknowns`."""
    return f"+verilator+seed+{seed}", "+verilator+rand+reset+2"


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """A simulator that is ready to run.

    verilog_seconds, build_seconds : what was spent just now; zero for what came from the cache
    """

    config: CoreConfig
    executable: Path
    verilog: Path
    toplevel: str
    trace: bool
    verilog_seconds: float
    build_seconds: float


def _is_small(config: CoreConfig) -> bool:
    return config.rows * config.cols <= _SMALL_ARRAY


def _make_variables(config: CoreConfig, runs: Runs) -> tuple[str, ...]:
    if runs is Runs.SOME and not _is_small(config):
        runs = Runs.MANY
    tools = (f"CXX={compiler()}", f"LINK={compiler()}", "AR=ar", f"PYTHON3={sys.executable}")
    return (f"OPT_FAST={runs.value}", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2", *tools)


def _arguments(config: CoreConfig, trace: bool, coverage: bool, unknowns: bool, netlist: bool) -> list[str]:
    # A small core compiles fastest as one file, a large one, or one that counts, as several beside each other.
    split = "0" if _is_small(config) and not coverage and not netlist else "20000"
    unknown = "unique" if unknowns else "fast"
    return [
        *("-O3", "--x-assign", unknown, "--x-initial", unknown, "--output-split", split, "--quiet"),
        *("-Wno-fatal", "-Wno-lint", "-Wno-style", "-CFLAGS", VERILATOR_CXX_STANDARD),
        *(["--trace-vcd", "--trace-structs"] if trace else []),
        # `--coverage` as a whole crashes on Amaranth's Verilog.
        *(["--coverage-line", "--coverage-toggle", "--coverage-max-width", str(_WIDEST)] if coverage else []),
    ]


def build_simulator(
    config: CoreConfig,
    *,
    trace: bool = False,
    bench: Bench = FAST_BENCH,
    verilog: CoreVerilog | None = None,
    extra_defines: Mapping[str, int] = MappingProxyType({}),
    runs: Runs = Runs.SOME,
    coverage: bool = False,
    unknowns: bool = False,
    netlist: bool = False,
) -> Simulator:
    """The bench of a core, from the cache when nothing it is made from has changed. Raises BuildError.

    verilog : of the core, when it is to be another than the generator's
    extra_defines : macros of the bench
    runs : how much it will run; a large core is compiled for many where others are for some
    coverage : the simulator counts lines and toggles, and leaves them in coverage.dat
    unknowns : what has no value begins with a random one, which follows from the simulator's seed
    netlist : the Verilog is one of an FPGA's cells, which is large whatever the configuration says
    """
    verilog = verilog or core_verilog(config)
    start = time.monotonic()
    variables, arguments = _make_variables(config, runs), _arguments(config, trace, coverage, unknowns, netlist)
    defines = {
        "SSVQ_ADDR_WIDTH": config.axi_addr_width,
        "SSVQ_DATA_WIDTH": config.axi_data_width,
        "SSVQ_MAX_BEATS": MAX_BURST_BEATS,
        **extra_defines,
    }
    try:
        tools = f"{toolchain()},{cocotb_config.libs_dir}"
    except CompilerMissing as error:
        raise BuildError(str(error)) from error
    key = content_key(
        {
            **{name: (_HERE / name).read_bytes() for name in bench.files},
            "verilog": verilog.path.read_bytes(),
            **{path.name: path.read_bytes() for path in verilog.models},
            "flags": " ".join([bench.toplevel, *variables, *arguments, *(f"{k}={v}" for k, v in defines.items())]),
            "tools": tools,
        }
    )

    def make(folder: Path) -> None:
        runner = PortsOnlyVerilator()
        runner.make_variables, runner.coverage = variables, coverage
        objects, log = folder / "objects", folder / "build.log"
        try:
            runner.build(
                sources=[*bench.of_kind(".vlt"), verilog.path, *verilog.models, *bench.of_kind(".sv")],
                defines=defines,
                build_args=[*arguments, *map(str, bench.of_kind(".cpp"))],
                hdl_toplevel=bench.toplevel,
                build_dir=objects,
                timescale=("1ns", "1ns"),
                waves=trace,
                log_file=log,
                always=True,
            )
        except (RuntimeError, subprocess.CalledProcessError, SystemExit) as error:
            text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else str(error)
            lines = [line for line in text.splitlines() if line.strip()]
            raise BuildError("the simulator was not built:\n" + "\n".join(lines[-_LOG_LINES:])) from error
        runner.keep_library()
        shutil.move(objects / bench.toplevel, folder / bench.toplevel)
        shutil.rmtree(objects)

    folder, made = cached_folder("simulator", key, make)
    return Simulator(
        config=config,
        executable=folder / bench.toplevel,
        verilog=verilog.path,
        toplevel=bench.toplevel,
        trace=trace,
        verilog_seconds=verilog.seconds,
        build_seconds=time.monotonic() - start if made else 0.0,
    )


def main() -> None:
    """Build the simulators of the named configurations."""
    for name in sys.argv[1:]:
        built = build_simulator(CoreConfig.load(name))
        print(f"{name}: Verilog {built.verilog_seconds:.1f} s, C++ {built.build_seconds:.1f} s, in {cache_root()}")


if __name__ == "__main__":
    main()
