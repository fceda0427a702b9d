"""A driver's `Bus` for programs in other languages: messages through a socket, memory by a file that both map.

A message is 16 bytes in the machine's byte order: operation (uint32), register offset (uint32), value (uint64). Its
answer has operation 0 and the value, or operation 1 when the access failed. `sw/c/platform/ssvq_socket.c` is the other
end.
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

from ssvq.driver import Bus

MESSAGE = struct.Struct("=IIQ")
ANSWERED, REFUSED = 0, 1
_US = 1_000_000


class Operation(IntEnum):
    """What is asked of the bus; times are microseconds of its own clock."""

    READ = 1
    WRITE = 2
    WAIT = 3
    NOW = 4
    MEMORY_BASE = 5


def answer(bus: Bus, operation: int, offset: int, value: int) -> int:
    """Do what a message asks for, and return the value of its answer. Raises ValueError for an unknown operation."""
    match Operation(operation):
        case Operation.READ:
            return bus.read32(offset)
        case Operation.WRITE:
            bus.write32(offset, value)
            return 0
        case Operation.WAIT:
            return int(bus.wait_for_interrupt(value / _US))
        case Operation.NOW:
            return int(bus.elapsed() * _US)
        case Operation.MEMORY_BASE:
            return bus.memory_base


def serve(bus: Bus, connection: socket.socket) -> None:
    """Answer messages until the other end closes. What the bus raises passes through, after the other end was told."""
    while message := _receive(connection):
        try:
            value = answer(bus, *MESSAGE.unpack(message))
        except Exception:
            connection.sendall(MESSAGE.pack(REFUSED, 0, 0))
            raise
        connection.sendall(MESSAGE.pack(ANSWERED, 0, value))


def _receive(connection: socket.socket) -> bytes:
    """A whole message, or nothing when the other end has closed or is gone."""
    message = b""
    while len(message) < MESSAGE.size:
        try:
            part = connection.recv(MESSAGE.size - len(message))
        except ConnectionResetError:
            return b""
        if not part:
            return b""
        message += part
    return message
