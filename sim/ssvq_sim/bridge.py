"""A simulated core that programs in other languages drive, `sw/c/run` for one.

python -m ssvq_sim.bridge tiny --folder build/bridge
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig

from .behaviour import Behaviour
from .bridge_bench import BEHAVIOUR_FILE, SOCKET_FILE
from .job_bench import DRAM_FILE
from .job_files import write_config, write_json
from .runner import LOG_FILE, MEMORY_BYTES_DEFAULT, SimulationError, log_tail, start_simulator, stop
from .simulator import BuildError, Simulator, build_simulator

MODULE = "ssvq_sim.bridge_bench"
_START_SECONDS = 60.0
_END_SECONDS = 20.0
_POLL_SECONDS = 0.01


class BridgedCore:
    """A simulator process that serves its bus at `socket`. A context manager.

    memory : the DRAM window, uint8, shared with the simulator and with programs that map `memory_file`

    Raises SimulationError when the process does not start, or has ended before the context does.
    """

    def __init__(self, simulator: Simulator, *, folder: Path, memory_bytes: int = MEMORY_BYTES_DEFAULT) -> None:
        self._simulator = simulator
        self._folder = folder.absolute()
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where to connect."""
        return self._folder / SOCKET_FILE

    @property
    def memory_file(self) -> Path:
        """What to map."""
        return self._folder / DRAM_FILE

    @property
    def memory(self) -> npt.NDArray[np.uint8]:
        """The DRAM window."""
        return np.memmap(self.memory_file, dtype=np.uint8, mode="r+")

    def behave(self, behaviour: Behaviour) -> None:
        """Set how the memory behaves, from the next program on that connects."""
        write_json(self._folder / BEHAVIOUR_FILE, asdict(behaviour))

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in (SOCKET_FILE, f".{SOCKET_FILE}", BEHAVIOUR_FILE):
            (self._folder / name).unlink(missing_ok=True)
        write_config(self._folder, self._simulator.config)
        with self.memory_file.open("wb") as file:
            file.truncate(self._memory_bytes)
        with (self._folder / LOG_FILE).open("w", encoding="utf-8") as log:
            self._process = start_simulator(
                self._simulator, MODULE, self._folder, log_file=log.fileno(), stdin=subprocess.PIPE
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                stop(self._process)
                raise SimulationError(f"the simulator did not start:\n{log_tail(self._folder)}")
            time.sleep(_POLL_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        ended = process.poll() is not None
        process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            stop(process)
        self.socket.unlink(missing_ok=True)
        if ended and kind is None:
            raise SimulationError(f"the simulator ended with {process.returncode}:\n{log_tail(self._folder)}")

    def wait(self) -> None:
        """Wait until the simulator ends. Raises KeyboardInterrupt."""
        if self._process is not None:
            self._process.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ssvq_sim.bridge",
        description="Simulate a core and serve its registers and interrupt at a Unix socket, its DRAM as a file to map."
        " Ends with Ctrl-C. Simulated time advances only while a program reads, writes or waits.",
        epilog="example: make -C sw/c CORE=../../build/tiny && sw/c/build/ssvq_run --socket FOLDER/bus.socket"
        " --memory FOLDER/dram.bin layer.program --input fc=x.bin --output fc=y.bin",
    )
    parser.add_argument("config", help="a preset or a TOML file")
    parser.add_argument("--folder", type=Path, help="where socket and memory are made; a temporary one if not given")
    parser.add_argument(
        "--memory-bytes", type=int, default=MEMORY_BYTES_DEFAULT, help="size of the DRAM (default: %(default)s)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    given = _parser().parse_args(arguments)
    try:
        if given.memory_bytes < 1:
            raise ValueError(f"--memory-bytes must be at least 1, not {given.memory_bytes}")
        simulator = build_simulator(CoreConfig.load(given.config))
        with (
            tempfile.TemporaryDirectory(prefix="ssvq-") as temporary,
            BridgedCore(simulator, folder=given.folder or Path(temporary), memory_bytes=given.memory_bytes) as core,
        ):
            print(f"--socket {core.socket} --memory {core.memory_file}", flush=True)
            core.wait()
    except KeyboardInterrupt:
        return 0
    except (ValueError, BuildError, SimulationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1


if __name__ == "__main__":
    sys.exit(main())
