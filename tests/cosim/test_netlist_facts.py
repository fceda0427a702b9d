"""What netlists are held to, with the core's own Verilog in their place: `make gates` runs netlists."""

from __future__ import annotations

import pytest

from ssvq_gen.config import PRESETS
from ssvq_sim.gates.run import run_core, run_seed
from ssvq_sim.gates.work import Facts, Work
from ssvq_sim.simulator import Simulator, build_simulator

WORK = Work(cases=3, programs=0)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return build_simulator(PRESETS["tiny"])


@pytest.fixture(scope="module")
def facts(simulator: Simulator) -> dict[str, Facts]:
    return run_core(simulator, WORK)


def test_the_core_does_what_it_does(simulator: Simulator, facts: dict[str, Facts]) -> None:
    assert set(facts) == {"system 0", "system 1", "system 2"}
    assert run_seed(simulator, WORK, facts, 1) == []


def test_another_time_or_counter_is_found(simulator: Simulator, facts: dict[str, Facts]) -> None:
    name = next(name for name in facts["system 2"] if name.startswith("profile.rows[1]."))
    other = {**facts, "system 2": {**facts["system 2"], name: -1}}
    (problem,) = run_seed(simulator, WORK, other, 1)
    assert problem.startswith(f"system 2: 1 times or counters are not those of the core's Verilog, the first {name}: ")
