"""Seeing an interrupt without one: the events that are enabled and have happened, read again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

from ssvq_gen.registers import REGISTER_BY_NAME

POLL_SECONDS_DEFAULT = 0.0005
_STATUS, _ENABLE = (REGISTER_BY_NAME[name].offset for name in ("IRQ_STATUS", "IRQ_ENABLE"))


def poll_interrupt(read32: Callable[[int], int], timeout_s: float, *, interval_s: float = POLL_SECONDS_DEFAULT) -> bool:
    """Wait until the core's interrupt line is high; False when that took `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not read32(_STATUS) & read32(_ENABLE):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(interval_s, left))
    return True
