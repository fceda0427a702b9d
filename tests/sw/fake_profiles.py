"""Profiles of programs that no core ran: descriptors one after the other, all cycles where they belong."""

from __future__ import annotations

from collections.abc import Mapping

from ssvq.driver.profile import Profile, ProfileRow
from ssvq.program import Program
from ssvq_gen.format import MATRIX_OPCODES, Opcode
from ssvq_gen.profile import PROFILE_CLASSES

DURATION = {Opcode.LOAD: 7, Opcode.STORE: 5}
VECTOR_DURATION = 11
WEIGHTS, ARRAY, OUTPUT, END = 3, 4, 2, 1
"""A matrix descriptor waits for weights, has activations enter the array, and lets its sums come out."""


def fake_profile(program: Program, depth: int | None = None) -> Profile:
    """Of a core that records `depth` descriptors, by default all."""
    rows: list[ProfileRow] = []
    time, classes = 0, dict.fromkeys(PROFILE_CLASSES, 0)
    count = program.descriptor_count if depth is None else min(depth, program.descriptor_count)
    for index in range(program.descriptor_count):
        opcode = Opcode(program.descriptor(index)["opcode"])
        job = program.job_of_descriptor(index)
        about = {"index": index, "opcode": opcode, "job": job.name if job else None, "begin": time}
        if opcode in MATRIX_OPCODES:
            enters, leaves = time + WEIGHTS, time + WEIGHTS + ARRAY
            _add(classes, {"WAIT_WEIGHT_CYCLES": WEIGHTS, "ARRAY_CYCLES": ARRAY})
            time = leaves + OUTPUT
            if index < count:
                times = {"decoded": enters, "compute_begin": enters, "compute_end": leaves, "drain_begin": leaves}
                rows.append(ProfileRow(**about, **times, end=time, classes=classes))
                classes = dict.fromkeys(PROFILE_CLASSES, 0)
            _add(classes, {"WAIT_OUTPUT_CYCLES": OUTPUT})
        else:
            name = f"{opcode.name}_CYCLES" if opcode in DURATION else "VECTOR_CYCLES"
            lasts = DURATION.get(opcode, VECTOR_DURATION)
            time += lasts
            _add(classes, {name: lasts})
            if index < count:
                rows.append(ProfileRow(**about, end=time, classes={}))
    _add(classes, {"WAIT_DESCRIPTOR_CYCLES": END})
    return Profile(rows=tuple(rows), tail=classes, total=time + END, left_out=program.descriptor_count - count)


def counters_of(profile: Profile) -> dict[str, int]:
    """The counters of the same run."""
    found = dict.fromkeys(PROFILE_CLASSES, 0)
    for part in (*(row.classes for row in profile.rows), profile.tail):
        _add(found, part)
    return {"TOTAL_CYCLES": profile.total, **found}


def _add(classes: dict[str, int], more: Mapping[str, int]) -> None:
    for name, cycles in more.items():
        classes[name] += cycles
