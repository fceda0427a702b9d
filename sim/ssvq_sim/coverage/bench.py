"""The cocotb test in the simulator's process: all scenarios on one core; the simulator writes its counts at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from ..job_bench import DRAM_FILE, FOLDER_VARIABLE, current_cycle, power_up
from ..job_files import read_config, write_json
from ..scenarios.scenario import SimulatedCore
from ..simulation_bus import AxiLiteMaster
from .workload import workload

PLAYED_FILE, PROGRESS_FILE = "played.json", "progress.json"


@cocotb.test()
async def cover(dut: Any) -> None:
    """Run all scenarios; the folder's file of those that were played has for each its cycles and what was wrong."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    config = read_config(folder)
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    registers = AxiLiteMaster(dut)
    await power_up(dut, config)
    core = SimulatedCore(dut=dut, config=config, registers=registers, memory=memory)
    scenarios = list(workload(config))
    played: list[dict[str, Any]] = []
    for number, scenario in enumerate(scenarios):
        write_json(folder / PROGRESS_FILE, {"done": number, "total": len(scenarios), "name": scenario.name})
        begin = current_cycle()
        try:
            found = await scenario.problems(core)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        played.append({"name": scenario.name, "begin": begin, "end": current_cycle(), "problems": found})
    write_json(folder / PLAYED_FILE, played)
