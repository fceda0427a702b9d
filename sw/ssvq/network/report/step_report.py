"""Work and cycles of a network, step by step and layer by layer, with sums that are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ssvq.driver.profile import Profile
from ssvq.network.errors import ReportError
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.report.cycle_charges import Classes, charge
from ssvq.network.report.step_work import StepWork, joined, steps_work
from ssvq.program import Program
from ssvq_gen.config import CoreConfig
from ssvq_gen.profile import PROFILE_CLASSES


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step, or all steps of a layer.

    Attributes:
        work: what it has to do.
        classes: cycles by class that it cost, see `charge`; None when no run was measured, or the profile has none of
            its descriptors.
        beyond: its descriptors that are beyond the profile.
    """

    work: StepWork
    classes: Classes | None = None
    beyond: int = 0

    @property
    def cycles(self) -> int | None:
        """All that it cost."""
        return None if self.classes is None else sum(self.classes.values())

    @property
    def ratio(self) -> float | None:
        """Cycles over roofline; None where not all was measured, or the vector unit does what the array does not."""
        cycles, line = self.cycles, self.work.roofline_cycles
        is_vector = self.work.vector_cycles > 0 and self.work.compute_cycles == 0
        return None if cycles is None or self.beyond or is_vector or not line else cycles / line


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Steps, in the order of the program, with what a run's profile says of them.

    Attributes:
        steps: all, those that load inputs and store outputs included.
        rest: cycles that are no step's; with descriptors beyond the profile, all of theirs.
        total: cycles of the run; None when none was measured.
        left_out: descriptors beyond the profile.

    Raises ReportError unless the cycles of the steps and the rest add up to the total.
    """

    steps: tuple[Row, ...]
    rest: Classes
    total: int | None
    left_out: int = 0

    def __post_init__(self) -> None:
        if self.total is not None and (found := sum(self.classes.values())) != self.total:
            raise ReportError("profile", f"its parts add up to {found} cycles, the run took {self.total}")

    @cached_property
    def layers(self) -> tuple[Row, ...]:
        """Steps of one layer as one row, in the order in which layers begin."""
        parts: dict[str, list[Row]] = {}
        for row in self.steps:
            parts.setdefault(row.work.layer, []).append(row)
        return tuple(_joined(name, rows) for name, rows in parts.items())

    @cached_property
    def whole(self) -> Row:
        """All steps as one row, without the rest."""
        return _joined("all", self.steps)

    @property
    def classes(self) -> Classes:
        """Cycles of the run by class, in the order of the counters; empty when none was measured."""
        parts = [row.classes for row in self.steps if row.classes is not None] + [self.rest]
        found = _added(parts)
        return {name: found[name] for name in PROFILE_CLASSES if name in found}


def step_report(
    made: CompiledNetwork,
    config: CoreConfig,
    bytes_per_cycle: float,
    *,
    profile: Profile | None = None,
    counters: Mapping[str, int] | None = None,
) -> StepReport:
    """The report of a compiled network.

    Args:
        made: a network that was compiled for `config`.
        config: of the core.
        bytes_per_cycle: rate of the bus.
        profile: of a run, checked by `check_profile`; None for the work alone.
        counters: of the same run; the profile's cycles have to add up to them, class by class.

    Raises:
        ReportError: the profile is not of this program, or does not add up.
        ProgramError: as `steps_work` does.
    """
    work = steps_work(made, config, bytes_per_cycle)
    if profile is None:
        return StepReport(steps=tuple(Row(work=own) for own in work), rest={}, total=None)
    check_rows(made.program, profile)
    charges = charge(profile)
    recorded = len(profile.rows)
    rows = []
    for own, job in zip(work, made.program.jobs, strict=True):
        indices = range(job.first_descriptor, job.first_descriptor + job.descriptor_count)
        beyond = len(range(max(recorded, indices.start), indices.stop))
        classes = _added([charges.descriptors[index] for index in indices if index in charges.descriptors])
        rows.append(Row(work=own, classes=None if beyond == len(indices) else classes, beyond=beyond))
    report = StepReport(steps=tuple(rows), rest=charges.rest, total=profile.total, left_out=profile.left_out)
    _check_counters(report, counters)
    return report


def check_rows(program: Program, profile: Profile) -> None:
    """Raise ReportError when the rows of a profile are not the program's descriptors."""
    count = len(profile.rows) + profile.left_out
    if count != program.descriptor_count:
        rule = f"it is of another program: it has {count} descriptors, this has {program.descriptor_count}"
        raise ReportError("profile", rule)
    for number, row in enumerate(profile.rows):
        job = program.job_of_descriptor(number)
        found, wanted = (row.index, row.job, row.opcode), (number, job.name if job else None)
        if found != (*wanted, program.descriptor(number)["opcode"]):
            rule = (
                f"it is of another program: its row {number} is {row.opcode.name} of {row.job!r}, not of {wanted[1]!r}"
            )
            raise ReportError("profile", rule)


def _check_counters(report: StepReport, counters: Mapping[str, int] | None) -> None:
    for name in PROFILE_CLASSES if counters is not None else ():
        found, wanted = report.classes.get(name, 0), (counters or {}).get(name, 0)
        if found != wanted:
            raise ReportError("profile", f"its {name} add up to {found}, the counter says {wanted}")


def _joined(name: str, rows: Sequence[Row]) -> Row:
    measured = [row.classes for row in rows if row.classes is not None]
    return Row(
        work=joined(name, [row.work for row in rows]),
        classes=_added(measured) if measured else None,
        beyond=sum(row.beyond for row in rows),
    )


def _added(parts: Sequence[Classes]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for name, cycles in part.items():
            if cycles:
                found[name] = found.get(name, 0) + cycles
    return found
