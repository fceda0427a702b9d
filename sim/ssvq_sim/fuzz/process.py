"""Running a worker, and what its death says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .execution import Finding
from .scratch import SCRATCH_VARIABLE, new_folder
from .status import Status
from .worker_job import STATUS_FILE, Job

SILENCE_MAX = 60.0
"""Seconds without a new input after which a worker is ended: its reader waits, or is in code that takes no signals."""
START_MAX = 600.0
"""The same, before the first input."""
_INTERVAL = 0.2
LOG_FILE = "worker.log"
_FRAME = re.compile(r'File "[^"]*/(ssvq(?:_gen)?/[^"]*)", line \d+ in (\w+)')


class WorkerError(RuntimeError):
    """A worker came to nothing before it read an input; the text has what it printed."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a worker ended.

    Parameters
    ----------
    status : its counts
    death : what killed it, and with which input; None when it did all of its job
    """

    status: Status
    death: tuple[Finding, bytes] | None


def run_worker(
    job: Job, on_progress: Callable[[Status], None], *, silence: float = SILENCE_MAX, start: float = START_MAX
) -> Ended:
    """Carry out a job in a process. Raises WorkerError when it cannot begin."""
    folder = Path(job.folder)
    status = Status(folder / STATUS_FILE, new=True)
    scratch = new_folder()
    sources = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)  # the worker imports what is here
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": sources, SCRATCH_VARIABLE: str(scratch)}
    command = [sys.executable, "-m", "ssvq_sim.fuzz.worker", job.to_argument()]
    try:
        with (folder / LOG_FILE).open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=scratch
            )
            try:
                is_silent = _watch(process, status, on_progress, silence=silence, start=start)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    status.look()
    text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    if process.returncode == 0:
        return Ended(status=status, death=None)
    if not status.examples + status.executions:
        raise WorkerError(f"the worker of {job.target} read nothing:\n{text[-3000:]}")
    return Ended(status=status, death=(_death(process.returncode, text, is_silent=is_silent), status.content))


def _watch(
    process: subprocess.Popen[bytes],
    status: Status,
    on_progress: Callable[[Status], None],
    *,
    silence: float,
    start: float,
) -> bool:
    """Wait for the end; True when it was ended for its silence."""
    last, since = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(_INTERVAL)
        status.look()
        on_progress(status)
        count = status.examples + status.executions
        if count != last:
            last, since = count, time.monotonic()
        elif time.monotonic() - since > (silence if count else start):
            process.send_signal(signal.SIGABRT)  # of which faulthandler prints where it was
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            return True
    return False


def _death(code: int, text: str, *, is_silent: bool) -> Finding:
    found = _FRAME.search(text)
    place = f"{found[1]}:{found[2]}" if found else ""
    if is_silent:
        return Finding(kind="hang", text="it came to no end, and the process was ended", place=place)
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Finding(kind="died", text=f"the process ended with {name}: {text[-300:].strip()}", place=place or name)
