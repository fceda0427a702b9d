"""Run a job on a core in a simulated LiteX SoC, with the driver at the other end of the SoC's bridge.

    python integration/litex/simulate.py tiny        # after `make verilog CONFIG=tiny`; needs litex (the extra `litex`)

Makes the SoC's Verilog with LiteX, builds it and `bridge_bench.v` with Verilator, and runs `ssvq.driver.Device` over
`litex_bus`: the program goes through the bridge to the SoC's RAM, the core reads it from there over the SoC's bus.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from litex_bus import BridgeError, LitexBus, Uartbone

from ssvq.driver import Device, DriverError
from ssvq_gen.config import ConfigError, CoreConfig
from ssvq_gen.toolbox import ToolError, run_verilator
from ssvq_gen.verilog import CELL_MODEL_NAMES
from ssvq_sim.smoke.job import smoke_job

HERE = Path(__file__).resolve().parent
TOP = "bridge_bench"
_RAM, _RAM_BYTES, _REGISTERS = 0x40000000, 0x10000, 0x30000000
"""Addresses in `simulated_soc.py`, which only Python with LiteX can import."""
_BYTE_SECONDS = 64 * 10e-9
"""`ANSWER_CYCLES` of the bench and its clock's period."""
_TIMEOUT_S = 0.1
"""Of simulated time: ten million cycles."""
_VERILATOR = [
    *(
        "--binary",
        "--top-module",
        TOP,
        "--timescale",
        "1ns/1ps",
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--Mdir",
        ".",
    ),
    *("-CFLAGS", "-std=c++20", "-MAKEFLAGS", "OPT_FAST=-O0", "-MAKEFLAGS", "OPT_GLOBAL=-O0"),
]


class Pipes:
    """The bench's two named pipes as a byte stream."""

    def __init__(self, commands: IO[bytes], answers: IO[bytes]) -> None:
        self._commands = commands
        self._answers = answers
        self._sent = 0

    def elapsed(self) -> float:
        """Simulated seconds, at least: the bench lets the SoC run between two bytes."""
        return self._sent * _BYTE_SECONDS

    def write(self, data: bytes) -> int:
        """Send bytes to the bridge."""
        count = self._commands.write(data)
        self._commands.flush()
        self._sent += count
        return count

    def read(self, size: int) -> bytes:
        """Bytes from the bridge; fewer when the simulation has ended."""
        lines = [self._answers.readline() for _ in range(size)]
        return bytes(int(line, 16) for line in lines if line)


def make_soc(core: Path, folder: Path) -> None:
    """Write the SoC's Verilog. Raises ToolError."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / "simulated_soc.py"), "--core", str(core.resolve()), "--output-dir", "."]
    # LiteX writes the contents of memories to the folder in which it runs, which is where the simulator reads them.
    result = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise ToolError("LiteX failed:\n" + "\n".join(result.stdout.splitlines()[-12:]))


def build(core: Path, folder: Path) -> Path:
    """Build the simulator of a SoC that `make_soc` wrote. Raises ToolError."""
    models = [path for name in CELL_MODEL_NAMES if (path := core.resolve() / "sim" / name).is_file()]
    sources = [HERE / f"{TOP}.v", folder / "simulated_soc.v", core.resolve() / "ssvq_core.v", *models]
    result = run_verilator([*_VERILATOR, *map(str, sources)], cwd=folder)
    if result.returncode:
        raise ToolError("Verilator failed:\n" + "\n".join(result.stdout.splitlines()[-12:]))
    return folder / f"V{TOP}"


def run(config: CoreConfig, simulator: Path) -> int:
    """Run the smoke job through the bridge; bytes of output that are right. Raises BridgeError, DriverError, ToolError.

    Every byte is compared with the integer reference: ToolError names the first that differs.
    """
    folder, job = simulator.parent, smoke_job(config)
    for name in ("commands", "answers"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    with subprocess.Popen([simulator], cwd=folder, stdout=subprocess.DEVNULL) as process:
        with (folder / "commands").open("wb") as commands, (folder / "answers").open("rb") as answers:
            pipes = Pipes(commands, answers)
            bus = LitexBus(
                Uartbone(pipes), registers=_REGISTERS, memory_base=_RAM, memory_bytes=_RAM_BYTES, clock=pipes.elapsed
            )
            outputs = Device(bus, config).run(job.program, job.inputs, timeout_s=_TIMEOUT_S).outputs
        process.wait()
    found = outputs[job.program.jobs[0].name]
    wrong = (found != job.expected).nonzero()
    if wrong[0].size:
        token, channel = (int(index[0]) for index in wrong)
        rule = f"{found[token, channel]} instead of {job.expected[token, channel]}"
        raise ToolError(f"token {token}, channel {channel}: {rule}; {wrong[0].size} values differ")
    return found.size


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when something fails, 2 when the configuration is bad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a preset or a TOML file, already generated")
    parser.add_argument("--output", type=Path, default=Path("build"), help="folder of the cores (default: build)")
    options = parser.parse_args(arguments)
    try:
        config = CoreConfig.load(options.config)
        core = options.output / config.name
        folder = (core / "litex").resolve()
        make_soc(core, folder)
        count = run(config, build(core, folder))
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (BridgeError, DriverError, ToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"PASS: {count} bytes of output as the reference has them, through LiteX's bridge")
    return 0


if __name__ == "__main__":
    sys.exit(main())
