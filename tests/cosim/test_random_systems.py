"""Random cases on random small cores: every output of every layer equals the reference, whatever the memory does."""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from random_systems import CORE_COUNT, random_cores, systems

from ssvq_gen.config import CoreConfig
from ssvq_sim.checker import check_job
from ssvq_sim.runner import Session
from ssvq_sim.simulator import build_simulator

CASES_PER_CORE = 18
SEED_VARIABLE = "SSVQ_SEED"
SEED = int(os.environ.get(SEED_VARIABLE, "20260101"))

pytestmark = [pytest.mark.cosim, pytest.mark.slow]


def test_enough_cases() -> None:
    cores = random_cores()
    assert CORE_COUNT * CASES_PER_CORE >= 200
    assert len({core.digest for core in cores}) == CORE_COUNT >= 12
    assert {core.axi_data_width for core in cores} == {32, 64, 128, 256, 512}
    assert {core.rows > core.cols for core in cores} == {False, True}


@pytest.mark.parametrize("core", random_cores(), ids=lambda core: core.name)
def test_random_cases(core: CoreConfig, record_property: Callable[[str, object], None]) -> None:
    case_seed = SEED + int(core.name.removeprefix("random"))
    print(f"{core.name}: seed {case_seed} (set {SEED_VARIABLE}), {core.to_dict()}")
    record_property("seed", case_seed)
    done = 0
    with Session(build_simulator(core), wall_seconds=120) as session:

        @seed(case_seed)
        @settings(
            max_examples=CASES_PER_CORE,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def run(data: st.DataObject) -> None:
            nonlocal done
            job, layers = data.draw(systems(core))
            result = session.run(job)
            assert result.error is None
            assert result.stray is None
            for layer in layers:
                mismatch = check_job(core, job, layer, result, lambda probes: [session.run(p) for p in probes])
                assert mismatch is None, str(mismatch)
            done += 1

        run()
    assert done >= CASES_PER_CORE
