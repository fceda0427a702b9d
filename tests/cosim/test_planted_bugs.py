"""Deliberate bugs in the core, one for each kind that such cores are known for: the suite has to name what is wrong."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from planted import broken

from ssvq_gen.verilog import TOP, build_core, emit_verilog
from ssvq_sim.core_verilog import CoreVerilog
from ssvq_sim.faults.campaign import inject, injections
from ssvq_sim.simulator import Runs, Simulator, build_simulator
from ssvq_sim.systems import batch
from ssvq_sim.systems.batch import random_systems, run_systems
from ssvq_sim.systems.work import CONFIG

SYSTEMS = "random systems"


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A line of a component that is wrong.

    Attributes:
        component: class and, before it, its module; `user` is the module that takes it from there.
        check: the random systems, or a group of faults, that has to find it.
        named: what one of the problems has to say.
    """

    component: str
    user: str
    right: str
    wrong: str
    check: str
    named: str


BUGS = {
    "a wrong sign": Bug(
        component="decoder.Decoder",
        user="matmul",
        right="negative = signs[row][lane]",
        wrong="negative = signs[row][lane] & (row != 3)",
        check=SYSTEMS,
        named="outputs of",
    ),
    "rows that are one window too long": Bug(
        component="window_walk.WindowWalk",
        user="feeder",
        right="output_x == shape.output_width - 1",
        wrong="output_x == shape.output_width",
        check=SYSTEMS,
        named="outputs of",
    ),
    "a WLAST that is not there": Bug(
        component="store.StoreEngine",
        user="core",
        right="last.eq(ends),",
        wrong="last.eq(ends & (position != MAX_BURST_BEATS - 1)),",
        check=SYSTEMS,
        named="WLAST",
    ),
    "a length that is not checked": Bug(
        component="descriptor_check.DescriptorCheck",
        user="dispatcher",
        right="((fields.dram_bytes == 0) ^ (is_product | is_vector))",
        wrong="((fields.dram_bytes == 0) & is_load)",
        check="descriptors",
        named="dram_bytes",
    ),
    "bursts behind an error": Bug(
        component="store.StoreEngine",
        user="core",
        right="stop.eq(self.halt | failed)",
        wrong="stop.eq(failed)",
        check="beats",
        named="cycles after the error",
    ),
}


def simulator_with(bug: Bug, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    module, name = bug.component.split(".")
    component = getattr(importlib.import_module(f"ssvq_rtl.{module}"), name)
    monkeypatch.setattr(importlib.import_module(f"ssvq_rtl.{bug.user}"), name, broken(component, bug.right, bug.wrong))
    path = folder / f"{TOP}.v"
    path.write_text(emit_verilog(build_core(CONFIG)), encoding="utf-8")
    return build_simulator(CONFIG, verilog=CoreVerilog(path=path, models=(), seconds=0.0), runs=Runs.FEW)


def problems_with(simulator: Simulator, check: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    if check == SYSTEMS:
        monkeypatch.setattr(batch, "build_simulator", lambda config, runs: simulator)
        found = run_systems(CONFIG, random_systems(CONFIG, cases=8, programs=2, random_seed=1))
        return [problem for failure in found.failures for problem in failure.problems]
    result = inject(simulator, check, injections(1)[check]())
    return [f"{name}: {problem}" for name, problems in result.problems.items() for problem in problems]


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[name]
    simulator = simulator_with(bug, tmp_path, monkeypatch)
    problems = problems_with(simulator, bug.check, monkeypatch)
    print("\n".join(problems[:3]))
    assert any(bug.named in problem for problem in problems), problems
