"""What a netlist has to do: random systems, with outputs of the reference and the times of the core's own Verilog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ssvq_gen.config import CoreConfig

from ..behaviour import JobResult, SimulationJob
from ..systems.batch import random_systems
from ..systems.outcome import Beats, problems_of
from ..systems.system_cases import Tensors

Facts = Mapping[str, Any]
"""What is known of a job beside its outputs, by name: cycles, counters, profile, times on the bus."""
WORK_FILE = "work.json"
"""In the folder of the judge: the settings of the work, and facts of its jobs by name."""
_MORE = 2
"""A job that takes so many times as many cycles as it should will not end."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Systems of a core.

    Attributes:
        programs: of all kinds of descriptors.
        cases: programs of layers or convolutions.
        seed: from which they follow.
    """

    programs: int = 5
    cases: int = 6
    seed: int = 1

    def jobs(self, config: CoreConfig) -> list[tuple[SimulationJob, Tensors]]:
        """The jobs, each with its outputs; they read the profile. Programs come first, as they show most faults."""
        found = []
        systems = random_systems(config, cases=self.cases, programs=self.programs, random_seed=self.seed)
        for number, system in enumerate([*systems[self.cases :], *systems[: self.cases]]):
            job, expected = system.build(f"system {number}")
            found.append((replace(job, profile=True), expected))
        return found


def facts_of(result: JobResult) -> Facts:
    """What two simulations of the same job have in common when they are the same in every cycle."""
    found = {
        "cycles": result.cycles,
        "read_beats": result.read_beats,
        "write_beats": result.write_beats,
        "counters": dict(result.counters),
        "times": asdict(result.times) if result.times else {},
        "profile": result.profile.to_dict() if result.profile else {},
    }
    return dict(_flat("", found))


def problems_of_netlist(
    config: CoreConfig, job: SimulationJob, expected: Tensors, facts: Facts, result: JobResult, before: Beats
) -> list[str]:
    """Everything that is wrong with a result: against the reference, and against the core's own Verilog.

    facts : of the same job there
    before : beats read and written before the job
    """
    problems = problems_of(config, job.program, expected, result, before)
    if result.error is None:
        problems += differences(facts, facts_of(result))
    return problems


def differences(facts: Facts, found: Facts) -> list[str]:
    """In a sentence how facts of the netlist differ from those of the core's Verilog; none when they do not."""
    names = [name for name in {**facts, **found} if facts.get(name) != found.get(name)]
    if not names:
        return []
    first = names[0]
    return [
        f"{len(names)} times or counters are not those of the core's Verilog, the first {first}: {found.get(first)}, "
        f"not {facts.get(first)}"
    ]


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is in nested mappings and sequences, by its path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _flat(f"{path}[{index}]", inner)
    else:
        yield path, value


def bounded(job: SimulationJob, facts: Facts) -> SimulationJob:
    """The job, given up after twice the cycles that it takes."""
    return replace(job, timeout_cycles=_MORE * facts["cycles"])
