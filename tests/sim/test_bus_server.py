"""The messages by which programs in other languages use a bus, and the command that serves a simulated core."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fake_device import FakeBus

from ssvq_gen.config import PRESETS
from ssvq_gen.registers import CORE_ID, REGISTER_BY_NAME
from ssvq_sim import bridge
from ssvq_sim.bus_server import ANSWERED, MESSAGE, REFUSED, Operation, serve

ENABLE = REGISTER_BY_NAME["IRQ_ENABLE"].offset


@contextmanager
def served(bus: FakeBus, raised: list[BaseException]) -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs:
            try:
                serve(bus, theirs)
            except Exception as error:
                raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with ours:
        ours.settimeout(20)
        yield ours
    thread.join()


def ask(connection: socket.socket, operation: int, offset: int = 0, value: int = 0) -> tuple[int, int]:
    connection.sendall(MESSAGE.pack(operation, offset, value))
    status, _, answer = MESSAGE.unpack(connection.recv(MESSAGE.size, socket.MSG_WAITALL))
    return status, answer


def test_all_operations() -> None:
    bus, raised = FakeBus(PRESETS["tiny"]), list[BaseException]()
    with served(bus, raised) as connection:
        assert ask(connection, Operation.MEMORY_BASE) == (ANSWERED, bus.memory_base)
        assert ask(connection, Operation.READ, 0) == (ANSWERED, CORE_ID)
        assert ask(connection, Operation.WRITE, ENABLE, 3) == (ANSWERED, 0)
        assert bus.registers["IRQ_ENABLE"] == 3
        assert ask(connection, Operation.WAIT, 0, 500_000) == (ANSWERED, 0)
        status, now = ask(connection, Operation.NOW)
        assert (status, now) == (ANSWERED, int(bus.elapsed() * 1e6))
        assert now >= 500_000
        bus.registers["IRQ_STATUS"] = 1
        assert ask(connection, Operation.WAIT, 0, 500_000) == (ANSWERED, 1)
    assert not raised


def test_messages_in_parts() -> None:
    with served(FakeBus(PRESETS["tiny"]), []) as connection:
        for byte in MESSAGE.pack(Operation.READ, 0, 0):
            connection.send(bytes([byte]))
        assert MESSAGE.unpack(connection.recv(MESSAGE.size, socket.MSG_WAITALL)) == (ANSWERED, 0, CORE_ID)
        connection.send(b"half")


@pytest.mark.parametrize(("operation", "offset"), [(99, 0), (Operation.READ, 0xFFC)])
def test_what_the_bus_refuses(operation: int, offset: int) -> None:
    raised: list[BaseException] = []
    with served(FakeBus(PRESETS["tiny"]), raised) as connection:
        assert ask(connection, operation, offset) == (REFUSED, 0)
        assert connection.recv(1) == b""
    assert len(raised) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "neither a preset"),
        (["tiny", "--memory-bytes", "0"], "--memory-bytes must be at least 1, not 0"),
    ],
)
def test_command_refuses(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bridge.main(arguments) == 2
    assert message in capsys.readouterr().err
