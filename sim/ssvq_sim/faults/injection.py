"""What a fault is: a job, and a judge of what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ssvq_gen.format import ErrorCode

from ..behaviour import BusTimes, JobResult, SimulationJob
from ..systems.error_cases import ErrorCase
from ..systems.error_outcome import problems_of_error
from ..systems.outcome import Beats

Judge = Callable[[JobResult, Beats], list[str]]
"""What is wrong with a result, given the beats before it."""
BUS_CODES = (ErrorCode.READ_SLAVE, ErrorCode.READ_DECODE, ErrorCode.WRITE_SLAVE, ErrorCode.WRITE_DECODE)
REPORT_CYCLES = 4
"""From an answer that is an error to the interrupt."""
REQUEST_CYCLES = 4
"""From an answer that is an error to the last burst that is still offered."""


@dataclass(frozen=True, kw_only=True)
class Injection:
    """A fault.

    name : unlike all others of its group
    job : in which it happens
    judge : of the job's result
    reported : whether the driver has to raise an error
    """

    name: str
    job: SimulationJob
    judge: Judge
    reported: bool = True


def of_case(case: ErrorCase) -> Injection:
    """A fault whose error is known, and how soon it has to be reported."""

    def judge(result: JobResult, before: Beats) -> list[str]:
        problems = problems_of_error(case, result, before) + problems_of_times(result.times)
        if case.code in BUS_CODES and (result.times is None or not result.times.first_error):
            problems.append("the bus gave no answer that is an error")
        return problems

    return Injection(name=case.name, job=case.job, judge=judge)


def problems_of_times(times: BusTimes | None) -> list[str]:
    """Bursts that came after an error, or an interrupt that came late; nothing when no answer was an error."""
    if times is None or not times.first_error:
        return []
    problems = []
    if times.last_request > times.first_error + REQUEST_CYCLES:
        problems.append(
            f"a burst was offered {times.last_request - times.first_error} cycles after the error, "
            f"at most {REQUEST_CYCLES} are allowed"
        )
    if not 0 < times.interrupt - times.first_error <= REPORT_CYCLES:
        problems.append(
            f"the error came at cycle {times.first_error} and the interrupt at {times.interrupt}, "
            f"at most {REPORT_CYCLES} cycles later is allowed"
        )
    return problems
