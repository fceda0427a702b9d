"""Going on in a copy of this process, so that what happens there leaves no trace here: a mutant cannot spoil the next.

A simulator with its Python takes seconds to start and its golden results seconds to compute. A copy has both at once.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import time
from dataclasses import dataclass
from typing import NoReturn

_POLL_SECONDS = 0.002
_GRACE = 20
"""Real seconds for each second of the processor, on a machine that has other things to do."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a copy ended: what it said, and its exit code or minus the signal that ended it."""

    said: str
    code: int

    @property
    def out_of_time(self) -> bool:
        """It was ended because it took too long."""
        return self.code in (-signal.SIGXCPU, -signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """This process is the copy."""

    pipe: int

    def end(self, said: str) -> NoReturn:
        """End it at once; the parent is told."""
        data = said.encode()
        while data:
            data = data[os.write(self.pipe, data) :]
        os._exit(0)


def allow(cpu_seconds: int) -> None:
    """Let this process, a copy, take so much more of the processor from now on."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(usage.ru_utime + usage.ru_stime) + cpu_seconds
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (min(limit, most), most))


def fork(cpu_seconds: int) -> Copy | Ending:
    """Returns twice: a `Copy` in the copy, and here, when the copy has ended, its `Ending`.

    A copy that takes more than `cpu_seconds` of the processor is ended. Threads are not copied.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        return Copy(pipe=write)
    os.close(write)
    code = _await(child, time.monotonic() + _GRACE * cpu_seconds)
    with os.fdopen(read, encoding="utf-8") as file:
        return Ending(said=file.read(), code=code)


def _await(child: int, deadline: float) -> int:
    """The exit code of a process, which is killed at the deadline."""
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
