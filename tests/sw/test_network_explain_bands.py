"""Networks that do not fit the memory: bands and movement through DRAM are explained and counted."""

from __future__ import annotations

import pytest
from fake_profiles import counters_of, fake_profile
from test_network_banding import bottlenecks, memory_of

from ssvq.network.integer.integer_network import TransferStep
from ssvq.network.program.emission import CompiledNetwork, emit
from ssvq.network.report.explain import explain
from ssvq.network.report.memory_picture import memory_svg
from ssvq.network.report.step_report import step_report
from ssvq.network.report.step_work import THROUGH_DRAM, steps_of_jobs
from ssvq.network.tiling.banding import banded
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Opcode


@pytest.fixture(scope="module")
def config() -> CoreConfig:
    return memory_of(500)


@pytest.fixture(scope="module")
def made(config: CoreConfig) -> CompiledNetwork:
    """Its input is in DRAM."""
    return emit(banded(bottlenecks(40, 12), config), config)


def transfers(made: CompiledNetwork) -> list[int]:
    return [number for number, step in enumerate(made.network.steps) if isinstance(step, TransferStep)]


def test_every_step_has_its_job(made: CompiledNetwork) -> None:
    found = steps_of_jobs(made)
    assert [number for number in found if number is not None] == list(range(len(made.network.steps)))
    for job, number in zip(made.program.jobs, found, strict=True):
        if number is None:
            assert job.name.startswith(("input ", "output "))
        else:
            assert job.name == made.network.steps[number].name or number in transfers(made)


def test_movement_says_what_is_in_dram(made: CompiledNetwork, config: CoreConfig) -> None:
    rows = {row.number: row for row in explain(made, config)}
    assert len(transfers(made)) > 1
    for number in transfers(made):
        row, step = rows[number], made.network.steps[number]
        assert [str(placed) for placed in row.reads] == ["x [DRAM]"]
        assert [placed.name for placed in row.writes] == [step.target.tensor]
        assert row.writes[0].word == made.plan.places[step.target.tensor]
        assert step.target.tensor not in [placed.name for placed in row.loads]
        assert row.load_bytes >= step.target.tokens * config.word_bytes
    bands = [row.rows for row in rows.values() if row.name.startswith("first.depthwise band")]
    assert bands[0].startswith("0 to ")
    assert bands[-1].endswith(" to 19 of 20")


def test_bands_are_one_layer(made: CompiledNetwork, config: CoreConfig) -> None:
    profile = fake_profile(made.program)
    report = step_report(made, config, 1, profile=profile, counters=counters_of(profile))
    layers = {row.work.layer: row for row in report.layers}
    assert not any("band" in name for name in layers)
    moved = layers[THROUGH_DRAM]
    fields = made.program.descriptors()
    assert moved.classes == {"LOAD_CYCLES": 7 * len(transfers(made))}
    assert report.whole.work.load_bytes == sum(d["dram_bytes"] for d in fields if d["opcode"] == Opcode.LOAD)
    expand = layers["first.expand"].work
    assert expand.streamed_bytes > expand.weight_bytes
    assert expand.streamed_bytes % expand.weight_bytes == 0
    assert sum(row.cycles or 0 for row in report.layers) + sum(report.rest.values()) == report.total


def test_the_picture_groups_movement_with_its_neighbours(made: CompiledNetwork, config: CoreConfig) -> None:
    picture = memory_svg(made, config.word_bytes)
    assert THROUGH_DRAM not in picture
    assert ">first</text>" in picture
    for step in made.network.steps:
        assert step.name in picture
