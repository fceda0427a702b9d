"""Records of descriptors: a job that begins late and the same at once, so that no time of one can be the other's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ssvq.driver import Profile, ProfileRow
from ssvq_gen.config import CoreConfig

from ..behaviour import Behaviour, Hang, JobResult, SimulationJob
from ..systems.model_outputs import outputs_of
from ..systems.outcome import Beats, problems_of
from .scenario import JobScenario
from .weight_streams import DENSE, Batch, Tiles, job_of

_LATE = 4000
"""Cycles that the whole job takes less than, and after which the late one begins."""
_SET_UP = 1000
"""Cycles that a driver takes less than up to START."""
_STEPS = (
    Tiles(weight_format="ssvq", codebook_size=4, channel_tiles=9, columns=2),
    Batch(count=3, channels=8, columns=2),
    Tiles(weight_format="vq", codebook_size=4, channel_tiles=9, columns=2),
    Tiles(**DENSE, channel_tiles=3, columns=3),
    Tiles(weight_format="ssvq", channel_tiles=1, columns=1),
)
_ORDER = (
    ("begin", "decoded"),
    ("begin", "compute_begin"),
    ("decoded", "end"),
    ("compute_begin", "compute_end"),
    ("compute_begin", "drain_begin"),
    ("compute_end", "end"),
    ("drain_begin", "end"),
)
"""Of two times, the first comes before the second."""


def record_times(config: CoreConfig) -> Iterator[JobScenario]:
    """Both jobs, the late one first."""
    job = replace(job_of(config, "records", _STEPS), profile=True)
    expected = outputs_of(config, job.program, job.inputs)
    late = Behaviour(hang=Hang(channels=("ar",), cycles=_LATE + _SET_UP))
    late_job = replace(job, name="late records", behaviour=late, watchdog_cycles=2 * _LATE)
    for each, first, last in ((late_job, _LATE, 2 * _LATE), (job, 0, _LATE)):
        yield JobScenario(job=each, check=partial(_problems, config, each, expected, first, last))


def wrong_times(profile: Profile, first: int, last: int) -> list[str]:
    """Times of a profile that are not after `first` and up to `last`, or not in the order of what they are times of."""
    return [problem for row in profile.rows for problem in _wrong_in_row(row, first, last)]


def _wrong_in_row(row: ProfileRow, first: int, last: int) -> Iterator[str]:
    names = sorted({name for pair in _ORDER for name in pair}) if row.is_matrix else ["begin", "end"]
    times = {name: getattr(row, name) for name in names}
    what = f"{row.opcode.name} {row.index}"
    for name, time in times.items():
        if not first < time <= last:
            yield f"{name} of {what} is {time}, not after {first} and up to {last}"
    for before, after in _ORDER if row.is_matrix else [("begin", "end")]:
        if times[before] >= times[after]:
            yield f"{before} of {what} is {times[before]}, {after} is {times[after]}"


def _problems(
    config: CoreConfig,
    job: SimulationJob,
    expected: Mapping[str, npt.NDArray[np.int8]],
    first: int,
    last: int,
    result: JobResult,
    before: Beats,
) -> list[str]:
    problems = problems_of(config, job.program, expected, result, before)
    if problems or result.profile is None:
        return problems or ["there is no profile"]
    return wrong_times(result.profile, first, min(last, result.counters["TOTAL_CYCLES"]))
