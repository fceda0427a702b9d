"""A whole transformer in generated Verilog gives what its golden model gives, with everything on the core."""

from __future__ import annotations

import pytest
from test_network_lowering import INT8, SSVQ, compiled, images, small_vit

from ssvq.network.emission import INPUT, OUTPUT
from ssvq.quantize.formats import QuantizeConfig
from ssvq_gen.config import PRESETS
from ssvq_sim.behaviour import Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs

WATCHDOG_CYCLES = 20_000


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.parametrize("weights", [INT8, SSVQ], ids=["int8", "ssvq"])
def test_a_transformer(weights: QuantizeConfig) -> None:
    config, sample = PRESETS["tiny"], images(1)[0]
    made = compiled(small_vit(), [sample], config, weights)
    network = made.network
    given = network.quantize_inputs(sample[0].numpy())
    job = SimulationJob(
        name="vit",
        program=made.program,
        inputs={f"{INPUT}{own.name}": given[own.tensor] for own in network.inputs},
        behaviour=Behaviour(latency=20, bytes_per_cycle=2, stalls=None, seed=1),
        watchdog_cycles=WATCHDOG_CYCLES,
    )
    (result,) = run_jobs(config, [job])
    assert result.error is None
    assert result.stray is None
    memory = network.run(given)
    for name, view in network.outputs.items():
        found = result.outputs[f"{OUTPUT}{name}"]
        assert (found == view.read(memory[view.tensor]).reshape(found.shape)).all()
