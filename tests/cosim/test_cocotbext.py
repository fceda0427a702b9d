"""The core between cocotbext-axi's models of both buses, with random pauses on every channel, bit for bit."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from ssvq.compile import compile_layers
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_sim.behaviour import CHANNELS, Behaviour, SimulationJob
from ssvq_sim.checker import check_job
from ssvq_sim.runner import SLOW_MODULE, Session
from ssvq_sim.simulator import PORTS_BENCH, build_simulator
from ssvq_sim.systems.layer_cases import LayerCase

CONFIG = PRESETS["tiny"]
MEMORY_BYTES = 1 << 20
CASES = 12
SEED = 1
_LOG = logging.getLogger(__name__)


def _layer(rng: np.random.Generator) -> LayerCase:
    weight_format = WeightFormat(int(rng.integers(3)))
    coded = weight_format is not WeightFormat.INT8
    return LayerCase(
        weight_format=weight_format.name.lower(),
        codebook_size=16 if coded else 256,
        vector_dim=int(rng.choice((2, 4, 8))) if coded else 1,
        in_channels=int(rng.integers(1, 40)),
        out_channels=int(rng.integers(1, 40)),
        tokens=int(rng.integers(1, 30)),
        activations="random",
        weights="random",
        parameters="tuned",
        seed=int(rng.integers(1 << 32)),
    )


@pytest.mark.slow
@pytest.mark.cosim
def test_random_pauses() -> None:
    rng = np.random.default_rng(SEED)
    _LOG.info("seed %d", SEED)
    simulator = build_simulator(CONFIG, bench=PORTS_BENCH)
    with Session(simulator, memory_bytes=MEMORY_BYTES, module=SLOW_MODULE, wall_seconds=120) as session:
        for case in range(CASES):
            built = [_layer(rng).build(f"layer{i}") for i in range(1 + case % 2)]
            job = SimulationJob(
                name=f"case {case}",
                program=compile_layers(CONFIG, [(layer, x.shape[0]) for layer, x in built]),
                inputs={layer.name: x for layer, x in built},
                behaviour=Behaviour(
                    stalls={channel: float(rng.choice((0.0, 0.3, 0.8))) for channel in CHANNELS}, seed=case
                ),
                timeout_cycles=1_000_000,
            )
            result = session.run(job)
            assert result.error is None, result.error
            assert result.stray is None
            for layer, _ in built:
                assert check_job(CONFIG, job, layer, result) is None
