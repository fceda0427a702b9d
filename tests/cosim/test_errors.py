"""Everything that can go wrong between driver and core: the right error, and a core that works afterwards.

The cases of a group run in one simulator process without a reset. Each is followed by a job that must succeed bit for
bit, and whose beats on the bus must all be its own.
"""

from __future__ import annotations

import pytest

from ssvq_sim.behaviour import JobResult
from ssvq_sim.runner import run_jobs
from ssvq_sim.systems.error_cases import CONFIG, GOOD, GROUPS, OTHER, ErrorCase
from ssvq_sim.systems.outcome import beats_after, problems_of

WALL_SECONDS = 300.0


def problems_of_error(case: ErrorCase, result: JobResult, beats_before: tuple[int, int]) -> list[str]:
    """What is wrong with the result of a job that had to fail."""
    error = result.error
    if error is None:
        return ["it did not fail"]
    problems = []
    if error.type != case.error.__name__:
        problems.append(f"the driver raised {error.type}, not {case.error.__name__}: {error.message}")
    for name in ("code", "descriptor", "address"):
        wanted, found = getattr(case, name), getattr(error, name)
        if wanted is not None and wanted != found:
            problems.append(f"{name} is {found}, not {int(wanted)}: {error.message}")
    if case.code is not None and case.descriptor is not None:
        job = case.work.program.job_of_descriptor(case.descriptor)
        if error.layer != (job.name if job else None):
            problems.append(f"the error names the layer {error.layer!r}")
    beats = [after - before for after, before in zip(beats_after(result), beats_before, strict=True)]
    if case.beats_max and any(n > most for n, most in zip(beats, case.beats_max, strict=True)):
        problems.append(f"{beats} beats were read and written, at most {case.beats_max} were open")
    return problems


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
