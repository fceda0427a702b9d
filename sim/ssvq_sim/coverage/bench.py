"""The cocotb test in the simulator's process: all scenarios on one core; the simulator writes its counts at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from ..job_bench import DRAM_FILE, FOLDER_VARIABLE, power_up
from ..job_files import read_config, write_json
from ..scenarios.scenario import SimulatedCore
from ..simulation_bus import AxiLiteMaster
from .workload import workload

PROBLEMS_FILE, PROGRESS_FILE = "problems.json", "progress.json"


@cocotb.test()
async def cover(dut: Any) -> None:
    """Run all scenarios; each that is not right is named in the folder's file of problems."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    config = read_config(folder)
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    registers = AxiLiteMaster(dut)
    await power_up(dut, config)
    core = SimulatedCore(dut=dut, config=config, registers=registers, memory=memory)
    scenarios = list(workload(config))
    problems: dict[str, list[str]] = {}
    for number, scenario in enumerate(scenarios):
        write_json(folder / PROGRESS_FILE, {"done": number, "total": len(scenarios), "name": scenario.name})
        try:
            found = await scenario.problems(core)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            problems[scenario.name] = found
    write_json(folder / PROBLEMS_FILE, problems)
