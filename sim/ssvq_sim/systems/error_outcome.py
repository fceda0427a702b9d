"""What a job that has to fail must look like."""

from __future__ import annotations

from ..behaviour import JobResult
from .error_cases import ErrorCase
from .outcome import Beats, beats_after, stray_writes


def problems_of_error(case: ErrorCase, result: JobResult, beats_before: Beats) -> list[str]:
    """What is wrong with the result of a job that had to fail.

    beats_before : beats read and written before the job, as the memory saw them
    """
    error = result.error
    if error is None:
        return ["it did not fail"]
    problems = stray_writes(result)
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
