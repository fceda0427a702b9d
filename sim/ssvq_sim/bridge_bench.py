"""The cocotb test in the simulator's process: serves the core's bus to programs that connect, one after the other.

Simulated time stands still unless the program that is connected reads, writes or waits. It ends with standard input.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge, resume

from ssvq_gen.config import CoreConfig

from .behaviour import MEMORY_BASE_DEFAULT, Behaviour
from .bus_server import serve
from .job_bench import DRAM_FILE, FOLDER_VARIABLE, hang_channels, power_up, set_ports
from .job_files import read_config
from .simulation_bus import AxiLiteMaster, SimulationBus

SOCKET_FILE = "bus.socket"
BEHAVIOUR_FILE = "behaviour.json"
"""Read for each program that connects: `dataclasses.asdict` of a `Behaviour`."""


@cocotb.test()
async def serve_programs(dut: Any) -> None:
    """Reset the core once, and then serve."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    config = read_config(folder)
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    bus = SimulationBus(dut, AxiLiteMaster(dut), memory, MEMORY_BASE_DEFAULT)
    await power_up(dut, config, memory_base=MEMORY_BASE_DEFAULT)
    await bridge(_serve_all)(dut, config, bus, folder)


def _serve_all(dut: Any, config: CoreConfig, bus: SimulationBus, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # Paths of sockets are short: this process is in the folder. Whoever sees the final name can connect.
        listener.bind(f".{SOCKET_FILE}")
        listener.listen()
        (folder / f".{SOCKET_FILE}").rename(folder / SOCKET_FILE)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                resume(_behave)(dut, config, folder / BEHAVIOUR_FILE)
                serve(bus, connection)


async def _behave(dut: Any, config: CoreConfig, file: Path) -> None:
    behaviour = Behaviour.from_dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else Behaviour()
    set_ports(dut, behaviour.ports(config.beat_bytes, MEMORY_BASE_DEFAULT))
    if behaviour.hang:
        cocotb.start_soon(hang_channels(dut, behaviour.hang))
