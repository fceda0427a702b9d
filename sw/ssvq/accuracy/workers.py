"""Several processes on one sweep: each takes a run that no other has taken."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


@contextmanager
def claimed(folder: Path, digest: str) -> Iterator[bool]:
    """Whether this process has the run until the context ends; a process that dies gives its runs back.

    Args:
        folder: of lock files; is made.
        digest: of the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{digest}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def run_workers(count: int, arguments: Sequence[str]) -> int:
    """Run this command `count` times side by side, with its share of the cores each, and wait.

    Two processes of one thread get more done than one of two, whose threads wait for each other at every small step.
    SIGTERM is passed on; the keyboard's SIGINT reaches all processes by itself.

    Returns:
        The largest exit code.
    """
    threads = max(1, (os.cpu_count() or 1) // count)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "ssvq.accuracy", *arguments]
    workers = [subprocess.Popen(command, env=environment) for _ in range(count)]

    def stop(number: int, _frame: FrameType | None) -> None:
        for worker in workers:
            worker.send_signal(number)

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, stop)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return max(abs(worker.wait()) for worker in workers)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
