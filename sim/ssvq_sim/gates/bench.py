"""The cocotb test in the simulator's process: lets netlists with faults, as they are asked for, do the work."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import cocotb

from ssvq_gen.config import CoreConfig

from ..mutants.bench import Limits, judge_all_of
from ..scenarios.scenario import JobScenario
from .work import WORK_FILE, Work, bounded, problems_of_netlist

LIMITS = Limits(mutant=300, scenario=20)


@cocotb.test()
async def judge_faults(dut: Any) -> None:
    """Judge faults until standard input ends."""
    await judge_all_of(dut, scenarios, limits=LIMITS)


def scenarios(folder: Path, config: CoreConfig) -> list[JobScenario]:
    """The jobs, each with all that can be wrong with it."""
    data = json.loads((folder / WORK_FILE).read_text(encoding="utf-8"))
    found = []
    for job, expected in Work(**data["work"]).jobs(config):
        facts = data["facts"][job.name]
        check = partial(problems_of_netlist, config, job, expected, facts)
        found.append(JobScenario(job=bounded(job, facts), check=check))
    return found
