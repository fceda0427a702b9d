"""What reading may take of time and memory, and what it may not do at all."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import resource
import signal
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS_MAX = 10.0
"""Processor time for one input."""
_STATM = Path("/proc/self/statm")
_PAGE = resource.getpagesize()
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "pickle.find_class",
)
"""What a file must not bring about; to write another file and to run a text as code are likewise forbidden."""

_RUN_OWN_TEXT = (typing.__file__, dataclasses.__file__, collections.__file__)
"""These run texts of the sources, such as annotations."""


class TimeLimitError(BaseException):
    """Reading took too much processor time. No handler of ordinary exceptions takes it for one."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeLimitError in what runs longer. Processor time, as other work on the machine makes no reader slow."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def memory_limit(count: int) -> Iterator[None]:
    """Lets the process's address space grow by so many bytes, whoever asks: Python, NumPy, PyTorch or a C++ library."""
    pages = int(_STATM.read_bytes().split(maxsplit=1)[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * _PAGE + count
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Watch:
    """Notes what is forbidden, of all that Python reports to audit hooks; one for a process, as hooks stay.

    Parameters
    ----------
    writable : folder in which files may be written

    Members
    -------
    armed : whether notes are taken
    seen : the notes
    """

    def __init__(self, writable: Path) -> None:
        self._writable = str(writable.resolve())
        self.armed = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.armed and (event in FORBIDDEN or self._runs_text(event, arguments) or self._writes(event, arguments)):
            self.seen.append(f"{event} {arguments!r:.200}")

    @staticmethod
    def _runs_text(event: str, arguments: tuple[Any, ...]) -> bool:
        if event != "exec" or not getattr(arguments[0], "co_filename", "").startswith("<"):
            return False
        return sys._getframe(2).f_code.co_filename not in _RUN_OWN_TEXT

    def _writes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event != "open" or not isinstance(arguments[2], int) or not isinstance(arguments[0], str | bytes):
            return False
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        return bool(writes) and not os.path.realpath(os.fsdecode(arguments[0])).startswith(self._writable)
