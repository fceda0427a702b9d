"""The cocotb test in the simulator's process: lets mutants, as they are asked for, do the scenarios.

The caller writes the number of a mutant and the names of scenarios that come first to standard input, a line of JSON
each, and closes it at the end. A mutant runs in a copy of the process that nothing has happened in yet, from its reset
on: first in one that does what comes first, then in another that does all scenarios in their own order. So a verdict
that it survives does not depend on what came first.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import cocotb
import numpy as np

from ssvq_gen.config import CoreConfig

from ..job_bench import DRAM_FILE, FOLDER_VARIABLE, power_up
from ..job_files import read_config, write_json
from ..runner import VIOLATION_FILE
from ..scenarios.scenario import Scenario, SimulatedCore
from ..scenarios.workload import workload
from ..simulation_bus import AxiLiteMaster
from .fork import Copy, Ending, allow, fork
from .judge import WORKLOAD_FILE, verdict_file
from .sources import workload_digest
from .verdict import Verdict

_PROBLEM_CHARACTERS = 300


@cocotb.test()
async def judge_mutants(dut: Any) -> None:
    """Judge mutants until standard input ends."""
    await judge_all_of(dut, lambda _, config: workload(config), limits=Limits())


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds of the processor.

    Attributes:
        mutant: for all scenarios of one mutant.
        scenario: for one scenario.
    """

    mutant: int = 60
    scenario: int = 2
    """The longest scenario of the mutants takes a tenth of that."""


async def judge_all_of(
    dut: Any, scenarios_of: Callable[[Path, CoreConfig], Sequence[Scenario]], *, limits: Limits
) -> None:
    """Judge mutants until standard input ends.

    scenarios_of : gives the scenarios of a core, once; it may read files in the folder that it is given
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    config = read_config(folder)
    scenarios = scenarios_of(folder, config)
    write_json(folder / WORKLOAD_FILE, {"digest": workload_digest(), "scenarios": [s.name for s in scenarios]})
    for line in sys.stdin:
        (number, first), start = json.loads(line), time.monotonic()
        for chosen in turns(scenarios, first):
            (folder / VIOLATION_FILE).unlink(missing_ok=True)
            ending = fork(limits.mutant)
            if isinstance(ending, Copy):
                await _judge(dut, config, chosen, folder, number, ending, limits)
            verdict = _verdict(folder, number, ending, start, limits)
            if verdict.killed:
                break
        write_json(verdict_file(folder, number), asdict(verdict))


def turns(scenarios: Sequence[Scenario], first: Sequence[str]) -> list[list[Scenario]]:
    """What a mutant does until it is killed: those scenarios that come first, if there are any, then all."""
    by_name = {scenario.name: scenario for scenario in scenarios}
    chosen = [by_name[name] for name in dict.fromkeys(first) if name in by_name]
    return [*([chosen] if chosen else []), list(scenarios)]


async def _judge(
    dut: Any, config: CoreConfig, scenarios: Sequence[Scenario], folder: Path, number: int, copy: Copy, limits: Limits
) -> NoReturn:
    """Run scenarios up to the first that is not right. A line is said when one begins, and its problem."""
    memory = np.memmap(folder / DRAM_FILE, dtype=np.uint8, mode="r+")
    dut.bus_mutant.value = number
    registers = AxiLiteMaster(dut)
    await power_up(dut, config)
    core = SimulatedCore(dut=dut, config=config, registers=registers, memory=memory)
    name = ""
    try:
        for scenario in scenarios:
            name = scenario.name
            allow(limits.scenario)
            os.write(copy.pipe, f"{json.dumps([name, ''])}\n".encode())
            if problems := await scenario.problems(core):
                copy.end(json.dumps([name, problems[0][:_PROBLEM_CHARACTERS]]))
    except Exception as error:
        copy.end(json.dumps([name, f"{type(error).__name__}: {error}"[:_PROBLEM_CHARACTERS]]))
    copy.end(json.dumps([None, ""]))


def _verdict(folder: Path, number: int, ending: Ending, start: float, limits: Limits) -> Verdict:
    said = [json.loads(line) for line in ending.said.splitlines()]
    scenario, problem = said[-1] if said else ("", "")
    violation = folder / VIOLATION_FILE
    if violation.exists():
        problem = violation.read_text(encoding="utf-8")
    elif ending.out_of_time:
        problem = f"no end after {limits.scenario} s of the processor"
    elif ending.code:
        problem = f"the simulator ended with {ending.code}"
    return Verdict(number=number, scenario=scenario, problem=problem, seconds=round(time.monotonic() - start, 3))
