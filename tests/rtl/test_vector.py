"""The vector unit against the integer definition: every operation, format of parameters, width and place."""

import numpy as np
import pytest
from small_configs import SQUARE, WIDE
from vector_bench import VectorBench
from vector_programs import random_step, written_channels

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import VECTOR_OPCODES, Opcode

LANES = [
    SQUARE.replace(vector_lanes=4, activation_bytes=8 * 400),
    SQUARE.replace(vector_lanes=8, activation_bytes=8 * 400),
    WIDE.replace(vector_lanes=4),
    WIDE.replace(vector_lanes=16),
]


def check(config: CoreConfig, seeds: range, opcode: Opcode | None, denied: float) -> None:
    bench = VectorBench(config, denied=denied, seed=seeds.start)
    steps = [random_step(config, seed, opcode=opcode, index=number) for number, seed in enumerate(seeds)]
    for step, memory in zip(steps, bench.run(steps), strict=True):
        where = np.argwhere((memory != step.after) & ~_free(config, step))
        assert where.size == 0, f"{step.operation} {step.fields}: first of {len(where)} differences at {where[0]}"


def _free(config: CoreConfig, step: object) -> np.ndarray:
    """Bytes that may be anything: behind the last channel, in the group of lanes that has it."""
    return written_channels(config, step) & (step.after == step.before)


@pytest.mark.parametrize("config", LANES, ids=lambda c: f"{c.name}{c.vector_lanes}")
@pytest.mark.parametrize("opcode", VECTOR_OPCODES, ids=lambda o: o.name)
def test_operations(config: CoreConfig, opcode: Opcode) -> None:
    check(config, range(6), opcode, 0.0)
