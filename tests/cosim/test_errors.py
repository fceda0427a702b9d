"""Everything that can go wrong between driver and core: the right error, and a core that works afterwards.

The cases of a group run in one simulator process without a reset. Each is followed by a job that must succeed bit for
bit, and whose beats on the bus must all be its own.
"""

from __future__ import annotations

import pytest

from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.error_cases import GROUPS
from ssvq_sim.systems.error_outcome import problems_of_error
from ssvq_sim.systems.outcome import beats_after, problems_of
from ssvq_sim.systems.work import CONFIG, GOOD, OTHER

WALL_SECONDS = 300.0


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("group", GROUPS)
def test_error_and_recovery(group: str) -> None:
    cases = GROUPS[group]()
    assert len({case.name for case in cases}) == len(cases)
    jobs = [OTHER.job("before")]
    for case in cases:
        jobs += [case.job, GOOD.job(f"after {case.name}")]
    results = run_jobs(CONFIG, jobs, wall_seconds=WALL_SECONDS)
    problems = problems_of(CONFIG, OTHER.program, OTHER.expected, results[0], (0, 0))
    before = beats_after(results[0])
    for case, failed, good in zip(cases, results[1::2], results[2::2], strict=True):
        found = problems_of_error(case, failed, before)
        # No beat of the failed job came after its end.
        found += [
            f"afterwards: {p}" for p in problems_of(CONFIG, GOOD.program, GOOD.expected, good, beats_after(failed))
        ]
        problems += [f"{case.name}: {problem}" for problem in found]
        before = beats_after(good)
    assert not problems, "\n".join(problems)
