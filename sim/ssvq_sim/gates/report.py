"""What came of all netlists, as gates.json has it and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from ssvq_gen.config import CoreConfig

FOUND_SHARE = 0.9
"""Of the planted faults, at least so many have to be found. Some pins make no difference to any job: reports of errors
that do not happen, upper bits of counters, inputs that a cell ignores."""


@dataclass(frozen=True, kw_only=True)
class Missed:
    """A planted fault that no job has shown."""

    kind: str
    block: str
    fault: str


@dataclass(frozen=True, kw_only=True)
class FamilyResult:
    """What came of the netlist of a family.

    Attributes:
        options, reason: of synthesis, that differ from those of `make synth`, and why.
        cells: by type.
        resources: as `make synth` counts them.
        jobs, cycles: of the work, which each seed has done.
        seeds: of random contents.
        problems: by seed.
        faults: planted, by kind of cell.
        missed: those of them that no job has shown.
        synthesis_seconds, run_seconds: of this run; synthesis takes next to nothing when the netlist is kept. All seeds
            together are one run.
    """

    family: str
    title: str
    options: str
    reason: str
    cells: Mapping[str, int]
    resources: Mapping[str, int]
    jobs: int
    cycles: int
    seeds: int
    problems: Mapping[int, Sequence[str]]
    faults: Mapping[str, int]
    missed: Sequence[Missed]
    synthesis_seconds: float
    run_seconds: float

    @property
    def planted(self) -> int:
        """Faults, of all kinds of cells."""
        return sum(self.faults.values())

    @property
    def found(self) -> int:
        """Faults that some job has shown."""
        return self.planted - len(self.missed)

    @property
    def failures(self) -> list[str]:
        """What must not be, a sentence each."""
        failures = [f"{self.title}, seed {seed}: {text}" for seed, texts in self.problems.items() for text in texts]
        if self.found < FOUND_SHARE * self.planted:
            failures.append(
                f"{self.title}: {self.found} of {self.planted} planted faults are found, fewer than {FOUND_SHARE:.0%}"
            )
        return failures

    def to_dict(self) -> dict[str, Any]:
        """As gates.json has it."""
        data = asdict(self)
        data["problems"] = {str(seed): list(texts) for seed, texts in self.problems.items()}
        for name in ("synthesis_seconds", "run_seconds"):
            data[name] = round(data[name], 1)
        return {**data, "planted": self.planted, "found": self.found}


@dataclass(frozen=True, kw_only=True)
class Report:
    """All families of a run."""

    config: CoreConfig
    families: Sequence[FamilyResult]

    @property
    def failures(self) -> list[str]:
        """Of all of them."""
        return [failure for family in self.families for failure in family.failures]

    def to_dict(self) -> dict[str, Any]:
        """As gates.json has it."""
        return {
            "config": self.config.to_dict(),
            "found_share": FOUND_SHARE,
            "families": [family.to_dict() for family in self.families],
            "failures": self.failures,
        }


def results_table(report: Report) -> Table:
    """A line for each family."""
    table = Table("family", title=f"netlists of {report.config.name}", title_justify="left")
    for name in ("cells", "LUT", "FF", "DSP", "jobs", "cycles", "seeds", "wrong", "faults", "found"):
        table.add_column(name, justify="right")
    for f in report.families:
        counts = (sum(f.cells.values()), *(f.resources[kind] for kind in ("lut", "ff", "dsp")))
        numbers = (*counts, f.jobs, f.cycles, f.seeds, len(f.problems), f.planted, f.found)
        table.add_row(f.title, *map(str, numbers))
    return table


def lines_of_missed(result: FamilyResult) -> Iterator[str]:
    """Each fault that was not found."""
    for missed in result.missed:
        yield f"{result.title}, {missed.block or 'top'}: not found: {missed.fault}"
