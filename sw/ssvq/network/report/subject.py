"""What a page is about: a compiled network, and the runs that belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ssvq.network.errors import ReportError
from ssvq.network.hosting.backend import REFERENCE
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.report.run_record import RunRecord, program_digest, same_core
from ssvq.network.report.step_report import StepReport, step_report
from ssvq.network.work_report import WorkReport
from ssvq_gen.config import CoreConfig

INT8 = ("int8",)
"""`RunRecord.weight_formats` of a baseline."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A compiled network.

    Attributes:
        name: of the model.
        config: of the core.
        parts: what runs on the core, by the part's name, in order.
        work: of the model's graph, which says what is on the host; None where it is not known.
    """

    name: str
    config: CoreConfig
    parts: Mapping[str, CompiledNetwork]
    work: WorkReport | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))

    def reports(self, run: RunRecord | None) -> dict[str, StepReport]:
        """Of each part, with the run's profiles. Raises ReportError when they are not of this network."""
        rate = self.config.beat_bytes if run is None else run.bytes_per_cycle
        found = {}
        for number, (name, made) in enumerate(self.parts.items()):
            part = None if run is None else run.parts[number]
            profile = None if part is None else part.profile
            counters = None if part is None else part.counters
            found[name] = step_report(made, self.config, rate, profile=profile, counters=counters)
        return found

    def require(self, run: RunRecord) -> None:
        """Raise ReportError unless a run is of this network, compiled like this, on this core."""
        where = f"run of {run.network}"
        if run.network != self.name:
            raise ReportError(where, f"it must be of {self.name}")
        if not same_core(self.config, run.config):
            rule = f"it must be on the core the network was compiled for, {_core(self.config)}, not {_core(run.config)}"
            raise ReportError(where, rule)
        wanted = [(name, program_digest(made.program)) for name, made in self.parts.items()]
        if [(part.name, part.program) for part in run.parts] != wanted:
            raise ReportError(where, "it ran other programs than this file has: run it again, or report its own file")


def baseline_of(run: RunRecord, baselines: Sequence[RunRecord]) -> RunRecord | None:
    """The run with int8 weights on the same core with the same bus; None where there is none."""
    return next((other for other in baselines if _conditions(other) == _conditions(run)), None)


def require_baseline(subject: Subject, runs: Sequence[RunRecord], baseline: RunRecord) -> None:
    """Raise ReportError unless a run is of the same network with int8 weights on the same core, and comparable with
    one of the runs."""
    where = f"baseline of {baseline.network}"
    if baseline.network != subject.name:
        raise ReportError(where, f"it must be a run of {subject.name}")
    if not same_core(subject.config, baseline.config):
        rule = f"it must be on the same core, {_core(subject.config)}, not {_core(baseline.config)}"
        raise ReportError(where, rule)
    if baseline.weight_formats != INT8:
        raise ReportError(where, f"its weights must all be int8, not {', '.join(baseline.weight_formats) or 'none'}")
    if baseline.backend == REFERENCE:
        raise ReportError(where, "it must have cycles: the reference has none")
    if not any(_conditions(run) == _conditions(baseline) for run in runs):
        backend, rate, latency, depth = _conditions(baseline)
        rule = f"{rate:g} bytes a cycle, latency {latency} and profile_depth {depth}"
        raise ReportError(where, f"no run is like it: one must be of backend {backend} and have {rule}")


def _conditions(run: RunRecord) -> tuple[str, float, int, int]:
    """What has to be equal for cycles to be compared: recording takes some, too."""
    return run.backend, run.bytes_per_cycle, run.latency, run.config.profile_depth


def _core(config: CoreConfig) -> str:
    return f"{config.name} ({config.digest:016x})"
