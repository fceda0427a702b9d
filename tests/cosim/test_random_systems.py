"""Random programs of spread outputs on the cores of the random batches; a failing case is made small before it is shown.

`SSVQ_SEED` chooses other cores and other cases.
"""

import logging
import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from random_systems import systems
from system_cases import configurations

from ssvq_gen.config import CoreConfig
from ssvq_sim.checker import check_job
from ssvq_sim.runner import Session
from ssvq_sim.simulator import build_simulator

CASES_PER_CORE = 8
SEED = int(os.environ.get("SSVQ_SEED", "1"))
CORES = 15

_LOG = logging.getLogger(__name__)

pytestmark = [pytest.mark.cosim, pytest.mark.slow]


@pytest.mark.parametrize("core", configurations(CORES, random_seed=SEED), ids=lambda core: core.name)
def test_random_cases(core: CoreConfig) -> None:
    case_seed = SEED + core.digest
    _LOG.info("SSVQ_SEED %d, %d cases on %s", SEED, CASES_PER_CORE, core)
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
