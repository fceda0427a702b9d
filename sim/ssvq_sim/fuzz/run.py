"""A whole run: each target in a process, what was done before counted, and the results added up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .findings import FindingFolder, SavedFinding
from .limits import SECONDS_MAX
from .process import SILENCE_MAX, run_worker
from .progress_file import Done, TargetFolder
from .status import Status
from .target import TARGET_NAMES
from .worker_job import Job

EXAMPLES, EXECUTIONS, SECONDS = 20_000, 5_000_000, 1800.0
"""Of a full run, all targets together."""
DEATHS_MAX = 5
JOBS = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is to be done.

    Parameters
    ----------
    output : folder of all files
    targets : names of the readers
    examples : structured inputs, all targets together
    executions, seconds : guided executions and their processor time, likewise; a target ends at its share of either
    input_seconds : processor time for one input
    silence : seconds in which a worker must begin a new input
    deaths : workers of a target that may die before it is given up
    jobs : targets at a time, each in a process
    """

    output: Path = Path("build/fuzz")
    targets: tuple[str, ...] = TARGET_NAMES
    examples: int = EXAMPLES
    executions: int = EXECUTIONS
    seconds: float = SECONDS
    input_seconds: float = SECONDS_MAX
    silence: float = SILENCE_MAX
    deaths: int = DEATHS_MAX
    jobs: int = JOBS


@dataclass(frozen=True, kw_only=True)
class TargetReport:
    """What became of a target.

    Parameters
    ----------
    name : of the target
    done : what was done with the sources as they are, in this run and before
    complete : its share is done; it is not when its workers died too often
    findings : what is wrong
    """

    name: str
    done: Done
    complete: bool
    findings: tuple[SavedFinding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        findings = [saved.to_dict(self.name) for saved in self.findings]
        return {**self.done.to_dict(), "complete": self.complete, "crashes": len(findings), "findings": findings}


@dataclass(frozen=True, kw_only=True)
class Report:
    """All targets."""

    targets: tuple[TargetReport, ...]

    @property
    def crashes(self) -> int:
        """Findings of every kind."""
        return sum(len(target.findings) for target in self.targets)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        return {
            "executions": sum(target.done.executions for target in self.targets),
            "examples": sum(target.done.examples for target in self.targets),
            "seconds": round(sum(target.done.seconds for target in self.targets), 1),
            "crashes": self.crashes,
            "complete": all(target.complete for target in self.targets),
            "targets": {target.name: target.to_dict() for target in self.targets},
        }


def shares(total: int, count: int) -> list[int]:
    """A total as `count` integers that are as equal as can be."""
    return [total // count + (number < total % count) for number in range(count)]


def fuzz(settings: Settings, on_progress: Callable[[str, Done], None] = lambda name, done: None) -> Report:
    """Do what is not yet done, `jobs` targets at a time.

    `on_progress` gets a target's name and what of it is done. Raises WorkerError when a target cannot be imported or
    does not read its own seeds.
    """
    names = settings.targets
    examples, executions = shares(settings.examples, len(names)), shares(settings.executions, len(names))
    wanted = [
        Done(examples=own, executions=guided, seconds=settings.seconds / len(names))
        for own, guided in zip(examples, executions, strict=True)
    ]
    with ThreadPoolExecutor(settings.jobs) as pool:  # each thread waits for a process
        reports = pool.map(lambda name, want: _fuzz_target(name, want, settings, on_progress), names, wanted)
        return Report(targets=tuple(reports))


def _fuzz_target(name: str, wanted: Done, settings: Settings, on_progress: Callable[[str, Done], None]) -> TargetReport:
    folder = TargetFolder(settings.output, name)
    done, deaths = folder.done(), 0
    on_progress(name, done)
    while not done.reaches(wanted) and deaths < settings.deaths:
        left = wanted.minus(done)
        job = Job(
            target=name,
            folder=str(folder.path.resolve()),
            first_block=done.starts << 16,
            examples=left.examples,
            executions=left.executions,
            seconds=left.seconds,
            input_seconds=settings.input_seconds,
            seed=done.starts + 1,
        )
        before = done.started()

        def note(status: Status, before: Done = before) -> None:
            folder.keep(before.plus(status))
            on_progress(name, before.plus(status))

        ended = run_worker(job, note, silence=settings.silence)
        done = before.plus(ended.status)
        folder.keep(done)
        if ended.death is None:
            break
        deaths += 1
        folder.findings.add(*ended.death)
    on_progress(name, done)
    return TargetReport(
        name=name,
        done=done,
        complete=deaths < settings.deaths,
        findings=tuple(FindingFolder(folder.findings_path).all()),
    )
