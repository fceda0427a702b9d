"""Progress of long runs: a line that changes on a terminal, and lines that stay when the output goes to a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.status import Status

QUIET_SECONDS = 30.0
"""In a file, how long a step may run before the next of its lines."""


class Stage:
    """Shows what runs, and for how long: `with Stage("tiny on ECP5") as stage: stage.step("synthesis")(text)`."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begin = self._last = time.monotonic()
        self._console = Console(stderr=True)
        self._status: Status | None = self._console.status(title) if sys.stderr.isatty() else None

    def __enter__(self) -> Stage:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def step(self, name: str) -> Callable[[str], None]:
        """What a tool is given to tell its progress to, a line at a time."""
        return lambda text: self._show(f"{self._title}, {name}: {text}")

    def _show(self, text: str) -> None:
        now = time.monotonic()
        line = f"{text} ({now - self._begin:.0f} s)"
        if self._status is not None:
            self._status.update(line)
        elif now - self._last >= QUIET_SECONDS:
            self._last = now
            print(line, file=sys.stderr, flush=True)
