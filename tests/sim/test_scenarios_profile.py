"""Mutants: rules that any profile keeps, and programs written field by field, on the functional model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ssvq.driver.profile import Profile, ProfileRow
from ssvq_gen.config import PRESETS
from ssvq_gen.format import DESCRIPTOR_BYTES, Opcode
from ssvq_sim.scenarios.profile_rules import open_before, profile_problems
from ssvq_sim.scenarios.raw_programs import ANY_ORDER, JOB, copy, load, random_words, raw_program, raw_work, store
from ssvq_sim.systems.core_model import CoreFault

CONFIG = PRESETS["tiny"]
MATMUL = ProfileRow(
    index=1,
    opcode=Opcode.MATMUL,
    job=None,
    begin=5,
    decoded=30,
    compute_begin=20,
    compute_end=40,
    drain_begin=35,
    end=60,
    classes={},
)


def row(index: int, opcode: Opcode, begin: int, end: int) -> ProfileRow:
    return ProfileRow(index=index, opcode=opcode, job=None, begin=begin, end=end, classes={})


def profile(*rows: ProfileRow) -> Profile:
    return Profile(rows=rows, tail={}, total=100)


ROWS = (row(0, Opcode.LOAD, 1, 10), MATMUL, row(2, Opcode.STORE, 50, 70), row(3, Opcode.LOAD, 60, 80))


def test_descriptors_that_are_not_complete() -> None:
    """One that ends in the cycle before another begins is complete for it."""
    assert open_before(ROWS, 2, (Opcode.MATMUL,)) == 1
    assert open_before(ROWS, 3, (Opcode.MATMUL,)) == 0
    assert open_before(ROWS, 3, (Opcode.STORE,)) == 1
    assert open_before(ROWS, 3, (Opcode.LOAD,)) == 0


def test_a_profile_that_is_right() -> None:
    fields = [
        ANY_ORDER,
        ANY_ORDER,
        {**ANY_ORDER, "matmuls_open": 1},
        {**ANY_ORDER, "stores_open": 1, "matmuls_open": 0},
    ]
    assert profile_problems(profile(*ROWS), fields) == []


@pytest.mark.parametrize(("field", "index"), [("matmuls_open", 2), ("stores_open", 3)])
def test_a_descriptor_that_begins_too_soon(field: str, index: int) -> None:
    fields = [ANY_ORDER, ANY_ORDER, ANY_ORDER, ANY_ORDER]
    fields[index] = {**ANY_ORDER, field: 0}
    assert profile_problems(profile(*ROWS), fields) == [f"descriptor {index} begins with 1 incomplete, {field} is 0"]


@pytest.mark.parametrize(
    ("stage", "time", "first", "then"),
    [
        ("begin", 30, "BEGIN", "DECODED"),
        ("begin", 25, "BEGIN", "COMPUTE_BEGIN"),
        ("compute_end", 20, "COMPUTE_BEGIN", "COMPUTE_END"),
        ("drain_begin", 20, "COMPUTE_BEGIN", "DRAIN_BEGIN"),
        ("drain_begin", 60, "DRAIN_BEGIN", "END"),
        ("compute_end", 60, "COMPUTE_END", "END"),
        ("decoded", 60, "DECODED", "END"),
    ],
)
def test_stages_in_another_order(stage: str, time: int, first: str, then: str) -> None:
    changed: dict[str, Any] = {stage: time}
    problems = profile_problems(profile(ROWS[0], replace(MATMUL, **changed)), [ANY_ORDER, ANY_ORDER])
    assert any(f"MATMUL 1: {first} is" in problem and f"not before {then}," in problem for problem in problems)


def test_a_load_that_ends_as_it_begins() -> None:
    assert profile_problems(profile(row(0, Opcode.LOAD, 7, 7)), [ANY_ORDER]) == [
        "LOAD 0: BEGIN is 7, which is not before END, 7"
    ]


def test_a_program_that_copies_words() -> None:
    """Data, descriptors and output follow each other, and the window ends with the last of them."""
    data = random_words(CONFIG, np.random.default_rng(1), 16)
    descriptors = [load(CONFIG, 16), copy(CONFIG, 16, destination=32), store(CONFIG, 8, source=40, at=64)]
    descriptors.append(store(CONFIG, 8, source=32))
    work = raw_work(CONFIG, data, descriptors, words=16)
    program = work.program
    assert program.descriptor_offset == len(data)
    assert [d["dram_offset"] for d in program.descriptors()[2:]] == [
        len(data) + 4 * DESCRIPTOR_BYTES + n for n in (64, 0)
    ]
    assert program.memory_bytes == len(data) + 4 * DESCRIPTOR_BYTES + 16 * CONFIG.word_bytes
    assert work.expected[JOB].tobytes() == data


def test_a_program_without_output_ends_with_its_descriptors() -> None:
    program = raw_program(CONFIG, bytes(1), [load(CONFIG, 1)])
    assert program.descriptor_offset == 64
    assert program.memory_bytes == 64 + DESCRIPTOR_BYTES
    assert program.jobs[0].output is None


def test_a_program_that_fails_has_no_expected_output() -> None:
    with pytest.raises(CoreFault):
        raw_work(CONFIG, b"", [copy(CONFIG, 1, source=CONFIG.activation_depth)])
