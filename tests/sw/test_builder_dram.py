"""Tensors in DRAM: any of their tokens, in any order, any number of times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_builder import CONFIG, SCALE, packed, run

from ssvq.builder import ProgramBuilder
from ssvq.dram_tensor import DramRole, DramTensor
from ssvq.integer_layer import CompileError
from ssvq_gen.format import OPEN_ALL, Opcode

WORDS = CONFIG.word_bytes


def dram(name: str, role: DramRole, tokens: int = 40, channels: int = 12) -> DramTensor:
    return DramTensor(name=name, tokens=tokens, channels=channels, scale=SCALE, role=role)


@given(starts=st.lists(st.integers(0, 8), min_size=1, max_size=6))
def test_tokens_go_out_and_come_back(starts: list[int]) -> None:
    builder = ProgramBuilder(CONFIG)
    for name, role in (("x", DramRole.INPUT), ("kept", DramRole.SCRATCH), ("y", DramRole.OUTPUT)):
        builder.declare(dram(name, role))
    values = np.random.default_rng(0).integers(-128, 128, (40, 12), dtype=np.int8)
    kept, y = np.zeros((2, 40, 12), dtype=np.int8)
    for number, start in enumerate(starts):
        token, part = 4 * start, packed(30 * (number % 3), 8, 12)
        builder.fill("input x" if number == 0 else f"fill {number}", "x", part, token=token)
        builder.spill(f"spill {number}", "kept", part, token=32 - token)
        builder.fill(f"back {number}", "kept", packed(200, 16, 12), token=8)
        builder.spill(f"out {number}", "y", packed(200, 16, 12), token=token if token < 24 else 24)
        kept[32 - token : 40 - token] = values[token : token + 8]
        y[min(token, 24) : min(token, 24) + 16] = kept[8:24]
    program = builder.build()
    last = f"out {len(starts) - 1}"
    assert [job.name for job in program.jobs if job.input or job.output] == ["input x", last]
    found = run(CONFIG, program, {"input x": values})[last]
    written = np.zeros(40, dtype=bool)
    for start in starts:
        written[min(4 * start, 24) : min(4 * start, 24) + 16] = True
    np.testing.assert_array_equal(found[written], y[written])


def test_a_load_waits_for_the_store_before_it() -> None:
    builder = ProgramBuilder(CONFIG)
    builder.declare(dram("kept", DramRole.SCRATCH))
    builder.spill("out", "kept", packed(0, 8, 12), token=8)
    builder.fill("other", "kept", packed(50, 8, 12), token=16)
    builder.fill("same", "kept", packed(100, 4, 12), token=12)
    opened = [(d["opcode"], d["stores_open"]) for d in builder.build().descriptors()]
    assert opened == [(Opcode.STORE, OPEN_ALL), (Opcode.LOAD, OPEN_ALL), (Opcode.LOAD, 0)]


def test_rules() -> None:
    builder = ProgramBuilder(CONFIG)
    for name in ("x", "z"):
        builder.declare(dram(name, DramRole.INPUT))
    with pytest.raises(CompileError, match=r"^layer 'x': another tensor in DRAM has this name$"):
        builder.declare(dram("x", DramRole.SCRATCH))
    with pytest.raises(CompileError, match=r"^layer 'w': no tensor of this name was declared to be in DRAM$"):
        builder.fill("job", "w", packed(0, 4, 12))
    with pytest.raises(CompileError, match=r"^layer 'job': tokens of x must begin with a multiple of 4, not 6$"):
        builder.fill("job", "x", packed(0, 4, 12), token=6)
    with pytest.raises(CompileError, match=r"^layer 'job': x has 40 tokens, not 36 to 43$"):
        builder.spill("job", "x", packed(0, 8, 12), token=36)
    with pytest.raises(CompileError, match=r"^layer 'job': target must be 4 tokens of 12 channels, not 4 of 8$"):
        builder.fill("job", "x", packed(0, 4, 8))
    with pytest.raises(CompileError, match=r"^layer 'job': source must have no gaps between its tokens$"):
        builder.spill("job", "x", packed(0, 4, 20).select_channels(CONFIG, 0, 12))
    builder.fill("job", "x", packed(0, 4, 12))
    builder.fill("job", "z", packed(0, 4, 12))
    with pytest.raises(CompileError, match=r"^layer 'job': a job has one input and one output, not 2$"):
        builder.build()
