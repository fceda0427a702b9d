"""Where the cycles of a whole transformer went, as generated Verilog counts them."""

from __future__ import annotations

import pytest
from test_network_lowering import SSVQ, compiled, images, small_vit

from ssvq.network.program.emission import INPUT
from ssvq.network.report.profiled import on_core, profiling_core
from ssvq.network.report.step_report import step_report
from ssvq.vector_cycles import vector_cycles
from ssvq_gen.config import PRESETS
from ssvq_sim.behaviour import Behaviour, SimulationJob
from ssvq_sim.runner import run_jobs

RATE = 2


@pytest.mark.slow
@pytest.mark.cosim
def test_every_cycle_of_a_transformer_is_some_steps() -> None:
    """Also on a core that records all, for a few cycles more; and vector operations take at least their least."""
    sample = images(1)[0]
    made = compiled(small_vit(), [sample], PRESETS["tiny"], SSVQ)
    network = made.network
    given = network.quantize_inputs(sample[0].numpy())
    totals: list[int | None] = []
    left_out: list[int] = []
    for config in (PRESETS["tiny"], profiling_core(PRESETS["tiny"], [made.program])):
        program = on_core(made.program, PRESETS["tiny"], config)
        job = SimulationJob(
            name="vit",
            program=program,
            inputs={f"{INPUT}{own.name}": given[own.tensor] for own in network.inputs},
            behaviour=Behaviour(latency=20, bytes_per_cycle=RATE),
            profile=True,
        )
        (result,) = run_jobs(config, [job])
        assert result.error is None
        profile = result.profile
        assert profile is not None
        report = step_report(made, PRESETS["tiny"], RATE, profile=profile, counters=result.counters)
        assert sum(row.cycles or 0 for row in report.layers) + sum(report.rest.values()) == report.total
        assert report.left_out == max(0, program.descriptor_count - config.profile_depth)
        totals.append(report.total)
        left_out.append(report.left_out)
    assert totals[0] is not None
    assert totals[1] is not None
    assert 0 <= totals[1] - totals[0] <= 5 * left_out[0]
    assert left_out[0] > left_out[1] == 0
    assert set(report.rest) <= {"WAIT_DESCRIPTOR_CYCLES"}
    layers = {row.work.layer: row for row in report.layers}
    softmax = layers["blocks.0.attn.softmax"]
    assert softmax.classes is not None
    assert set(softmax.classes) == {"VECTOR_CYCLES"}
    assert (layers["blocks.0.attn.qkv"].classes or {})["ARRAY_CYCLES"] == 17 * 4 * 12
    for row in profile.rows:
        assert vector_cycles(PRESETS["tiny"], made.program.descriptor(row.index)) <= row.end - row.begin
