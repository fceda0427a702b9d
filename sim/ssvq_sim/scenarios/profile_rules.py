"""What the profile of any job says, whatever the memory does: a golden model of order, not of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ssvq.driver.profile import Profile, ProfileRow
from ssvq.program import Program
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import MATRIX_OPCODES, OPEN_ALL, VECTOR_OPCODES, Opcode

from ..behaviour import JobResult
from ..systems.outcome import Beats, problems_of

KINDS: Mapping[str, tuple[Opcode, ...]] = {
    "loads_open": (Opcode.LOAD,),
    "stores_open": (Opcode.STORE,),
    "matmuls_open": MATRIX_OPCODES,
    "vectors_open": VECTOR_OPCODES,
}
"""Fields that say how many earlier descriptors of a kind may still be incomplete, and the kind."""


def problems_with_profile(
    config: CoreConfig,
    program: Program,
    expected: Mapping[str, npt.NDArray[np.int8]],
    result: JobResult,
    beats_before: Beats,
) -> list[str]:
    """`problems_of`, and those of the profile when the job has read one."""
    problems = problems_of(config, program, expected, result, beats_before)
    if result.profile is not None:
        problems += profile_problems(result.profile, program.descriptors())
    return problems


def open_before(rows: Sequence[ProfileRow], index: int, kind: Sequence[Opcode]) -> int:
    """Descriptors of a kind in front of descriptor `index` that are not complete when it begins."""
    return sum(row.opcode in kind and row.end > rows[index].begin for row in rows[:index])


def profile_problems(profile: Profile, descriptors: Sequence[Mapping[str, int]]) -> list[str]:
    """Everything that contradicts the order of events within a descriptor, and what it says of those before it."""
    problems = [problem for row in profile.rows for problem in _problems_of_row(row)]
    for row in profile.rows:
        if row.is_matrix:
            continue  # BEGIN is when its weights are unpacked, for which nothing is waited
        for field, kind in KINDS.items():
            allowed, found = descriptors[row.index][field], open_before(profile.rows, row.index, kind)
            if allowed < OPEN_ALL and found > allowed:
                problems.append(f"descriptor {row.index} begins with {found} incomplete, {field} is {allowed}")
    return problems


def _problems_of_row(row: ProfileRow) -> Iterator[str]:
    stages = {"BEGIN": row.begin, "END": row.end}
    orders = [("BEGIN", "END")]
    if row.is_matrix:
        times = (row.decoded, row.compute_begin, row.compute_end, row.drain_begin)
        names = ("DECODED", "COMPUTE_BEGIN", "COMPUTE_END", "DRAIN_BEGIN")
        stages |= {name: time if time is not None else -1 for name, time in zip(names, times, strict=True)}
        orders = [
            *(("BEGIN", "DECODED"), ("BEGIN", "COMPUTE_BEGIN"), ("COMPUTE_BEGIN", "COMPUTE_END")),
            *(("COMPUTE_BEGIN", "DRAIN_BEGIN"), ("DRAIN_BEGIN", "END"), ("COMPUTE_END", "END"), ("DECODED", "END")),
        ]
    for first, then in orders:
        if not stages[first] < stages[then]:
            yield (
                f"{row.opcode.name} {row.index}: {first} is {stages[first]}, which is not before {then}, {stages[then]}"
            )
