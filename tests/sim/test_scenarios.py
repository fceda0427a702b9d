"""Scenarios of mutants: what the programs of tall layers are, and what is wrong with times of a profile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ssvq.driver import Profile, ProfileRow
from ssvq_gen.config import PRESETS
from ssvq_gen.format import MATRIX_OPCODES, Opcode
from ssvq_sim.scenarios.record_times import wrong_times
from ssvq_sim.scenarios.weight_streams import Batch, Tiles, job_of
from ssvq_sim.systems.model_outputs import outputs_of

CONFIG = PRESETS["tiny"]
LOAD = ProfileRow(index=0, opcode=Opcode.LOAD, job="a", begin=110, end=120, classes={})
MATMUL = ProfileRow(
    index=1,
    opcode=Opcode.MATMUL,
    job="a",
    begin=120,
    decoded=150,
    compute_begin=130,
    compute_end=145,
    drain_begin=140,
    end=200,
    classes={},
)


def _profile(*rows: ProfileRow) -> Profile:
    return Profile(rows=rows, tail={}, total=200)


def test_steps_are_the_descriptors_that_they_say() -> None:
    steps = (
        Tiles(weight_format="vq", positions=3, channel_tiles=20, columns=2),
        Batch(count=5, channels=6, columns=3),
    )
    job = job_of(CONFIG, "steps", steps)
    tiles, batch = (d for d in job.program.descriptors() if d["opcode"] in MATRIX_OPCODES)
    assert (tiles["k_tiles"], tiles["n_tiles"], tiles["tokens"]) == (60, 2, 1)
    assert (batch["k_tiles"], batch["n_tiles"], batch["last_rows"], batch["batch_last"]) == (1, 3, 6, 4)


def test_products_of_a_batch_and_columns_of_a_layer_differ() -> None:
    steps = (Tiles(weight_format="ssvq", channel_tiles=4, columns=3), Batch(count=4, channels=8, columns=2))
    job = job_of(CONFIG, "steps", steps)
    columns, products = outputs_of(CONFIG, job.program, job.inputs).values()
    assert len(np.unique(columns.reshape(-1, CONFIG.cols), axis=0)) == 3
    assert len(np.unique(products.reshape(-1, CONFIG.cols), axis=0)) == 8


def test_right_times() -> None:
    assert not wrong_times(_profile(LOAD, MATMUL), 100, 200)


@pytest.mark.parametrize(
    ("row", "changes", "problem"),
    [
        (LOAD, {"begin": 99}, "begin of LOAD 0 is 99, not after 100 and up to 200"),
        (LOAD, {"end": 201}, "end of LOAD 0 is 201, not after 100 and up to 200"),
        (LOAD, {"end": 110}, "begin of LOAD 0 is 110, end is 110"),
        (MATMUL, {"decoded": 0}, "decoded of MATMUL 1 is 0, not after 100 and up to 200"),
        (MATMUL, {"decoded": 115}, "begin of MATMUL 1 is 120, decoded is 115"),
        (MATMUL, {"compute_end": 125}, "compute_begin of MATMUL 1 is 130, compute_end is 125"),
        (MATMUL, {"end": 148}, "decoded of MATMUL 1 is 150, end is 148"),
    ],
)
def test_wrong_times(row: ProfileRow, changes: dict[str, int], problem: str) -> None:
    assert problem in wrong_times(_profile(replace(row, **changes)), 100, 200)
