"""The simulator's process from outside: one judge for all mutants of a core."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from ..job_bench import DRAM_FILE
from ..job_files import write_config, write_json
from ..runner import LOG_FILE, MEMORY_BYTES_DEFAULT, SimulationError, log_tail, start_simulator, stop
from ..simulator import Simulator
from .verdict import Verdict

BENCH_MODULE = "ssvq_sim.mutants.bench"
WORKLOAD_FILE = "workload.json"
START_SECONDS = 300.0
"""Longest that the golden results may take."""
MUTANT_SECONDS = 1800.0
"""Longest that a mutant may take, which ends by itself long before."""
_POLL_SECONDS = 0.002


def verdict_file(folder: Path, number: int) -> Path:
    """Where the verdict on a mutant is written."""
    return folder / f"{number}.verdict.json"


class Judge:
    """Lets mutants of a simulator run the scenarios. A context manager.

    scenarios : their names, in their order
    digest : stands for everything that a verdict depends on beside the simulator

    module : cocotb module that judges, with `judge_all_of`
    files : what that module finds in its folder, by name
    arguments : of the simulator's process
    """

    scenarios: Sequence[str]
    digest: str

    def __init__(
        self,
        simulator: Simulator,
        *,
        module: str = BENCH_MODULE,
        files: Mapping[str, Any] = MappingProxyType({}),
        arguments: Sequence[str] = (),
    ) -> None:
        self._simulator = simulator
        self._module = module
        self._files = files
        self._arguments = tuple(arguments)
        self._temporary = tempfile.TemporaryDirectory(prefix="ssvq-mutants-")
        self._folder = Path(self._temporary.name)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it. Raises SimulationError."""
        folder = self._folder
        write_config(folder, self._simulator.config)
        for name, value in self._files.items():
            write_json(folder / name, value)
        with (folder / DRAM_FILE).open("wb") as file:
            file.truncate(MEMORY_BYTES_DEFAULT)
        with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
            self._process = start_simulator(
                *(self._simulator, self._module, folder),
                log_file=log.fileno(),
                stdin=subprocess.PIPE,
                arguments=self._arguments,
            )
        try:
            data = self._await(folder / WORKLOAD_FILE, START_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.scenarios, self.digest = tuple(data["scenarios"]), str(data["digest"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            stop(process)
            if process.stdin is not None:
                process.stdin.close()
        self._temporary.cleanup()

    def verdict(self, number: int, first: Sequence[str] = ()) -> Verdict:
        """Judge a mutant; 0 is the core itself. Raises SimulationError when the judge itself is gone.

        first : scenarios that come first, in this order; it costs nothing to name one that there is no more
        """
        process = self._process
        if process is None or process.stdin is None:
            raise SimulationError("the simulator has not started")
        process.stdin.write(f"{json.dumps([number, list(first)])}\n".encode())
        process.stdin.flush()
        return Verdict(**self._await(verdict_file(self._folder, number), MUTANT_SECONDS))

    def _await(self, path: Path, seconds: float) -> dict[str, Any]:
        """What is in a file that the process writes, once; it is removed."""
        deadline = time.monotonic() + seconds
        while not path.exists():
            if self._process is None or self._process.poll() is not None:
                raise SimulationError(f"the simulator ended before {path.name} was there:\n{log_tail(self._folder)}")
            if time.monotonic() > deadline:
                raise SimulationError(f"no {path.name} after {seconds} s:\n{log_tail(self._folder)}")
            time.sleep(_POLL_SECONDS)
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        return data
