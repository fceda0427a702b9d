"""The profile of a job: when each descriptor ran, and which cycles it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import MATRIX_OPCODES, Opcode
from ssvq_gen.profile import PROFILE_CLASSES, PROFILE_STORED, profile_addr

from ..program import Program
from .errors import CounterMismatch, DriverError


@dataclass(frozen=True, kw_only=True)
class ProfileRow:
    """One descriptor. Times are cycles since the job's START; from a begin to an end, the end not included.

    job : name of the job it belongs to, if known
    decoded, compute_begin, compute_end, drain_begin : None for LOAD and STORE
    classes : cycles by class that it cost, since the matrix descriptor before it; empty for LOAD and STORE
    """

    index: int
    opcode: Opcode
    job: str | None
    begin: int
    decoded: int | None = None
    compute_begin: int | None = None
    compute_end: int | None = None
    drain_begin: int | None = None
    end: int
    classes: Mapping[str, int]

    @property
    def is_matrix(self) -> bool:
        """It enters the array: all cycles of a job are divided between such descriptors and the tail."""
        return self.opcode in MATRIX_OPCODES

    @property
    def cost(self) -> int:
        """Cycles that it cost, all classes together."""
        return sum(self.classes.values())


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All descriptors of a job that the core recorded, and where the rest of its cycles went.

    rows : in the order of the program
    tail : cycles by class after the last activation of the last recorded matrix descriptor
    total : TOTAL_CYCLES, the sum of all costs and the tail
    left_out : descriptors beyond the core's `profile_depth`; what they cost is in the tail
    """

    rows: tuple[ProfileRow, ...]
    tail: Mapping[str, int]
    total: int
    left_out: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """Inverse of `to_dict`, also from JSON."""
        rows = tuple(ProfileRow(**{**row, "opcode": Opcode(row["opcode"])}) for row in data["rows"])
        return cls(**{**data, "rows": rows})


class Core(Protocol):
    """What is read here, as `Device` has it."""

    @property
    def config(self) -> CoreConfig:
        """The core's configuration."""
        ...

    def read(self, name: str) -> int:
        """A register by name."""
        ...

    def write(self, name: str, value: int) -> None:
        """Write a register by name."""
        ...

    def counters(self) -> dict[str, int]:
        """All counters of the last job by name."""
        ...


def require_profile(config: CoreConfig) -> None:
    """Raise DriverError when a core of this configuration records no profile."""
    if config.profile_depth == 0:
        raise DriverError(f"the core {config.name!r} records no profile: it was generated with profile_depth 0")


def read_profile(core: Core, program: Program) -> Profile:
    """Read the rows of a completed program's descriptors. Nothing is compared here; see `check_profile`.

    Raises DriverError when the last job did not complete as many descriptors as the program has.
    """
    done, count = core.read("DESCRIPTORS_DONE"), program.descriptor_count
    if done != count:
        raise DriverError(f"the last job completed {done} descriptors, the program has {count}: no profile")
    counters = core.counters()
    before = dict.fromkeys(PROFILE_CLASSES, 0)
    rows = []
    for index in range(min(count, core.config.profile_depth)):
        row, before = _read_row(core, program, index, before)
        rows.append(row)
    tail = {name: counters[name] - before[name] for name in PROFILE_CLASSES}
    return Profile(rows=tuple(rows), tail=tail, total=counters["TOTAL_CYCLES"], left_out=count - len(rows))


def _read_row(core: Core, program: Program, index: int, before: dict[str, int]) -> tuple[ProfileRow, dict[str, int]]:
    """A row, and the counters at the last activation so far."""

    def read(word: str) -> int:
        core.write("PROFILE_ADDR", profile_addr(index, word))
        return core.read("PROFILE_DATA")

    job = program.job_of_descriptor(index)
    row = ProfileRow(
        index=index,
        opcode=Opcode(program.descriptor(index)["opcode"]),
        job=job.name if job else None,
        begin=read("BEGIN"),
        end=read("END"),
        classes={},
    )
    if not row.is_matrix:
        return row, before
    after = {name: read(name) for name in PROFILE_STORED}
    after[PROFILE_CLASSES[-1]] = read("COMPUTE_END") - sum(after.values())
    row = replace(
        row,
        decoded=read("DECODED"),
        compute_begin=read("COMPUTE_BEGIN"),
        compute_end=read("COMPUTE_END"),
        drain_begin=read("DRAIN_BEGIN"),
        classes={name: after[name] - before[name] for name in PROFILE_CLASSES},
    )
    return row, after


def check_profile(profile: Profile) -> None:
    """Raise CounterMismatch unless every cycle of the job is in exactly one descriptor's cost or in the tail."""
    passed = 0
    for row in profile.rows:
        what = f"profile of descriptor {row.index} ({row.opcode.name})"
        if not row.begin <= row.end <= profile.total:
            raise CounterMismatch(f"{what}: it runs from {row.begin} to {row.end}, the job has {profile.total} cycles")
        _require_positive(what, row.classes)
        passed += row.cost
        if row.is_matrix and passed != row.compute_end:
            raise CounterMismatch(f"{what}: COMPUTE_END is {row.compute_end}, the classes add up to {passed}")
    _require_positive("profile after the last descriptor", profile.tail)
    passed += sum(profile.tail.values())
    if passed != profile.total:
        raise CounterMismatch(f"TOTAL_CYCLES is {profile.total}, the profile adds up to {passed}")


def _require_positive(what: str, classes: Mapping[str, int]) -> None:
    for name, cycles in classes.items():
        if cycles < 0:
            raise CounterMismatch(f"{what}: {name} has run backwards by {-cycles}")
