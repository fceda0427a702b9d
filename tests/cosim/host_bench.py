"""The scenes of a host as cocotb tests: a module for the fast bench, started by test_host.py."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
import pytest
from cocotb.clock import Clock
from cocotb.task import bridge, resume

from ssvq.program_file import BadMagic, CorruptFile, ProgramFileError, load_program, program_to_bytes
from ssvq_sim.behaviour import CLOCK_NS, Behaviour
from ssvq_sim.job_bench import DRAM_FILE, FILL, FOLDER_VARIABLE
from ssvq_sim.simulation_bus import reset
from ssvq_sim.systems.host import Host
from ssvq_sim.systems.host_scenes import SCENES
from ssvq_sim.systems.work import BASE, CONFIG, GOOD

_SCENE_MS = 20
"""Simulated time after which a scene has failed."""


def scene(function: Callable[[Host], None]) -> Any:
    """A cocotb test from a blocking function; every scene begins with a reset and ends with a healthy core."""

    async def run(dut: Any) -> None:
        memory = np.memmap(Path(os.environ[FOLDER_VARIABLE]) / DRAM_FILE, dtype=np.uint8, mode="r+")
        for name, value in Behaviour().ports(CONFIG.beat_bytes, BASE).items():
            getattr(dut, name).value = value
        Clock(dut.aclk, CLOCK_NS, unit="ns").start()
        await bridge(_play)(dut, memory, function)

    run.__name__ = run.__qualname__ = function.__name__
    run.__doc__ = function.__doc__
    return cocotb.test(timeout_time=_SCENE_MS, timeout_unit="ms")(run)


def _play(dut: Any, memory: npt.NDArray[np.uint8], function: Callable[[Host], None]) -> None:
    resume(reset)(dut)
    host = Host(dut, memory)
    function(host)
    host.check_healthy()


@scene
def program_files(host: Host) -> None:
    """A damaged program file is refused before the core is touched; the good one runs."""
    good = program_to_bytes(GOOD.program)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "job.program"
        damaged: tuple[tuple[type[ProgramFileError], bytes], ...] = (
            (BadMagic, b"SSVQPROX" + good[8:]),
            (CorruptFile, good[:-1] + bytes([good[-1] ^ 1])),
            (CorruptFile, good[:2000] + bytes([good[2000] ^ 0x10]) + good[2001:]),
        )
        for error, data in damaged:
            path.write_bytes(data)
            with pytest.raises(error, match=path.name):
                load_program(path)
            assert host.status() == 0
        path.write_bytes(good)
        host.memory[:] = FILL
        result = host.device.run(load_program(path), GOOD.inputs, timeout_s=1e-3)
    for layer, found in result.outputs.items():
        np.testing.assert_array_equal(found, GOOD.expected[layer])


for _scene in SCENES:
    globals()[_scene.__name__] = scene(_scene)
