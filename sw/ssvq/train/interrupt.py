"""Requests to stop, from the keyboard or the system, that wait until it is a good moment."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While this context is active, the first SIGINT and the first SIGTERM are noted; a second does what it did before.

    Attributes:
        signal: the number of the one that came first, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal = self.signal or number
        # that of the other stays: a launcher may send SIGTERM after the terminal has sent SIGINT
        signal.signal(number, self._before.pop(signal.Signals(number)))

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
