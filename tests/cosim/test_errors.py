"""Everything that can go wrong between driver, bus and core: the right error in time, and a core that works afterwards.

`make faults` runs the whole campaign; here are the groups of known errors, and some of every other.
"""

from __future__ import annotations

import pytest

from ssvq_sim.faults.campaign import inject, injections
from ssvq_sim.faults.host import KINDS, play
from ssvq_sim.simulator import build_simulator
from ssvq_sim.systems.error_cases import GROUPS
from ssvq_sim.systems.work import CONFIG

SCENES = 6


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize(("group", "step"), [*((group, 1) for group in GROUPS), ("beats", 9), ("flips", 13)])
def test_faults(group: str, step: int) -> None:
    faults = injections(1)[group]()[::step]
    result = inject(build_simulator(CONFIG), group, faults)
    assert not result.problems
    assert result.injected == result.recovered == len(faults)
    assert result.reported == result.must_report > 0


@pytest.mark.slow
@pytest.mark.cosim
def test_resets_and_writes_in_jobs() -> None:
    plan = [(kind, seed) for kind in KINDS for seed in range(SCENES)]
    found = play(build_simulator(CONFIG), plan)
    assert len(found) == len(plan)
    assert not [f"{name}: {problem}" for name, problems in found.items() for problem in problems]
