"""What counts as written where nothing is to be written."""

from __future__ import annotations

import numpy as np
import pytest

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.dram_tensor import DramRole, DramTensor
from ssvq.program import Program, place_input
from ssvq.reference import ActivationScale
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode
from ssvq_sim.behaviour import SimulationJob
from ssvq_sim.job_bench import FILL, first_stray

SCALE = ActivationScale(scale=1.0)


def program() -> Program:
    """A tensor goes to DRAM and comes back, between an input and an output."""
    builder = ProgramBuilder(PRESETS["tiny"])
    rows = ActivationTensor(word=0, tokens=8, channels=8, stride=1)
    builder.declare(DramTensor(name="kept", tokens=8, channels=8, scale=SCALE, role=DramRole.SCRATCH))
    builder.load("input x", rows, SCALE)
    builder.spill("keep", "kept", rows)
    builder.fill("take", "kept", rows)
    builder.store("output y", rows, SCALE)
    return builder.build()


X = np.arange(64, dtype=np.int8).reshape(8, 8)


def before(made: Program) -> np.ndarray:
    memory = np.full(made.memory_bytes + 64, FILL, dtype=np.uint8)
    memory[: made.image.size] = made.image
    place_input(memory, made, X, job="input x")
    return memory


def stray(made: Program, memory: np.ndarray) -> int | None:
    return first_stray(memory, made, SimulationJob(name="test", program=made, inputs={"input x": X}))


def test_outputs_and_what_is_kept_may_change() -> None:
    made = program()
    memory = before(made)
    assert stray(made, memory) is None
    stores = [d for d in made.descriptors() if d["opcode"] == Opcode.STORE]
    assert len(stores) == 2
    for d in stores:
        memory[d["dram_offset"] : d["dram_offset"] + d["dram_bytes"]] = 7
    assert stray(made, memory) is None


@pytest.mark.parametrize("place", ["image", "input", "behind"])
def test_nothing_else_may_change(place: str) -> None:
    made = program()
    memory = before(made)
    (region,) = (job.input for job in made.jobs if job.input)
    at = {"image": 0, "input": region.pieces[0].offset, "behind": made.memory_bytes}[place]
    memory[at] ^= 1
    assert stray(made, memory) == at
